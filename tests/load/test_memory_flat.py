"""Hundreds of requests leave memory where the first fifty left it; PINNA_LONG_TESTS=1: a thousand."""
import concurrent.futures
import os
import time

import pytest

from pinna_fixtures import SPOKEN, wav_bytes
from wire import Conn, upload

pytestmark = pytest.mark.load

WARM_UP, CLIENTS = 50, 4
TOTAL = 1000 if os.environ.get("PINNA_LONG_TESTS") else 250


def test_many_requests(start_server, samples, capsys):
    s = start_server()
    clips = [wav_bytes(samples[n][:16000]) for n in SPOKEN]

    def client(k, n):
        with Conn(s.port, 120) as c:
            for i in range(n):
                r = upload(s.port, clips[(k + i) % len(clips)], conn=c)
                assert r.status == 200, r
                if i % 20 == 19:  # some clients keep their connection, some do not
                    c.close()
                    c.__init__(s.port, 120)

    def run(n):
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            for f in [pool.submit(client, k, n // CLIENTS + (k < n % CLIENTS)) for k in range(CLIENTS)]:
                f.result()

    run(WARM_UP)
    time.sleep(0.5)
    first, fds = s.rss_kb(), s.fds()
    t = time.monotonic()
    run(TOTAL - WARM_UP)
    took = time.monotonic() - t
    time.sleep(0.5)
    last = s.rss_kb()
    with capsys.disabled():
        print(
            f"\nRSS {first} kB after {WARM_UP} requests, {last} kB after {TOTAL} "
            f"({(last - first) / first * 100:+.2f} %); "
            f"{(TOTAL - WARM_UP) / took:.1f} requests/s; descriptors {fds}, {s.fds()}"
        )
    assert abs(last - first) <= 0.05 * first
    assert s.fds() <= fds + 2
