"""WebSocket handshakes and frames, good and bad, against the echo route of a test build."""
import asyncio
import os
import socket
import struct
import time

import pytest

from server_process import FACTOR, SANITIZER
from wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Closed,
    Conn,
    Ws,
    check_error,
    frame,
    get,
    request,
    wait_until,
    ws_head,
)

pytestmark = pytest.mark.hostile

H = b"Host: x\r\n"
GET = b"GET /health HTTP/1.1\r\n"
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # the example of RFC 6455, 1.3


@pytest.fixture(scope="module")
def echo(target):
    if get(target.port, "/test/echo").status == 404:
        pytest.fail("this build has no /test/echo; configure with -Dtest_routes=true")
    return target


# handshakes


@pytest.mark.parametrize(
    "data,status",
    [
        (b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n", 400),
        (
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key:\r\n",
            400,
        ),
        (
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n",
            400,
        ),
        (
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
            + b"A" * 5000
            + b"\r\n",
            400,
        ),
        (b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + KEY + b"\r\n", (400, 426)),
        (b"", (400, 426)),
        (b"Upgrade: h2c\r\nConnection: Upgrade\r\n", (400, 426)),
        (
            b"Connection: keep-alive\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
            + KEY
            + b"\r\n",
            (400, 426),
        ),
    ],
    ids=[
        "no-key",
        "empty-key",
        "short-key",
        "long-key",
        "no-version",
        "plain-get",
        "h2c",
        "no-connection-upgrade",
    ],
)
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
        c.send(
            b"GET /test/echo HTTP/1.1\r\n"
            + H
            + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
            + version
            + b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        r = c.read_response()
        check_error(r, 426)
        assert r.header("sec-websocket-version") == "13"


def test_handshake_by_post(echo):
    r = request(
        echo.port,
        "POST",
        "/test/echo",
        [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ],
        b"",
    )
    check_error(r, (400, 405))


def test_upgrade_headers_elsewhere_are_ignored(echo):
    text, _ = ws_head("/health")
    with Conn(echo.port, 8 * FACTOR) as c:
        c.send(text)
        assert c.read_response().status == 200


@pytest.mark.parametrize(
    "offer,taken",
    [
        ("echo", "echo"),
        ("a, echo", "echo"),
        ("echo,b", "echo"),
        ("other", None),
        (None, None),
        ("ECHO", None),
    ],
)
def test_subprotocols(echo, offer, taken):
    with Ws(echo.port, extra=[("Sec-WebSocket-Protocol", offer)] if offer else []) as w:
        assert w.answer.header("sec-websocket-protocol") == taken
        w.send(frame(TEXT, b"hi"))
        assert w.read_message() == (TEXT, b"hi")


def test_header_spellings_of_browsers(echo):
    """Firefox sends `keep-alive, Upgrade`; names and words in any case."""
    with Conn(echo.port, 8 * FACTOR) as c:
        c.send(
            b"GET /test/echo HTTP/1.1\r\n"
            + H
            + b"UPGRADE: WebSocket\r\nconnection: keep-alive, Upgrade\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: "
            + KEY
            + b"\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
        )
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


# frames

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
    "endless-fragments": (
        b"".join(frame(CONTINUATION if i else BINARY, b"x" * 65000, fin=False) for i in range(32)),
        1009,
    ),
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
        assert w.closes(2 * FACTOR), "after its close frame the server ends the connection"


def test_close_without_a_code(echo):
    with Ws(echo.port, timeout=10 * FACTOR) as w:
        w.send(frame(CLOSE))
        op, _, data = w.read_frame()
        assert op == CLOSE and data in (b"", struct.pack(">H", 1000))
        assert w.closes(2 * FACTOR)


def test_frames_that_are_fine(echo):
    with Ws(echo.port, timeout=10 * FACTOR) as w:
        w.send(frame(TEXT, "录音".encode()))
        assert w.read_message() == (TEXT, "录音".encode())
        w.send(frame(TEXT, b""))
        assert w.read_message() == (TEXT, b"")
        w.send(frame(PING, b"p" * 125))
        assert w.read_frame()[::2] == (PONG, b"p" * 125)
        w.send(frame(PONG, b"unasked"))
        w.send(
            frame(TEXT, "好".encode()[:1], fin=False)
            + frame(PING, b"in between")
            + frame(CONTINUATION, "好".encode()[1:])
        )
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
        async with websockets.connect(
            f"ws://127.0.0.1:{echo.port}/test/echo", subprotocols=["echo"], max_size=None
        ) as ws:
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


@pytest.mark.threads
def test_websockets_that_vanish(echo):
    """Ended by reset in the middle of frames and messages."""
    wait_until(
        lambda: get(echo.port, "/health").json()["active_connections"] == 0, 10 * FACTOR, "no socket is left"
    )
    fds = echo.fds()
    for data in (
        b"",
        b"\x82",
        b"\x82\xfe\x10",
        frame(BINARY, b"abc", length=1000),
        frame(TEXT, b"a", fin=False),
        frame(BINARY, b"x" * 500_000),
    ):
        for _ in range(5):
            w = Ws(echo.port)
            w.send(data)
            w.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            w.close()
    wait_until(
        lambda: get(echo.port, "/health").json()["active_connections"] == 0, 10 * FACTOR, "no socket is left"
    )
    wait_until(lambda: echo.fds() <= fds + 1, 10 * FACTOR, "descriptors are back")
