"""WebSockets that have talked once and now idle: what they cost in memory, plain and over TLS."""
import pytest

from certificates import Authority
from wire import TEXT, Ws, frame, get, wait_until

pytestmark = pytest.mark.load

HELLO = {"/test/echo": frame(TEXT, b"hello"), "/ws/asr": frame(TEXT, b'{"type":"control","command":"reset"}')}
MB = 1024


@pytest.mark.parametrize("path,kind,n,limit_kb", [("/ws/asr", "plain", 2000, 50 * MB), ("/test/echo", "tls", 500, 20 * MB)])
def test_idle_sockets(start_server, tmp_path, capsys, path, kind, n, limit_kb):
    """Two thousand must stay under 100 MB; the limits here leave that much room again."""
    tls = pair = None
    if kind == "tls":
        authority = Authority(tmp_path)
        pair, tls = authority.issue("idle"), authority.client()
    s = start_server({"MAX_CONNECTIONS": n, "PINNA_MAX_HTTP_CONNECTIONS": n + 100}, tls=pair)
    for _ in range(20):
        Ws(s.port, path, extra=(), tls=tls).close()
    wait_until(lambda: get(s.port, "/health", tls=tls).json()["active_connections"] == 0, 20, "none is open")
    before, fds = s.rss_kb(), s.fds()
    sockets = []
    for _ in range(n):
        sockets.append(Ws(s.port, path, extra=(), timeout=60, tls=tls))
        sockets[-1].send(HELLO[path])
        sockets[-1].read_message()
    assert get(s.port, "/health", tls=tls).json()["active_connections"] == n
    grown = s.rss_kb() - before
    with capsys.disabled():
        print(f"\n{n} idle sockets on {path}, {kind}: {grown / MB:.1f} MB, {grown / n:.1f} KB each")
    assert grown < limit_kb
    for w in sockets:
        w.close()
    wait_until(lambda: s.fds() <= fds, 20, f"descriptors are back to {fds}")
    assert s.rss_kb() - before <= grown + 2 * MB
