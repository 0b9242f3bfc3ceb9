"""Many clients at once, full queues, clients that leave, and decode children that die."""
import concurrent.futures
import os
import signal
import socket
import struct
import threading
import time

import prometheus
import pytest

from pinna_fixtures import SPHINX, for_a_child
from server_process import FACTOR
from wire import Closed, Conn, Part, Ws, check_error, form_type, get, head, multipart, upload, wait_until

T = 90 * FACTOR


def start_upload(server, data, content_type="audio/wav"):
    """A whole request is sent; nobody has read the answer yet."""
    c = Conn(server.port, T)
    body = multipart([Part("file", data, "a.wav", content_type)])
    c.send(head("POST", "/transcribe", [form_type()], body) + body)
    return c


def metric(server, name, **labels):
    f = prometheus.parse(get(server.port, "/metrics").body.decode()).get(name)
    return f.total(**labels) if f else 0


def busy(server):
    """Jobs that run and jobs that wait."""
    return metric(server, "pinna_jobs_running") + metric(server, "pinna_jobs_waiting")


def cancelled(server):
    return metric(server, "pinna_transcription_failures_total", reason="cancelled")


def settled(server, seconds=30):
    """Nothing runs, one idle decode child waits, and the processor is at rest."""
    wait_until(lambda: busy(server) == 0, seconds * FACTOR, "no job is left")
    wait_until(lambda: len(server.decoders()) == 1, 10 * FACTOR, "one idle decode child")

    def at_rest():
        before = server.cpu_seconds()
        time.sleep(0.4)
        return server.cpu_seconds() - before < 0.1

    wait_until(at_rest, seconds * FACTOR, "the processor is at rest")


@pytest.mark.threads
@pytest.mark.parametrize("form", [for_a_child, bytes], ids=["by-children", "plain"])
def test_twenty_clients_get_their_own_answers(server, many_clips, form):
    many_clips = [form(c) for c in many_clips]
    alone = [upload(server.port, c, timeout=T).json() for c in many_clips]
    assert len({a["text"] for a in alone}) >= 6, "the clips must differ for this test to mean anything"
    barrier = threading.Barrier(len(many_clips))

    def one(clip):
        barrier.wait()
        return upload(server.port, clip, timeout=T)

    with concurrent.futures.ThreadPoolExecutor(len(many_clips)) as pool:
        together = list(pool.map(one, many_clips))
    assert [r.status for r in together] == [200] * len(many_clips)
    assert [r.json() for r in together] == alone


@pytest.mark.threads
def test_a_full_queue_refuses(start_server, sphinx_server, many_clips):
    many_clips = many_clips[:10]
    alone = [upload(sphinx_server.port, c, timeout=T).json() for c in many_clips]
    s = start_server({**SPHINX, "ASR_MAX_CONCURRENT": 2, "ASR_QUEUE_SIZE": 4, "TORCH_NUM_THREADS": 1})
    barrier = threading.Barrier(len(many_clips))

    def one(clip):
        barrier.wait()
        return upload(s.port, clip, timeout=T)

    with concurrent.futures.ThreadPoolExecutor(len(many_clips)) as pool:
        together = list(pool.map(one, many_clips))
    served = [i for i, r in enumerate(together) if r.status == 200]
    refused = [r for r in together if r.status != 200]
    assert len(served) >= 6, "two may run and four may wait"
    assert refused, "ten at once are more than six"
    for i in served:
        assert together[i].json() == alone[i]
    for r in refused:
        check_error(r, 503, code="overloaded")
        assert int(r.header("retry-after")) >= 1
    assert get(s.port, "/health").status == 200
    assert upload(s.port, many_clips[0], timeout=T).json() == alone[0]
    assert metric(s, "pinna_refused_total", reason="queue") == len(refused)


@pytest.mark.threads
def test_hang_up_cancels_the_job(start_server, long_clip, speech):
    s = start_server({**SPHINX, "TORCH_NUM_THREADS": 1, "ASR_MAX_CONCURRENT": 1})
    settled(s)
    fds, before = s.fds(), cancelled(s)
    idle = s.decoders()
    c = start_upload(s, for_a_child(long_clip))
    wait_until(lambda: len(s.decoders()) == 2, 20 * FACTOR, "the job has a child of its own")
    c.close()
    wait_until(lambda: not set(idle) & set(s.decoders()), 10 * FACTOR, "its child is gone")
    settled(s)
    assert cancelled(s) == before + 1
    assert upload(s.port, for_a_child(speech["Front_Left"]), timeout=T).status == 200
    settled(s)
    wait_until(lambda: s.fds() <= fds + 2, 5 * FACTOR, f"descriptors are back to {fds}")
    assert s.spooled() == []


def test_plain_wav_needs_no_child(start_server, long_clip, speech):
    """The idle child stays idle through answers and hang-ups, and is there for a file that needs it."""
    s = start_server({**SPHINX, "TORCH_NUM_THREADS": 1, "ASR_MAX_CONCURRENT": 1})
    settled(s)
    fds, idle = s.fds(), s.decoders()
    want = upload(s.port, speech["Side_Right"], timeout=T).json()
    assert s.decoders() == idle
    c = start_upload(s, long_clip)
    wait_until(lambda: metric(s, "pinna_jobs_running") == 1, 20 * FACTOR, "it runs")
    assert s.decoders() == idle
    c.close()
    settled(s)
    assert s.decoders() == idle and cancelled(s) == 1
    wait_until(lambda: s.fds() <= fds + 2, 5 * FACTOR, f"descriptors are back to {fds}")
    assert upload(s.port, for_a_child(speech["Side_Right"]), timeout=T).json() == want
    settled(s)
    assert s.decoders() != idle


def test_hang_up_of_one_that_waits(start_server, long_clip, speech):
    s = start_server({**SPHINX, "TORCH_NUM_THREADS": 1, "ASR_MAX_CONCURRENT": 1, "ASR_QUEUE_SIZE": 2})
    first = start_upload(s, long_clip)
    wait_until(lambda: metric(s, "pinna_jobs_running") == 1, 20 * FACTOR, "one runs")
    second = start_upload(s, speech["Front_Left"])
    wait_until(lambda: metric(s, "pinna_jobs_waiting") == 1, 20 * FACTOR, "one waits")
    second.close()
    wait_until(lambda: metric(s, "pinna_jobs_waiting") == 0, 10 * FACTOR, "nobody waits")
    assert metric(s, "pinna_jobs_running") == 1
    third = start_upload(s, speech["Rear_Left"])
    wait_until(lambda: metric(s, "pinna_jobs_waiting") == 1, 20 * FACTOR, "another waits")
    first.close()
    r = third.read_response()
    assert r.status == 200, r
    settled(s)
    assert cancelled(s) == 2


def test_reset_cancels_as_well(start_server, long_clip):
    s = start_server({**SPHINX, "TORCH_NUM_THREADS": 1})
    c = start_upload(s, for_a_child(long_clip))
    wait_until(lambda: len(s.decoders()) == 2, 20 * FACTOR, "the job runs")
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
    settled(s)
    assert cancelled(s) == 1


def test_hang_up_in_the_body_leaves_nothing(start_server, long_clip):
    s = start_server()
    settled(s)
    fds = s.fds()
    body = multipart([Part("file", long_clip, "a.wav")])
    for cut in (0, 1, 100, 70_000, 3_000_000, len(body) - 1):
        with Conn(s.port, T) as c:
            c.send(head("POST", "/transcribe", [form_type()], body) + body[:cut])
    for _ in range(30):
        with Conn(s.port, T) as c:
            c.send(head("POST", "/transcribe", [form_type()], body) + body[:50_000])
    wait_until(lambda: s.fds() <= fds + 2, 10 * FACTOR, f"descriptors are back to {fds}")
    assert s.spooled() == []
    settled(s)


@pytest.mark.threads
@pytest.mark.parametrize("form", [for_a_child, bytes], ids=["by-children", "plain"])
def test_many_hang_ups_at_every_moment(start_server, speech, form):
    """A client that leaves a little later each time: before, while and after its job runs."""
    s = start_server()
    settled(s)
    fds = s.fds()
    for i in range(26):
        c = start_upload(s, form(speech["Rear_Center"]))
        time.sleep(i * 0.002)
        c.close()
    settled(s, 60)
    wait_until(lambda: s.fds() <= fds + 2, 5 * FACTOR, f"descriptors are back to {fds}")
    assert upload(s.port, form(speech["Rear_Center"]), timeout=T).status == 200


def test_half_closed_connection_is_not_for_ever(server, speech):
    """A client that shuts its sending side down gets its answer or is taken for gone, soon."""
    c = start_upload(server, speech["Front_Left"])
    c.sock.shutdown(socket.SHUT_WR)
    try:
        assert c.read_response().status == 200
    except Closed:
        pass


def test_killed_decode_child(start_server, long_clip, speech):
    s = start_server({**SPHINX, "TORCH_NUM_THREADS": 1})
    clip = for_a_child(speech["Side_Right"])
    want = upload(s.port, clip, timeout=T).json()
    settled(s)
    idle = s.decoders()
    victim = start_upload(s, for_a_child(long_clip))
    wait_until(lambda: len(s.decoders()) == 2, 20 * FACTOR, "the job has a child of its own")
    other = start_upload(s, clip)
    os.kill(idle[0], signal.SIGKILL)  # the child that was idle is the one that got the file
    r = victim.read_response()
    assert 400 <= r.status < 500, r
    check_error(r, r.status)
    r = other.read_response()
    assert r.status == 200 and r.json() == want
    settled(s)
    assert s.decoders() != idle
    assert upload(s.port, clip, timeout=T).json() == want


@pytest.mark.threads
def test_killed_idle_child(start_server, speech):
    """The one that waits dies: the next upload must not pay for it."""
    s = start_server()
    clip = for_a_child(speech["Side_Right"])
    want = upload(s.port, clip, timeout=T).json()
    for _ in range(3):
        settled(s)
        os.kill(s.decoders()[0], signal.SIGKILL)
        time.sleep(0.1)
        r = upload(s.port, clip, timeout=T)
        assert r.status == 200 and r.json() == want, r
    settled(s)


@pytest.mark.threads
def test_all_children_killed_again_and_again(start_server, many_clips):
    """Whatever dies, every request ends with 200 or one clear refusal, and the server lives."""
    s = start_server()
    many_clips = [for_a_child(c) for c in many_clips]
    stop = threading.Event()

    def reaper():
        while not stop.wait(0.15):
            for pid in s.decoders():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    killer = threading.Thread(target=reaper)
    killer.start()
    try:
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda c: upload(s.port, c, timeout=T), many_clips))
    finally:
        stop.set()
        killer.join()
    for r in answers:
        if r.status != 200:
            check_error(r, (400, 422, 503))
    r = upload(s.port, many_clips[0], timeout=T)
    if r.status != 200:  # its child was killed a moment ago
        check_error(r, (422, 503))
    settled(s)
    assert upload(s.port, many_clips[0], timeout=T).status == 200


@pytest.mark.threads
def test_stopped_decode_child(start_server, long_clip, speech):
    """A child that hangs is killed after PINNA_DECODE_STALL; others are served meanwhile."""
    s = start_server({"PINNA_DECODE_STALL": 2})
    clip = for_a_child(speech["Side_Right"])
    settled(s)
    idle = s.decoders()
    os.kill(idle[0], signal.SIGSTOP)
    t = time.monotonic()
    victim = start_upload(s, for_a_child(speech["Front_Left"]))
    wait_until(lambda: len(s.decoders()) == 2, 20 * FACTOR, "the job has a child of its own")
    assert upload(s.port, clip, timeout=T).status == 200
    r = victim.read_response()
    check_error(r, 422)
    assert 1.5 < time.monotonic() - t < 10 * FACTOR
    wait_until(lambda: idle[0] not in s.decoders(), 5 * FACTOR, "the hung child is gone")
    settled(s)


def test_connection_limit(start_server):
    s = start_server({"PINNA_MAX_HTTP_CONNECTIONS": 10})
    held = [Conn(s.port, 5 * FACTOR) for _ in range(10)]
    for c in held:
        assert c.request("GET", "/health").status == 200
    with Conn(s.port, 3 * FACTOR) as extra:
        try:
            r = extra.request("GET", "/health")
            check_error(r, 503)
            assert int(r.header("retry-after")) >= 1
        except Closed:
            pass
    assert all(c.request("GET", "/health").status == 200 for c in held), "those that were there go on"
    held[0].close()
    wait_until(lambda: answers(s), 5 * FACTOR, "there is room again")
    for c in held[1:]:
        c.close()


def answers(server):
    try:
        return get(server.port, "/health").status == 200
    except Closed:
        return False


def test_websocket_limit(start_server):
    s = start_server({"MAX_CONNECTIONS": 2})
    if get(s.port, "/test/echo").status == 404:
        pytest.skip("built without test routes")
    first, second = Ws(s.port), Ws(s.port)
    wait_until(
        lambda: get(s.port, "/health").json()["active_connections"] == 2, 5 * FACTOR, "two are counted"
    )
    third = Ws(s.port)
    assert third.read_close() == (1008, "服务器连接已满，请稍后重试")
    first.close()
    wait_until(lambda: get(s.port, "/health").json()["active_connections"] == 1, 5 * FACTOR, "one left")
    again = Ws(s.port)
    again.send(b"\x81\x82\0\0\0\0ok")
    assert again.read_message() == (1, b"ok")
    for c in (second, third, again):
        c.close()


def test_a_spool_folder_that_cannot_be_written(start_server, speech, tmp_path):
    """A clear refusal at start, or a 5xx for uploads while the rest works; never a crash."""
    gone = tmp_path / "spool"
    gone.mkdir()
    s = start_server({"PINNA_SPOOL_DIR": gone})
    assert upload(s.port, speech["Front_Left"], timeout=T).status == 200
    gone.rmdir()
    r = upload(s.port, speech["Front_Left"], timeout=T)
    if r.status != 200:
        check_error(r, (500, 503, 507))
    assert get(s.port, "/health").status == 200


def test_answer_to_a_client_that_reads_late(server, speech):
    """The answer waits in the socket; the server's other work does not."""
    late = start_upload(server, speech["Front_Left"])
    for _ in range(3):
        assert upload(server.port, speech["Rear_Left"], timeout=T).status == 200
    assert late.read_response().status == 200


def test_methods_with_a_body_that_nobody_wants(server):
    """A body that no path takes is read away, or the connection ends; it is never taken for a request."""
    smuggled = head("GET", "/smuggled")
    for method, path in (("GET", "/health"), ("POST", "/nowhere"), ("DELETE", "/transcribe")):
        with Conn(server.port, 5) as c:
            c.send(head(method, path, [], smuggled) + smuggled + head("GET", "/ready"))
            first = c.read_response()
            assert first.status in (200, 400, 404, 405), first
            try:
                second = c.read_response()
                assert second.status == 200 and second.json() == {"status": "ready"}, second
            except Closed:
                pass


def test_request_after_a_refused_body(server, speech):
    """After a refusal the connection stays usable or is closed; it is never confused."""
    body = multipart([Part("language", "klingon"), Part("file", speech["Front_Left"] * 4, "a.wav")])
    with Conn(server.port, T) as c:
        r = c.request("POST", "/transcribe", [form_type()], body)
        check_error(r, 422, param="language")
        try:
            assert c.request("GET", "/ready").status == 200
        except Closed:
            pass
