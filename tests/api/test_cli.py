"""The program on the command line: help, settings, transcribe, and what serve refuses to start with."""
import array
import io
import json
import os
import pty
import re
import select
import socket
import subprocess
import time
import wave

import pytest

from pinna_fixtures import wav_bytes
from server_process import FACTOR, PINNA, REPORT, clean_env
from wire import HOST, SEGMENT_KEYS, get, upload


T = 60 * FACTOR


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tmp").mkdir()
    return tmp_path


@pytest.fixture
def run(folder, pinna, small_model):
    """Runs the program in an empty folder; no run may end by a signal or with a sanitizer's report."""

    def call(*args, stdin=b"", env=None):
        models = {"MODEL_DIR": small_model["MODEL_DIR"]} if "transcribe" in args else {}
        p = subprocess.run(
            [PINNA, *map(str, args)],
            cwd=folder,
            env=clean_env(folder, {**models, **(env or {})}),
            input=stdin,
            capture_output=True,
            timeout=T,
        )
        p.out, p.err = p.stdout.decode("utf-8"), p.stderr.decode("utf-8")
        assert p.returncode >= 0, f"ended by signal {-p.returncode}\n{p.err}"
        assert not REPORT.search(p.err), p.err
        return p

    return call


@pytest.fixture
def clip(folder, speech):
    path = folder / "clip.wav"
    path.write_bytes(speech["Front_Center"])
    return path


def transcribe(run, *args, **kw):
    return run("transcribe", "--model", "offline", *args, **kw)


# help and version


def test_version(run):
    p = run("--version")
    assert p.returncode == 0 and re.fullmatch(r"pinna [0-9]+\.[0-9]+\.[0-9]+\n", p.out) and p.err == ""


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["help"]])
def test_help(run, args):
    p = run(*args)
    assert p.returncode == 0 and p.err == ""
    for word in ("serve", "transcribe", "config"):
        assert re.search(rf"^\s+{word}\b", p.out, re.M), p.out


@pytest.mark.parametrize("command", ["serve", "transcribe", "config"])
def test_help_of_a_command(run, command):
    p = run(command, "--help")
    assert p.returncode == 0 and p.err == ""
    assert p.out.startswith(f"usage: pinna {command}"), p.out[:200]
    assert all(len(line) <= 100 for line in p.out.splitlines())


def test_help_names_the_important_settings(run):
    out = run("serve", "--help").out
    for flag in ("--port", "--host", "--config", "--model"):
        assert flag in out, out


def test_help_works_with_a_broken_configuration(run, folder):
    (folder / ".env").write_text("PORT=never\n")
    assert run("serve", "--help").returncode == 0
    assert run("--help").returncode == 0
    assert run("--version").returncode == 0


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["nonsense"],
        ["--nonsense"],
        ["serve", "--nonsense"],
        ["transcribe"],
        ["transcribe", "--format", "docx", "x.wav"],
        ["config", "--nonsense"],
        ["serve", "operand"],
        ["serve", "--port"],
        ["serve", "--port", "70000"],
        ["serve", "--port", "12x"],
        ["transcribe", "--task", "sing", "x.wav"],
        ["transcribe", "--language", "klingon", "x.wav"],
    ],
)
def test_wrong_usage(run, args):
    p = run(*args)
    assert p.returncode == 2, (p.returncode, p.out, p.err)
    assert p.out == "" and p.err.startswith(("pinna", "usage:")), p.err
    assert len(p.err.splitlines()) <= 40


def test_a_misspelt_option_is_guessed(run):
    p = run("serve", "--prot", "1")
    assert p.returncode == 2 and "--prot" in p.err and "port" in p.err.replace("--prot", ""), p.err
    p = run("transcrib", "x.wav")
    assert p.returncode == 2 and "transcrib" in p.err and "--help" in p.err, p.err


def test_arguments_cannot_write_to_the_terminal(run):
    p = run("serve", "--\x1b[31mred\x07")
    assert p.returncode == 2 and "\x1b" not in p.err and "\x07" not in p.err, repr(p.err)


# transcribe


def test_text_on_stdout(run, clip):
    p = transcribe(run, clip)
    assert p.returncode == 0, p.err
    assert p.out.strip() and p.out.endswith("\n") and p.out.count("\n") == len(p.out.splitlines())
    assert p.err == "", "quiet when nobody looks"


def test_json(run, clip, server, speech):
    """The same transcript as over HTTP."""
    p = transcribe(run, "--format", "json", clip)
    assert p.returncode == 0, p.err
    assert json.loads(p.out) == upload(server.port, speech["Front_Center"], timeout=T).json()


def test_verbose_json(run, clip):
    p = transcribe(run, "--format=verbose_json", clip)
    body = json.loads(p.out)
    assert {"task", "language", "duration", "text", "segments"} <= set(body), body
    assert body["task"] == "transcribe" and body["language"] == "chinese" and 1.2 < body["duration"] < 1.6
    assert body["segments"] and all(set(s) >= SEGMENT_KEYS for s in body["segments"])


SRT_TIME = r"[0-9]{2}:[0-5][0-9]:[0-5][0-9],[0-9]{3}"


def test_srt(run, clip):
    p = transcribe(run, "--format", "srt", clip)
    assert p.returncode == 0, p.err
    for i, block in enumerate(p.out.strip().split("\n\n")):
        number, times, *text = block.split("\n")
        assert number == str(i + 1) and re.fullmatch(f"{SRT_TIME} --> {SRT_TIME}", times), block
        assert text and all(text)


def test_vtt(run, clip):
    p = transcribe(run, "--format", "vtt", clip)
    head, *blocks = p.out.strip().split("\n\n")
    assert head == "WEBVTT" and blocks
    for block in blocks:
        times, *text = block.split("\n")
        assert re.fullmatch(
            r"(?:[0-9]{2}:)?[0-5][0-9]:[0-5][0-9]\.[0-9]{3} --> (?:[0-9]{2}:)?[0-5][0-9]:[0-5][0-9]\.[0-9]{3}",
            times,
        ), block
        assert text and all(text)


def test_tsv(run, clip):
    p = transcribe(run, "--format", "tsv", clip)
    first, *rows = p.out.splitlines()
    assert first == "start\tend\ttext" and rows
    for row in rows:
        start, end, text = row.split("\t")
        assert int(start) <= int(end) <= 1600 and text


def test_silence_in_every_format(run, folder, silence):
    path = folder / "silence.wav"
    path.write_bytes(silence)
    for form, want in (
        ("text", ("", "\n")),
        ("srt", ("", "\n")),
        ("vtt", ("WEBVTT\n", "WEBVTT\n\n")),
        ("tsv", ("start\tend\ttext\n",)),
    ):
        p = transcribe(run, "--format", form, path)
        assert p.returncode == 0 and p.out in want, (form, p.out, p.err)
    body = json.loads(transcribe(run, "--format", "json", path).out)
    assert body["text"] == "" and body["segments"] == []


def test_stdin(run, clip, small_model):
    """A pipe cannot be sought; the answer is the same."""
    want = transcribe(run, clip)
    assert transcribe(run, "-", stdin=clip.read_bytes()).out == want.out
    with open(clip, "rb") as f:
        p = subprocess.run(
            [PINNA, "transcribe", "--model", "offline", "-"],
            cwd=clip.parent,
            env=clean_env(clip.parent, small_model),
            stdin=f,
            capture_output=True,
            timeout=T,
        )
    assert p.returncode == 0 and p.stdout.decode() == want.out


def test_empty_stdin(run):
    p = transcribe(run, "-")
    assert p.returncode not in (0, 2) and p.out == "" and p.err.startswith("pinna"), (p.returncode, p.err)


def test_several_files(run, folder, speech):
    names = ["Rear_Left", "Side_Right", "Front_Left"]
    for n in names:
        (folder / f"{n}.wav").write_bytes(speech[n])
    each = [transcribe(run, f"{n}.wav").out for n in names]
    together = transcribe(run, *[f"{n}.wav" for n in names])
    assert together.returncode == 0
    at = -1
    for text in each:
        assert together.out.find(text.strip(), at + 1) > at, (each, together.out)
        at = together.out.find(text.strip(), at + 1)


def test_output_dir(run, folder, speech):
    (folder / "a.wav").write_bytes(speech["Rear_Left"])
    (folder / "b.x.wav").write_bytes(speech["Side_Right"])
    out = folder / "out" / "deep"
    p = transcribe(run, "--output-dir", out, "--format", "srt", "a.wav", "b.x.wav")
    assert p.returncode == 0, p.err
    assert sorted(f.name for f in out.iterdir()) == ["a.srt", "b.x.srt"]
    assert (out / "a.srt").read_text() == transcribe(run, "--format", "srt", "a.wav").out


def test_output_dir_that_cannot_be(run, folder, clip):
    (folder / "file").write_text("in the way")
    p = transcribe(run, "--output-dir", folder / "file", clip)
    assert p.returncode not in (0,) and "file" in p.err, p.err


def test_a_missing_file_does_not_stop_the_others(run, folder, clip):
    p = transcribe(run, "nowhere.wav", clip)
    assert p.returncode == 1, p.returncode
    assert "nowhere.wav" in p.err and transcribe(run, clip).out.strip() in p.out


def test_files_that_are_not_audio(run, folder):
    (folder / "text.wav").write_text("this is a text file\n" * 100)
    (folder / "empty.wav").write_bytes(b"")
    for name in ("text.wav", "empty.wav", "."):
        p = transcribe(run, name)
        assert p.returncode == 1 and p.out == "" and p.err.startswith("pinna"), (name, p.returncode, p.err)


def test_what_the_model_cannot(run, clip):
    """A status of its own, and the words say what would do."""
    for args in (["--language", "zh"], ["--task", "translate"]):
        p = run("transcribe", "--model", "sphinx", *args, clip)
        assert p.returncode == 3 and p.out == "", (p.returncode, p.err)
        assert "--model" in p.err or "WHISPER_MODEL" in p.err, p.err


def test_a_model_that_nobody_knows(run, clip):
    p = run("transcribe", "--model", "no-such-model", clip)
    assert p.returncode == 3 and "no-such-model" in p.err and "sphinx" in p.err, (p.returncode, p.err)


def test_the_stand_in_is_announced(run, clip):
    """Without a model of its own the program works and says how to get better."""
    p = run("transcribe", clip, env={"MODEL_DIR": None})
    assert p.returncode == 0, p.err
    assert p.out == run("transcribe", "--model", "sphinx", clip).out
    assert "--model" in p.err and "docs/models.md" in p.err, p.err


def on_a_terminal(args, folder, stdout_is_a_pipe=True):
    """Runs with stderr on a terminal; returns status, output, and what the terminal saw."""
    master, slave = pty.openpty()
    p = subprocess.Popen(
        [PINNA, *map(str, args)],
        cwd=folder,
        env={**clean_env(folder), "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if stdout_is_a_pipe else slave,
        stderr=slave,
    )
    os.close(slave)
    seen, end = b"", time.monotonic() + T
    while time.monotonic() < end:
        ready, _, _ = select.select([master], [], [], 0.1)
        if ready:
            try:
                more = os.read(master, 4096)
            except OSError:  # the last writer has gone
                break
            seen += more
        elif p.poll() is not None:
            break
    out = p.stdout.read() if stdout_is_a_pipe else b""
    os.close(master)
    return p.wait(T), out, seen


def test_progress_on_a_terminal(folder, pinna, samples):
    """Position, speed and time left are drawn while it goes on, and taken away in the end."""
    a = array.array("h")
    for s in list(samples.values())[:4]:
        a += s + array.array("h", bytes(2 * 8000))
    (folder / "long.wav").write_bytes(wav_bytes(a))
    status, out, seen = on_a_terminal(["transcribe", "--model", "sphinx", "long.wav"], folder)
    assert status == 0 and out.strip()
    assert b"\r" in seen and re.search(rb"[0-9]+(\.[0-9]+)?x", seen), seen
    assert b"%" in seen or re.search(rb"0?0:0[0-9]", seen), seen


def test_no_progress_in_a_pipe(run, folder, samples):
    a = array.array("h")
    for s in list(samples.values())[:4]:
        a += s
    (folder / "long.wav").write_bytes(wav_bytes(a))
    assert transcribe(run, "long.wav").err == ""


def test_a_closed_pipe_is_no_crash(folder, clip):
    """`pinna transcribe ... | head -0`"""
    r, w = os.pipe()
    os.close(r)
    p = subprocess.run(
        [PINNA, "transcribe", "--model", "sphinx", str(clip)],
        cwd=folder,
        env=clean_env(folder),
        stdout=w,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        timeout=T,
    )
    os.close(w)
    assert p.returncode in (1, 3, -13), p


def test_full_disk_is_an_error(folder, clip):
    with open("/dev/full", "wb") as full:
        p = subprocess.run(
            [PINNA, "transcribe", "--model", "sphinx", str(clip)],
            cwd=folder,
            env=clean_env(folder),
            stdout=full,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            timeout=T,
        )
    assert p.returncode not in (0, 2) and p.stderr, p


def test_interrupt_ends_quickly(folder, pinna, long_clip):
    """Control-C: no orphan, no core, soon."""
    (folder / "long.wav").write_bytes(long_clip)
    p = subprocess.Popen(
        [PINNA, "transcribe", "--model", "sphinx", "long.wav"],
        cwd=folder,
        env=clean_env(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(2 * min(FACTOR, 2))
    assert p.poll() is None
    p.send_signal(2)
    t = time.monotonic()
    p.communicate(timeout=30 * FACTOR)
    assert p.returncode in (-2, 130) and time.monotonic() - t < 10 * FACTOR


# config


def settings(run, *args, **kw):
    """env-like name or dotted key -> (value, origin), from the lines of `pinna config`."""
    p = run("config", *args, **kw)
    assert p.returncode == 0, p.err
    return p.out


def line_of(out, name):
    found = [line for line in out.splitlines() if re.search(rf"(^|\s){re.escape(name)}\b", line)]
    assert len(found) == 1, (name, found, out)
    return found[0]


def test_config_prints_defaults(run):
    out = settings(run)
    line = line_of(out, "server.port")
    assert "9999" in line and "default" in line
    assert "0.0.0.0" in line_of(out, "server.host")


def test_config_says_where_a_value_comes_from(run, folder):
    """Flags over environment over .env over YAML over defaults."""
    (folder / "pinna.yaml").write_text("# first\nserver:\n  port: 1001\n")
    line = line_of(settings(run, "--config", "pinna.yaml"), "server.port")
    assert "1001" in line and "pinna.yaml:3" in line
    (folder / ".env").write_text("# comment\nPORT=1002\n")
    line = line_of(settings(run, "--config", "pinna.yaml"), "server.port")
    assert "1002" in line and ".env:2" in line
    line = line_of(settings(run, "--config", "pinna.yaml", env={"PORT": "1003"}), "server.port")
    assert "1003" in line and "PORT" in line and "env" in line
    line = line_of(
        settings(run, "--config", "pinna.yaml", "--port", "1004", env={"PORT": "1003"}), "server.port"
    )
    assert "1004" in line and "--port" in line
    line = line_of(settings(run), "server.port")
    assert "1002" in line and ".env:2" in line


@pytest.mark.parametrize(
    "name",
    """HOST PORT LOG_LEVEL MAX_CONNECTIONS WS_TIMEOUT TORCH_NUM_THREADS OMP_NUM_THREADS
MKL_NUM_THREADS MODEL_NAME DEVICE ASR_MAX_MEMORY_MB ASR_ENABLE_MEMORY_POOL ASR_CACHE_SIZE_MB ASR_MAX_CONCURRENT ASR_BATCH_SIZE ASR_WORKER_THREADS
ASR_CHUNK_SIZE ASR_OVERLAP_SIZE ASR_QUEUE_SIZE ASR_ENABLE_AGGRESSIVE_GC ASR_NETWORK_TIMEOUT WHISPER_MODEL
MODEL_DIR PINNA_MAX_UPLOAD_MB PINNA_MAX_AUDIO_SECONDS""".split(),
)
def test_every_old_name_is_known(run, folder, name):
    values = {
        "HOST": "127.0.0.1",
        "LOG_LEVEL": "INFO",
        "MODEL_NAME": "sphinx",
        "WHISPER_MODEL": "sphinx",
        "DEVICE": "cpu",
        "MODEL_DIR": str(folder),
        "ASR_ENABLE_MEMORY_POOL": "true",
        "ASR_ENABLE_AGGRESSIVE_GC": "false",
        "ASR_CHUNK_SIZE": "9600",
        "ASR_OVERLAP_SIZE": "800",
    }
    (folder / ".env").write_text(f"{name}={values.get(name, '30')}\n")
    assert ".env:1" in settings(run, env={"TORCH_NUM_THREADS": None})


@pytest.mark.parametrize(
    "text,where,says",
    [
        ("PORT=9999\nPROT=1\n", ".env:2", "PROT"),
        ("PORT=never\n", ".env:1", "never"),
        ("\n\nPORT=70000\n", ".env:3", "70000"),
        ("MAX_CONNECTIONS=-1\n", ".env:1", "-1"),
        ("PORT\n", ".env:1", ""),
        ("LOG_LEVEL=loud\n", ".env:1", "loud"),
        ("PORT='1\n", ".env:1", ""),
        ("A B=1\n", ".env:1", ""),
    ],
)
def test_env_file_is_refused_with_its_line(run, folder, text, where, says):
    (folder / ".env").write_text(text)
    for command in (["config"], ["serve", "--port", "0"], ["transcribe", "x.wav"]):
        p = run(*command)
        assert p.returncode == 2 and where in p.err and says in p.err, (p.returncode, p.err)
        assert len(p.err.splitlines()) == 1, p.err


@pytest.mark.parametrize(
    "text,line,says",
    [
        ("server:\n  port: 1\n  prot: 2\n", 3, "prot"),
        ("server:\n  port: never\n", 2, "never"),
        ("nonsense: 1\n", 1, "nonsense"),
        ("server:\n  port: 1\n  port: 2\n", 3, "port"),
        ("server: [1, 2]\n", 1, ""),
        ("server:\n  port: &a 1\n", 2, ""),
        ("server:\n  port: !!int 1\n", 2, ""),
        ("server:\n\tport: 1\n", 2, ""),
        ("server: {\n", None, ""),
        ("server: 5\n", 1, "server"),
        ("a: &a [x]\nb: *a\n", None, ""),
        ("server:\n  port: 1\n---\nserver:\n  port: 2\n", 3, ""),
    ],
)
def test_yaml_is_refused_with_its_line(run, folder, text, line, says):
    (folder / "c.yaml").write_text(text)
    p = run("config", "--config", "c.yaml")
    assert p.returncode == 2 and "c.yaml" in p.err and says in p.err, (p.returncode, p.err)
    if line:
        assert f"c.yaml:{line}" in p.err, p.err


def test_a_config_file_that_is_not_there(run):
    p = run("config", "--config", "nowhere.yaml")
    assert p.returncode == 2 and "nowhere.yaml" in p.err


def test_an_impossible_value_in_the_environment(run):
    p = run("config", env={"PORT": "never"})
    assert p.returncode == 2 and "PORT" in p.err and "never" in p.err, p.err


def test_first_thread_setting_wins(run):
    out = settings(run, env={"TORCH_NUM_THREADS": "3", "OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "5"})
    assert any("TORCH_NUM_THREADS" in line and "3" in line for line in out.splitlines()), out
    out = settings(run, env={"TORCH_NUM_THREADS": None, "OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "5"})
    assert any("OMP_NUM_THREADS" in line and "4" in line for line in out.splitlines()), out


# what serve refuses


def test_a_port_that_is_taken(run):
    with socket.socket() as s:
        s.bind((HOST, 0))
        s.listen()
        port = s.getsockname()[1]
        p = run("serve", "--host", HOST, "--port", port)
    assert p.returncode not in (0, 2) and str(port) in p.err and "in use" in p.err.lower(), (
        p.returncode,
        p.err,
    )
    assert "listening" not in p.out


def test_a_host_that_is_not_ours(run):
    p = run("serve", "--host", "192.0.2.1", "--port", 0)
    assert p.returncode != 0 and "192.0.2.1" in p.err, p.err
    p = run("serve", "--host", "not an address", "--port", 0)
    assert p.returncode != 0 and "not an address" in p.err, p.err


@pytest.mark.parametrize("env", [{"DEVICE": "cuda"}, {"DEVICE": "cuda:0"}])
def test_device_cuda_is_refused_clearly(run, env):
    p = run("serve", "--port", 0, env=env)
    assert p.returncode == 2 and "DEVICE" in p.err.upper() and "cuda" in p.err and "cpu" in p.err, (
        p.returncode,
        p.err,
    )


def test_a_log_folder_that_cannot_be(start_server):
    """The service is worth more than its log file; stderr says what is missing."""
    s = start_server(files={"logs": "in the way"})
    assert get(s.port, "/health").status == 200
    assert "logs" in s.stderr() and "no log file" in s.stderr()


def test_a_decoder_that_is_not_there(run, folder):
    p = run("serve", "--host", HOST, "--port", 0, env={"PINNA_DECODER": str(folder / "nowhere")})
    assert p.returncode not in (0,) and "nowhere" in p.err, p.err


def test_a_decoder_that_is_something_else(run, folder):
    """It starts, but does not speak as a decoder does."""
    for program in ("/bin/true", "/bin/cat"):
        p = run("serve", "--host", HOST, "--port", 0, env={"PINNA_DECODER": program})
        assert p.returncode not in (0,) and p.err, (program, p.returncode)


def test_serve_writes_logs_and_nothing_else(start_server):
    s = start_server()
    assert sorted(f.name for f in s.folder.iterdir()) == ["logs", "stderr.txt", "tmp"]
    assert list((s.folder / "logs").iterdir()) == [s.folder / "logs" / "asr.log"]


def test_settings_from_files(start_server):
    s = start_server(
        args=["--config", "my.yaml"],
        files={"my.yaml": "server:\n  port: 1\n  host: 192.0.2.1\n", ".env": "MAX_CONNECTIONS=9\n"},
    )
    assert get(s.port, "/health").json()["max_connections"] == 9


def test_a_clip_that_lies_about_its_length(run, folder, samples):
    """A WAV head that promises hours over a second of samples: what is there is recognised."""
    data = bytearray(wav_bytes(samples["Front_Left"]))
    data[40:44] = (0x7FFFFFFE).to_bytes(4, "little")
    (folder / "liar.wav").write_bytes(data)
    p = transcribe(run, "liar.wav")
    assert p.returncode in (0, 1) and p.err.count("\n") <= 1, p.err


def test_stereo_and_other_rates(run, folder, samples):
    """8 kHz and two channels come out as the same clip, roughly."""
    s = samples["Rear_Left"]
    both = array.array("h")
    for v in s[::2]:
        both.extend((v, v))
    out = io.BytesIO()
    with wave.open(out, "wb") as w:
        w.setnchannels(2)
        w.setsampwidth(2)
        w.setframerate(8000)
        w.writeframes(both.tobytes())
    (folder / "stereo.wav").write_bytes(out.getvalue())
    body = json.loads(transcribe(run, "--format", "verbose_json", "stereo.wav").out)
    assert abs(body["duration"] - len(s) / 16000) < 0.05
