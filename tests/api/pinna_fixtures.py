"""pinna_fixtures.py - fixtures of the API and load tests: servers and spoken clips."""
import array
import asyncio
import gzip
import io
import os
import pathlib
import resource
import shutil
import struct
import threading
import wave

import pytest

import server_process
from server_process import FACTOR, PINNA, ROOT, SANITIZER, Server
from slow_peer import drip
from wire import get, wait_until

ALSA = pathlib.Path("/usr/share/sounds/alsa")
DATA = ROOT / "tests" / "data"
JFK = ROOT.parent / "shared" / "fixtures" / "audio"
SPHINX = {"WHISPER_MODEL": "sphinx", "MODEL_NAME": "sphinx"}
SPOKEN = (
    "Front_Center",
    "Front_Left",
    "Front_Right",
    "Rear_Center",
    "Rear_Left",
    "Rear_Right",
    "Side_Left",
    "Side_Right",
)


def pytest_configure(config):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536) if hard > 0 else 65536, hard))


def pytest_collection_modifyitems(config, items):
    if SANITIZER:
        for item in items:
            if item.get_closest_marker("load"):
                item.add_marker(pytest.mark.skip(reason="load tests run on the plain build only"))


@pytest.fixture(scope="session")
def pinna():
    if not os.access(PINNA, os.X_OK):
        pytest.fail(f"no program at {PINNA}; build it or set PINNA_BIN")
    return PINNA


@pytest.fixture(scope="session")
def server(pinna, small_model):
    """The server that most tests share."""
    s = Server(small_model)
    yield s
    s.stop()


@pytest.fixture(scope="session")
def sphinx_server(pinna):
    """One that knows English and takes its time over it."""
    s = Server(SPHINX)
    yield s
    s.stop()


def starter(defaults):
    mine = []

    def start(env=None, args=(), files=None, tls=None):
        mine.append(Server({**defaults, **(env or {})}, args, files, tls))
        return mine[-1]

    yield start
    for s in mine:
        if s in server_process.running:
            s.stop()


@pytest.fixture
def start_server(pinna, small_model):
    """Starts servers with settings of their own; stops those that a test left running."""
    yield from starter(small_model)


@pytest.fixture(scope="module")
def start_module_server(pinna, small_model):
    yield from starter(small_model)


@pytest.fixture(scope="module")
def target(start_module_server):
    """A server with room for many sockets; in the end it must have given everything back."""
    s = start_module_server({"MAX_CONNECTIONS": 1500, "PINNA_MAX_HTTP_CONNECTIONS": 4000})
    get(s.port, "/health")
    rss, fds = s.rss_kb(), s.fds()
    yield s
    wait_until(lambda: s.fds() <= fds + 3, 20 * FACTOR, f"descriptors are back to {fds}")
    wait_until(lambda: len(s.decoders()) == 1, 10 * FACTOR, "one idle decode child")
    assert s.spooled() == []
    assert s.rss_kb() - rss < 64 * 1024 or SANITIZER, f"memory grew from {rss} to {s.rss_kb()} kB"


@pytest.fixture(scope="session")
def slow_bodies(pinna, small_model):
    """Uploads below and above PINNA_BODY_MIN_RATE; call it for what became of them (40 s)."""
    s = Server({**small_model, "PINNA_BODY_MIN_RATE": 1024})
    first = (
        b"POST /transcribe HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        b"Content-Length: 10000000\r\n\r\n--b\r\nConte"
    )
    ends = {}

    async def run():
        ends["below"], ends["above"], ends["stalled"] = await asyncio.gather(
            drip(s.port, first, b"x" * 100, 0.5, 60),
            drip(s.port, first, b"x" * 2000, 0.5, 38),
            drip(s.port, first, seconds=60),
        )

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()

    def result():
        thread.join()
        return ends

    yield result
    thread.join()
    s.stop()


@pytest.fixture(scope="session", autouse=True)
def begin_early(request):
    """What needs half a minute of waiting waits beside the other tests."""
    if any("slow_bodies" in item.fixturenames for item in request.session.items):
        request.getfixturevalue("slow_bodies")


@pytest.fixture(scope="module", autouse=True)
def servers_are_well():
    """After each file of tests: every server lives and no sanitizer complained."""
    yield
    for s in list(server_process.running):
        s.check()


def copy_models(folder, models):
    """Name in `folder` -> model of tests/data/paraformer."""
    for name, model in models.items():
        shutil.copytree(DATA / "paraformer" / "models" / model, folder / name)


@pytest.fixture(scope="session")
def small_model(tmp_path_factory):
    """Settings of servers whose words do not matter: a model that answers within milliseconds. It takes the
    English clips for Mandarin, always in the same way."""
    folder = tmp_path_factory.mktemp("small")
    copy_models(folder, {"offline": "micro-offline", "streaming": "micro-streaming"})
    return {"MODEL_DIR": folder, "WHISPER_MODEL": "offline", "MODEL_NAME": "streaming"}


def unpack_whisper(folder):
    """The small trained Whisper ("micro") and its rank file, as `pinna pull` would leave them."""
    with gzip.open(DATA / "micro.pt.gz") as packed, open(folder / "micro.pt", "wb") as out:
        shutil.copyfileobj(packed, out)
    shutil.copy(DATA / "micro.tiktoken", folder / "multilingual.tiktoken")


@pytest.fixture(scope="session")
def micro_models(tmp_path_factory):
    """Settings of a server with the small trained models of tests/data: a Paraformer that streams for live
    audio, one that corrects it and hears files, a detector, random punctuation, a Whisper ("micro")."""
    folder = tmp_path_factory.mktemp("models")
    copy_models(
        folder,
        {
            "offline": "micro-offline",
            "streaming": "micro-streaming",
            "fsmn-vad": "micro-vad",
            "ct-punc": "rand-punc",
        },
    )
    unpack_whisper(folder)
    return {
        "MODEL_DIR": folder,
        "WHISPER_MODEL": "offline",
        "MODEL_NAME": "streaming",
        "PINNA_FINAL_MODEL": "offline",
        "PINNA_PRECISION": "f32",
    }


def wav_bytes(samples, rate=16000):
    out = io.BytesIO()
    with wave.open(out, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(rate)
        w.writeframes(samples.tobytes())
    return out.getvalue()


def for_a_child(clip):
    """The same samples as an AU file: a plain WAV file needs no decode child, this does."""
    with wave.open(io.BytesIO(clip)) as w:
        a = array.array("h", w.readframes(w.getnframes()))
        rate = w.getframerate()
    a.byteswap()
    return b".snd" + struct.pack(">5I", 24, 2 * len(a), 3, rate, 1) + a.tobytes()


def read_16k(path):
    """A 48 kHz mono file as 16 kHz samples: the mean of three is filter enough for speech."""
    with wave.open(str(path)) as w:
        assert (w.getframerate(), w.getnchannels(), w.getsampwidth()) == (48000, 1, 2), path
        a = array.array("h", w.readframes(w.getnframes()))
    return array.array("h", [(a[i] + a[i + 1] + a[i + 2]) // 3 for i in range(0, len(a) - 2, 3)])


@pytest.fixture(scope="session")
def samples():
    """name -> 16 kHz samples of alsa-utils' spoken clips, at most 1.5 s each."""
    missing = [n for n in SPOKEN if not (ALSA / f"{n}.wav").exists()]
    if missing:
        pytest.fail("the spoken clips of alsa-utils are missing: apt-get install alsa-utils")
    return {n: read_16k(ALSA / f"{n}.wav")[: 16000 * 3 // 2] for n in SPOKEN}


@pytest.fixture(scope="session")
def speech(samples):
    """name -> the same as WAV files."""
    return {n: wav_bytes(s) for n, s in samples.items()}


@pytest.fixture(scope="session")
def silence():
    return wav_bytes(array.array("h", bytes(2 * 16000)))


@pytest.fixture(scope="session")
def many_clips(samples):
    """Twenty different clips: whole words and parts of them."""
    out = []
    for cut in (16000, 12000, 9000) if SANITIZER else (24000, 18000, 14000):
        out += [wav_bytes(samples[n][:cut]) for n in SPOKEN]
    return out[:20]


@pytest.fixture(scope="session")
def long_clip(samples):
    """Five minutes of words: whoever uploads it leaves before the end."""
    unit = array.array("h")
    for n in SPOKEN:
        unit += samples[n] + array.array("h", bytes(2 * 8000))
    return wav_bytes(unit * (300 * 16000 // len(unit)))


@pytest.fixture(scope="session")
def jfk():
    """Path of the eleven-second speech; only where the shared test data lies beside the tree."""
    if SANITIZER:
        pytest.skip("eleven seconds of speech are for the plain build")
    if not (JFK / "jfk.wav").exists():
        pytest.skip(f"{JFK} is not there")
    return JFK
