"""Peers that take their time: heads and bodies have deadlines that dripping does not move."""
import asyncio
import time

import pytest

from pinna_fixtures import SPHINX
from server_process import FACTOR, SANITIZER
from slow_peer import drip
from wire import Conn, Part, form_type, get, head, multipart, wait_until

pytestmark = pytest.mark.hostile

H = b"Host: x\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=b\r\n"
POST = b"POST /transcribe HTTP/1.1\r\n" + H
GET = b"GET /health HTTP/1.1\r\n"
CHUNKED = POST + FORM + b"Transfer-Encoding: chunked\r\n\r\n"
HEADER_TIMEOUT, BODY_TIMEOUT, KEEPALIVE = 2, 4, 3


@pytest.fixture(scope="module")
def hasty(start_module_server):
    """Short deadlines."""
    return start_module_server(
        {
            **SPHINX,
            "PINNA_HEADER_TIMEOUT": HEADER_TIMEOUT,
            "PINNA_BODY_TIMEOUT": BODY_TIMEOUT,
            "PINNA_KEEPALIVE": KEEPALIVE,
            "PINNA_MAX_HTTP_CONNECTIONS": 2000,
        }
    )


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
    "second-head-never-begun": (
        dict(first=b"", before=GET + H + b"\r\n"),
        (KEEPALIVE - 0.6, KEEPALIVE + 3 * FACTOR),
    ),
    "second-head-half": (
        dict(first=GET + H + b"X-A: ", before=GET + H + b"\r\n"),
        (HEADER_TIMEOUT - 0.6, HEADER_TIMEOUT + KEEPALIVE + 3 * FACTOR),
    ),
    "second-head-dripping": (
        dict(first=GET + H + b"X-A: ", drop=b"b", before=GET + H + b"\r\n"),
        (HEADER_TIMEOUT - 0.6, HEADER_TIMEOUT + KEEPALIVE + 3 * FACTOR),
    ),
    "second-request-line-dripping": (
        dict(first=b"G", drop=b"E", before=GET + H + b"\r\n"),
        (HEADER_TIMEOUT - 0.6, HEADER_TIMEOUT + KEEPALIVE + 3 * FACTOR),
    ),
    "body-stalls": (dict(first=BODY_HEAD), BODY_CUT),
    "body-never-begun": (dict(first=POST + FORM + b"Content-Length: 100\r\n\r\n"), BODY_CUT),
    "body-drips": (dict(first=BODY_HEAD, drop=b"x"), BODY_CUT),
    "body-flows-too-long": (dict(first=BODY_HEAD, drop=b"x" * 1500), BODY_CUT),
    "body-never-begun-after-100": (
        dict(first=POST + FORM + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n"),
        BODY_CUT,
    ),
    "chunks-stall": (dict(first=CHUNKED + b"a\r\n0123"), BODY_CUT),
    "chunk-size-drips": (dict(first=CHUNKED, drop=b"0"), (0, BODY_CUT[1])),
    "trailers-drip": (dict(first=CHUNKED + b"0\r\n", drop=b"X: y\r\n"), (0, BODY_CUT[1])),
    "body-of-a-get-stalls": (dict(first=GET + H + b"Content-Length: 100\r\n\r\nxx"), (0, BODY_CUT[1])),
    "body-of-404-stalls": (
        dict(first=b"POST /nowhere HTTP/1.1\r\n" + H + b"Content-Length: 100\r\n\r\nxx"),
        (0, BODY_CUT[1]),
    ),
    "refused-head-then-drip": (dict(first=GET + H + H + b"\r\n", drop=b"x"), (0, 10 + 3 * FACTOR)),
    "too-large-then-drip": (
        dict(first=POST + FORM + b"Content-Length: 1073741824\r\n\r\n", drop=b"x"),
        (0, 10 + 3 * FACTOR),
    ),
}


@pytest.fixture(scope="module")
def deadlines(hasty):
    async def run():
        return await asyncio.gather(
            *(drip(hasty.port, **args, seconds=20 + 8 * FACTOR) for args, _ in DEADLINES.values())
        )

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
        tasks = [
            asyncio.create_task(drip(hasty.port, GET + H + b"X-A: ", b"b", 0.5, 20 + 4 * FACTOR))
            for _ in range(n)
        ]
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


@pytest.mark.threads
def test_deadlines_do_not_touch_work(hasty, speech, many_clips):
    """A job may take longer than every deadline of reading."""
    jobs = []
    for clip in many_clips[: 12 if SANITIZER else 20]:  # the last one waits for all others
        c = Conn(hasty.port, 120 * FACTOR)
        body = multipart([Part("file", clip, "a.wav")])
        c.send(head("POST", "/transcribe", [form_type()], body) + body)
        jobs.append(c)
    t = time.monotonic()
    assert [c.read_response().status for c in jobs] == [200] * len(jobs)
    assert time.monotonic() - t > HEADER_TIMEOUT, "too quick to mean anything"
