"""wire.py - HTTP/1.1 and WebSocket by hand.

Tests say exactly which bytes go out, and answers are read strictly: what a lenient client would forgive
fails here.
"""
import base64
import hashlib
import json
import os
import re
import socket
import struct
import time

HOST = "127.0.0.1"
STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3}) ([ -~]*)\Z")
HEADER_LINE = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\xff](?:[ \t\x21-\xff]*[\x21-\xff])?|)[ \t]*\Z"
)
WS_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# What every segment of an answer has, and nothing else.
SEGMENT_KEYS = {
    "id",
    "seek",
    "start",
    "end",
    "text",
    "tokens",
    "temperature",
    "avg_logprob",
    "compression_ratio",
    "no_speech_prob",
}


class Closed(Exception):
    """The server closed (or reset) the connection before a whole answer came."""


class Response:
    def __init__(self, status, headers, body=b""):
        self.status = status
        self.headers = headers  # [(lower-case name, value)]
        self.body = body

    def header(self, name, default=None):
        found = [v for n, v in self.headers if n == name.lower()]
        assert len(found) <= 1, f"header {name} came {len(found)} times"
        return found[0] if found else default

    def json(self):
        assert self.header("content-type", "").split(";")[0] == "application/json", self
        return json.loads(self.body.decode("utf-8"))

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"


def parse_head(block):
    lines = block.split(b"\r\n")
    m = STATUS_LINE.match(lines[0])
    assert m, f"bad status line {lines[0]!r}"
    headers = []
    for line in lines[1:]:
        h = HEADER_LINE.match(line)
        assert h, f"bad header line {line!r}"
        headers.append((h.group(1).decode().lower(), h.group(2).decode("utf-8")))
    return Response(int(m.group(1)), headers)


class Conn:
    """One connection; blocking, every read bounded by `timeout` seconds. `tls`: an ssl.SSLContext."""

    def __init__(self, port, timeout=30, rcvbuf=None, tls=None):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        self.sock.connect((HOST, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        self.buf = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            raise Closed("while sending") from None

    def _fill(self):
        try:
            more = self.sock.recv(65536)
        except ConnectionResetError:
            raise Closed(f"reset after {self.buf[:80]!r}") from None
        if not more:
            raise Closed(f"end after {self.buf[:80]!r}")
        self.buf += more

    def read_until(self, mark):
        while mark not in self.buf:
            self._fill()
        block, self.buf = self.buf.split(mark, 1)
        return block

    def read_exactly(self, n):
        parts = [self.buf]
        have = len(self.buf)
        self.buf = b""
        while have < n:
            self._fill()
            parts.append(self.buf)
            have += len(self.buf)
            self.buf = b""
        data = b"".join(parts)
        self.buf = data[n:]
        return data[:n]

    def read_response(self, method="GET", keep_100=False):
        while True:
            r = parse_head(self.read_until(b"\r\n\r\n"))
            if r.status >= 200 or r.status == 101 or keep_100:
                break
        if method == "HEAD" or r.status < 200 or r.status in (204, 304):
            return r
        if r.header("transfer-encoding") == "chunked":
            r.body = self._read_chunks()
        elif r.header("content-length") is not None:
            assert re.fullmatch(r"[0-9]+", r.header("content-length"))
            r.body = self.read_exactly(int(r.header("content-length")))
        else:
            r.body = self.read_to_end()
        return r

    def _read_chunks(self):
        body = b""
        while True:
            size = int(self.read_until(b"\r\n"), 16)
            body += self.read_exactly(size)
            assert self.read_exactly(2) == b"\r\n"
            if size == 0:
                return body

    def read_to_end(self):
        try:
            while True:
                self._fill()
        except Closed:
            body, self.buf = self.buf, b""
            return body

    def request(self, method, path, headers=(), body=None, version="1.1"):
        self.send(head(method, path, headers, body, version) + (body or b""))
        return self.read_response(method)

    def closes(self, wait):
        """True when the peer ends the connection within `wait` seconds without another byte."""
        assert self.buf == b"", f"more bytes came: {self.buf[:200]!r}"
        self.sock.settimeout(wait)
        try:
            more = self.sock.recv(65536)
        except ConnectionResetError:
            return True
        except (TimeoutError, socket.timeout):
            return False
        assert more == b"", f"more bytes came: {more[:200]!r}"
        return True

    def open_still(self):
        return not self.closes(0.05)


def head(method, path, headers=(), body=None, version="1.1"):
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost"]
    lines += [f"{n}: {v}" for n, v in headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")


def request(port, method, path, headers=(), body=None, timeout=30, tls=None):
    """One request over a connection of its own."""
    with Conn(port, timeout, tls=tls) as c:
        return c.request(method, path, headers, body)


def get(port, path, timeout=30, tls=None):
    return request(port, "GET", path, timeout=timeout, tls=tls)


class Part:
    """One field of a form; `filename` None makes it a text field."""

    def __init__(self, name, data, filename=None, content_type=None):
        self.name, self.filename, self.content_type = name, filename, content_type
        self.data = data.encode() if isinstance(data, str) else data

    def encode(self):
        h = f'Content-Disposition: form-data; name="{self.name}"'
        if self.filename is not None:
            h += f'; filename="{self.filename}"'
        if self.content_type is not None:
            h += f"\r\nContent-Type: {self.content_type}"
        return h.encode("utf-8") + b"\r\n\r\n" + self.data + b"\r\n"


def multipart(parts, boundary="pinna-test-7f3a", close=True):
    mark = b"--" + boundary.encode()
    body = b"".join(mark + b"\r\n" + p.encode() for p in parts)
    return body + (mark + b"--\r\n" if close else b"")


def form_type(boundary="pinna-test-7f3a", quoted=False):
    return (
        "Content-Type",
        f'multipart/form-data; boundary="{boundary}"'
        if quoted
        else f"multipart/form-data; boundary={boundary}",
    )


def chunked(body, size=1 << 16):
    out = [b"%x\r\n%s\r\n" % (len(body[i : i + size]), body[i : i + size]) for i in range(0, len(body), size)]
    return b"".join(out) + b"0\r\n\r\n"


def upload(
    port,
    data,
    path="/transcribe",
    fields=(),
    filename="clip.wav",
    content_type="audio/wav",
    timeout=60,
    conn=None,
):
    """The usual request: the file, then text fields."""
    parts = [Part("file", data, filename, content_type)] + [Part(n, v) for n, v in fields]
    body = multipart(parts)
    if conn:
        return conn.request("POST", path, [form_type()], body)
    return request(port, "POST", path, [form_type()], body, timeout)


def check_error(r, status, param=..., code=..., says=()):
    """The error body every refusal carries."""
    allowed = status if isinstance(status, tuple) else (status,)
    assert r.status in allowed, r
    assert r.header("x-request-id"), r
    body = r.json()
    assert list(body) == ["error"], body
    e = body["error"]
    assert set(e) == {"message", "type", "param", "code"}, e
    assert isinstance(e["message"], str) and e["message"].strip(), e
    assert e["type"] == ("server_error" if r.status >= 500 or r.status == 413 else "invalid_request_error"), e
    assert e["param"] is None or (isinstance(e["param"], str) and e["param"]), e
    assert e["code"] is None or (isinstance(e["code"], str) and e["code"]), e
    if param is not ...:
        assert e["param"] == param, e
    if code is not ...:
        assert e["code"] == code, e
    for word in (says,) if isinstance(says, str) else says:
        assert word.lower() in e["message"].lower(), e
    return e


# WebSocket

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0


def frame(op, payload=b"", mask=True, fin=True, rsv=0, length=None):
    """One frame as a client sends it; `length` lies about the payload's size."""
    n = len(payload) if length is None else length
    out = bytes([(0x80 if fin else 0) | rsv | op])
    m = 0x80 if mask else 0
    if n < 126:
        out += bytes([m | n])
    elif n < 65536:
        out += bytes([m | 126]) + struct.pack(">H", n)
    else:
        out += bytes([m | 127]) + struct.pack(">Q", n)
    if not mask:
        return out + payload
    key = b"\1\2\3\4"
    stream = (key * (len(payload) // 4 + 1))[: len(payload)]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return out + key + masked.to_bytes(len(payload), "big")


def ws_head(path="/test/echo", extra=(), key=None):
    key = key or base64.b64encode(os.urandom(16)).decode()
    lines = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key),
    ]
    return head("GET", path, lines + list(extra)), key


class Ws(Conn):
    """An upgraded connection; frames of the server are checked for what RFC 6455 wants of one."""

    def __init__(
        self, port, path="/test/echo", extra=(("Sec-WebSocket-Protocol", "echo"),), timeout=30, **kw
    ):
        super().__init__(port, timeout, **kw)
        text, key = ws_head(path, extra)
        self.send(text)
        self.answer = self.read_response()
        assert self.answer.status == 101, self.answer
        want = base64.b64encode(hashlib.sha1(key.encode() + WS_GUID).digest()).decode()
        assert self.answer.header("sec-websocket-accept") == want
        assert self.answer.header("upgrade", "").lower() == "websocket"
        assert "upgrade" in self.answer.header("connection", "").lower()

    def read_frame(self):
        b0, b1 = self.read_exactly(2)
        assert b1 & 0x80 == 0, "a server must not mask"
        assert b0 & 0x70 == 0, "reserved bits without an extension"
        n = b1 & 0x7F
        if n == 126:
            n = struct.unpack(">H", self.read_exactly(2))[0]
            assert n > 125, "length not in its shortest form"
        elif n == 127:
            n = struct.unpack(">Q", self.read_exactly(8))[0]
            assert n > 65535, "length not in its shortest form"
        op = b0 & 15
        assert op in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG), op
        assert op < 8 or (b0 & 0x80 and n < 126), "a control frame must be whole and short"
        return op, bool(b0 & 0x80), self.read_exactly(n)

    def read_message(self):
        op, fin, data = self.read_frame()
        while not fin:
            more, fin, piece = self.read_frame()
            assert more == CONTINUATION
            data += piece
        return op, data

    def read_close(self):
        """The next frame must be a close: (code, reason)."""
        op, _, data = self.read_frame()
        assert op == CLOSE, (op, data[:80])
        assert len(data) >= 2, "a close without a code"
        return struct.unpack(">H", data[:2])[0], data[2:].decode("utf-8")


def wait_until(condition, timeout, what):
    """Polls until `condition()` is true, and returns its value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {timeout} s: {what}"
        time.sleep(0.02)
