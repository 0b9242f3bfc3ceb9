"""TLS on the real program: which handshakes succeed, that HTTP and WebSockets are the same inside, and that
nobody's stalling, leaving or garbage harms anybody."""
import asyncio
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time

import prometheus
import pytest

from certificates import Authority, openssl
from pinna_fixtures import for_a_child
from server_process import FACTOR, PINNA, SANITIZER, clean_env
from wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Closed,
    Conn,
    Part,
    Ws,
    check_error,
    form_type,
    frame,
    get,
    head,
    multipart,
    parse_head,
    upload,
    wait_until,
)

T = 60 * FACTOR
HEADER_TIMEOUT = 2


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def secure(start_module_server, ca):
    """One server with TLS for most of the tests."""
    folder = ca.folder
    for name, made in zip(("now.pem", "now.key"), ca.issue("first")):
        shutil.copy(made, folder / name)
    s = start_module_server(
        {"PINNA_HEADER_TIMEOUT": HEADER_TIMEOUT, "MAX_CONNECTIONS": 100, "TORCH_NUM_THREADS": 1},
        tls=(folder / "now.pem", folder / "now.key"),
    )
    s.tls = ca.client()
    return s


def metric(server, name, **labels):
    f = prometheus.parse(get(server.port, "/metrics", tls=server.tls).body.decode()).get(name)
    return f.total(**labels) if f else 0


def handshakes(server, result):
    return metric(server, "pinna_tls_handshakes_total", result=result)


# handshakes


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_versions_that_are_spoken(secure, ca, version):
    v = getattr(ssl.TLSVersion, version)
    with Conn(secure.port, T, tls=ca.client(minimum_version=v, maximum_version=v)) as c:
        assert c.sock.version() == version.replace("_", ".")
        name = c.sock.cipher()[0]
        assert "GCM" in name or "CHACHA20" in name
        assert "ECDHE" in name or version == "TLSv1_3"
        assert c.request("GET", "/health").status == 200


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_versions_that_are_not(secure, ca, version):
    before = handshakes(secure, "failed")
    context = ca.client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION|protocol version"):
        Conn(secure.port, T, tls=context)
    wait_until(lambda: handshakes(secure, "failed") == before + 1, T, "it is counted")


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"])
def test_ciphers_that_are_refused(secure, ca, cipher):
    """No forward secrecy; no authenticated encryption."""
    context = ca.client(maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE|handshake failure"):
        Conn(secure.port, T, tls=context)


@pytest.mark.parametrize("offered,chosen", [(["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), ([], None)])
def test_alpn(secure, ca, offered, chosen):
    context = ca.client()
    if offered:
        context.set_alpn_protocols(offered)
    with Conn(secure.port, T, tls=context) as c:
        assert c.sock.selected_alpn_protocol() == chosen
        assert c.request("GET", "/health").status == 200


def test_alpn_without_what_we_speak(secure, ca):
    context = ca.client()
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="NO_APPLICATION_PROTOCOL|no application protocol"):
        Conn(secure.port, T, tls=context)


def test_the_client_sees_the_certificate(secure):
    stranger = ssl.create_default_context()  # does not know our authority
    with pytest.raises(ssl.SSLCertVerificationError):
        Conn(secure.port, T, tls=stranger)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_sessions_are_resumed(secure, ca, version):
    v = getattr(ssl.TLSVersion, version)
    context = ca.client(minimum_version=v, maximum_version=v)
    before = handshakes(secure, "resumed")
    with Conn(secure.port, T, tls=context) as c:
        assert c.request("GET", "/health").status == 200
        session = c.sock.session
    with socket.create_connection(("127.0.0.1", secure.port), T) as raw:
        with context.wrap_socket(raw, server_hostname="localhost", session=session) as again:
            assert again.session_reused
            again.sendall(head("GET", "/health"))
            assert again.recv(100).startswith(b"HTTP/1.1 200 ")
    assert handshakes(secure, "resumed") == before + 1


def test_renegotiation_is_refused(secure, ca):
    """`R` makes openssl's client ask for it."""
    r = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{secure.port}", "-CAfile", ca.cert, "-tls1_2"],
        input=b"R\n",
        capture_output=True,
        timeout=T,
    )
    text = (r.stdout + r.stderr).decode("utf-8", "replace")
    assert "RENEGOTIATING" in text and "no renegotiation" in text, text[-2000:]


# what is no handshake


def test_plain_http_is_told_so(secure):
    before = handshakes(secure, "plain")
    r = get(secure.port, "/health")
    check_error(r, 400, says=["plain HTTP", "https://"])
    assert r.header("connection") == "close"
    assert handshakes(secure, "plain") == before + 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16",
        b"\x16\x03\x01\x02\x00\x01",
        b"\x16\x03\x01\xff\xff" + b"A" * 70000,
        b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00",
        b"\x16" * 1000,
        b"\x80\x2e\x01\x00\x02" + b"\0" * 40,
        b"\0" * 100,
        os.urandom(5000),
    ],
    ids=["type-only", "cut-head", "oversized", "not-hello", "sixteens", "ssl2", "zeros", "noise"],
)
def test_garbage(secure, garbage):
    with Conn(secure.port, T) as c:
        c.sock.settimeout((HEADER_TIMEOUT + 10) * FACTOR)
        try:
            c.send(garbage)
        except Closed:
            pass
        c.read_to_end()
    assert get(secure.port, "/health", tls=secure.tls).status == 200


def test_a_handshake_that_stalls(secure, ca):
    before = handshakes(secure, "timeout")
    raw = socket.create_connection(("127.0.0.1", secure.port), T)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ca.client().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    began = time.monotonic()
    raw.sendall(hello[:-1])
    trickle = time.monotonic() + 0.5
    while time.monotonic() < trickle:  # bytes that come slowly buy no time
        time.sleep(0.1)
    raw.settimeout((HEADER_TIMEOUT + 10) * FACTOR)
    assert raw.recv(100) == b""
    assert time.monotonic() - began > HEADER_TIMEOUT - 0.5
    raw.close()
    wait_until(lambda: handshakes(secure, "timeout") > before, T, "it is counted")


def test_a_head_that_stalls_after_the_handshake(secure):
    with Conn(secure.port, T, tls=secure.tls) as c:
        c.send(b"GET /health HTTP/1.1\r\nHost: x\r\n")
        check_error(c.read_response(), 408)
        assert c.closes(10 * FACTOR)


@pytest.mark.threads
def test_many_that_stall_do_not_disturb(secure):
    stalled = [socket.create_connection(("127.0.0.1", secure.port)) for _ in range(200)]
    for s in stalled[:100]:
        s.sendall(b"\x16\x03\x01\x02\x00\x01")
    assert get(secure.port, "/health", tls=secure.tls).status == 200
    for s in stalled:
        s.close()
    wait_until(lambda: metric(secure, "pinna_tls_connections") == 1, T, "only this one is left")


# HTTP inside


def test_keep_alive(secure):
    with Conn(secure.port, T, tls=secure.tls) as c:
        for path in ("/health", "/ready", "/stats", "/nothing", "/health"):
            r = c.request("GET", path)
            assert r.status == (404 if path == "/nothing" else 200)
            assert r.header("connection") is None, "the connection is kept"
        assert c.open_still()


def test_the_endpoint_is_a_secure_one(secure):
    assert get(secure.port, "/", tls=secure.tls).json()["endpoint"] == "wss://localhost/ws/asr"


def test_pipelining_is_one_answer_and_the_end(secure):
    with Conn(secure.port, T, tls=secure.tls) as c:
        c.send(head("GET", "/health") + head("GET", "/ready"))
        r = c.read_response()
        assert r.status == 200
        if r.header("connection") == "close":  # it was read unseen; else both were answered
            assert c.closes(10 * FACTOR)
        else:
            assert c.read_response().status == 200


def test_small_pieces(secure):
    """Every byte in a record of its own."""
    with Conn(secure.port, T, tls=secure.tls) as c:
        for byte in head("GET", "/health"):
            c.send(bytes([byte]))
        assert c.read_response().status == 200


@pytest.mark.threads
@pytest.mark.parametrize("how", ["length", "chunked"])
def test_a_big_upload_arrives_as_it_was(secure, how):
    """The log has the hash of the file's bytes, which are no audio."""
    data = os.urandom(30_000_000)
    body = multipart([Part("file", data, "noise.bin", "audio/wav")])
    with Conn(secure.port, T, tls=secure.tls) as c:
        if how == "length":
            c.send(head("POST", "/transcribe", [form_type()], body))
            c.send(body)
        else:
            c.send(head("POST", "/transcribe", [form_type(), ("Transfer-Encoding", "chunked")]))
            for at in range(0, len(body), 100_000):
                piece = body[at : at + 100_000]
                c.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            c.send(b"0\r\n\r\n")
        check_error(c.read_response(), 400, param="file")
    wait_until(lambda: f"sha256={hashlib.sha256(data).hexdigest()}" in secure.log(), T, "the log has the hash")


@pytest.mark.threads
def test_an_upload_is_what_it_is_in_plain(secure, server, speech):
    clip = speech["Front_Center"]
    with Conn(secure.port, T, tls=secure.tls) as c:
        over_tls = upload(secure.port, clip, conn=c, timeout=T)
    assert over_tls.status == 200
    assert over_tls.json() == upload(server.port, clip, timeout=T).json()


@pytest.mark.threads
def test_a_reader_that_takes_its_time(secure):
    """Answers wait in bounded room until they are read."""
    c = Conn(secure.port, T, rcvbuf=4096, tls=secure.tls)
    answers = 0
    with c:
        for _ in range(40):
            c.send(head("GET", "/metrics"))
            time.sleep(0.02)
            assert c.read_response().status == 200
            answers += 1
    assert answers == 40


def test_half_close(secure):
    """A client that says close_notify after its request still gets the answer."""
    raw = socket.create_connection(("127.0.0.1", secure.port), T)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = secure.tls.wrap_bio(incoming, outgoing, server_hostname="localhost")
    while True:
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            raw.sendall(outgoing.read())
            incoming.write(raw.recv(65536))
    client.write(head("GET", "/health", [("Connection", "close")]))
    with pytest.raises(ssl.SSLWantReadError):
        client.unwrap()  # close_notify goes out, the server's is awaited
    raw.sendall(outgoing.read())
    raw.shutdown(socket.SHUT_WR)
    incoming_bytes = b""
    while more := raw.recv(65536):
        incoming_bytes += more
    incoming.write(incoming_bytes)
    incoming.write_eof()
    text = b""
    try:
        while piece := client.read(65536):
            text += piece
    except (ssl.SSLError, ssl.SSLZeroReturnError):
        pass
    assert text.startswith(b"HTTP/1.1 200 ")
    raw.close()


def start_upload(server, data):
    c = Conn(server.port, T, tls=server.tls)
    body = multipart([Part("file", data, "a.wav", "audio/wav")])
    c.send(head("POST", "/transcribe", [form_type()], body) + body)
    return c


@pytest.mark.threads
@pytest.mark.parametrize("how", ["close", "reset"])
def test_hang_up_cancels_the_job(secure, long_clip, how):
    before = metric(secure, "pinna_transcription_failures_total", reason="cancelled")
    c = start_upload(secure, for_a_child(long_clip))
    wait_until(lambda: metric(secure, "pinna_jobs_running") == 1, T, "it runs")
    if how == "reset":
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
    wait_until(lambda: metric(secure, "pinna_jobs_running") == 0, T, "nothing runs")
    assert metric(secure, "pinna_transcription_failures_total", reason="cancelled") == before + 1


# WebSockets inside


@pytest.mark.threads
def test_wss(secure):
    with Ws(secure.port, timeout=T, tls=secure.tls) as w:
        w.send(frame(TEXT, "录音".encode()))
        assert w.read_message() == (TEXT, "录音".encode())
        w.send(frame(PING, b"?") + frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b"))
        assert w.read_frame()[::2] == (PONG, b"?")
        assert w.read_message() == (TEXT, b"ab")
        for n in (0, 125, 126, 65535, 65536, 1 << 20):
            data = os.urandom(n)
            w.send(frame(BINARY, data))
            assert w.read_message() == (BINARY, data)
        w.send(frame(CLOSE, struct.pack(">H", 1000) + b"bye"))
        assert w.read_close()[0] == 1000
        assert w.closes(5 * FACTOR)


def test_the_last_frame_arrives(secure):
    """A close frame of ours, after bytes that nobody reads."""
    with Ws(secure.port, timeout=T, tls=secure.tls) as w:
        try:
            w.send(frame(BINARY, b"x" * 2_000_000))
        except (Closed, ssl.SSLError):
            pass
        assert w.read_close()[0] == 1009
        assert w.closes(10 * FACTOR)


def test_websockets_library(secure):
    websockets = pytest.importorskip("websockets")

    async def talk():
        url = f"wss://localhost:{secure.port}/test/echo"
        async with websockets.connect(url, ssl=secure.tls, max_size=None) as ws:
            for text in ("a" * 5000, "b" * 900_000):
                await ws.send(text)
                assert await asyncio.wait_for(ws.recv(), T) == text
            await asyncio.wait_for(await ws.ping(), T)

    asyncio.run(talk())


@pytest.mark.threads
def test_sockets_that_vanish(secure):
    wait_until(lambda: metric(secure, "pinna_tls_connections") == 1, T, "only this one is there")
    fds = secure.fds()
    for how in ("close", "reset", "cut"):
        for data in (b"", b"\x82\xfe\x10", frame(BINARY, b"abc", length=1000), frame(BINARY, b"x" * 500_000)):
            w = Ws(secure.port, timeout=T, tls=secure.tls)
            w.send(data)
            if how == "reset":
                w.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif how == "cut":
                os.close(os.dup(w.sock.fileno()))
                w.sock.shutdown(socket.SHUT_RDWR)
            w.close()
    wait_until(lambda: metric(secure, "pinna_websocket_connections") == 0, T, "no socket is left")
    wait_until(lambda: secure.fds() <= fds, T, f"descriptors are back to {fds}")


@pytest.mark.threads
def test_a_flood_that_is_not_read(secure):
    rss = secure.rss_kb()
    w = Ws(secure.port, timeout=0.5, rcvbuf=4096, tls=secure.tls)
    data, sent = frame(BINARY, b"x" * 60000), 0
    try:
        while sent < 64 << 20:
            w.send(data)
            sent += len(data)
    except (TimeoutError, socket.timeout, Closed, ssl.SSLError):
        pass
    assert sent < 64 << 20, "the flood was never held back"
    assert secure.rss_kb() - rss < 32 * 1024 * FACTOR
    w.close()


# the certificate


def serial(server, ca):
    with Conn(server.port, T, tls=ca.client()) as c:
        assert c.request("GET", "/health").status == 200
        return c.sock.getpeercert()["serialNumber"]


@pytest.mark.threads
def test_reload_on_hangup(secure, ca):
    first = serial(secure, ca)
    old = Conn(secure.port, T, tls=secure.tls)
    assert old.request("GET", "/health").status == 200

    for name, made in zip(("now.pem", "now.key"), ca.issue("second", rsa=True)):
        shutil.copy(made, ca.folder / name)
    secure.signal(signal.SIGHUP)
    wait_until(lambda: serial(secure, ca) != first, T, "new connections see the new certificate")
    second = serial(secure, ca)

    (ca.folder / "now.pem").write_text("no certificate at all\n")
    secure.signal(signal.SIGHUP)
    wait_until(lambda: "the certificate stays as it was" in secure.log(), T, "the log says so")
    assert "now.pem" in secure.log()
    assert serial(secure, ca) == second
    assert old.request("GET", "/ready").status == 200, "the old connection goes on"
    old.close()


def refused(tmp_path, **env):
    """What `pinna serve` says when it does not start, and its status."""
    (tmp_path / "tmp").mkdir(exist_ok=True)
    r = subprocess.run([PINNA, "serve", "--host", "127.0.0.1", "--port", "0"], cwd=tmp_path,
                       env=clean_env(tmp_path, {"PINNA_LOG_FILE": "none", **env}), capture_output=True, timeout=T)
    return r.returncode, r.stderr.decode()


def test_what_cannot_be_used_ends_the_start(ca, tmp_path):
    cert, key = ca.issue("good")
    _, other_key = ca.issue("other")
    (tmp_path / "text.pem").write_text("hello\n")
    openssl("ec", "-in", key, "-aes256", "-passout", "pass:secret", "-out", tmp_path / "locked.key")
    for env, says in (
        ({"TLS_CERT": tmp_path / "none.pem"}, ["TLS_CERT", "none.pem", "No such file"]),
        ({"TLS_CERT": tmp_path / "text.pem"}, ["TLS_CERT", "text.pem", "no certificate"]),
        ({"TLS_CERT": cert}, ["TLS_CERT", cert.name, "no private key"]),
        ({"TLS_CERT": cert, "TLS_KEY": tmp_path / "none.key"}, ["TLS_KEY", "none.key", "No such file"]),
        ({"TLS_CERT": cert, "TLS_KEY": other_key}, ["TLS_KEY", other_key.name, "does not fit"]),
        ({"TLS_CERT": cert, "TLS_KEY": tmp_path / "locked.key"}, ["TLS_KEY", "locked.key", "passphrase"]),
        ({"TLS_KEY": key}, ["TLS_KEY", "TLS_CERT"]),
    ):
        status, text = refused(tmp_path, **env)
        assert status == 2, text
        for word in says:
            assert word in text, text


def test_one_file_and_one_that_is_over(start_server, ca):
    """Certificate and key in one file; it has expired, which is worth a warning."""
    cert, key = ca.issue("late", days=0)
    both = ca.folder / "both.pem"
    both.write_text(cert.read_text() + key.read_text())
    time.sleep(1)
    s = start_server({"TLS_CERT": both, "PINNA_MAX_HTTP_CONNECTIONS": 8})
    wait_until(lambda: "the certificate has expired" in s.stderr(), T, "a warning")
    tls = ca.client(check_hostname=False, verify_mode=ssl.CERT_NONE)
    with Conn(s.port, T, tls=tls) as c:
        assert c.request("GET", "/health").status == 200

    # and the limit of connections holds
    crowd = [Conn(s.port, T, tls=tls) for _ in range(8)]
    wait_until(lambda: all(c.request("GET", "/health").status == 200 for c in crowd[:1]), T, "the first is served")
    with Conn(s.port, T, tls=tls) as c:
        check_error(c.read_response(), 503, says="connections")
    for c in crowd:
        c.close()


# the end


@pytest.mark.threads
def test_draining(start_server, ca, long_clip, speech):
    """Running work is finished and its answer arrives; sockets are closed with 1001; then the program ends."""
    s = start_server({"TORCH_NUM_THREADS": 1}, tls=ca.issue("draining"))
    s.tls = ca.client()
    w = Ws(s.port, timeout=T, tls=s.tls)
    clip = speech["Front_Left"] if SANITIZER else long_clip  # runs for a while, and ends within the drain
    job = start_upload(s, for_a_child(clip))
    wait_until(lambda: metric(s, "pinna_jobs_running") == 1, T, "it runs")
    s.signal(signal.SIGTERM)
    assert w.read_close() == (1001, "the service is stopping")
    w.send(frame(CLOSE, struct.pack(">H", 1001)))
    assert w.closes(10 * FACTOR)
    r = job.read_response()
    assert r.status == 200 and r.header("connection") == "close"
    assert json.loads(r.body)["text"]
    assert s.wait() == 0
