"""Paraformer, cuts, marks and numbers behind HTTP and on the command line: the small trained models of tests/data."""
import array
import json
import subprocess
import wave

import pytest

from pinna_fixtures import wav_bytes
from server_process import FACTOR, PINNA, ROOT, clean_env
from wire import check_error, upload

DATA = ROOT / "tests" / "data" / "paraformer"
T = 60 * FACTOR
TEXTS = ["打开空调三五八", "播放音乐", "今天天气怎么样", "再见"]  # of v01.wav


@pytest.fixture(scope="module")
def server(start_module_server, micro_models):
    return start_module_server(micro_models)


def clip(name="v01"):
    return (DATA / "wav" / f"{name}.wav").read_bytes()


def ask(server, audio, **fields):
    r = upload(server.port, audio, fields=list(fields.items()), timeout=T)
    assert r.status == 200, r
    return r.json()


@pytest.mark.threads
def test_cut_at_pauses(server):
    body = ask(server, clip(), vad="true", punctuation="false")
    assert [s["text"] for s in body["segments"]] == TEXTS
    assert body["text"] == "".join(TEXTS)
    assert body["language"] == "zh"
    for a, b in zip(body["segments"], body["segments"][1:]):
        assert a["start"] < a["end"] <= b["start"]


@pytest.mark.threads
def test_whole_by_default_and_marked(server):
    body = ask(server, clip())
    assert len(body["segments"]) == 1
    assert any(mark in body["text"] for mark in "，。？、")


def test_numbers(server):
    body = ask(server, clip(), vad="true", punctuation="false", itn="true")
    assert body["segments"][0]["text"] == "打开空调358"


def test_a_streaming_model_for_a_file(server):
    body = ask(server, clip(), model="streaming", vad="true", punctuation="false")
    assert [s["text"] for s in body["segments"]] == TEXTS


@pytest.mark.threads
def test_long_audio_is_cut_unasked(server):
    with wave.open(str(DATA / "wav" / "v01.wav")) as w:
        samples = array.array("h", w.readframes(w.getnframes()))
    body = ask(server, wav_bytes(samples * 4), punctuation="false")
    assert body["text"] == "".join(TEXTS) * 4
    starts = [s["start"] for s in body["segments"]]
    assert starts == sorted(starts) and starts[-1] > 30


def test_silence_says_nothing(server):
    body = ask(server, wav_bytes(array.array("h", bytes(2 * 16000 * 40))))
    assert body["text"] == "" and body["segments"] == []


def test_hot_words(server):
    body = ask(server, clip(), vad="true", punctuation="false", hotwords="音乐:20 天气")
    assert body["text"] == "".join(TEXTS)  # this model has no branch for them


@pytest.mark.parametrize(
    "field, value, text",
    [
        ("vad", "maybe", "vad must be true or false"),
        ("punctuation", "some", "punctuation must be true or false"),
        ("itn", "2", "itn must be true or false"),
    ],
)
def test_values_that_cannot_be(server, field, value, text):
    r = upload(server.port, clip(), fields=[(field, value)], timeout=T)
    check_error(r, 400, param=field, says=[text])


def test_command_line(micro_models, tmp_path):
    r = subprocess.run(
        [PINNA, "transcribe", "--vad", "--no-punctuation", "--itn", "--format", "json", DATA / "wav" / "v01.wav"],
        cwd=tmp_path,
        env=clean_env(tmp_path, micro_models),
        capture_output=True,
        text=True,
        timeout=T,
    )
    assert r.returncode == 0, r.stderr
    assert [s["text"] for s in json.loads(r.stdout)["segments"]] == ["打开空调358"] + TEXTS[1:]


def test_a_live_model_that_is_not_here(start_server, micro_models):
    s = start_server(dict(micro_models, MODEL_NAME="paraformer-en"))
    assert "pinna pull paraformer-en; live audio is recognised by offline" in s.stderr_path.read_text()


def test_a_detector_that_is_not_here(micro_models, tmp_path):
    r = subprocess.run(
        [PINNA, "serve", "--port", "0"],
        cwd=tmp_path,
        env=clean_env(tmp_path, dict(micro_models, PINNA_VAD="silero")),
        capture_output=True,
        text=True,
        timeout=T,
    )
    assert r.returncode == 1
    assert "pinna pull silero-vad" in r.stderr
