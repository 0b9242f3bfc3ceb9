"""Ten uploads of 100 MB at once: they go to disk, not to memory, and nobody else waits for them."""
import concurrent.futures
import random
import threading
import time

import pytest

from wire import Conn, check_error, form_type, get, head

pytestmark = pytest.mark.load

N, SIZE, PIECE = 10, 100_000_000, 1 << 18
MARK = b"--pinna-load-boundary"
HEAD = MARK + b'\r\nContent-Disposition: form-data; name="file"; filename="noise.bin"\r\n\r\n'
TAIL = b"\r\n" + MARK + b"--\r\n"


def upload_noise(port, noise, chunked):
    """The same megabytes again and again, never audio."""
    length = len(HEAD) + SIZE + len(TAIL)
    framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(length))
    with Conn(port, 300) as c:
        c.send(head("POST", "/transcribe", [form_type(MARK[2:].decode()), framing]))

        def send(data):
            c.send(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)

        send(HEAD)
        left = SIZE
        while left:
            piece = noise[: min(left, PIECE)]
            send(piece)
            left -= len(piece)
        send(TAIL)
        if chunked:
            c.send(b"0\r\n\r\n")
        return c.read_response()


def watch(server, stop, box):
    """The worst time of /health, and the highest memory, while it goes on."""
    while not stop.is_set():
        t = time.monotonic()
        assert get(server.port, "/health", 60).status == 200
        box["worst"] = max(box["worst"], time.monotonic() - t)
        box["rss"] = max(box["rss"], server.rss_kb())
        box["n"] += 1
        time.sleep(0.01)


def test_ten_uploads_of_100_mb(start_server, capsys):
    s = start_server()
    noise = random.Random(7).randbytes(PIECE)
    check_error(upload_noise(s.port, noise, False), 400)  # what a first upload needs once is not growth
    before = s.rss_kb()
    box, stop = {"worst": 0.0, "rss": before, "n": 0}, threading.Event()
    t = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(N + 1) as pool:
        watching = pool.submit(watch, s, stop, box)
        answers = [
            f.result() for f in [pool.submit(upload_noise, s.port, noise, i % 2 == 1) for i in range(N)]
        ]
        took = time.monotonic() - t
        stop.set()
        watching.result()
    for r in answers:
        check_error(r, 400, param="file")
    grown = (box["rss"] - before) / 1024
    with capsys.disabled():
        print(
            f"\n{N} uploads of {SIZE // 1_000_000} MB in {took:.1f} s; RSS {before // 1024} MB, "
            f"grew by {grown:.1f} MB at most; "
            f"worst of {box['n']} /health {box['worst'] * 1000:.0f} ms"
        )
    assert grown < 64
    assert s.spooled() == []
