"""pinna-decode by hand: every format, broken files, bombs, files that name other files, and the cage."""
import array
import concurrent.futures
import math
import os
import pathlib
import re
import resource
import shutil
import signal
import struct
import subprocess
import wave
import zlib

import pytest

import clips
from server_process import FACTOR, ROOT, SANITIZER


DECODE = os.path.abspath(os.environ.get("PINNA_DECODE", ROOT / "build" / "pinna-decode"))
ALSA = pathlib.Path("/usr/share/sounds/alsa/Front_Center.wav")
JFK = ROOT.parent / "shared" / "fixtures" / "audio"
HANG = 30 * FACTOR
RATE = 16000


def decode(path, *options, timeout=HANG):
    """(exit status, samples, message). A hang fails here."""
    p = subprocess.run([DECODE, *map(str, options), str(path)], stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=timeout)
    samples = array.array("f")
    samples.frombytes(p.stdout[: len(p.stdout) // 4 * 4])
    return p.returncode, samples, p.stderr.decode()


def decoded(path, *options):
    code, samples, message = decode(path, *options)
    assert code == 0, f"{path}: {message}"
    assert message == ""
    return samples


def refused(path, *options):
    """The file gives nothing; what it says of it."""
    code, samples, message = decode(path, *options)
    assert code == 1, f"{path}: exit {code}, {len(samples)} samples; {message}"
    assert re.fullmatch(r"pinna-decode: .*: .+\n", message)
    return message.split(": ", 2)[2].strip()


def refused_early(path):
    """Nothing came out before the refusal; what it cost."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code, samples, message = decode(path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert code == 1 and len(samples) == 0 and "36000 seconds" in message
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"refused after {used:.3f} s of processor time")
    assert used < 2 * FACTOR  # usually 0.03 s


def likeness(a, b):
    """Correlation of two recordings, sample by sample: 1 is the same; a shift of half a millisecond shows."""
    n = min(len(a), len(b))
    dot = sum(x * y for x, y in zip(a[:n], b[:n]))
    return dot / math.sqrt(sum(x * x for x in a[:n]) * sum(y * y for y in b[:n]) + 1e-12)


@pytest.fixture(scope="module", autouse=True)
def program():
    if not os.access(DECODE, os.X_OK):
        pytest.fail(f"no program at {DECODE}; build it or set PINNA_DECODE")
    for tool in ("ffmpeg", "zzuf"):
        if not shutil.which(tool):
            pytest.fail(f"{tool} is missing: apt-get install {tool}")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    if not ALSA.exists():
        pytest.fail("the spoken clips of alsa-utils are missing: apt-get install alsa-utils")
    return clips.make(ALSA, tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def original(made):
    with wave.open(str(made["wav-s16"].path)) as w:
        return array.array("f", (x / 32768 for x in array.array("h", w.readframes(w.getnframes()))))


@pytest.mark.parametrize("name", clips.FORMATS)
def test_format(made, original, name):
    clip = made[name]
    samples = decoded(clip.path)
    assert abs(len(samples) / RATE - clip.seconds) <= clip.format.tolerance + 1 / RATE
    assert all(-1 <= x <= 1 for x in samples)
    if clip.format.exact:
        assert samples == original
    elif clip.format.aligned:
        assert likeness(samples, original) > 0.9
    else:
        assert max(samples) > 0.01, "silence"


def test_stereo_is_mixed_without_clipping(tmp_path):
    """Left and right alike and loud give the same loudness in mono; opposite ones give silence."""
    for sign, want in ((1, 0.9), (-1, 0.0)):
        tone = [round(0.9 * 32767 * math.sin(i * 2 * math.pi * 300 / RATE)) for i in range(RATE // 2)]
        stereo = array.array("h", (y for x in tone for y in (x, sign * x)))
        path = tmp_path / f"stereo{sign}.wav"
        path.write_bytes(clips.wav_header(len(stereo) * 2, channels=2) + stereo.tobytes())
        samples = decoded(path)
        assert len(samples) == RATE // 2
        assert abs(max(samples) - want) < 0.01


def test_wild_floats_are_tamed(tmp_path):
    values = array.array("f", [math.nan, math.inf, -math.inf, 5.0, -5.0, 0.25] * 1000)
    path = tmp_path / "wild.wav"
    path.write_bytes(clips.wav_header(len(values) * 4, bits=32, form=3) + values.tobytes())
    assert decoded(path)[:6] == array.array("f", [0.0, 1.0, -1.0, 1.0, -1.0, 0.25])


def test_rate_and_channels_change_in_the_middle(made, tmp_path):
    """Two Ogg files behind each other are one stream whose second half has another rate and layout."""
    second = tmp_path / "second.ogg"
    clips.ffmpeg("-i", made["wav-s16"].path, "-c:a", "libvorbis", "-ar", 44100, "-ac", 2, second)
    path = tmp_path / "chained.ogg"
    path.write_bytes(made["ogg-vorbis"].path.read_bytes() + second.read_bytes())
    assert abs(len(decoded(path)) / RATE - 2 * made["wav-s16"].seconds) < 0.1


def test_many_channels(tmp_path):
    """Twelve channels without a known layout weigh the same."""
    frames = array.array("h", [12000] * 12 * RATE)
    path = tmp_path / "twelve.wav"
    path.write_bytes(clips.wav_header(len(frames) * 2, channels=12) + frames.tobytes())
    samples = decoded(path)
    assert len(samples) == RATE and abs(samples[500] - 12000 / 32768) < 0.01


def test_size_of_a_recorder_that_wrote_into_a_pipe(made, tmp_path):
    data = made["wav-s16"].path.read_bytes()
    pcm = data[data.index(b"data") + 8 :]
    for size in (0x7FFFF000, 0xFFFFFFFF):
        path = tmp_path / "piped.wav"
        path.write_bytes(clips.wav_header(0)[:-4] + struct.pack("<I", size) + pcm)
        assert len(decoded(path)) == len(pcm) // 2


@pytest.mark.skipif(bool(SANITIZER), reason="eleven seconds of speech are for the plain build")
@pytest.mark.skipif(not (JFK / "jfk.wav").exists(), reason=f"{JFK} is not there")
def test_eleven_seconds_stay_eleven(tmp_path):
    assert len(decoded(JFK / "jfk.wav")) == 11 * RATE
    assert len(decoded(JFK / "jfk.flac")) == 11 * RATE
    lossy = ("mp3", "m4a", "m4a-faststart", "ogg-vorbis", "ogg-opus", "webm-opus", "mp4-video", "webm-video", "aac")
    for name, clip in clips.make(JFK / "jfk.wav", tmp_path, lossy).items():
        assert abs(len(decoded(clip.path)) / RATE - 11.0) <= 0.1, name


# Broken files: any answer but a crash or a hang.


def survive(path):
    """One broken file: what went wrong with it, or None. A leak shows in the message."""
    try:
        code, samples, message = decode(path)
    except subprocess.TimeoutExpired:
        return f"{path.name}: hangs"
    if code not in (0, 1):
        return f"{path.name}: exit {code}; {message[-2000:]}"
    if (code == 1) != message.startswith("pinna-decode: ") or message.count("\n") != code:
        return f"{path.name}: exit {code} with {message[-2000:]!r}"
    if not all(-1 <= x <= 1 for x in samples):
        return f"{path.name}: a sample is out of range"
    if len(samples) > 600 * RATE:
        return f"{path.name}: {len(samples)} samples of a clip of 1.5 s"
    return None


def survive_all(paths):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        bad = [b for b in pool.map(survive, paths) if b]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("name", clips.FORMATS)
def test_truncated(made, tmp_path, name):
    data = made[name].path.read_bytes()
    paths = []
    for cut in {1, 4, 13, 45, 400, len(data) // 10, len(data) // 2, len(data) * 9 // 10, len(data) - 1}:
        paths.append(tmp_path / f"cut-{cut}-{made[name].path.name}")
        paths[-1].write_bytes(data[:cut])
    survive_all(paths)


@pytest.mark.parametrize("name", clips.FORMATS)
def test_flipped_bits(made, tmp_path, name):
    paths = []
    for ratio in (0.00005, 0.001, 0.02):
        for seed in range(2):
            paths.append(tmp_path / f"flipped-{ratio}-{seed}-{made[name].path.name}")
            with open(made[name].path, "rb") as source, open(paths[-1], "wb") as broken:
                subprocess.run(["zzuf", "-s", str(seed), "-r", str(ratio)], stdin=source, stdout=broken, check=True)
    survive_all(paths)


# Files that are not what they say.


def png():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = b"".join(b"\0" + bytes(3 * 64) for _ in range(64))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b""))


NOT_AUDIO = {
    "empty.wav": b"",
    "text.wav": b"This is a letter, not a recording.\n" * 100,
    "zeros.mp3": bytes(100000),
    "page.mp3": b"<!doctype html><html><body>" + b"<p>404</p>" * 5000,
    "picture.png": png(),
    "header.wav": clips.wav_header(0),
    "subtitles.srt": b"1\n00:00:00,000 --> 00:00:02,000\nHello\n\n" * 50,
    "device.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "no-rate.wav": clips.wav_header(2000, rate=0) + bytes(2000),
    "one-hertz.wav": clips.wav_header(20000, rate=1) + bytes(20000),
    "rate.wav": clips.wav_header(2000, rate=0xFFFFFFFF) + bytes(2000),
    "channels.wav": clips.wav_header(200000, channels=65535) + bytes(200000),
    "no-channels.wav": clips.wav_header(2000, channels=0) + bytes(2000),
    "channels.au": b".snd" + struct.pack(">IIIII", 24, 200000, 3, 16000, 0x80000000) + bytes(200000),
    "channels2.au": b".snd" + struct.pack(">IIIII", 24, 200000, 3, 16000, 0x7FFFFFFF) + bytes(200000),
    "channels.caf": b"caff\0\1\0\0desc" + struct.pack(">QdIIIIII", 32, 16000.0, 0x6C70636D, 0, 0xFFFFFFFE, 1,
                                                    0x7FFFFFFF, 16) + b"data" + struct.pack(">QI", 2004, 0) + bytes(2000),
}


@pytest.mark.parametrize("name", NOT_AUDIO)
def test_not_audio(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(NOT_AUDIO[name])
    assert refused(path)


def test_text_names_the_formats(tmp_path):
    path = tmp_path / "text.wav"
    path.write_bytes(NOT_AUDIO["text.wav"])
    for word in ("wav", "mp3", "m4a", "flac", "ogg", "webm", "aac", "amr"):
        assert word in refused(path)


def test_things_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, "/dev/zero", tmp_path / "pipe"):
        assert refused(path) == "not a regular file"
    assert "No such file" in refused(tmp_path / "absent")


def test_video_without_sound(tmp_path):
    path = tmp_path / "mute.mp4"
    clips.ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64:rate=10:duration=1", "-c:v", "mpeg4", path)
    assert "no audio" in refused(path)


def test_many_streams(made, tmp_path):
    """A hundred sound tracks: refused or one decoded, never all of them."""
    path = tmp_path / "tracks.mkv"
    maps = [x for _ in range(100) for x in ("-map", "0:a")]
    clips.ffmpeg("-i", made["wav-s16"].path, *maps, "-c:a", "pcm_s16le", path)
    code, samples, message = decode(path)
    assert (code == 1 and "streams" in message) or (code == 0 and len(samples) <= 2 * RATE)


# Bombs and limits.


@pytest.fixture(scope="module")
def bomb(tmp_path_factory):
    """Ten hours of silence in about a hundred kilobytes."""
    path = tmp_path_factory.mktemp("bomb") / "bomb.flac"
    clips.ffmpeg("-f", "lavfi", "-i", "anullsrc=r=4000:cl=mono", "-t", 36000, "-c:a", "flac", "-compression_level", 0,
                 "-frame_size", 16384, path)
    assert path.stat().st_size < 200000
    return path


def test_bomb_is_refused_by_its_header(bomb):
    refused_early(bomb)


def test_bomb_that_hides_its_length(bomb, tmp_path):
    """FLAC's total of 0 means unknown: it is counted while it is decoded."""
    data = bytearray(bomb.read_bytes())
    data[8 + 13] &= 0xF0
    data[8 + 14 : 8 + 18] = bytes(4)
    path = tmp_path / "hidden.flac"
    path.write_bytes(data)
    code, samples, message = decode(path, "--max-seconds", 60)
    assert code == 1 and "more than 60 seconds" in message
    assert 59 * RATE <= len(samples) <= 60 * RATE


def test_ten_silent_hours_are_refused_early(tmp_path):
    refused_early(clips.silent_wav(tmp_path / "hours.wav", 36000))


def test_processor_time_is_limited(tmp_path):
    path = clips.silent_wav(tmp_path / "hours.wav", 36000 * 4)
    p = subprocess.run([DECODE, "--cpu-seconds", "1", "--max-seconds", "1000000", str(path)], stdout=subprocess.DEVNULL,
                       timeout=HANG)
    assert p.returncode == -signal.SIGXCPU


@pytest.mark.skipif(bool(SANITIZER), reason="sanitizers need the address space")
def test_memory_is_limited(made, tmp_path):
    """An index that claims a gigabyte, in a file that is as large: refused, whatever is left."""
    assert len(decoded(made["mp4-video"].path, "--memory-mb", 256)) > RATE
    path = tmp_path / "index.mp4"
    data = made["m4a-faststart"].path.read_bytes()
    at = data.index(b"stsz")
    path.write_bytes(data[: at + 12] + struct.pack(">I", 200_000_000) + data[at + 16 :])
    os.truncate(path, 1_000_000_000)
    code, _, message = decode(path, "--memory-mb", 256)
    assert code in (0, 1), message


# Files that name other files.


def references(target):
    return {
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{target}\n#EXT-X-ENDLIST\n".encode(),
        "relative.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target.name}\n#EXT-X-ENDLIST\n".encode(),
        "remote.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
        "list.ffconcat": f"ffconcat version 1.0\nfile '{target}'\n".encode(),
        "concat.txt": f"file '{target}'\n".encode(),
        "list.m3u": f"#EXTM3U\n{target}\n".encode(),
        "list.mpd": (b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
                     b'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="audio/mp4"><Representation '
                     b'id="1" bandwidth="1"><BaseURL>' + str(target).encode() +
                     b"</BaseURL></Representation></AdaptationSet></Period></MPD>"),
        "list.pls": f"[playlist]\nFile1={target}\nNumberOfEntries=1\n".encode(),
    }


@pytest.mark.parametrize("name", references(pathlib.Path("x")))
def test_references_are_not_followed(made, tmp_path, name):
    path = tmp_path / name
    shutil.copy(made["wav-s16"].path, tmp_path / "target.wav")
    path.write_bytes(references(tmp_path / "target.wav")[name])
    refused(path)


def test_movie_whose_samples_are_elsewhere(made, tmp_path):
    """A QuickTime file may say that its data lie in another file."""
    target = tmp_path / "target.wav"
    shutil.copy(made["wav-s16"].path, target)
    data = made["mov-video"].path.read_bytes()
    at = data.index(b"url ") + 4  # a data reference: flags 1, "in this file"
    path = tmp_path / "reference.mov"
    path.write_bytes(data[:at] + b"\0\0\0\0" + data[at + 4 :])
    assert not survive(path)


# The cage.


@pytest.mark.skipif(bool(SANITIZER), reason="sanitized builds have no cage")
def test_cage_refuses(made):
    p = subprocess.run([DECODE, "--selftest-sandbox"], capture_output=True, text=True, timeout=60)
    print(p.stdout)
    assert p.returncode == 0
    said = dict(line.split(": ", 1) for line in p.stdout.splitlines())
    assert said["cpu without seccomp"] == "killed by SIGXCPU"
    assert said["memory without seccomp"] == "refused: ENOMEM"
    if said["seccomp"] == "yes":
        for name in ("open", "create", "unlink", "socket", "execve", "fork", "ptrace", "kill", "code", "write-file"):
            assert said[name] == "killed by SIGSYS", name
    if said["landlock"] != "0":
        assert said["open without seccomp"] == said["create without seccomp"] == "refused: EACCES"
        assert said["execve without seccomp"] == "refused: EACCES"
        assert said["ptrace without seccomp"] == "refused: EPERM"


@pytest.mark.skipif(bool(SANITIZER), reason="sanitized builds have no cage")
@pytest.mark.parametrize("name", ("mp3", "mpegts-video", "m4a", "list.m3u8"))
def test_nothing_is_opened_in_the_cage(made, tmp_path, name):
    if not shutil.which("strace"):
        pytest.fail("strace is missing: apt-get install strace")
    path = tmp_path / name
    if name in made:
        shutil.copy(made[name].path, path)
    else:
        shutil.copy(made["wav-s16"].path, tmp_path / "target.wav")
        path.write_bytes(references(tmp_path / "target.wav")[name])
    log = tmp_path / "strace.txt"
    subprocess.run(["strace", "-f", "-o", log, "-e", "trace=%file,%network,%process,seccomp,landlock_restrict_self,pread64",
                    DECODE, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=HANG)
    calls = [line.split(None, 1)[1].split("(")[0] for line in log.read_text().splitlines() if "(" in line]
    first = max(i for i, call in enumerate(calls) if call in ("seccomp", "landlock_restrict_self"))
    assert "pread64" in calls[first:], "the file was not read"
    assert set(calls[first + 1 :]) <= {"pread64", "exit_group"}
    lines = log.read_text().splitlines()
    assert [line for line in lines if str(path) in line and "open" in line], "strace saw nothing"


# By hand.


def test_help_and_wrong_usage(made):
    p = subprocess.run([DECODE, "--help"], capture_output=True, text=True, timeout=60)
    assert p.returncode == 0 and p.stdout.startswith("usage: pinna-decode") and p.stderr == ""
    p = subprocess.run([DECODE, "--version"], capture_output=True, text=True, timeout=60)
    assert p.returncode == 0 and re.fullmatch(r"pinna-decode [0-9]+\.[0-9]+\.[0-9]+\n", p.stdout)
    clip = str(made["flac"].path)
    for args in ([], [clip, clip], ["--memory-mb", "0", clip], ["--max-seconds", "1x", clip], ["--nonsense", clip],
                 ["--child"], ["--cpu-seconds"]):
        p = subprocess.run([DECODE, *args], capture_output=True, text=True, timeout=60)
        assert p.returncode == 2 and p.stdout == "" and "--help" in p.stderr, args


def test_child_mode_by_hand_ends():
    """Without a parent behind it the child mode says that it is ready and ends."""
    p = subprocess.run([DECODE, "--child", "1024", "10"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert p.returncode == 0 and p.stdout[:8] == struct.pack("=II", 1, 8)


def test_output_into_a_file_and_a_full_one(made, tmp_path):
    out = tmp_path / "out.f32"
    with open(out, "wb") as f:
        assert subprocess.run([DECODE, made["flac"].path], stdout=f, timeout=60).returncode == 0
    assert out.stat().st_size == 4 * len(decoded(made["flac"].path))
    with open("/dev/full", "wb") as f:
        p = subprocess.run([DECODE, made["flac"].path], stdout=f, stderr=subprocess.PIPE, timeout=60)
        assert p.returncode == 1 and p.stderr != b""
