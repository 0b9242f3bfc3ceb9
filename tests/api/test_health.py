"""What the server says of itself, and how it starts, logs and ends."""
import concurrent.futures
import datetime
import json
import pathlib
import signal
import subprocess
import threading
import time

import prometheus
import pytest

from pinna_fixtures import SPHINX, for_a_child
from server_process import FACTOR, PINNA
from wire import Conn, check_error, form_type, get, head, multipart, Part, request, upload, wait_until

T = 60 * FACTOR


def get_json(server, path):
    r = get(server.port, path)
    assert r.status == 200, r
    return r.json()


def metrics(server):
    r = get(server.port, "/metrics")
    assert r.status == 200, r
    assert r.header("content-type").startswith("text/plain; version=0.0.4")
    return prometheus.parse(r.body.decode("utf-8"))


def test_root(server):
    body = get_json(server, "/")
    assert {"service", "version", "mode", "model", "device", "endpoint", "status"} <= set(body)
    assert body["service"] == "语音实时转录接口"
    assert body["mode"] == "PTT (Push-to-Talk)"
    assert body["status"] == "running"
    assert body["device"] == "cpu"
    assert body["model"] == "streaming"
    assert body["endpoint"].startswith("ws://") and body["endpoint"].endswith("/ws/asr")
    version = subprocess.run([PINNA, "--version"], capture_output=True, text=True, check=True).stdout
    assert body["version"] in version


def test_health(server):
    body = get_json(server, "/health")
    assert {
        "status",
        "model_loaded",
        "active_connections",
        "max_connections",
        "cpu_usage_percent",
        "memory_usage_percent",
        "timestamp",
    } <= set(body)
    assert body["status"] == "healthy" and body["model_loaded"] is True
    assert body["active_connections"] == 0 and body["max_connections"] == 20
    for key in ("cpu_usage_percent", "memory_usage_percent"):
        assert type(body[key]) in (int, float) and 0 <= body[key] <= 100, body
    assert body["memory_usage_percent"] > 0
    stamp = datetime.datetime.fromisoformat(body["timestamp"].replace("Z", "+00:00")).replace(tzinfo=None)
    near = [
        abs((stamp - now).total_seconds()) for now in (datetime.datetime.now(), datetime.datetime.utcnow())
    ]
    assert min(near) < 60, body["timestamp"]


def test_ready(server):
    assert get_json(server, "/ready") == {"status": "ready"}


def test_stats(server):
    body = get_json(server, "/stats")
    assert {"active_connections", "max_connections", "model", "device", "sample_rate"} <= set(body)
    assert body["sample_rate"] == 16000 and body["max_connections"] == 20 and body["device"] == "cpu"


def test_stats_follow_the_work(server, speech):
    before = json.dumps(get_json(server, "/stats"), sort_keys=True)
    assert upload(server.port, speech["Rear_Right"], timeout=T).status == 200
    assert json.dumps(get_json(server, "/stats"), sort_keys=True) != before


def test_settings_show_in_health(start_server):
    s = start_server({"MAX_CONNECTIONS": 7})
    assert get_json(s, "/health")["max_connections"] == 7
    assert get_json(s, "/stats")["max_connections"] == 7


def test_metrics_are_well_formed(server, speech):
    assert upload(server.port, speech["Front_Right"], timeout=T).status == 200
    found = metrics(server)
    assert found["whisper_transcription_total"].kind == "counter"
    assert found["whisper_transcription_duration_seconds"].kind == "histogram"
    assert found["whisper_audio_duration_seconds"].kind == "histogram"
    for name in ("whisper_transcription_duration_seconds", "whisper_audio_duration_seconds"):
        assert {tuple(dict(ls)) for ls in found[name].series()} == {("model",)}
    assert {tuple(sorted(dict(ls))) for ls in found["whisper_transcription_total"].series()} == {
        ("language", "model")
    }


@pytest.mark.threads
def test_metrics_count_every_answer(server, speech):
    def three():
        m = metrics(server)
        audio = m["whisper_audio_duration_seconds"]
        seconds = sum(v for (n, _), v in audio.samples.items() if n.endswith("_sum"))
        return (
            m["whisper_transcription_total"].total(model="offline", language="zh"),
            m["whisper_transcription_duration_seconds"].total(model="offline"),
            audio.total(model="offline"),
            seconds,
        )

    assert upload(server.port, speech["Front_Left"], timeout=T).status == 200
    before = three()
    for _ in range(3):
        assert upload(server.port, speech["Front_Left"], timeout=T).status == 200
    after = three()
    assert [a - b for a, b in zip(after[:3], before[:3])] == [3, 3, 3]
    assert 3 * 1.3 < after[3] - before[3] < 3 * 1.6


def test_metrics_do_not_grow_with_what_clients_say(server):
    """Paths, methods and languages that clients invent must not become series."""

    def n_series():
        return sum(len(f.samples) for f in metrics(server).values())

    get(server.port, "/warm-up")
    upload(server.port, b"x", "/transcribe?language=klingon")
    request(server.port, "WARMUP", "/health")
    before = n_series()
    for i in range(40):
        get(server.port, f"/p{i}")
        upload(server.port, b"x", f"/transcribe?language=l{i}&model=m{i}")
        request(server.port, f"METHOD{i}", "/health")
    assert n_series() <= before + 10


def begin_jobs(server, clips):
    """Sends whole uploads over connections of their own without waiting for answers."""
    conns = []
    for clip in clips:
        c = Conn(server.port, T)
        body = multipart([Part("file", clip, "a.wav")])
        c.send(head("POST", "/transcribe", [form_type()], body) + body)
        conns.append(c)
    return conns


@pytest.mark.threads
def test_sigterm_drains(start_server, many_clips):
    s = start_server({**SPHINX, "TORCH_NUM_THREADS": 1})
    idle = Conn(s.port, T)
    assert idle.request("GET", "/ready").status == 200
    jobs = begin_jobs(s, many_clips[:5])
    assert jobs[0].read_response().status == 200  # so all of them have been taken by now
    s.signal(signal.SIGTERM)
    t = time.monotonic()
    assert wait_ready_turns(idle, 1.0 * FACTOR) == {"status": "draining"}
    assert time.monotonic() - t < 1.0 * FACTOR
    assert s.alive(), "it must not end while work runs"
    for c in jobs[1:]:
        r = c.read_response()
        assert r.status == 200 and r.json()["language"] == "en", r
    assert s.wait() == 0
    s.stop()


def wait_ready_turns(conn, seconds):
    """/ready on a connection that was open before; at once, but a signal needs its moment."""
    end = time.monotonic() + seconds
    while True:
        r = conn.request("GET", "/ready")
        if r.status == 503:
            assert int(r.header("retry-after")) >= 1 and r.header("x-request-id")
            return r.json()
        assert r.status == 200 and time.monotonic() < end, r
        time.sleep(0.02)


def test_new_work_is_refused_while_draining(start_server, many_clips, speech):
    s = start_server({**SPHINX, "TORCH_NUM_THREADS": 1})
    idle = Conn(s.port, T)
    assert idle.request("GET", "/ready").status == 200
    jobs = begin_jobs(s, many_clips[:5])
    assert jobs[0].read_response().status == 200
    s.signal(signal.SIGTERM)
    wait_ready_turns(idle, 1.0 * FACTOR)
    r = upload(s.port, speech["Front_Left"], timeout=T)
    check_error(r, 503, code="overloaded")
    assert int(r.header("retry-after")) >= 1
    assert get(s.port, "/health").status == 200 and get(s.port, "/ready").status == 503
    assert [c.read_response().status for c in jobs[1:]] == [200] * 4
    assert s.wait() == 0
    s.stop()


def test_idle_connections_do_not_hold_up_the_end(start_server):
    s = start_server()
    idle = [Conn(s.port, T) for _ in range(10)]
    for c in idle[:5]:
        assert c.request("GET", "/health").status == 200
    half = Conn(s.port, T)
    half.send(b"GET /health HTTP/1.1\r\nHost: ")
    t = time.monotonic()
    s.stop()
    assert time.monotonic() - t < 5 * FACTOR


@pytest.mark.threads
def test_second_sigterm_ends_at_once(start_server, long_clip):
    s = start_server({**SPHINX, "TORCH_NUM_THREADS": 1})
    job = begin_jobs(s, [for_a_child(long_clip)])[0]
    wait_until(lambda: len(s.decoders()) >= 2, 10 * FACTOR, "the job runs")
    s.signal(signal.SIGTERM)
    time.sleep(0.5)
    assert s.alive(), "the job is minutes long"
    children = s.decoders()
    t = time.monotonic()
    s.signal(signal.SIGTERM)
    code = s.wait(10)
    assert time.monotonic() - t < 5 * FACTOR
    assert code == 1, code
    wait_until(lambda: not orphans(children), 5 * FACTOR, "no decode child outlives the server")
    job.close()
    s.kill()


def orphans(pids):
    """Those of the decode children that still run."""
    found = []
    for pid in pids:
        try:
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        if "(pinna-decode)" in stat and stat.rsplit(") ", 1)[1][0] != "Z":
            found.append(pid)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_with_0(start_server, number):
    s = start_server()
    children = s.decoders()
    assert children
    s.signal(number)
    assert s.wait() == 0
    wait_until(lambda: not orphans(children), 5 * FACTOR, "no decode child outlives the server")
    s.stop()


def test_decode_children_die_with_a_killed_server(start_server):
    """SIGKILL gives the server no chance to clean up; its children must see that by themselves."""
    s = start_server()
    children = s.decoders()
    assert children
    s.process.kill()
    s.process.wait()
    wait_until(lambda: not orphans(children), 5 * FACTOR, "no decode child outlives the server")
    s.kill()


@pytest.mark.threads
def test_sighup_reopens_the_log(start_server):
    s = start_server({"PINNA_LOG_FORMAT": "json", "LOG_LEVEL": "debug"})
    log = s.folder / "logs" / "asr.log"
    wait_until(lambda: log.exists() and log.stat().st_size, 5 * FACTOR, "the log has lines")
    log.rename(s.folder / "logs" / "moved.log")
    get(s.port, "/before")
    s.signal(signal.SIGHUP)
    wait_until(log.exists, 5 * FACTOR, "a new file")
    for _ in range(3):
        upload(s.port, b"not audio", timeout=T)
    wait_until(lambda: log.stat().st_size, 5 * FACTOR, "lines in the new file")
    assert get(s.port, "/health").status == 200


def test_json_log_lines(start_server, speech):
    s = start_server({"PINNA_LOG_FORMAT": "json", "LOG_LEVEL": "debug"})
    assert upload(s.port, speech["Front_Left"], timeout=T).status == 200
    request_id = upload(s.port, b"x", filename='"\\\u202e录\x7f', timeout=T).header("x-request-id")
    wait_until(lambda: request_id in s.log(), 5 * FACTOR, "a refused request is in the log with its id")
    s.signal(signal.SIGTERM)
    assert s.wait() == 0
    for text in (s.log(), s.stderr()):
        for line in text.splitlines():
            record = json.loads(line)
            assert {"time", "level", "event"} <= set(record), record
            assert record["level"] in ("debug", "info", "warn", "warning", "error")
    s.stop()


def test_the_log_tells_of_the_fallback_and_the_cage(start_server):
    """The model is a stand-in, and whoever runs it must read how to get another; same for the sandbox."""
    s = start_server({"WHISPER_MODEL": None, "MODEL_NAME": None, "MODEL_DIR": None})
    for word in ("--model", "docs/models.md", "seccomp", "landlock"):
        wait_until(lambda: word in s.stderr() and word in s.log(), 5 * FACTOR, f"{word} in both logs")


def test_no_warning_when_the_model_was_asked_for(start_server):
    s = start_server(SPHINX)
    assert "docs/models.md" not in s.stderr() + s.log()


def test_health_answers_while_work_runs(sphinx_server, many_clips):
    jobs = begin_jobs(sphinx_server, many_clips[:4])
    worst = 0.0
    done = threading.Event()

    def drain():
        for c in jobs:
            assert c.read_response().status == 200
        done.set()

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        f = pool.submit(drain)
        while not f.done():
            t = time.monotonic()
            assert get(sphinx_server.port, "/health").status == 200
            worst = max(worst, time.monotonic() - t)
            time.sleep(0.01)
        f.result()
    assert worst < 1.0 * FACTOR, f"/health took {worst:.3f} s"
