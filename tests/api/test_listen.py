"""`pinna listen`: pipes, files and a microphone; its own engine and servers; a terminal, JSON, Ctrl-C, errors."""
import array
import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import ssl
import struct
import subprocess
import termios
import threading
import wave

import pytest
import websockets

from pinna_fixtures import wav_bytes
from server_process import FACTOR, PINNA, REPORT, ROOT, clean_env

DATA = ROOT / "tests" / "data" / "paraformer"
T = 60 * FACTOR
TEXTS = ["打开空调358", "播放音乐", "今天天气怎么样", "再见"]  # of v01.wav
SETTINGS = {
    "WHISPER_MODEL": "offline",
    "MODEL_NAME": "streaming",
    "PINNA_FINAL_MODEL": "offline",
    "PINNA_PRECISION": "f32",
}
LINE = re.compile(r"\r([^\r\n]*)\x1b\[K")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, model in (("offline", "micro-offline"), ("streaming", "micro-streaming"), ("fsmn-vad", "micro-vad")):
        os.symlink(DATA / "models" / model, folder / name)
    return folder


@pytest.fixture(scope="module")
def server(start_module_server, models):
    return start_module_server(dict(SETTINGS, MODEL_DIR=models, PINNA_CACHE_DIR="cache"))


@pytest.fixture(scope="module")
def samples():
    with wave.open(str(DATA / "wav" / "v01.wav")) as w:
        return array.array("h", w.readframes(w.getnframes()))


@pytest.fixture
def env(models, tmp_path):
    (tmp_path / "tmp").mkdir()
    return clean_env(tmp_path, dict(SETTINGS, MODEL_DIR=models, PINNA_CACHE_DIR=tmp_path))


@pytest.fixture
def start(env, tmp_path, pinna):
    """Starts the program; what a test leaves running is ended. No sanitizer may complain."""
    started = []

    def call(*args, **how):
        how = {"bufsize": 0, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
        started.append(subprocess.Popen([PINNA, "listen", *map(str, args)], cwd=tmp_path, env=env, **how))
        return started[-1]

    yield call
    for p in started:
        p.kill()
        p.wait()
        for f in (p.stdin, p.stdout, p.stderr):
            if f:
                f.close()


@pytest.fixture
def listen(start):
    """Runs it to its end: (status, lines of output, errors)."""

    def call(*args, feed=b"", **how):
        p = start(*args, **how)
        out, err = p.communicate(feed if p.stdin else None, timeout=T)
        err = err.decode()
        assert p.returncode >= 0 and not REPORT.search(err), err
        return p.returncode, out.decode().split("\n")[:-1], err

    return call


def said(lines):
    return [o["text"] for o in map(json.loads, lines) if o["type"] == "final"]


# pipes and files


def test_wav_in_a_pipe(listen, samples):
    assert listen(feed=wav_bytes(samples)) == (0, TEXTS, "")


def test_raw_in_a_pipe(listen, samples):
    assert listen("--file", "-", feed=samples.tobytes()) == (0, TEXTS, "")


def test_a_file_with_times(listen):
    status, lines, err = listen("--file", DATA / "wav" / "v01.wav", "--timestamps", "--no-itn")
    assert (status, err) == (0, "")
    shape = re.compile(r"\[(\d\d:\d\d:\d\d\.\d{3}) --> (\d\d:\d\d:\d\d\.\d{3})\] (\S+)")
    found = [shape.fullmatch(line).groups() for line in lines]
    assert [f[2] for f in found] == ["打开空调三五八"] + TEXTS[1:]
    times = [t for f in found for t in f[:2]]
    assert times == sorted(times) and times[-1] < "00:00:15"


def float_stereo(samples):
    """32-bit floating point, two channels, a chunk before the samples and one behind them, sizes unknown."""
    data = array.array("f", (s / 32768 for v in samples for s in (v, v))).tobytes()
    fmt = (3).to_bytes(2, "little") + (2).to_bytes(2, "little") + (16000).to_bytes(4, "little")
    fmt += (128000).to_bytes(4, "little") + (8).to_bytes(2, "little") + (32).to_bytes(2, "little")
    return (
        b"RIFF\xff\xff\xff\xffWAVEfmt " + (16).to_bytes(4, "little") + fmt + b"LIST\x03\0\0\0abc\0data\xff\xff\xff\xff" + data
    )


def test_floating_point_in_stereo(listen, samples):
    assert listen(feed=float_stereo(samples)) == (0, TEXTS, "")


def test_other_rates(listen, samples):
    """Three samples for one, on straight lines: the intake brings them back."""
    last, tripled = 0, array.array("h")
    for v in samples:
        tripled.extend((last + (v - last) // 3, last + 2 * (v - last) // 3, v))
        last = v
    assert listen("--rate", 48000, feed=tripled.tobytes()) == (0, TEXTS, "")
    assert listen(feed=wav_bytes(tripled, 48000)) == (0, TEXTS, "")


def test_behind_the_samples_of_a_wav_file_is_no_audio(listen, samples):
    status, lines, _ = listen("--json", feed=wav_bytes(samples[:8000]) + b"LIST" + samples.tobytes())
    assert (status, lines) == (0, [])


def test_nothing(listen):
    assert listen(feed=b"") == (0, [], "")
    assert listen(feed=b"\0") == (0, [], "")


@pytest.mark.parametrize(
    "head, text",
    [
        (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x03\0\x18\0data", "24 bits"),
        (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x00\x01\0\0\0\x7d\0\0\x02\0\x10\0data", "256 Hz"),
        (b"RIFF\x24\0\0\0WAVEdata\x10\0\0\0", "damaged"),
        (b"RIFF\x24\0\0\0WA", "ends in its header"),
    ],
)
def test_damaged_headers(listen, head, text):
    status, lines, err = listen(feed=head)
    assert status == 1 and lines == [] and text in err


def test_json(listen, samples):
    status, lines, err = listen("--json", feed=samples.tobytes())
    assert (status, err) == (0, "") and said(lines) == TEXTS
    objects = [json.loads(line) for line in lines]
    assert all(list(o) == ["type", "start", "end", "text"] for o in objects)
    assert {o["type"] for o in objects} <= {"partial", "final"} and all(o["text"] for o in objects)
    finals = [o for o in objects if o["type"] == "final"]
    for a, b in zip(finals, finals[1:]):
        assert 0 < a["start"] < a["end"] <= b["start"]


def test_one_utterance_without_vad(listen, samples):
    status, lines, _ = listen("--json", "--no-vad", feed=samples.tobytes())
    assert status == 0 and len(said(lines)) == 1


def read_line(stream):
    ready, _, _ = select.select([stream], [], [], T)
    assert ready, "no line came"
    return stream.readline().decode()


def test_sentences_come_while_the_pipe_is_open(start, samples):
    p = start()
    p.stdin.write(samples[: 5 * 16000].tobytes())
    p.stdin.flush()
    assert read_line(p.stdout) == TEXTS[0] + "\n"
    out, err = p.communicate(samples[5 * 16000 :].tobytes(), timeout=T)
    assert (p.returncode, out.decode().split(), err) == (0, TEXTS[1:], b"")


def test_nobody_reads(start, samples):
    p = start()
    p.stdout.close()
    assert p.wait(T) == 1
    assert b"standard output: Broken pipe" in p.stderr.read()
    p.stdout = None


# the terminal


class Terminal:
    """A terminal so wide, and what was written to it."""

    def __init__(self, columns):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        self.bytes = b""
        self.thread = threading.Thread(target=self.read)

    def read(self):
        with contextlib.suppress(OSError):  # EIO when the last writer has gone
            while piece := os.read(self.master, 65536):
                self.bytes += piece

    def listen(self):
        """Once the program has it."""
        os.close(self.slave)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.thread.join()
        os.close(self.master)
        self.seen = self.bytes.decode()


def run_in_terminal(start, columns, *args):
    """What it writes to a terminal, and its status."""
    with Terminal(columns) as terminal:
        p = start(*args, stdout=terminal.slave, stderr=terminal.slave)
        terminal.listen()
        status = p.wait(T)
    return terminal.seen, status


def width(text):
    return sum(2 if ord(c) > 0x2E80 else 1 for c in text)


def lines_that_stay(seen):
    return [line for line in (re.sub(r".*\x1b\[K", "", part) for part in seen.split("\r\n")) if line]


def test_a_terminal(start, env):
    env["TERM"] = "xterm"
    seen, status = run_in_terminal(start, 40, "--file", DATA / "wav" / "v01.wav")
    assert status == 0 and lines_that_stay(seen)[-len(TEXTS) :] == TEXTS
    assert LINE.findall(seen) and all(width(line) < 40 for line in LINE.findall(seen))


def test_a_terminal_that_cannot_move(start, env):
    env["TERM"] = "dumb"
    seen, status = run_in_terminal(start, 80, "--file", DATA / "wav" / "v01.wav")
    assert (seen.split("\r\n"), status) == (TEXTS + [""], 0)


# microphones


@pytest.fixture
def microphone(env, samples, tmp_path):
    """ALSA's file plugin, as fast as it is read: somebody who says the same for ten minutes."""
    (tmp_path / "spoken.raw").write_bytes(samples.tobytes() * 40)
    (tmp_path / "alsa.conf").write_text(
        'pcm.recorded { type file slave.pcm { type null } file "/dev/null" format "raw" infile "%s" }\n'
        % (tmp_path / "spoken.raw")
    )
    env["ALSA_CONFIG_PATH"] = str(tmp_path / "alsa.conf")
    return "recorded"


def hear_some(p):
    """Status, the first sentences, those that were on their way when the audio was ended, errors."""
    first = [read_line(p.stdout)[:-1] for _ in TEXTS]
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=T)
    return p.returncode, first, out.decode().split(), err or b""


def test_a_microphone_until_ctrl_c(start, microphone):
    status, first, more, err = hear_some(start("--device", microphone, stdin=subprocess.DEVNULL))
    assert (status, first, err) == (0, TEXTS, b"")
    assert more[: len(TEXTS)] == TEXTS[: len(more)] and len(more) < 30 * len(TEXTS)


def test_ctrl_c_in_mid_word(start, microphone):
    """What was said until then is still written down."""
    p = start("--device", microphone, "--json", "--no-vad", stdin=subprocess.DEVNULL)
    assert json.loads(read_line(p.stdout))["type"] == "partial"
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=T)
    assert (p.returncode, err) == (0, b"")
    assert said(out.decode().split("\n")[:-1])[0].startswith("打开空调")


def test_the_level_of_a_microphone(start, env, microphone):
    env["TERM"] = "xterm"
    with Terminal(80) as terminal:
        p = start("--device", microphone, stdin=subprocess.DEVNULL, stderr=terminal.slave)
        terminal.listen()
        assert hear_some(p)[:2] == (0, TEXTS)
    assert re.search(r"\r\[#+-*\] \d:\d\d", terminal.seen) and terminal.seen.endswith("\r\x1b[K")


def test_no_microphone(listen, env, tmp_path):
    (tmp_path / "alsa.conf").write_text("")
    env["ALSA_CONFIG_PATH"] = str(tmp_path / "alsa.conf")
    for args, name in (([], "default"), (["--device", "hw:7"], "hw:7")):
        status, lines, err = listen(*args, stdin=subprocess.DEVNULL)
        assert status == 1 and lines == []
        assert f"there is no microphone '{name}'" in err and "--list-devices" in err


def test_list_of_devices(listen):
    status, lines, err = listen("--list-devices")
    assert status == 0 and err == ""


# servers


def url(server):
    return f"ws://127.0.0.1:{server.port}"


def test_a_server(listen, server, samples):
    status, lines, err = listen("--url", url(server), "--json", feed=wav_bytes(samples))
    assert (status, err) == (0, "") and said(lines) == TEXTS
    assert any(json.loads(line)["type"] == "partial" for line in lines)


def test_a_server_and_one_utterance(listen, server, samples):
    assert listen("--url", url(server) + "/ws/asr", feed=samples[: 4 * 16000].tobytes()) == (0, TEXTS[:1], "")
    assert listen("--url", url(server), "--no-vad", feed=samples[: 4 * 16000].tobytes()) == (0, TEXTS[:1], "")


def test_a_server_and_a_microphone(start, server, microphone):
    p = start("--url", url(server), "--device", microphone, stdin=subprocess.DEVNULL)
    assert hear_some(p)[:2] == (0, TEXTS)


def test_a_model_that_the_server_lacks(listen, server):
    status, lines, err = listen("--url", url(server), "--model", "nosuch", feed=bytes(3200))
    assert (status, lines) == (1, []) and "unknown model 'nosuch'" in err


def test_another_path(listen, server):
    status, _, err = listen("--url", url(server) + "/health", feed=bytes(3200))
    assert status == 1 and "the server answers 200" in err


class Fake:
    """A server that does with each connection what `talk` says."""

    def __init__(self, talk, tls=None):
        self.talk, self.tls, self.heard = talk, tls, []
        self.ready, self.loop = threading.Event(), asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.run(),))

    async def run(self):
        self.end = asyncio.Event()
        async with websockets.serve(self.one, "127.0.0.1", 0, ssl=self.tls) as s:
            self.port = s.sockets[0].getsockname()[1]
            self.ready.set()
            await self.end.wait()

    async def one(self, socket, path):
        with contextlib.suppress(websockets.ConnectionClosed):
            await self.talk(self, socket)

    def __enter__(self):
        self.thread.start()
        self.ready.wait()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.end.set)
        self.thread.join()
        self.loop.close()


async def until_stop(self, socket):
    """Everything that comes until `stop`, which is the last."""
    while True:
        m = await socket.recv()
        self.heard.append(m)
        if isinstance(m, str) and json.loads(m)["command"] == "stop":
            return


FINAL = {"type": "final", "text": "好", "segments": [{"start": 0.5, "end": 1.25, "text": "好"}], "timestamp": 1}


async def friendly(self, socket):
    await until_stop(self, socket)
    await socket.send(json.dumps(FINAL))


@pytest.mark.parametrize(
    "columns, shown",
    [(60, ["今天", "今天天气怎么样", "今天天气怎么样 tomorrow"]), (24, ["今天", "...怎么样", "...morrow"])],
)
def test_text_that_is_not_final_is_written_anew(start, env, columns, shown):
    """The next message comes when the one before has been seen."""
    env["TERM"] = "xterm"

    async def talk(self, socket):
        await until_stop(self, socket)
        for text, want in zip(("今天", "今天天气怎么样", "今天天气怎么样 tomorrow"), shown):
            await socket.send(json.dumps({"type": "result", "text": "", "full_text": text}))
            while f" {want}\x1b[K".encode() not in terminal.bytes and p.poll() is None:
                await asyncio.sleep(0.01)
        await socket.send(json.dumps(FINAL))

    with Fake(talk) as fake, Terminal(columns) as terminal:
        p = start("--url", url(fake), "--raw", "--file", DATA / "wav" / "c03.wav", stdout=terminal.slave)
        terminal.listen()
        assert p.wait(T) == 0
    assert lines_that_stay(terminal.seen) == ["好"]
    assert all(width(line) < columns for line in LINE.findall(terminal.seen))


def test_what_a_server_is_told(listen):
    with Fake(friendly) as fake:
        status, lines, err = listen(
            "--url", url(fake), "--language", "chinese", "--hotwords", "阿里 巴巴", "--rate", 8000, "--json", feed=b"\x01\x02" * 4000
        )
    assert (status, err) == (0, "")
    assert lines == ['{"type":"final","start":0.5,"end":1.25,"text":"好"}']
    assert json.loads(fake.heard[0]) == {
        "type": "control",
        "command": "start",
        "format": "pcm_s16le",
        "sample_rate": 8000,
        "language": "zh",
        "hotwords": "阿里 巴巴",
        "vad": True,
    }
    assert b"".join(fake.heard[1:-1]) == b"\x01\x02" * 4000


def test_what_a_server_says_cannot_write_to_the_terminal(listen):
    async def talk(self, socket):
        await until_stop(self, socket)
        text = "a\x1b[2J\u009b\u202eb\nc"
        await socket.send(json.dumps(dict(FINAL, segments=[{"start": 0, "end": 1, "text": text}])))

    with Fake(talk) as fake:
        assert listen("--url", url(fake), feed=bytes(3200)) == (0, ["a[2Jb c"], "")


@pytest.mark.parametrize(
    "message, text",
    [
        ("hello", "does not speak this protocol"),
        ("[1]", "does not speak this protocol"),
        ("[" * 100000, "does not speak this protocol"),
        ('{"type":7}', "does not speak this protocol"),
        ('{"type":"result","text":1}', "does not speak this protocol"),
        ('{"type":"final","segments":[7]}', "does not speak this protocol"),
        ('{"type":"final","segments":[{"start":"x"}]}', "does not speak this protocol"),
        ('{"type":"error","code":500,"message":"识别失败"}', "the server says: 识别失败"),
    ],
)
def test_servers_that_talk_nonsense(listen, message, text):
    async def talk(self, socket):
        await socket.send(message)
        await socket.wait_closed()

    with Fake(talk) as fake:
        status, lines, err = listen("--url", url(fake), feed=bytes(3200))
    assert (status, lines) == (1, []) and text in err


def test_a_server_that_is_full(listen):
    async def talk(self, socket):
        await socket.close(1008, "服务器连接已满，请稍后重试")

    with Fake(talk) as fake:
        status, _, err = listen("--url", url(fake), feed=bytes(3200))
    assert status == 1 and "the server ended the connection (1008: 服务器连接已满，请稍后重试)" in err


def test_a_connection_that_is_lost(listen):
    async def talk(self, socket):
        await until_stop(self, socket)
        socket.transport.abort()

    with Fake(talk) as fake:
        status, _, err = listen("--url", url(fake), feed=bytes(3200))
    assert status == 1 and "the connection was lost" in err


def test_ctrl_c_twice(start):
    """A server that never comes to an end."""

    async def talk(self, socket):
        await until_stop(self, socket)
        self.stopped.set()
        await socket.wait_closed()

    with Fake(talk) as fake:
        fake.stopped = threading.Event()
        p = start("--url", url(fake))
        p.stdin.write(bytes(3200))
        p.stdin.flush()
        while not fake.heard:  # the signals are waited for once it has connected
            assert p.poll() is None
            threading.Event().wait(0.01)
        p.send_signal(signal.SIGINT)
        assert fake.stopped.wait(T)
        assert p.poll() is None
        p.send_signal(signal.SIGINT)
        assert p.wait(T) == 130


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        + ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True,
        capture_output=True,
    )
    return folder


def test_tls(listen, certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with Fake(friendly, tls) as fake:
        secure = f"wss://127.0.0.1:{fake.port}/x"
        audio = bytes(range(256)) * 4000
        assert listen("--url", secure, "--ca", certificate / "cert.pem", feed=audio) == (0, ["好"], "")
        assert b"".join(m for m in fake.heard if isinstance(m, bytes)) == audio
        assert listen("--url", secure, "--insecure", feed=audio)[:2] == (0, ["好"])
        status, _, err = listen("--url", secure, feed=audio)
        assert status == 1 and "cannot connect to 127.0.0.1: SSL certificate problem" in err
        status, _, err = listen("--url", secure, "--ca", "/nonexistent", feed=audio)
        assert status == 1 and "/nonexistent" in err


def test_nobody_listens_there(listen):
    status, _, err = listen("--url", "ws://127.0.0.1:1", feed=bytes(3200))
    assert status == 1 and "cannot connect to 127.0.0.1" in err


# usage


@pytest.mark.parametrize(
    "args, text",
    [
        (["talk.wav"], "--file talk.wav"),
        (["--file", "-", "--device", "x"], "not both"),
        (["--url", "http://x/"], "ws:// or wss://"),
        (["--url", "ws://x:y/"], "no HOST:PORT"),
        (["--url", "ws://x", "--no-itn"], "the server decides"),
        (["--ca", "x"], "--url"),
        (["--language", "klingon"], "klingon"),
        (["--rate", "7999"], "7999"),
        (["--format", "mp3"], "mp3"),
        (["--nosuch"], "nosuch"),
    ],
)
def test_wrong_usage(listen, args, text):
    status, lines, err = listen(*args)
    assert (status, lines) == (2, []) and err.startswith("pinna listen: ") and text in err


def test_files_that_are_not_there(listen, tmp_path):
    assert listen("--file", "nosuch.wav")[0] == 1
    status, _, err = listen("--file", tmp_path)
    assert status == 1 and "is a folder" in err


def test_models_that_are_not_there(listen, env, samples):
    status, _, err = listen("--model", "nosuch", feed=samples.tobytes())
    assert status == 3 and "nosuch" in err
    env["MODEL_NAME"] = "paraformer-en"
    status, lines, err = listen(feed=samples.tobytes())
    assert (status, lines) == (0, TEXTS)
    assert "pinna pull paraformer-en; listening with offline instead" in err


def test_help(listen):
    status, lines, err = listen("--help")
    assert status == 0 and err == "" and lines[0] == "usage: pinna listen [OPTION]..."
    for word in ("--device", "--url", "--timestamps", "--json", "--vad-model"):
        assert any(word in line for line in lines)
