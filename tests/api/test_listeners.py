"""More than one port: what the main port and FunASR's answer."""
import socket

import pytest

from wire import check_error, get, request


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def both(start_module_server):
    port = free_port()
    server = start_module_server({"FUNASR_PORT": port})
    server.funasr_port = port
    return server


def test_the_main_port_is_as_ever(both):
    assert get(both.port, "/health").status == 200
    check_error(get(both.port, "/nothing"), 404)


@pytest.mark.parametrize("method,path", [("GET", "/"), ("GET", "/health"), ("POST", "/transcribe"), ("HEAD", "/x")])
def test_the_other_port_knows_only_sockets(both, method, path):
    r = request(both.funasr_port, method, path, body=b"" if method == "POST" else None)
    assert r.status == 426 and r.header("upgrade") == "websocket"
    if method != "HEAD":
        check_error(r, 426, says="FunASR")


def test_a_port_in_use(both, start_server):
    with pytest.raises(AssertionError, match=f"cannot listen on 127.0.0.1 port {both.funasr_port}"):
        start_server({"FUNASR_PORT": both.funasr_port})
