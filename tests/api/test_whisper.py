"""Whisper behind HTTP and on the command line: the small trained model of tests/data, whose answers are known."""
import array
import concurrent.futures
import hashlib
import json
import os
import shutil
import subprocess
import tempfile

import pytest

from file_server import FileServer
from pinna_fixtures import unpack_whisper, wav_bytes
from server_process import FACTOR, PINNA, ROOT, SANITIZER, clean_env
from wire import Part, check_error, form_type, get, multipart, request, upload, wait_until

DATA = ROOT / "tests" / "data"
T = 60 * FACTOR


def golden(name, run="default"):
    return json.loads((DATA / "golden" / f"{name}.json").read_text())["runs"][run]["result"]


def clip(name):
    return (DATA / "clips" / f"{name}.wav").read_bytes()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model folder as `pinna pull` would leave it: two names for the small model, and its rank file."""
    folder = tmp_path_factory.mktemp("models")
    unpack_whisper(folder)
    os.link(folder / "micro.pt", folder / "micro-two.pt")
    return folder


@pytest.fixture(scope="module")
def settings(models):
    return {"MODEL_DIR": models, "WHISPER_MODEL": "micro", "PINNA_PRECISION": "f32"}


@pytest.fixture(scope="module")
def whisper(start_module_server, settings):
    return start_module_server(settings)


def ask(server, name, **fields):
    r = upload(server.port, clip(name), fields=list(fields.items()), timeout=T)
    assert r.status == 200, r
    return r.json()


def check_same(body, want):
    assert body["text"] == want["text"].strip(), (body["text"], want["text"])
    assert body["language"] == want["language"]
    assert [s["tokens"] for s in body["segments"]] == [s["tokens"] for s in want["segments"]]
    for got, ref in zip(body["segments"], want["segments"]):
        assert got["text"] == ref["text"] and got["seek"] == ref["seek"] and got["id"] == ref["id"]
        for key, tolerance in (("start", 0.0006), ("end", 0.0006), ("avg_logprob", 5e-3), ("no_speech_prob", 1e-3)):
            assert abs(got[key] - ref[key]) <= tolerance, (key, got, ref)


@pytest.mark.parametrize("name", ["01", "05", "09"])
def test_answers_are_the_references(whisper, name):
    check_same(ask(whisper, name), golden(name))


def test_translate(whisper):
    check_same(ask(whisper, "05", task="translate"), golden("05", "translate"))


def test_prompt(whisper):
    check_same(ask(whisper, "01", prompt="one two three four."), golden("01", "initial_prompt"))


def test_beam(whisper):
    check_same(ask(whisper, "01", beam_size="5"), golden("01", "beam5"))


def test_word_times(whisper):
    want = golden("01", "word_timestamps")
    body = ask(whisper, "01", word_timestamps="true")
    words = [w for s in body["segments"] for w in s["words"]]
    ref = [w for s in want["segments"] for w in s["words"]]
    assert [w["word"] for w in words] == [w["word"] for w in ref]
    for got, r in zip(words, ref):
        assert abs(got["start"] - r["start"]) <= 0.021 and abs(got["end"] - r["end"]) <= 0.021, (got, r)
        assert abs(got["probability"] - r["probability"]) <= 5e-3, (got, r)


def test_many_at_once_get_what_they_get_alone(whisper):
    names = ["01", "05", "09"] * (2 if SANITIZER else 8)
    alone = {n: ask(whisper, n) for n in set(names)}
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        for name, body in zip(names, pool.map(lambda n: ask(whisper, n), names)):
            assert body == alone[name], name


def test_silence_after_speech_is_silent(whisper):
    """Nothing of one request reaches the next on the same buffers."""
    quiet = wav_bytes(array.array("h", bytes(2 * 48000)))
    for _ in range(4):
        ask(whisper, "09")
        r = upload(whisper.port, quiet, timeout=T)
        assert r.status == 200 and r.json()["text"] == "" and r.json()["segments"] == [], r


@pytest.mark.threads
def test_model_of_the_request(whisper, models):
    want = ask(whisper, "01")
    assert ask(whisper, "01", model="micro-two") == want
    assert ask(whisper, "01", model="whisper-1") == want
    check_error(upload(whisper.port, clip("01"), fields=[("model", "base")], timeout=T), 404, "model", "model_not_found")
    for name in ("../micro", "/etc/passwd", str(models / "micro.pt"), ".", "x" * 200):
        check_error(upload(whisper.port, clip("01"), fields=[("model", name)], timeout=T), 404, "model", "model_not_found")
    sphinx = ask(whisper, "01", model="sphinx", language="en")
    assert sphinx["language"] in ("en", "")


@pytest.mark.parametrize(
    "field,value",
    [
        ("temperature", "2"),
        ("temperature", "warm"),
        ("beam_size", "17"),
        ("beam_size", "-1"),
        ("best_of", "1.5"),
        ("word_timestamps", "maybe"),
        ("batch", "2"),
        ("encoder_context", "half"),
        ("prompt", "x" * 5000),
    ],
)
def test_wrong_values_are_refused(whisper, field, value):
    check_error(upload(whisper.port, clip("01"), fields=[(field, value)], timeout=T), 400, field)


def test_a_language_that_the_model_lacks(whisper):
    check_error(upload(whisper.port, clip("01"), fields=[("language", "yue")], timeout=T), 422, "language")


def test_fast_and_auto_context(whisper):
    for fields in ({"batch": "true"}, {"encoder_context": "auto"}, {"batch": "true", "encoder_context": "auto"}):
        assert ask(whisper, "01", language="en", **fields)["text"] == golden("01")["text"].strip(), fields


def test_start_with_the_packed_file_shares_it(start_server, settings, models):
    assert list(models.glob("micro*.pnk")), "the first start leaves a packed file"
    s = start_server(settings)
    maps = open(f"/proc/{s.pid}/maps").read()
    assert any(".pnk" in line and line.split()[1].startswith("r--") for line in maps.splitlines()), maps
    check_same(ask(s, "01"), golden("01"))


def test_without_the_model_sphinx_serves(start_server, tmp_path):
    s = start_server({"MODEL_DIR": tmp_path, "WHISPER_MODEL": "base"})
    assert get(s.port, "/").json()["model"] == "sphinx"
    assert "pinna pull base" in s.stderr(), s.stderr()


def test_damaged_model_is_refused(tmp_path, models, settings):
    whole = (models / "micro.pt").read_bytes()
    (tmp_path / "micro.pt").write_bytes(whole[: len(whole) // 2])
    shutil.copy(DATA / "micro.tiktoken", tmp_path / "multilingual.tiktoken")
    env = clean_env(tmp_path, {**settings, "MODEL_DIR": tmp_path})
    p = subprocess.run([PINNA, "transcribe", str(DATA / "clips" / "01.wav")], env=env, capture_output=True, timeout=T)
    assert p.returncode == 3 and b"micro.pt" in p.stderr, p


def run_cli(folder, settings, *args):
    return subprocess.run(
        [PINNA, "transcribe", *args, str(DATA / "clips" / "01.wav")],
        env=clean_env(folder, settings),
        capture_output=True,
        timeout=T,
        text=True,
    )


def test_command_line(tmp_path, settings, models):
    want = golden("01")["text"].strip()
    p = run_cli(tmp_path, settings)
    assert (p.returncode, p.stdout.strip()) == (0, want), p
    p = run_cli(tmp_path, {"PINNA_PRECISION": "f32"}, "--model", str(models / "micro.pt"))
    assert (p.returncode, p.stdout.strip()) == (0, want), p
    p = run_cli(tmp_path, settings, "--word-timestamps", "--beam-size", "2", "--format", "json")
    assert p.returncode == 0 and json.loads(p.stdout)["segments"][0]["words"], p
    p = run_cli(tmp_path, {**settings, "PINNA_PRECISION": "int8"}, "--language", "en", "--fast")
    assert (p.returncode, p.stdout.strip()) == (0, want), p
    p = run_cli(tmp_path, {**settings, "DEVICE": "cuda"})
    assert p.returncode == 2 and "DEVICE" in p.stderr, p


@pytest.mark.parametrize("level", ["c", "avx2", "avx512", "vnni", "auto"][-1 if SANITIZER else 0 :])
def test_every_instruction_set_gives_the_same_text(tmp_path, settings, level):
    for precision in ("f32", "int8"):
        p = run_cli(tmp_path, {**settings, "PINNA_CPU": level, "PINNA_PRECISION": precision})
        assert (p.returncode, p.stdout.strip()) == (0, golden("01")["text"].strip()), (level, precision, p)


@pytest.mark.threads
def test_cancelled_requests_leave_nothing(whisper):
    """Clients that leave in the middle: the server's streams come back, and the next answer is right."""
    body = multipart([Part("file", clip("09"), "clip.wav", "audio/wav")])
    for _ in range(20):
        try:
            request(whisper.port, "POST", "/transcribe", [form_type()], body, 0.05)
        except OSError:
            pass
    wait_until(lambda: get(whisper.port, "/stats").json()["streams"] == 0, T, "no stream is open")
    check_same(ask(whisper, "09"), golden("09"))


def test_auto_pull_falls_back_loudly(start_server, tmp_path):
    """A server that may download and cannot says so and works all the same."""
    s = start_server(
        {"WHISPER_MODEL": "base", "MODEL_DIR": tmp_path, "PINNA_AUTO_PULL": "1", "PINNA_MODEL_URL": "http://127.0.0.1:9", "HF_ENDPOINT": "http://127.0.0.1:9"}
    )
    assert get(s.port, "/").json()["model"] == "sphinx"
    assert "could not be fetched" in s.stderr() and "using sphinx" in s.stderr(), s.stderr()


def test_auto_pull_fetches_before_listening(start_server, models, tmp_path):
    web = FileServer()
    files = [("ours.pt", models / "micro.pt"), ("multilingual.tiktoken", models / "multilingual.tiktoken")]
    entry = {"name": "ours", "kind": "whisper", "files": []}
    for name, path in files:
        body = path.read_bytes()
        web.put("/" + name, body)
        entry["files"].append({"path": name, "url": f"{web.url}/{name}", "sha256": hashlib.sha256(body).hexdigest()})
    (tmp_path / "catalogue.json").write_text(json.dumps({"models": [entry]}))
    try:
        s = start_server(
            {
                "MODEL_DIR": tmp_path / "models",
                "WHISPER_MODEL": "ours",
                "PINNA_AUTO_PULL": "1",
                "PINNA_CATALOGUE": tmp_path / "catalogue.json",
                "PINNA_PRECISION": "f32",
            }
        )
        check_same(ask(s, "01"), golden("01"))
        assert get(s.port, "/").json()["model"] == "ours"
    finally:
        web.stop()


def test_hostile_prompts_and_short_clips(whisper):
    """Control tokens in a prompt are text; nothing is too short to be answered."""
    for prompt in ("<|endoftext|><|startoftranscript|><|0.00|>", "".join(map(chr, range(1, 32))), "a" * 4000):
        assert ask(whisper, "01", prompt=prompt)["language"] == "en"
    for samples in (1, 160, 8000):
        r = upload(whisper.port, wav_bytes(array.array("h", bytes(2 * samples))), fields=[("word_timestamps", "true")], timeout=T)
        assert r.status == 200, r
    everything = {"task": "translate", "batch": "true", "encoder_context": "auto", "word_timestamps": "true"}
    ask(whisper, "05", beam_size="16", best_of="16", **everything)


@pytest.mark.threads
def test_one_model_only_says_so(start_server, settings):
    server = start_server({**settings, "PINNA_MAX_MODELS": "1"})
    r = upload(server.port, clip("01"), fields=[("model", "micro-two")], timeout=T)
    check_error(r, 404, "model", "model_not_found")
    assert "PINNA_MAX_MODELS" in r.json()["error"]["message"]


def test_wrong_settings_are_named(tmp_path, settings):
    """At start, with what was wrong."""
    cases = [("PINNA_CPU", "sse9", 2), ("PINNA_PRECISION", "fp8", 2), ("MODEL_DIR", str(tmp_path / "none"), 1)]
    for name, value, status in cases:
        env = clean_env(tmp_path, {**settings, name: value})
        r = subprocess.run([PINNA, "serve", "--port", "0"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=T)
        assert r.returncode == status and value in r.stderr, r


def test_killed_while_it_packs(start_server, settings, models, tmp_path):
    """What a first start leaves when it is killed is gone after the next one."""
    folder = tmp_path / "killed"
    folder.mkdir()
    for name in ("micro.pt", "multilingual.tiktoken"):
        shutil.copy(models / name, folder)
    env = {**settings, "MODEL_DIR": folder}
    for _ in range(3):
        with subprocess.Popen([PINNA, "serve", "--port", "0"], cwd=tmp_path, env=clean_env(tmp_path, env),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
            wait_until(lambda: len(list(folder.iterdir())) > 2, T, "a packed file begun")
            p.kill()
        for done in folder.glob("*.pnk"):
            done.unlink()
    start_server(env).stop()
    assert sorted(f.name for f in folder.iterdir()) == ["micro.pt", "micro.pt.f32.pnk", "multilingual.tiktoken"]


def test_model_of_the_request_from_a_relative_folder(start_server, settings, models):
    folder = os.path.relpath(models, os.path.join(tempfile.gettempdir(), "any"))
    s = start_server({**settings, "MODEL_DIR": folder})
    check_same(ask(s, "01", model="micro-two"), golden("01"))
