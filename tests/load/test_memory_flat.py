"""A thousand requests leave memory where the first ones left it. Sphinx takes its time, so it answers thirty, and a
thousand with PINNA_LONG_TESTS=1."""
import concurrent.futures
import os
import time

import pytest

from pinna_fixtures import SPOKEN, wav_bytes
from wire import Conn, upload

pytestmark = pytest.mark.load

CLIENTS = 4
SPHINX_TOTAL = 1000 if os.environ.get("PINNA_LONG_TESTS") else 30


@pytest.mark.parametrize("model, warm_up, total", [("offline", 200, 1000), ("sphinx", 10, SPHINX_TOTAL)])
def test_many_requests(start_server, micro_models, samples, capsys, model, warm_up, total):
    s = start_server(dict(micro_models, WHISPER_MODEL=model))
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

    run(warm_up)
    time.sleep(0.5)
    first, fds = s.rss_kb(), s.fds()
    t = time.monotonic()
    run(total - warm_up)
    took = time.monotonic() - t
    time.sleep(0.5)
    last = s.rss_kb()
    with capsys.disabled():
        print(
            f"\n{model}: RSS {first} kB after {warm_up} requests, {last} kB after {total} "
            f"({(last - first) / first * 100:+.2f} %); "
            f"{(total - warm_up) / took:.1f} requests/s; descriptors {fds}, {s.fds()}"
        )
    assert abs(last - first) <= max(0.05 * first, 3000)
    assert s.fds() <= fds + 2
