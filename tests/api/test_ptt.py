"""Push-to-talk beyond the acceptance list (test_client.py): formats, sentences, several utterances, limits, hostile clients.

The models are the small trained ones of tests/data; what they make of each clip is known."""
import asyncio
import base64
import contextlib
import json
import signal
import subprocess
import time
import wave

import pytest
import websockets

from server_process import FACTOR, ROOT, SANITIZER
from test_client import Client, Setting
from wire import TEXT, Ws, frame, get, wait_until

WAVS = ROOT / "tests" / "data" / "paraformer" / "wav"
T = 60 * FACTOR
# name: what is shown while it is spoken, what is written in the end
CLIPS = {
    "m01": ("hello你好", "hello你好"),
    "d02": ("九零二七四四六一", "90274461"),
    "c03": ("温度调到二十六", "温度调到26"),
    "s01": ("打电话给一三八零零", "打电话给13800"),
    "b19700": ("四六二", "462"),
}
SENTENCES = ["打开空调358", "播放音乐", "今天天气怎么样", "再见"]  # of v01


def pcm(name):
    with wave.open(str(WAVS / f"{name}.wav")) as w:
        return w.readframes(w.getnframes())


def at_rate(name, rate, form="s16le"):
    return ffmpeg(name, "-ar", rate, "-f", form, "-")


def ffmpeg(name, *options):
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", WAVS / f"{name}.wav", *options]
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, timeout=60).stdout


@pytest.fixture(scope="module")
def settings(micro_models):
    return dict(micro_models, PINNA_PUNCTUATION="off", MAX_CONNECTIONS=40)


@pytest.fixture(scope="module")
def server(start_module_server, settings):
    return start_module_server(settings)


class Talker(Client):
    """A client that says things as fast as it can."""

    def __init__(self, server):
        super().__init__(Setting(f"ws://127.0.0.1:{server.port}/ws/asr", timeout=T))

    async def start(self, **fields):
        await self.send(type="control", command="start", **fields)

    async def say(self, data, piece=6400, binary=False):
        for i in range(0, len(data), piece):
            if binary:
                await self.ws.send(data[i : i + piece])
            else:
                await self.send(type="audio", data=base64.b64encode(data[i : i + piece]).decode())

    async def result(self):
        """The frames up to the final result of an utterance."""
        frames = [await self.receive()]
        while frames[-1]["type"] != "final" or "sentence" in frames[-1]:
            frames.append(await self.receive())
        return frames

    async def utter(self, data, piece=6400, binary=False, **fields):
        await self.begin(**fields)
        await self.say(data, piece, binary)
        await self.control("stop")
        return await self.result()


def shown(frames):
    return "".join(f["text"] for f in frames if f["type"] == "result")


def check(frames, name):
    first, final = CLIPS[name]
    assert [f["type"] for f in frames if f["type"] != "result"] == ["status", "final"], frames
    assert shown(frames) == first and frames[-1]["text"] == final, frames


def talk(server, conversation):
    async def run():
        async with Talker(server) as c:
            return await conversation(c)

    return asyncio.run(run())


def stats(server):
    return get(server.port, "/stats").json()


# formats


@pytest.mark.threads
def test_raw_pcm_in_odd_pieces(server):
    check(talk(server, lambda c: c.utter(pcm("d02"), 4999, binary=True)), "d02")


def test_one_long_message(server):
    check(talk(server, lambda c: c.utter(pcm("s01"), 1 << 20, binary=True)), "s01")
    check(talk(server, lambda c: c.utter(pcm("s01"), 1 << 20)), "s01")


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_rates(server, rate):
    frames = talk(server, lambda c: c.utter(at_rate("s01", rate), 8000, sample_rate=rate))
    assert abs(frames[-1]["audio_duration_ms"] - 3317) < 10, frames
    if rate > 8000:  # the model never heard a telephone
        check(frames, "s01")
    else:
        assert shown(frames)


def test_floats(server):
    data = at_rate("c03", 22050, "f32le")
    check(talk(server, lambda c: c.utter(data, 7777, True, format="pcm_f32le", sample_rate=22050)), "c03")


def opus_packets(name):
    """Out of an Ogg file (RFC 3533); the first two packets are its head and its tags."""
    ogg = ffmpeg(name, "-c:a", "libopus", "-b:a", "48k", "-frame_duration", "60", "-f", "ogg", "-")
    packets, packet, i = [], b"", 0
    while i < len(ogg):
        assert ogg[i : i + 4] == b"OggS"
        lacing = ogg[i + 27 : i + 27 + ogg[i + 26]]
        i += 27 + len(lacing)
        for n in lacing:
            packet += ogg[i : i + n]
            i += n
            if n < 255:
                packets.append(packet)
                packet = b""
    return packets[2:]


@pytest.mark.threads
def test_opus(server):
    async def conversation(c):
        await c.begin(format="opus", sample_rate=48000)
        for p in opus_packets("s01"):
            await c.ws.send(p)
        await c.ws.send(b"\xff" * 3)  # no packet: it counts as lost
        await c.control("stop")
        return await c.result()

    frames = talk(server, conversation)
    assert shown(frames) == CLIPS["s01"][0]
    assert abs(frames[-1]["audio_duration_ms"] - 3317) < 200, frames


# what a start may carry


def test_sentences(server):
    frames = talk(server, lambda c: c.utter(pcm("v01"), vad=True))
    parts = [f for f in frames if "sentence" in f and f["type"] == "final"]
    assert [f["text"] for f in parts] == SENTENCES
    assert [f["sentence"] for f in parts] == [1, 2, 3, 4]
    assert frames[-1]["text"] == "".join(SENTENCES) and len(frames[-1]["segments"]) == 4
    for part in parts:
        own = [f for f in frames if f["type"] == "result" and f["sentence"] == part["sentence"]]
        assert own and own[-1]["full_text"] == "".join(f["text"] for f in own)
        assert frames.index(own[-1]) < frames.index(part)
    assert [f for f in frames if f["type"] == "status"][0]["message"] == "停止录音"


@pytest.mark.threads
def test_sentences_come_while_it_is_spoken(server):
    async def conversation(c):
        await c.begin(vad=True, interim=False)
        await c.say(pcm("v01"))
        frames = [await c.receive() for _ in range(3)]  # no stop was sent
        await c.control("stop")
        return frames, await c.result()

    frames, rest = talk(server, conversation)
    assert [f["text"] for f in frames] == SENTENCES[:3]
    assert [f["text"] for f in rest if f["type"] == "final"] == [SENTENCES[3], "".join(SENTENCES)], rest


def test_without_partial_results(server):
    frames = talk(server, lambda c: c.utter(pcm("c03"), interim=False))
    assert [f["type"] for f in frames] == ["status", "final"] and frames[-1]["text"] == CLIPS["c03"][1]


@pytest.mark.threads
def test_second_pass_replaces_the_text(start_server, settings):
    """Whisper corrects what Paraformer heard, and writes it in its own way."""
    s = start_server(dict(settings, PINNA_FINAL_MODEL="micro"))
    alone = talk(s, lambda c: c.utter(pcm("d02"), model="micro"))
    frames = talk(s, lambda c: c.utter(pcm("d02")))
    assert shown(frames) == CLIPS["d02"][0]
    assert frames[-1]["text"] == alone[-1]["text"] != CLIPS["d02"][1]


def test_hotwords(server):
    check(talk(server, lambda c: c.utter(pcm("c03"), hotwords="温度 空调:20")), "c03")
    check(talk(server, lambda c: c.utter(pcm("c03"), hotwords=["温度", "空调"], language="zh")), "c03")


@pytest.mark.threads
@pytest.mark.parametrize("model", ["offline", "micro"])
def test_other_models(server, model):
    """They do not stream: the open utterance is recognised again and again."""
    frames = talk(server, lambda c: c.utter(pcm("m01"), model=model))
    assert frames[-1]["text"] and (model == "micro" or frames[-1]["text"] == CLIPS["m01"][1]), frames
    assert shown(frames).strip() == frames[-1]["text"]


def test_sphinx(server, samples):
    frames = talk(server, lambda c: c.utter(samples["Front_Center"].tobytes(), model="sphinx", interim=False))
    assert "center" in frames[-1]["text"].lower() and frames[-1]["language"] == "en", frames


@pytest.mark.threads
def test_whisper_is_the_live_model(start_server, settings):
    s = start_server(dict(settings, MODEL_NAME="micro"))
    assert get(s.port, "/").json()["model"] == "micro"
    with wave.open(str(ROOT / "tests" / "data" / "clips" / "01.wav")) as w:
        clip = w.readframes(w.getnframes())
    golden = json.loads((ROOT / "tests" / "data" / "golden" / "01.json").read_text())
    frames = talk(s, lambda c: c.utter(clip, language="en"))
    said = golden["runs"]["default"]["result"]["text"].strip()
    assert frames[-1]["language"] == "en" and shown(frames).strip() == said, (said, frames)


@pytest.mark.parametrize(
    "fields, name",
    [
        ({"format": "mp3"}, "format"),
        ({"sample_rate": 4000}, "sample_rate"),
        ({"language": "klingon"}, "language"),
        ({"language": "fr"}, "language"),
        ({"model": "no-such-model"}, "model"),
        ({"model": "../offline"}, "model"),
        ({"interim": "no"}, "interim"),
        ({"vad": 1}, "vad"),
        ({"hotwords": 1}, "hotwords"),
    ],
)
def test_values_that_cannot_be(server, fields, name):
    async def conversation(c):
        await c.start(**fields)
        error = await c.error(400)
        return error, await c.utter(pcm("b19700"))

    error, frames = talk(server, conversation)
    assert error["message"].startswith("参数错误: ") and name in error["message"], error
    check(frames, "b19700")


# several utterances


def test_one_after_the_other(server):
    async def conversation(c):
        return [await c.utter(pcm(name)) for name in CLIPS]

    for frames, name in zip(talk(server, conversation), CLIPS):
        check(frames, name)


@pytest.mark.threads
def test_everything_at_once(server):
    """Replies come in the order of the commands, and finals in the order of the utterances."""
    names = ["m01", "b19700", "m01"] if SANITIZER else list(CLIPS) * 2  # two cores must keep up

    async def conversation(c):
        await c.utter(b"")
        for name in names:
            await c.start()
            await c.say(pcm(name))
            await c.control("stop")
        frames = []
        while sum(f["type"] == "final" for f in frames) < len(names):
            frames.append(await c.receive())
        return frames

    frames = talk(server, conversation)
    while any(f.get("code") == 503 for f in frames):
        frames = talk(server, conversation)
    assert [f["text"] for f in frames if f["type"] == "final"] == [CLIPS[name][1] for name in names]
    spoken, n = "", 0
    for f in frames:
        if f["type"] == "result":
            spoken += f["text"]
        elif f["type"] == "status":
            assert f["message"] == ["开始录音", "停止录音"][n % 2]
            if n % 2:
                assert spoken == CLIPS[names[n // 2]][0]
                spoken = ""
            n += 1
    assert n == 2 * len(names)


@pytest.mark.threads
def test_start_drops_what_was_begun(server):
    async def conversation(c):
        await c.begin(interim=False)
        await c.say(pcm("s01"))
        return await c.utter(pcm("c03"))

    check(talk(server, conversation), "c03")


def test_reset_drops_it(server):
    async def conversation(c):
        await c.begin()
        await c.say(pcm("m01"))
        await c.control("reset")
        frames = []
        while not frames or frames[-1]["type"] == "result":
            frames.append(await c.receive())
        await c.control("stop")
        return frames[-1], await c.result()

    reset, frames = talk(server, conversation)
    assert reset["message"] == "重置成功"
    assert [f["type"] for f in frames] == ["status", "final"] and frames[-1]["text"] == ""


def test_audio_outside_is_counted(server):
    before = stats(server)["totals"]["ignored_audio"]

    async def conversation(c):
        await c.say(pcm("m01"), 8000)
        await c.say(pcm("m01"), 8000, binary=True)
        await c.send(type="audio", data="???")
        return await c.utter(b"")

    frames = talk(server, conversation)
    assert frames[-1]["text"] == "" and frames[-1]["segments"] == [] and frames[-1]["audio_duration_ms"] == 0
    messages = 2 * ((len(pcm("m01")) + 7999) // 8000) + 1
    assert stats(server)["totals"]["ignored_audio"] - before == messages


def test_silence(server):
    frames = talk(server, lambda c: c.utter(bytes(2 * 16000), vad=True))
    assert [f["type"] for f in frames] == ["status", "final"] and frames[-1]["text"] == ""


def test_timestamps(server):
    """A partial result has the time of the frame that brought its audio."""

    async def conversation(c):
        await c.begin()
        data = pcm("s01")
        for i in range(0, len(data), 3200):
            audio = base64.b64encode(data[i : i + 3200]).decode()
            await c.send(type="audio", data=audio, timestamp=1000000 + i // 32)
        await c.control("stop")
        return await c.result()

    frames = talk(server, conversation)
    now = time.time() * 1000
    for f in frames:
        if f["type"] == "result":
            assert 1000000 <= f["timestamp"] <= 1003400 and f["timestamp"] % 100 == 0, f
            assert 0 <= f["processing_time_ms"] < T * 1000
        else:
            assert abs(f["timestamp"] - now) < T * 1000


# many


@pytest.mark.threads
def test_nobody_hears_the_others(server):
    async def run():
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(Talker(server)) for _ in range(10)]
            names = [list(CLIPS)[i % len(CLIPS)] for i in range(10)]
            return names, await asyncio.gather(
                *(c.utter(pcm(n), 640 * (i + 1), i % 2 == 0) for i, (c, n) in enumerate(zip(clients, names)))
            )

    for name, frames in zip(*asyncio.run(run())):
        check(frames, name)


@pytest.mark.threads
def test_hanging_up_frees_the_stream(server):
    async def conversation(c):
        await c.begin()
        await c.say(pcm("s01"))
        await c.receive()
        if at_once:
            c.ws.transport.abort()

    for at_once in (False, True):
        talk(server, conversation)
    wait_until(lambda: stats(server)["streams"] == 0, T, "no stream is left")
    wait_until(lambda: stats(server)["active_connections"] == 0, T, "no connection is left")
    check(talk(server, lambda c: c.utter(pcm("m01"))), "m01")


def test_totals(server):
    before = stats(server)["totals"]
    talk(server, lambda c: c.utter(pcm("m01")))
    after = stats(server)
    assert after["totals"]["connections"] - before["connections"] == 1
    assert after["totals"]["utterances"] - before["utterances"] == 1
    assert abs(after["totals"]["audio_seconds"] - before["audio_seconds"] - 1.81) < 0.01
    for latency in after["live_latency_seconds"].values():
        assert 0 < latency["p50"] <= latency["p99"]
    assert after["model"] == "streaming"


# hostile clients


@pytest.mark.hostile
@pytest.mark.parametrize(
    "text",
    [
        "[" * 100000,
        '{"a":' * 100000,
        '{"type":"control","command":"start","hotwords":[' + "0," * 100000 + "0]}",
        '{"type":"audio","data":' + "[" * 1000 + "]" * 1000 + "}",
        '{"type":"audio","data":"' + "\\" * 99999 + '"}',
        "\x00",
        "{}{}",
        '{"type":"audio","type":"control"}',
        "\ufeff{}",
    ],
    ids=range(9),
)
def test_json_bombs(server, text):
    async def conversation(c):
        await c.ws.send(text)
        await c.error(400)
        return await c.utter(pcm("b19700"))

    check(talk(server, conversation), "b19700")


@pytest.mark.hostile
@pytest.mark.parametrize("data", ["A", "AAA=A", "====", "A-_A", "AA A", "音频", "AAAA\n"])
def test_bad_base64(server, data):
    async def conversation(c):
        await c.begin()
        await c.send(type="audio", data=data)
        await c.error(400)
        await c.say(pcm("m01"))
        await c.control("stop")
        return await c.result()

    check(talk(server, conversation), "m01")


@pytest.mark.hostile
def test_too_long_for_an_answer(server):
    async def conversation(c):
        with pytest.raises(websockets.ConnectionClosed):
            await c.ws.send('{"type":"audio","data":"' + "A" * (5 << 20) + '"}')
            await c.receive()
        return c.ws.close_code

    assert talk(server, conversation) == 1009


@pytest.mark.hostile
def test_a_reader_that_does_not_read(server):
    """What it would be told stops at a bound, and so does what is read from it; others do not notice."""
    message = frame(TEXT, json.dumps({"type": "x" * 50}).encode()) * 100
    with Ws(server.port, "/ws/asr", extra=(), timeout=1 * FACTOR) as w:
        w.sock.settimeout(1 * FACTOR)
        sent = 0
        with pytest.raises(OSError):
            while sent < 200 << 20:
                w.sock.sendall(message)
                sent += len(message)
        assert sent < 64 << 20
        check(talk(server, lambda c: c.utter(pcm("m01"))), "m01")
    wait_until(lambda: stats(server)["active_connections"] == 0, T, "it is gone")


# settings


def test_limits(start_server, settings):
    """One server for the settings that would disturb others."""
    s = start_server(dict(settings, MAX_CONNECTIONS=2, WS_TIMEOUT=1, PINNA_MAX_AUDIO_SECONDS=2))

    async def closed(c):
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                await c.receive()
        return c.ws.close_code, c.ws.close_reason

    async def too_long(c):
        await c.begin()
        await c.say(pcm("s01"))
        frames = await c.result()
        await c.control("stop")
        return frames, await c.result()

    async def one_too_many():
        async with Talker(s) as a, Talker(s):
            with pytest.raises(websockets.ConnectionClosed):
                async with Talker(s) as c:
                    pass
            refused = await websockets.connect(f"ws://127.0.0.1:{s.port}/ws/asr")
            with pytest.raises(websockets.ConnectionClosed):
                await refused.recv()
            return (refused.close_code, refused.close_reason), await closed(a)

    frames, after = talk(s, too_long)
    error = [f for f in frames if f["type"] == "error"][0]
    assert error["code"] == 413 and "2秒" in error["message"]
    assert frames[-1]["text"].startswith("打电话给") and 1900 < frames[-1]["audio_duration_ms"] < 2300
    assert [f["type"] for f in after] == ["status", "final"] and after[-1]["text"] == ""
    refused, idle = asyncio.run(one_too_many())
    assert refused == (1008, "服务器连接已满，请稍后重试")
    assert idle[0] == 1001


def test_no_memory_for_another_speaker(start_server, settings):
    s = start_server(dict(settings, ASR_MAX_MEMORY_MB=1, PINNA_MAX_MESSAGE_MB=1))

    async def conversation(c):
        await c.start()
        error = await c.error(503)
        await c.say(pcm("m01"))  # ignored
        await c.control("stop")
        frames = await c.result()
        with pytest.raises(websockets.ConnectionClosed):
            await c.ws.send(bytes((1 << 20) + 1))
            await c.receive()
        return error, frames, c.ws.close_code

    error, frames, code = talk(s, conversation)
    assert error["message"] == "服务器繁忙，请稍后重试" and error["retry_after_ms"] > 0
    assert [f["type"] for f in frames] == ["status", "final"] and frames[-1]["text"] == ""
    assert code == 1009
    assert stats(s)["totals"]["refused"] == 1


@pytest.mark.threads
def test_stopping_the_server_in_mid_word(start_server, settings):
    s = start_server(settings)

    async def conversation(c):
        await c.begin()
        await c.say(pcm("s01"))
        await c.receive()
        s.signal(signal.SIGTERM)
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                await c.receive()
        return c.ws.close_code

    assert talk(s, conversation) == 1001
    assert s.wait(20) == 0


def test_log(server):
    """One line an utterance, with numbers and without text."""

    async def conversation(c):
        await c.utter(pcm("d02"))
        return c.hello["connection_id"]

    name = talk(server, conversation)
    lines = wait_until(lambda: [li for li in server.log().splitlines() if name in li], T, "a line")
    assert len(lines) == 1 and "utterance" in lines[0] and "characters=8" in lines[0], lines
    assert "90274461" not in server.log()
