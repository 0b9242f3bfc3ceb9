"""The pages that are compiled into the program: /test and what it loads from /web/."""
import re

import pytest

from server_process import ROOT
from wire import check_error, get, request

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FILES = sorted(f for f in (ROOT / "web").iterdir() if f.suffix in TYPES)
REFERENCE = re.compile(r"""(?:href|src)="([^"#]+)|from '([^']+)'|new URL\('([^']+)', import""")


def path_of(file):
    return f"/{file.stem}" if file.suffix == ".html" else f"/web/{file.name}"


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_every_file_is_served_as_it_is(server, file):
    r = get(server.port, path_of(file))
    assert r.status == 200
    assert r.body == file.read_bytes()
    assert r.header("content-type") == TYPES[file.suffix]


def test_headers(server):
    r = get(server.port, "/test")
    csp = dict(d.strip().split(" ", 1) for d in r.header("content-security-policy").split(";"))
    assert csp["default-src"] == "'none'"
    assert csp["frame-ancestors"] == csp["base-uri"] == csp["form-action"] == "'none'"
    assert csp["script-src"] == csp["style-src"] == csp["connect-src"] == "'self'"
    assert r.header("x-content-type-options") == "nosniff"
    assert r.header("referrer-policy") == "no-referrer"
    assert "microphone=(self)" in r.header("permissions-policy")
    assert r.header("cache-control") == "no-cache"


def test_head(server):
    r = request(server.port, "HEAD", "/test")
    assert r.status == 200 and r.body == b""
    assert r.header("etag")


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_not_sent_twice(server, form):
    tag = get(server.port, "/test").header("etag")
    r = request(server.port, "GET", "/test", [("If-None-Match", form.format(tag))])
    assert r.status == 304
    assert r.header("etag") == tag
    assert r.header("content-security-policy")


def test_sent_again_when_changed(server):
    tags = {get(server.port, path_of(f)).header("etag") for f in FILES}
    assert len(tags) == len(FILES) and all(re.fullmatch(r'"[0-9a-f]{20}"', t) for t in tags)
    for tag in ('"0"', "", get(server.port, "/web/test.js").header("etag")[1:-1]):
        assert request(server.port, "GET", "/test", [("If-None-Match", tag)]).status == 200


def test_one_address(server):
    r = get(server.port, "/test/")
    assert r.status == 308 and r.header("location") == "../test"


@pytest.mark.parametrize("path", ["/web/", "/web", "/web/test.html", "/web/../web/test.js", "/test.html", "/web/x/"])
def test_nothing_else_is_there(server, path):
    check_error(get(server.port, path), 404, code="unknown_url")


def test_only_read(server):
    r = request(server.port, "POST", "/web/test.js", body=b"x")
    check_error(r, 405)
    assert "GET" in r.header("allow")


def test_all_that_is_named_is_there():
    """And nothing from elsewhere; the browser test sees it happen."""
    for file in FILES:
        for found in REFERENCE.findall(file.read_text("utf-8")):
            name = "".join(found)
            assert (ROOT / "web" / name.removeprefix("web/")).is_file(), f"{file.name}: {name}"
