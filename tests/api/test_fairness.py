"""A clip that comes while minutes are being recognised, and a client that leaves in the middle of them. How far the
server is is told by its count of steps, not by time."""
import concurrent.futures
import io
import wave

import pytest

import prometheus
from pinna_fixtures import copy_models, unpack_whisper
from server_process import FACTOR, ROOT, SANITIZER
from wire import Conn, Part, form_type, get, head, multipart, upload, wait_until

DATA = ROOT / "tests" / "data"
T = 120 * FACTOR
SECONDS = {"offline": 150 if SANITIZER else 600, "micro": 300}
CLIPS = {"offline": DATA / "paraformer/wav/d02.wav", "micro": DATA / "clips/01.wav"}


@pytest.fixture(scope="module")
def server(start_module_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    unpack_whisper(folder)
    copy_models(folder, {"offline": "micro-offline"})
    settings = {"MODEL_DIR": folder, "WHISPER_MODEL": "micro", "MODEL_NAME": "offline", "PINNA_PRECISION": "f32"}
    return start_module_server(settings)


def wav(path, seconds=None):
    """The clip, or so many seconds of it with half a second of silence each time."""
    with wave.open(str(path)) as w:
        pcm = w.readframes(w.getnframes())
    if seconds:
        pcm = ((pcm + bytes(16000)) * (seconds * 32000 // len(pcm) + 1))[: seconds * 32000]
    out = io.BytesIO()
    with wave.open(out, "wb") as w:
        w.setparams((1, 2, 16000, 0, "NONE", ""))
        w.writeframes(pcm)
    return out.getvalue()


def metric(server, name):
    return prometheus.parse(get(server.port, "/metrics", timeout=T).body.decode())[name].total()


def steps(server):
    return metric(server, "pinna_steps_total")


def recognise(server, model, audio):
    r = upload(server.port, audio, fields=[("model", model)], timeout=T)
    assert r.status == 200, r
    return r.json()


@pytest.mark.parametrize("model", ["offline"] if SANITIZER else CLIPS)
def test_a_clip_does_not_wait_for_a_long_file(server, model):
    path, seconds = CLIPS[model], SECONDS[model]
    minutes = wav(path, seconds)
    want = recognise(server, model, wav(path))
    before = steps(server)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        long = pool.submit(recognise, server, model, minutes)
        wait_until(lambda: steps(server) > before + 4, T, "the long file is being recognised")
        at_question = steps(server)
        got = recognise(server, model, wav(path))
        at_answer = steps(server)
        assert not long.done()
        body = long.result(T)
    assert at_answer - at_question < (steps(server) - at_question) / 2
    assert got["text"] == want["text"]
    assert len(body["segments"]) > seconds / 30


@pytest.mark.threads
def test_who_leaves_costs_nothing_any_more(server):
    path, seconds = CLIPS["offline"], SECONDS["offline"]
    before = steps(server)
    recognise(server, "offline", wav(path))
    of_a_clip = steps(server) - before
    before = steps(server)
    body = multipart([Part("file", wav(path, seconds), "a.wav", "audio/wav"), Part("model", "offline")])
    c = Conn(server.port, T)
    c.send(head("POST", "/transcribe", [form_type()], body) + body)
    wait_until(lambda: steps(server) > before + 10, T, "it is being recognised")
    c.close()
    wait_until(lambda: metric(server, "pinna_jobs_running") == 0, T, "its job has ended")
    before = steps(server)
    recognise(server, "offline", wav(path))
    assert steps(server) - before < 2 * of_a_clip


def test_files_are_no_load(server):
    assert metric(server, "pinna_live_load_level") == 0
    assert metric(server, "pinna_live_lag_seconds") == 0
