"""The files of web/: they say what they are, parse, keep to the page's security policy, and name only texts there are."""
import re
import shutil
import subprocess

import pytest

import tree

LONGEST = 500
OPENS = {".js": "/* {} - ", ".css": "/* {} - ", ".html": "<!doctype html>\n<!-- {} - "}
ELSEWHERE = re.compile(r"(?:https?:)?//[a-z0-9-]+(?:\.[a-z0-9-]+)+")
KNOWN = ("http://www.w3.org", "https://speech.example")  # the name of SVG, and the example in a comment
UNSAFE_SCRIPT = re.compile(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|new Function)\b")
UNSAFE_PAGE = re.compile(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)[^>]*>|javascript:")
KEY = re.compile(r'data-(?:text|label|title|placeholder)="([^"]+)"|\bt\(\'([^\']+)\'')


def violations(name, text):
    found = []
    kind = name[name.rindex(".") :]
    said = f"<!-- {name} - " in text if kind == ".svg" else text.startswith(OPENS[kind].format(name))
    if not said:
        found.append("does not say at its head what it is")
    if text.count("\n") > LONGEST and kind != ".css":
        found.append(f"is longer than {LONGEST} lines")
    found += [f"names {url}" for url in ELSEWHERE.findall(text) if url not in KNOWN]
    found += [f"has {m.group()}" for m in (UNSAFE_SCRIPT if kind == ".js" else UNSAFE_PAGE).finditer(text)]
    return [f"{name}: {v}" for v in found]


def web_files():
    return [p for p in tree.files("web/*") if not p.endswith("meson.build")]


def parses(text):
    return subprocess.run(["node", "--input-type=module", "--check"], input=text, capture_output=True, text=True)


def missing_texts(texts, *sources):
    known = set(re.findall(r"^ {8}'([^']+)':", texts, re.M))
    return sorted({a or b for source in sources for a, b in KEY.findall(source)} - known)


def test_files():
    assert len(web_files()) > 10
    assert [v for p in web_files() for v in violations(p.removeprefix("web/"), tree.read(p))] == []


def test_all_are_compiled_in():
    build = tree.read("web/meson.build")
    assert [p for p in web_files() if f"'{p.removeprefix('web/')}'" not in build] == []


def test_texts_exist():
    sources = [tree.read(p) for p in web_files() if p.endswith((".js", ".html"))]
    assert missing_texts(tree.read("web/test-text.js"), *sources) == []


@pytest.mark.parametrize("path", tree.files("web/*.js"))
def test_script_parses(path):
    if not shutil.which("node"):
        pytest.skip("no node")
    r = parses(tree.read(path))
    assert r.returncode == 0, r.stderr


def test_planted_violations_are_found():
    assert violations("x.js", "/* x.js - a. */\nimport './y.js'; // 'http://www.w3.org/2000/svg'\n") == []
    for bad in ("e.innerHTML = x;", "import 'https://cdn.example.com/x.js';", "eval(x)", "\n" * LONGEST):
        assert len(violations("x.js", f"/* x.js - a. */\n{bad}\n")) == 1, bad
    assert len(violations("x.js", "let a;\n")) == 1
    for bad in ('<p style="x">', '<b onclick="x">', "<script>", '<script type="module">', "<style>"):
        assert len(violations("x.html", f"<!doctype html>\n<!-- x.html - a -->\n{bad}\n")) == 1, bad
    assert violations("x.html", '<!doctype html>\n<!-- x.html - a -->\n<script type="module" src="x"></script>\n') == []
    texts = "const T = {\n        'a.b': 'x',\n"
    assert missing_texts(texts, "<p data-text=\"a.b\">", "t('a.b') set('q')") == []
    assert missing_texts(texts, "<p data-label=\"c\">", "t('d')") == ["c", "d"]
    if shutil.which("node"):
        assert parses("let a = ;").returncode != 0
