"""Peers that are broken or want to break us. Every input has the answer it must get.

Every head is judged on its raw bytes before the library sees it, that of a connection's first request and those of later
ones. So all cases run twice: first, and behind a good request.
"""
import asyncio
import concurrent.futures
import os
import random
import socket
import struct
import time

import pytest

from server_process import FACTOR, SANITIZER
from slow_peer import drip
from wire import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Closed, Conn, Part, Ws, check_error, form_type, frame, get, head,
                  multipart, request, upload, wait_until, ws_head)

pytestmark = pytest.mark.hostile

H = b"Host: x\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=b\r\n"
POST = b"POST /transcribe HTTP/1.1\r\n" + H
GET = b"GET /health HTTP/1.1\r\n"
SMUGGLED = b"GET /metrics HTTP/1.1\r\n" + H + b"\r\n"
HEADER_TIMEOUT, BODY_TIMEOUT, KEEPALIVE = 2, 4, 3


@pytest.fixture(scope="module")
def target(start_module_server):
    """Room for many sockets."""
    s = start_module_server({"MAX_CONNECTIONS": 1500, "PINNA_MAX_HTTP_CONNECTIONS": 4000})
    get(s.port, "/health")
    s.rss_before, s.fds_before = s.rss_kb(), s.fds()
    return s


@pytest.fixture(scope="module")
def hasty(start_module_server):
    """Short deadlines."""
    return start_module_server({"PINNA_HEADER_TIMEOUT": HEADER_TIMEOUT, "PINNA_BODY_TIMEOUT": BODY_TIMEOUT,
                                "PINNA_KEEPALIVE": KEEPALIVE, "PINNA_MAX_HTTP_CONNECTIONS": 2000})


@pytest.fixture(scope="module")
def echo(target):
    if get(target.port, "/test/echo").status == 404:
        pytest.fail("this build has no /test/echo; configure with -Dtest_routes=true")
    return target


# heads

BIG = b"a" * 65536
HEADS = {
    # name: (bytes, status)
    "length-negative": (POST + FORM + b"Content-Length: -5\r\n\r\n", 400),
    "length-plus": (POST + FORM + b"Content-Length: +5\r\n\r\nxxxxx", 400),
    "length-junk": (POST + FORM + b"Content-Length: 12abc\r\n\r\nxxxxxxxxxxxx", 400),
    "length-hex": (POST + FORM + b"Content-Length: 0x5\r\n\r\nxxxxx", 400),
    "length-empty": (POST + FORM + b"Content-Length:\r\n\r\n", 400),
    "length-list": (POST + FORM + b"Content-Length: 5, 5\r\n\r\nxxxxx", 400),
    "length-two-words": (POST + FORM + b"Content-Length: 5 6\r\n\r\nxxxxx", 400),
    "length-decimal": (POST + FORM + b"Content-Length: 5.0\r\n\r\nxxxxx", 400),
    "length-2^64+5": (POST + FORM + b"Content-Length: 18446744073709551621\r\n\r\nxxxxx", 413),
    "length-30-digits": (POST + FORM + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nxxxxx", 413),
    "length-1-GB": (POST + FORM + b"Content-Length: 1073741824\r\n\r\n--b\r\n", 413),
    "length-twice-different": (POST + FORM + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxx", 400),
    "length-twice-same": (POST + FORM + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nxxxxx", 400),
    "length-and-chunked": (POST + FORM + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", 400),
    "chunked-and-length": (POST + FORM + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG", 400),
    "length-folded": (POST + FORM + b"Content-Length: 5\r\n 6\r\n\r\nxxxxx", 400),
    "length-folded-tab": (POST + FORM + b"Content-Length: 5\r\n\t6\r\n\r\nxxxxx", 400),
    "length-all-folded": (POST + FORM + b"Content-Length:\r\n 5\r\n\r\nxxxxx", 400),
    "coding-xchunked": (POST + FORM + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "coding-chunkedx": (POST + FORM + b"Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", 400),
    "coding-gzip-chunked": (POST + FORM + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "coding-chunked-chunked": (POST + FORM + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "coding-identity": (POST + FORM + b"Transfer-Encoding: identity\r\n\r\n", 400),
    "coding-identity-length": (POST + FORM + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nxxxxx", 400),
    "coding-twice": (POST + FORM + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "coding-empty": (POST + FORM + b"Transfer-Encoding:\r\n\r\n", 400),
    "coding-quoted": (POST + FORM + b"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400),
    "coding-vertical-tab": (POST + FORM + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "coding-folded": (POST + FORM + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    "coding-in-1.0": (b"POST /transcribe HTTP/1.0\r\n" + H + FORM + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "header-64K": (GET + H + b"X: " + BIG + b"\r\n\r\n", 431),
    "header-name-64K": (GET + H + BIG + b": x\r\n\r\n", 431),
    "headers-5000": (GET + H + b"".join(b"H%d: v\r\n" % i for i in range(5000)) + b"\r\n", 431),
    "headers-150": (GET + H + b"".join(b"H%d: v\r\n" % i for i in range(150)) + b"\r\n", 431),
    "fold": (GET + H + b"X: a\r\n b\r\n\r\n", 400),
    "fold-tab": (GET + H + b"X: a\r\n\tb\r\n\r\n", 400),
    "fold-first": (GET + b" X: a\r\n" + H + b"\r\n", 400),
    "fold-empty": (GET + H + b"X: a\r\n \r\n\r\n", 400),
    "blank-before-colon": (GET + H + b"Content-Length : 5\r\n\r\n", 400),
    "tab-before-colon": (GET + H + b"Content-Length\t: 5\r\n\r\n", 400),
    "no-colon": (GET + H + b"just words\r\n\r\n", 400),
    "empty-name": (GET + H + b": x\r\n\r\n", 400),
    "name-with-bracket": (GET + H + b"X[1]: x\r\n\r\n", 400),
    "name-with-high-byte": (GET + H + b"X\xff: x\r\n\r\n", 400),
    "NUL-in-value": (GET + H + b"X: a\0b\r\n\r\n", 400),
    "CR-in-value": (GET + H + b"X: a\rb\r\n\r\n", 400),
    "BEL-in-value": (GET + H + b"X: a\x07b\r\n\r\n", 400),
    "no-Host": (GET + b"\r\n", 400),
    "two-Hosts": (GET + H + b"Host: y\r\n\r\n", 400),
    "two-names-in-Host": (GET + b"Host: x y\r\n\r\n", 400),
}
HEADS |= {
    "version-9.9": (b"GET /health HTTP/9.9\r\n" + H + b"\r\n", 505),
    "version-2.0": (b"GET /health HTTP/2.0\r\n" + H + b"\r\n", 505),
    "version-1.9": (b"GET /health HTTP/1.9\r\n" + H + b"\r\n", 505),
    "http2-preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "version-words": (b"GET /health FTP/1.1\r\n" + H + b"\r\n", 400),
    "version-lower": (b"GET /health http/1.1\r\n" + H + b"\r\n", 400),
    "version-long": (b"GET /health HTTP/1.10\r\n" + H + b"\r\n", 400),
    "version-none": (b"GET /health\r\n\r\n", 400),
    "garbage": (b"\x00\x01\xff\xfe GARBAGE\r\n\r\n", 400),
    "tls-hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)) + b"\r\n\r\n", 400),
    "leading-blank": (b" GET /health HTTP/1.1\r\n" + H + b"\r\n", 400),
    "two-blanks": (b"GET  /health HTTP/1.1\r\n" + H + b"\r\n", 400),
    "tab-as-blank": (b"GET\t/health\tHTTP/1.1\r\n" + H + b"\r\n", 400),
    "blank-in-path": (b"GET /hea lth HTTP/1.1\r\n" + H + b"\r\n", 400),
    "blank-at-end": (b"GET /health HTTP/1.1 \r\n" + H + b"\r\n", 400),
    "NUL-in-path": (b"GET /hea\0lth HTTP/1.1\r\n" + H + b"\r\n", 400),
    "no-path": (b"GET HTTP/1.1\r\n" + H + b"\r\n", 400),
    "method-with-colon": (b"GE:T /health HTTP/1.1\r\n" + H + b"\r\n", 400),
    "method-200-bytes": (b"G" * 200 + b" /health HTTP/1.1\r\n" + H + b"\r\n", 400),
    "connect": (b"CONNECT example.org:443 HTTP/1.1\r\n" + H + b"\r\n", 400),
    "path-64K": (b"GET /" + BIG + b" HTTP/1.1\r\n" + H + b"\r\n", 431),
    "one-endless-line": (b"A" * 200_000, 431),
    "bare-LF": (b"GET /health HTTP/1.1\nHost: x\n\n", 400),
    "bare-LF-last": (b"GET /health HTTP/1.1\r\nHost: x\r\n\n", 400),
    "bare-LF-in-header": (GET + b"Host: x\nContent-Length: 5\r\n\r\n", 400),
}


@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("name", list(HEADS))
def test_bad_head(target, name, second):
    data, status = HEADS[name]
    with Conn(target.port, 8 * FACTOR) as c:
        if second:
            c.send(GET + H + b"\r\n")
            assert c.read_response().status == 200
        try:
            c.send(data)
        except Closed:
            pass  # refused before all of it was out; the answer is still there to read
        r = c.read_response()
        check_error(r, status)
        assert r.header("connection", "").lower() == "close"
        assert c.closes(5 * FACTOR), "after a head that is not understood nothing on this connection can be trusted"


def test_a_head_of_the_usual_size_passes(target):
    """What browsers and proxies add is far below the limit."""
    extra = [("Cookie", "c=" + "a" * 3000), ("X-Forwarded-For", "10.0.0.1, " * 20)] + [(f"X-H{i}", "v" * 20) for i in range(40)]
    r = request(target.port, "GET", "/health?" + "q" * 1000, [(n, v.strip()) for n, v in extra])
    assert r.status == 200, r


def test_a_head_in_single_bytes(target):
    with Conn(target.port, 10 * FACTOR) as c:
        for b in GET + H + b"X-Long: " + b"v" * 200 + b"\r\n\r\n":
            c.send(bytes([b]))
        assert c.read_response().status == 200


def test_half_heads_do_not_keep_the_loop_busy(target):
    """Bytes that lie unread in a socket must not wake the loop again and again."""
    waiting = [Conn(target.port) for _ in range(20)]
    for c in waiting:
        c.send(GET + H + b"X-A: ")
    second = Conn(target.port)
    second.send(GET + H + b"\r\n")
    assert second.read_response().status == 200
    second.send(GET + H + b"X-A: ")
    time.sleep(0.2)
    before = target.cpu_seconds()
    time.sleep(1)
    used = target.cpu_seconds() - before
    for c in waiting + [second]:
        c.close()
    assert used < 0.2, f"{used:.2f} s of processor time in one second of waiting"


# smuggling: the second request must never be run

SMUGGLERS = {
    "two-lengths": FORM + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED),
    "two-lengths-reversed": FORM + b"Content-Length: %d\r\nContent-Length: 0\r\n\r\n" % len(SMUGGLED),
    "length-then-chunked": FORM + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (len(SMUGGLED) + 5),
    "chunked-then-length": FORM + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "blank-before-colon": FORM + b"Content-Length : %d\r\n\r\n" % len(SMUGGLED),
    "folded-length": FORM + b"Content-Length: 0\r\n %d\r\n\r\n" % len(SMUGGLED),
    "folded-in-other": FORM + b"X: y\r\n Content-Length: %d\r\n\r\n" % len(SMUGGLED),
    "unknown-coding": FORM + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding-list": FORM + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("path", [b"/transcribe", b"/health", b"/test/echo"])
@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("name", list(SMUGGLERS))
def test_smuggling(target, name, second, path):
    data = b"POST " + path + b" HTTP/1.1\r\n" + H + SMUGGLERS[name] + SMUGGLED
    with Conn(target.port, 8 * FACTOR) as c:
        if second:
            c.send(GET + H + b"\r\n")
            assert c.read_response().status == 200
        c.send(data)
        r = c.read_response()
        check_error(r, 400)
        assert c.closes(5 * FACTOR), "the connection must end with the refusal"


def refused_or_closed(c):
    """What was sent behind a good request is refused, or dropped with the connection; it is not run."""
    try:
        check_error(c.read_response(), 400)
    except Closed:
        return
    assert c.closes(5 * FACTOR)


def test_smuggling_in_one_segment_with_a_good_request(target):
    """Both heads come in one read."""
    with Conn(target.port, 8 * FACTOR) as c:
        c.send(GET + H + b"\r\n" + POST + SMUGGLERS["length-then-chunked"] + SMUGGLED)
        assert c.read_response().status == 200
        refused_or_closed(c)


def test_smuggling_behind_an_upload(target, speech):
    """The same behind a body and a job."""
    body = multipart([Part("file", speech["Front_Left"], "a.wav")])
    with Conn(target.port, 60 * FACTOR) as c:
        c.send(head("POST", "/transcribe", [form_type()], body) + body + POST + SMUGGLERS["two-lengths"] + SMUGGLED)
        assert c.read_response().status == 200
        refused_or_closed(c)


# bodies

CHUNKED = POST + FORM + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("data", [
    b"zz\r\nabc\r\n0\r\n\r\n", b"ffffffffffffffff1\r\nabc", b"fffffffffffffff\r\nabc", b"-5\r\nabc\r\n", b"0x5\r\nabcde\r\n0\r\n\r\n", b"+5\r\nabcde\r\n0\r\n\r\n",
    b"5\r\nabcdeXX\r\n0\r\n\r\n", b"\r\n\r\n", b" 5\r\nabcde\r\n0\r\n\r\n", b"7fffffff" * 8,
], ids=["zz", "2^68", "2^60", "negative", "0x", "plus", "no-end", "empty", "blank", "endless"])
def test_bad_chunks(target, data):
    """Refused in the middle of the body, by a status or a plain close, and nothing behind it is run."""
    with Conn(target.port, 2 * FACTOR) as c:
        try:
            c.send(CHUNKED + data + SMUGGLED)
            r = c.read_response()
        except Closed:
            return
        except (TimeoutError, socket.timeout):
            assert data.startswith(b"fffffffffffffff\r\n"), "only a body that may still come is waited for"
            return
        assert r.status in (400, 413), r
        assert c.closes(5 * FACTOR)


def test_endless_chunk_extension(target):
    """Bytes that never become a chunk are bounded in memory and end in a refusal or a close."""
    rss = target.rss_kb()
    sent = 0
    with Conn(target.port, 3) as c:
        try:
            c.send(CHUNKED + b"5;")
            while sent < 64 << 20:
                c.send(b"x" * 65536)
                sent += 65536
        except (Closed, TimeoutError, socket.timeout):
            pass
        assert target.rss_kb() - rss < 16384 or SANITIZER
    assert target.alive()


def test_endless_trailers(target):
    rss = target.rss_kb()
    with Conn(target.port, 3) as c:
        try:
            c.send(CHUNKED + b"0\r\n")
            for i in range(20000):
                c.send(b"X-Trailer-%d: %s\r\n" % (i, b"v" * 1000))
        except (Closed, TimeoutError, socket.timeout):
            pass
        assert target.rss_kb() - rss < 16384 or SANITIZER
    assert target.alive()


@pytest.mark.parametrize("name,status", [("Content-Length", 400), ("Transfer-Encoding", 400)])
def test_framing_fields_in_trailers_mean_nothing(target, name, status):
    body = multipart([Part("file", b"hello", "a")], "b")
    data = b"%x\r\n%s\r\n0\r\n%s: 5\r\n\r\n" % (len(body), body, name.encode())
    with Conn(target.port, 30 * FACTOR) as c:
        c.send(CHUNKED + data + head("GET", "/ready"))
        assert c.read_response().status == status
        try:
            assert c.read_response().json() == {"status": "ready"}
        except Closed:
            pass


def test_valid_chunked_upload_of_a_text(target):
    body = multipart([Part("file", b"hello", "a")], "b")
    with Conn(target.port, 30 * FACTOR) as c:
        c.send(CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        check_error(c.read_response(), 400, param="file")


def test_pipelined_three(target):
    """Answered in order; whoever is not answered was told so by `Connection: close`."""
    with Conn(target.port, 8 * FACTOR) as c:
        c.send(head("GET", "/ready") + head("GET", "/nowhere") + head("GET", "/health"))
        for status in (200, 404, 200):
            r = c.read_response()
            assert r.status == status, r
            if r.header("connection", "").lower() == "close":
                assert c.closes(5 * FACTOR)
                return
        assert c.open_still()


def test_expect_100(target):
    with Conn(target.port, 8 * FACTOR) as c:
        c.send(POST + b"Expect: 100-continue\r\n" + FORM + b"Content-Length: 10\r\n\r\n")
        assert c.read_response(keep_100=True).status == 100
        c.send(b"0123456789")
        check_error(c.read_response(), 400)


def test_expect_something_else(target):
    with Conn(target.port, 8 * FACTOR) as c:
        c.send(POST + b"Expect: a-miracle\r\n" + FORM + b"Content-Length: 5\r\n\r\nhello")
        check_error(c.read_response(), (400, 417))


def test_NUL_in_an_escaped_path(target):
    for path in ("/hea%00lth", "/health%00", "/%00", "/health?a=%00", "/health%0d%0aX: y"):
        check_error(get(target.port, path), 400)
    for path in ("/health%0d%0aX:y", "/%", "/%zz", "/%u0041", "/%2e%2e/%2e%2e/etc/passwd"):
        check_error(get(target.port, path), 404)


def test_many_query_arguments(target, speech):
    r = upload(target.port, speech["Front_Left"], "/transcribe?" + "&".join(f"a{i}=b" for i in range(500)), timeout=60 * FACTOR)
    assert r.status in (200, 431), r


def test_pipelining_without_reading(target):
    """Answers that nobody reads stop the reading of requests; memory stays bounded."""
    rss = target.rss_kb()
    c = Conn(target.port, 1, rcvbuf=4096)
    sent, piece = 0, head("GET", "/metrics") * 200
    try:
        while sent < 200 << 20:
            c.send(piece)
            sent += len(piece)
    except (Closed, TimeoutError, socket.timeout):
        pass
    assert sent < 200 << 20, "requests were taken without end"
    assert target.rss_kb() - rss < 16384 or SANITIZER
    assert get(target.port, "/health").status == 200
    c.close()


# WebSocket handshakes


@pytest.mark.parametrize("data,status", [
    (b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n", 400),
    (b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key:\r\n", 400),
    (b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n", 400),
    (b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + b"A" * 5000 + b"\r\n", 400),
    (b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", (400, 426)),
    (b"", (400, 426)),
    (b"Upgrade: h2c\r\nConnection: Upgrade\r\n", (400, 426)),
    (b"Connection: keep-alive\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", (400, 426)),
], ids=["no-key", "empty-key", "short-key", "long-key", "no-version", "plain-get", "h2c", "no-connection-upgrade"])
def test_bad_handshake(echo, data, status):
    with Conn(echo.port, 8 * FACTOR) as c:
        c.send(b"GET /test/echo HTTP/1.1\r\n" + H + data + b"\r\n")
        r = c.read_response()
        check_error(r, status)
        if r.status == 426:
            assert r.header("upgrade", "").lower() == "websocket", r


@pytest.mark.parametrize("version", [b"8", b"12", b"14", b"113", b"13, 8"])
def test_other_versions_are_told_ours(echo, version):
    with Conn(echo.port, 8 * FACTOR) as c:
        c.send(b"GET /test/echo HTTP/1.1\r\n" + H + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: " + version
               + b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        r = c.read_response()
        check_error(r, 426)
        assert r.header("sec-websocket-version") == "13"


def test_handshake_by_post(echo):
    r = request(echo.port, "POST", "/test/echo", [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
                                                  ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")], b"")
    check_error(r, (400, 405))


def test_upgrade_headers_elsewhere_are_ignored(echo):
    text, _ = ws_head("/health")
    with Conn(echo.port, 8 * FACTOR) as c:
        c.send(text)
        assert c.read_response().status == 200


@pytest.mark.parametrize("offer,taken", [("echo", "echo"), ("a, echo", "echo"), ("echo,b", "echo"), ("other", None), (None, None), ("ECHO", None)])
def test_subprotocols(echo, offer, taken):
    with Ws(echo.port, extra=[("Sec-WebSocket-Protocol", offer)] if offer else []) as w:
        assert w.answer.header("sec-websocket-protocol") == taken
        w.send(frame(TEXT, b"hi"))
        assert w.read_message() == (TEXT, b"hi")


def test_header_spellings_of_browsers(echo):
    """Firefox sends `keep-alive, Upgrade`; names and words in any case."""
    with Conn(echo.port, 8 * FACTOR) as c:
        c.send(b"GET /test/echo HTTP/1.1\r\n" + H + b"UPGRADE: WebSocket\r\nconnection: keep-alive, Upgrade\r\nsec-websocket-version: 13\r\n"
               b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n")
        r = c.read_response()
        assert r.status == 101 and r.header("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert r.header("sec-websocket-extensions") is None


def test_handshake_and_frames_in_one_segment(echo):
    """Bytes behind the head are the first frames and must not be lost."""
    text, _ = ws_head()
    with Conn(echo.port, 8 * FACTOR) as c:
        c.send(text + frame(TEXT, b"early") + frame(BINARY, b"x" * 3000))
        assert c.read_response().status == 101
        c.__class__ = Ws  # it speaks frames from here on
        assert c.read_message() == (TEXT, b"early")
        assert c.read_message() == (BINARY, b"x" * 3000)


# WebSocket frames

FRAMES = {
    # name: (bytes, close code)
    "unmasked": (frame(TEXT, b"hi", mask=False), 1002),
    "opcode-3": (frame(3, b"hi"), 1002),
    "opcode-7": (frame(7, b"hi"), 1002),
    "opcode-11": (frame(11, b"hi"), 1002),
    "opcode-15": (frame(15), 1002),
    "RSV1": (frame(TEXT, b"hi", rsv=0x40), 1002),
    "RSV2": (frame(TEXT, b"hi", rsv=0x20), 1002),
    "RSV3": (frame(BINARY, b"hi", rsv=0x10), 1002),
    "RSV1-ping": (frame(PING, b"hi", rsv=0x40), 1002),
    "ping-126": (frame(PING, b"p" * 126), 1002),
    "ping-64-bit-length": (b"\x89\xff" + struct.pack(">Q", 70000) + b"\1\2\3\4" + b"p" * 1000, 1002),
    "pong-126": (frame(PONG, b"p" * 126), 1002),
    "close-126": (frame(CLOSE, struct.pack(">H", 1000) + b"p" * 124), 1002),
    "fragmented-ping": (frame(PING, b"p", fin=False), 1002),
    "fragmented-close": (frame(CLOSE, b"", fin=False), 1002),
    "bad-UTF-8": (frame(TEXT, b"\xff\xfe"), 1007),
    "overlong-UTF-8": (frame(TEXT, b"\xc0\xaf"), 1007),
    "surrogate-UTF-8": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "cut-UTF-8": (frame(TEXT, b"\xe4\xbd"), 1007),
    "bad-UTF-8-in-fragments": (frame(TEXT, b"ok \xe4", fin=False) + frame(CONTINUATION, b"\xff\xff"), 1007),
    "bad-UTF-8-in-close": (frame(CLOSE, struct.pack(">H", 1000) + b"\xff\xfe"), (1002, 1007)),
    "length-2^62": (frame(BINARY, b"abc", length=1 << 62), 1009),
    "length-2^63": (frame(BINARY, b"abc", length=1 << 63), (1002, 1009)),
    "length-2-MiB": (frame(BINARY, b"x" * 70000, length=2 << 20), 1009),
    "length-1-MiB-and-1": (frame(BINARY, b"x" * 100, length=(1 << 20) + 1), 1009),
    "length-not-shortest-16": (b"\x82\xfe\x00\x05\1\2\3\4abcde", 1002),
    "length-not-shortest-64": (b"\x82\xff" + struct.pack(">Q", 5) + b"\1\2\3\4abcde", 1002),
    "continuation-first": (frame(CONTINUATION, b"x"), 1002),
    "new-message-inside": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    "close-999": (frame(CLOSE, struct.pack(">H", 999)), 1002),
    "close-0": (frame(CLOSE, struct.pack(">H", 0)), 1002),
    "close-1005": (frame(CLOSE, struct.pack(">H", 1005)), 1002),
    "close-1006": (frame(CLOSE, struct.pack(">H", 1006)), 1002),
    "close-1015": (frame(CLOSE, struct.pack(">H", 1015)), 1002),
    "close-5000": (frame(CLOSE, struct.pack(">H", 5000)), 1002),
    "close-1-byte": (frame(CLOSE, b"x"), 1002),
    "endless-fragments": (b"".join(frame(CONTINUATION if i else BINARY, b"x" * 65000, fin=False) for i in range(32)), 1009),
    "http-instead": (GET + H + b"\r\n", 1002),
    "close-1000": (frame(CLOSE, struct.pack(">H", 1000) + b"bye"), 1000),
    "close-3001": (frame(CLOSE, struct.pack(">H", 3001)), 3001),
}


@pytest.mark.parametrize("name", list(FRAMES))
def test_bad_frame(echo, name):
    data, codes = FRAMES[name]
    with Ws(echo.port, timeout=10 * FACTOR) as w:
        try:
            w.send(data)
        except Closed:
            pass
        code, _ = w.read_close()
        assert code in (codes if isinstance(codes, tuple) else (codes,)), code
        assert w.closes(5 * FACTOR), "after its close frame the server ends the connection"


def test_close_without_a_code(echo):
    with Ws(echo.port, timeout=10 * FACTOR) as w:
        w.send(frame(CLOSE))
        op, _, data = w.read_frame()
        assert op == CLOSE and data in (b"", struct.pack(">H", 1000))
        assert w.closes(5 * FACTOR)


def test_frames_that_are_fine(echo):
    with Ws(echo.port, timeout=10 * FACTOR) as w:
        w.send(frame(TEXT, "录音".encode()))
        assert w.read_message() == (TEXT, "录音".encode())
        w.send(frame(TEXT, b""))
        assert w.read_message() == (TEXT, b"")
        w.send(frame(PING, b"p" * 125))
        assert w.read_frame()[::2] == (PONG, b"p" * 125)
        w.send(frame(PONG, b"unasked"))
        w.send(frame(TEXT, "好".encode()[:1], fin=False) + frame(PING, b"in between") + frame(CONTINUATION, "好".encode()[1:]))
        assert w.read_frame()[::2] == (PONG, b"in between")
        assert w.read_message() == (TEXT, "好".encode())
        for n in (125, 126, 127, 65535, 65536, 1 << 20):
            w.send(frame(BINARY, b"n" * n))
            assert w.read_message() == (BINARY, b"n" * n)
        for piece in frame(BINARY, b"slow"):
            w.send(bytes([piece]))
        assert w.read_message() == (BINARY, b"slow")


def test_websockets_library(echo):
    """An ordinary client: compression is offered and refused, and 900 kB of text come back."""
    websockets = pytest.importorskip("websockets")

    async def talk():
        async with websockets.connect(f"ws://127.0.0.1:{echo.port}/test/echo", subprotocols=["echo"], max_size=None) as ws:
            assert ws.subprotocol == "echo"
            assert [e.name for e in ws.extensions] == []
            for text in ("a" * 5000, "b" * 900_000):
                await ws.send(text)
                assert await asyncio.wait_for(ws.recv(), 20 * FACTOR) == text
            await asyncio.wait_for(await ws.ping(), 10 * FACTOR)

    asyncio.run(talk())


def test_five_hundred_websockets(echo):
    """All are up at once, and each gets its own bytes back."""
    n, rounds = (500, 6) if not SANITIZER else (200, 3)

    async def one(up, go):
        reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
        text, _ = ws_head()
        writer.write(text)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 "), answer[:100]
        up.append(1)
        await go.wait()
        for _ in range(rounds):
            mine = os.urandom(1024)
            writer.write(frame(BINARY, mine))
            assert await reader.readexactly(4 + 1024) == b"\x82\x7e\x04\x00" + mine
        writer.close()

    async def all_of_them():
        up, go = [], asyncio.Event()
        tasks = [asyncio.create_task(one(up, go)) for _ in range(n)]
        while len(up) < n and not any(t.done() for t in tasks):
            await asyncio.sleep(0.02)
        go.set()
        await asyncio.gather(*tasks)

    asyncio.run(asyncio.wait_for(all_of_them(), 60 * FACTOR))


def test_flood_without_reading(echo):
    """The client sends for seconds and reads nothing: the server stops reading, its memory stays bounded."""
    rss = echo.rss_kb()
    sockets = [Ws(echo.port, timeout=0.5, rcvbuf=4096) for _ in range(4)]
    data = frame(BINARY, b"x" * 60000)
    sent = 0
    end = time.monotonic() + 6
    for w in sockets:
        try:
            while time.monotonic() < end and sent < 256 << 20:
                w.send(data)
                sent += len(data)
        except (TimeoutError, socket.timeout, Closed):
            pass
    grown = echo.rss_kb() - rss
    assert sent < 256 << 20, "the flood was never held back"
    assert grown < 32 * 1024 or SANITIZER, f"grew by {grown} kB after {sent >> 20} MiB"
    assert get(echo.port, "/health").status == 200
    for w in sockets:
        w.close()


def test_flood_of_pings_without_reading(echo):
    rss = echo.rss_kb()
    w = Ws(echo.port, timeout=1, rcvbuf=4096)
    data = frame(PING, b"p" * 125) * 500
    sent = 0
    try:
        while sent < 128 << 20:
            w.send(data)
            sent += len(data)
    except (TimeoutError, socket.timeout, Closed):
        pass
    assert sent < 128 << 20, "the flood was never held back"
    assert echo.rss_kb() - rss < 32 * 1024 or SANITIZER
    assert get(echo.port, "/health").status == 200
    w.close()


def test_flood_of_empty_fragments(echo):
    """A message of nothing but empty pieces: it may go on, but not eat memory or the loop's time."""
    rss = echo.rss_kb()
    with Ws(echo.port, timeout=5 * FACTOR) as w:
        w.send(frame(BINARY, b"", fin=False))
        piece = frame(CONTINUATION, b"", fin=False) * 1000
        t = time.monotonic()
        try:
            while time.monotonic() - t < 1.5:
                w.send(piece)
                assert get(echo.port, "/health").status == 200
        except Closed:
            pass
    assert echo.rss_kb() - rss < 16 * 1024 or SANITIZER


def test_websockets_that_vanish(echo):
    """Ended by reset in the middle of frames and messages."""
    wait_until(lambda: get(echo.port, "/health").json()["active_connections"] == 0, 10 * FACTOR, "no socket is left")
    fds = echo.fds()
    for data in (b"", b"\x82", b"\x82\xfe\x10", frame(BINARY, b"abc", length=1000), frame(TEXT, b"a", fin=False), frame(BINARY, b"x" * 500_000)):
        for _ in range(5):
            w = Ws(echo.port)
            w.send(data)
            w.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            w.close()
    wait_until(lambda: get(echo.port, "/health").json()["active_connections"] == 0, 10 * FACTOR, "no socket is left")
    wait_until(lambda: echo.fds() <= fds + 1, 10 * FACTOR, "descriptors are back")


# deadlines, all of them at the same time in one event loop


HEAD_CUT = (HEADER_TIMEOUT - 0.1, HEADER_TIMEOUT + 3 * FACTOR)
BODY_CUT = (BODY_TIMEOUT - 0.1, BODY_TIMEOUT + 3 * FACTOR)
BODY_HEAD = POST + FORM + b"Content-Length: 100000\r\n\r\n--b\r\nConte"
DEADLINES = {
    # name: (arguments of drip, earliest and latest end)
    "nothing-sent": (dict(first=b""), HEAD_CUT),
    "half-a-request-line": (dict(first=b"GET /hea"), HEAD_CUT),
    "half-a-head": (dict(first=GET + H + b"X-A: "), HEAD_CUT),
    "dripping-head": (dict(first=GET + H + b"X-A: ", drop=b"b"), HEAD_CUT),
    "dripping-headers": (dict(first=GET + H, drop=b"X: y\r\n"), HEAD_CUT),
    "dripping-empty-lines": (dict(first=b"", drop=b"\r\n"), (0, HEAD_CUT[1])),
    "dripping-request-line": (dict(first=b"GET /", drop=b"a"), HEAD_CUT),
    "second-head-never-begun": (dict(first=b"", before=GET + H + b"\r\n"), (KEEPALIVE - 0.6, KEEPALIVE + 3 * FACTOR)),
    "second-head-half": (dict(first=GET + H + b"X-A: ", before=GET + H + b"\r\n"), (HEADER_TIMEOUT - 0.6, HEADER_TIMEOUT + KEEPALIVE + 3 * FACTOR)),
    "second-head-dripping": (dict(first=GET + H + b"X-A: ", drop=b"b", before=GET + H + b"\r\n"),
                             (HEADER_TIMEOUT - 0.6, HEADER_TIMEOUT + KEEPALIVE + 3 * FACTOR)),
    "second-request-line-dripping": (dict(first=b"G", drop=b"E", before=GET + H + b"\r\n"),
                                     (HEADER_TIMEOUT - 0.6, HEADER_TIMEOUT + KEEPALIVE + 3 * FACTOR)),
    "body-stalls": (dict(first=BODY_HEAD), BODY_CUT),
    "body-never-begun": (dict(first=POST + FORM + b"Content-Length: 100\r\n\r\n"), BODY_CUT),
    "body-drips": (dict(first=BODY_HEAD, drop=b"x"), BODY_CUT),
    "body-flows-too-long": (dict(first=BODY_HEAD, drop=b"x" * 1500), BODY_CUT),
    "body-never-begun-after-100": (dict(first=POST + FORM + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n"), BODY_CUT),
    "chunks-stall": (dict(first=CHUNKED + b"a\r\n0123"), BODY_CUT),
    "chunk-size-drips": (dict(first=CHUNKED, drop=b"0"), (0, BODY_CUT[1])),
    "trailers-drip": (dict(first=CHUNKED + b"0\r\n", drop=b"X: y\r\n"), (0, BODY_CUT[1])),
    "body-of-a-get-stalls": (dict(first=GET + H + b"Content-Length: 100\r\n\r\nxx"), (0, BODY_CUT[1])),
    "body-of-404-stalls": (dict(first=b"POST /nowhere HTTP/1.1\r\n" + H + b"Content-Length: 100\r\n\r\nxx"), (0, BODY_CUT[1])),
    "refused-head-then-drip": (dict(first=GET + H + H + b"\r\n", drop=b"x"), (0, 10 + 3 * FACTOR)),
    "too-large-then-drip": (dict(first=POST + FORM + b"Content-Length: 1073741824\r\n\r\n", drop=b"x"), (0, 10 + 3 * FACTOR)),
}


@pytest.fixture(scope="module")
def deadlines(hasty):
    async def run():
        return await asyncio.gather(*(drip(hasty.port, **args, seconds=20 + 8 * FACTOR) for args, _ in DEADLINES.values()))

    return dict(zip(DEADLINES, asyncio.run(run())))


@pytest.mark.parametrize("name", list(DEADLINES))
def test_deadline(deadlines, name):
    _, (earliest, latest) = DEADLINES[name]
    seconds, got = deadlines[name]
    assert seconds is not None, f"never cut; got {got[:200]!r}"
    assert earliest <= seconds <= latest, (seconds, got[:200])
    if name.startswith(("half", "dripping", "second")) and got:
        assert got.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 ")), got[:200]
    if name.startswith(("body-stalls", "body-drips", "chunks-stall")) and got:
        assert got.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 ")), got[:200]


@pytest.mark.slow
def test_a_body_below_the_rate_is_cut(slow_bodies):
    """1 kB/s over 30 s is asked for; the fixture has been dripping since the first test of the session."""
    ends = slow_bodies()
    for name in ("below", "stalled"):
        seconds, _ = ends[name]
        assert seconds is not None, f"{name}: never cut"
        assert 25 <= seconds <= 36 + 4 * FACTOR, (name, seconds)
    assert ends["above"][0] is None, f"a steady 4 kB/s was cut after {ends['above'][0]} s"


def test_three_hundred_slow_heads(hasty):
    """All are cut, and /health answers meanwhile."""
    n = 300

    async def run():
        tasks = [asyncio.create_task(drip(hasty.port, GET + H + b"X-A: ", b"b", 0.5, 20 + 4 * FACTOR)) for _ in range(n)]
        await asyncio.sleep(1)
        t = time.monotonic()
        r = await asyncio.get_running_loop().run_in_executor(None, get, hasty.port, "/health")
        took = time.monotonic() - t
        return r, took, await asyncio.gather(*tasks)

    fds = hasty.fds()
    r, took, ends = asyncio.run(run())
    assert r.status == 200 and took < 1 * FACTOR, took
    cut = [s for s, _ in ends if s is not None]
    assert len(cut) == n, f"{len(cut)} of {n} were cut"
    assert min(cut) >= HEADER_TIMEOUT - 0.1 and max(cut) <= HEADER_TIMEOUT + 4 * FACTOR, (min(cut), max(cut))
    wait_until(lambda: hasty.fds() <= fds + 2, 5 * FACTOR, "descriptors are back")


def test_deadlines_do_not_touch_work(hasty, speech, many_clips):
    """A job may take longer than every deadline of reading."""
    jobs = []
    for clip in many_clips + many_clips[:4]:
        c = Conn(hasty.port, 120 * FACTOR)
        body = multipart([Part("file", clip, "a.wav")])
        c.send(head("POST", "/transcribe", [form_type()], body) + body)
        jobs.append(c)
    t = time.monotonic()
    assert [c.read_response().status for c in jobs] == [200] * len(jobs)
    assert time.monotonic() - t > HEADER_TIMEOUT, "too quick to mean anything"


def test_resets_everywhere(target, speech):
    """Connections that vanish by reset at every moment of a request."""
    whole = head("POST", "/transcribe", [form_type()], b"x" * 1000) + b"x" * 1000
    for cut in list(range(0, 60, 7)) + [len(whole) - 1, len(whole)]:
        c = Conn(target.port)
        c.send(whole[:cut])
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()
    assert get(target.port, "/health").status == 200


def test_ports_scanned(target):
    """Connections opened and dropped without a word."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: Conn(target.port).close(), range(400)))
    assert get(target.port, "/health").status == 200


def test_random_bytes(target):
    """Noise, and good requests with some bytes changed: any answer but a 5xx, no crash; seeds are fixed."""
    rnd = random.Random(20261120)
    good = head("POST", "/transcribe?language=en", [form_type("b"), ("Expect", "")], multipart([Part("file", b"abc" * 50, "a")], "b"))
    good += multipart([Part("file", b"abc" * 50, "a")], "b")
    for i in range(300 if not SANITIZER else 150):
        if i % 3 == 0:
            data = rnd.randbytes(rnd.randrange(1, 400)) + b"\r\n\r\n"
        else:
            data = bytearray(good)
            for _ in range(rnd.randrange(1, 6)):
                data[rnd.randrange(len(data))] = rnd.randrange(256)
        with Conn(target.port, 0.3 + 0.3 * FACTOR) as c:
            try:
                c.send(bytes(data))
                c.sock.shutdown(socket.SHUT_WR)
                r = c.read_response()
                assert r.status < 500 or r.status == 505, (bytes(data), r)
            except (Closed, TimeoutError, socket.timeout):
                pass
    assert get(target.port, "/health").status == 200


def test_everything_is_given_back(target):
    """After all of this: descriptors and memory as at the start, give or take a little."""
    wait_until(lambda: target.fds() <= target.fds_before + 3, 20 * FACTOR,
               f"descriptors: {target.fds()} after {target.fds_before} at the start")
    wait_until(lambda: len(target.decoders()) == 1, 10 * FACTOR, "one idle decode child")
    assert target.spooled() == []
    grown = target.rss_kb() - target.rss_before
    print(f"\nRSS {target.rss_before} kB before, {target.rss_kb()} kB after; descriptors {target.fds_before}, {target.fds()}")
    assert grown < 64 * 1024 or SANITIZER, f"grew by {grown} kB"
