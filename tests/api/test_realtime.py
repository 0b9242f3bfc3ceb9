"""OpenAI Realtime transcription: raw messages over /v1/realtime, with the small trained models of tests/data."""
import asyncio
import base64
import json
import signal
import time
import wave

import pytest

from server_process import FACTOR, ROOT, SANITIZER
from wire import check_error, get, request, wait_until

np = pytest.importorskip("numpy")
websockets = pytest.importorskip("websockets")

DATA = ROOT / "tests" / "data" / "paraformer"
T = 30 * FACTOR
TEXTS = ["打开空调三五八", "播放音乐", "今天天气怎么样", "再见"]  # of v01.wav
SPEECH_MS = [(700, 3693), (4993, 6118), (8518, 10860), (11760, 12501)]
TRANSCRIPTION = "conversation.item.input_audio_transcription."
SETTLED = ["打开空调358"] + TEXTS[1:]
MARKS = "，。？、"


def bare(text):
    return "".join(c for c in text if c not in MARKS)


@pytest.fixture(scope="module")
def marked(start_module_server, micro_models):
    """Its text has marks, wherever a random model puts them."""
    return start_module_server(micro_models)


@pytest.fixture(scope="module")
def server(start_module_server, micro_models):
    return start_module_server({**micro_models, "PINNA_PUNCTUATION": "off"})


def samples(name):
    with wave.open(str(DATA / "wav" / f"{name}.wav")) as w:
        assert w.getframerate() == 16000
        return np.frombuffer(w.readframes(w.getnframes()), np.int16)


def silence(ms, rate=16000):
    return np.zeros(ms * rate // 1000, np.int16)


def at_rate(pcm, rate):
    n = len(pcm) * rate // 16000
    return np.interp(np.arange(n) * 16000 / rate, np.arange(len(pcm)), pcm).astype(np.int16)


def few(cases):
    """Under a sanitizer the first and the last will do."""
    cases = list(cases)
    return [cases[0], cases[-1]] if SANITIZER else cases


class Overloaded(Exception):
    """The machine is behind, and the server says so."""


class Session:
    """One client; every event it ever got is in `events`."""

    def __init__(self, ws):
        self.ws = ws
        self.events = []

    async def send(self, kind, **fields):
        await self.ws.send(json.dumps({"type": kind, **fields}))

    async def append(self, pcm, ms=100, rate=16000):
        data = pcm.tobytes()
        n = max(1, rate * ms // 1000 * pcm.itemsize)
        for i in range(0, len(data), n):
            await self.send("input_audio_buffer.append", audio=base64.b64encode(data[i : i + n]).decode())

    async def next(self):
        text = await asyncio.wait_for(self.ws.recv(), T)
        assert isinstance(text, str)
        self.events.append(json.loads(text))
        assert self.events[-1]["event_id"].startswith("event_")
        if self.events[-1].get("error", {}).get("code") == "overloaded":
            raise Overloaded(self.events[-1]["error"]["message"])
        return self.events[-1]

    async def until(self, kind, n=1):
        """The n-th event of this kind from now on; no other one may be an error."""
        while True:
            e = await self.next()
            assert kind == "error" or e["type"] != "error", e
            n -= e["type"] == kind
            if n == 0:
                return e

    async def update(self, **parts):
        rate = parts.pop("rate", 16000)
        include = {"include": parts.pop("include")} if "include" in parts else {}
        audio = {"format": {"type": "audio/pcm", "rate": rate}, **parts}
        await self.send("session.update", session={"type": "transcription", "audio": {"input": audio}, **include})
        return (await self.until("session.updated"))["session"]

    async def error(self):
        e = await self.until("error")
        assert set(e["error"]) == {"type", "code", "message", "param", "event_id"}
        assert e["error"]["message"]
        return e["error"]

    def of(self, kind, item=None):
        return [e for e in self.events if e["type"] == kind and (item is None or e.get("item_id") == item)]

    def types_of(self, item):
        return [
            e["type"] for e in self.events if e.get("item_id") == item or e.get("item", {}).get("id") == item
        ]

    def check_deltas(self):
        for done in self.of(TRANSCRIPTION + "completed"):
            deltas = self.of(TRANSCRIPTION + "delta", done["item_id"])
            assert "".join(d["delta"] for d in deltas) == done["transcript"]
            assert all(d["delta"] and d["content_index"] == 0 for d in deltas)
            assert done["content_index"] == 0
            assert done["usage"]["type"] == "duration" and done["usage"]["seconds"] >= 0
        ids = [e["event_id"] for e in self.events]
        assert len(set(ids)) == len(ids)


def connect(server, query="?intent=transcription", headers=(), subprotocols=None):
    return websockets.connect(
        f"ws://127.0.0.1:{server.port}/v1/realtime{query}",
        extra_headers=dict(headers),
        subprotocols=subprotocols,
        max_size=None,
    )


def patiently(run):
    """What run() returns; while the machine is too busy for it, again."""
    end = time.monotonic() + 4 * T
    while True:
        try:
            return asyncio.run(run())
        except Overloaded:
            if time.monotonic() > end:
                raise
            time.sleep(2)


def talk(server, conversation, **kw):
    """Runs conversation(session) on a new connection; returns the session."""

    async def run():
        async with connect(server, **kw) as ws:
            s = Session(ws)
            created = await s.next()
            assert created["type"] in ("session.created", "transcription_session.created")
            await conversation(s)
            s.check_deltas()
            return s

    return patiently(run)


# the session


def test_session_object(server):
    async def conversation(s):
        session = s.events[0]["session"]
        assert session["type"] == "transcription"
        assert session["object"] == "realtime.transcription_session"
        assert session["id"].startswith("sess_") and session["expires_at"] > 1.7e9
        audio = session["audio"]["input"]
        assert audio["format"] == {"type": "audio/pcm", "rate": 24000}
        assert audio["noise_reduction"] is None
        assert audio["transcription"]["model"] == "streaming"
        assert audio["transcription"]["language"] == "zh"
        assert audio["turn_detection"] == {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 500,
            "idle_timeout_ms": None,
        }
        new = await s.update(
            rate=8000, turn_detection=None, transcription={"model": "offline", "delay": "high"}
        )
        assert new["id"] == session["id"]
        assert new["audio"]["input"]["turn_detection"] is None
        assert new["audio"]["input"]["format"]["rate"] == 8000
        assert new["audio"]["input"]["transcription"]["delay"] == "high"
        assert new["audio"]["input"]["transcription"]["language"] == "zh"

    talk(server, conversation, query="?model=gpt-realtime&language=zh".replace("model=gpt-realtime&", ""))


OLDER = [
    {"headers": [("OpenAI-Beta", "realtime=v1")]},
    {"subprotocols": ["realtime", "openai-insecure-api-key.sk-1", "openai-beta.realtime-v1"]},
]


@pytest.mark.parametrize("how", OLDER, ids=["header", "subprotocol"])
def test_older_dialect(server, how):
    async def conversation(s):
        if "subprotocols" in how:
            assert s.ws.subprotocol == "realtime"
        assert s.events[0]["type"] == "transcription_session.created"
        assert s.events[0]["session"]["input_audio_format"] == "pcm16"
        change = {
            "input_audio_format": "pcm16",
            "input_audio_transcription": {"model": "gpt-4o-transcribe", "language": "zh"},
            "turn_detection": None,
        }
        await s.send("transcription_session.update", session=change)
        session = (await s.until("transcription_session.updated"))["session"]
        assert session["turn_detection"] is None
        assert session["input_audio_transcription"]["model"] == "gpt-4o-transcribe"
        await s.append(at_rate(samples("c03"), 24000), rate=24000)
        await s.send("input_audio_buffer.commit")
        done = await s.until(TRANSCRIPTION + "completed")
        assert done["transcript"] == "温度调到二十六"
        types = s.types_of(done["item_id"])
        assert types[:2] == ["input_audio_buffer.committed", "conversation.item.created"]
        assert "conversation.item.added" not in types

    talk(server, conversation, **how)


def test_a_session_expires(start_server, micro_models):
    server = start_server({**micro_models, "PINNA_REALTIME_SESSION": 1})

    async def conversation(s):
        assert (await s.error())["code"] == "session_expired"
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await s.next()
        assert closed.value.code == 1001

    talk(server, conversation)


# turns that the server finds


DELAYS = {None: TEXTS, "minimal": TEXTS, "low": TEXTS, "medium": SETTLED, "high": SETTLED, "xhigh": SETTLED}


@pytest.mark.threads
@pytest.mark.parametrize("delay", few(DELAYS))
def test_sentences_become_items(server, delay):
    async def conversation(s):
        transcription = {"delay": delay} if delay else {}
        await s.update(
            turn_detection={"type": "server_vad", "silence_duration_ms": 800}, transcription=transcription
        )
        await s.append(samples("v01"))
        await s.append(silence(1500))
        await s.until(TRANSCRIPTION + "completed", 4)

    s = talk(server, conversation)
    done = s.of(TRANSCRIPTION + "completed")
    assert [d["transcript"] for d in done] == DELAYS[delay]
    assert not s.of(TRANSCRIPTION + "segment")
    previous = None
    for d, (start, end) in zip(done, SPEECH_MS):
        types = s.types_of(d["item_id"])
        others = [t for t in types if not t.startswith(TRANSCRIPTION)]
        assert others == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
        ]
        assert types[-1] == TRANSCRIPTION + "completed"
        started = s.of("input_audio_buffer.speech_started", d["item_id"])[0]
        stopped = s.of("input_audio_buffer.speech_stopped", d["item_id"])[0]
        committed = s.of("input_audio_buffer.committed", d["item_id"])[0]
        assert start - 700 < started["audio_start_ms"] < start + 100
        assert end - 100 < stopped["audio_end_ms"] < end + 1200
        assert committed["previous_item_id"] == previous
        assert d["languages"] == [{"code": "zh"}]
        seconds = (stopped["audio_end_ms"] - started["audio_start_ms"]) / 1000
        assert d["usage"]["seconds"] == pytest.approx(seconds, abs=0.002)
        previous = d["item_id"]
    item = s.of("conversation.item.done")[0]["item"]
    assert item == {
        "id": done[0]["item_id"],
        "object": "realtime.item",
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_audio", "transcript": None}],
    }


@pytest.mark.parametrize("delay", ["low", "medium"])
def test_marks_come_late(marked, delay):
    """Early text gets what can be appended; what cannot is in the segment."""

    async def conversation(s):
        await s.update(turn_detection=None, transcription={"delay": delay})
        for name in ("c03", "d02", "s01"):
            await s.append(samples(name))
            await s.send("input_audio_buffer.commit")
        await s.until(TRANSCRIPTION + "completed", 3)

    s = talk(marked, conversation)
    marks = 0
    for d in s.of(TRANSCRIPTION + "completed"):
        segments = s.of(TRANSCRIPTION + "segment", d["item_id"])
        text = "".join(g["text"] for g in segments) or d["transcript"]
        marks += text != bare(text)
        assert bare(text) == bare(d["transcript"])
        if segments:
            assert delay == "low" and text != d["transcript"]
            assert segments[0]["start"] < segments[0]["end"] and segments[0]["content_index"] == 0
    assert marks


@pytest.mark.threads
def test_early_text_comes_while_somebody_speaks(server):
    async def conversation(s):
        await s.update(turn_detection={"type": "server_vad", "silence_duration_ms": 800})
        await s.append(samples("v01")[: int(3.2 * 16000)])  # nothing has ended
        delta = await s.until(TRANSCRIPTION + "delta")
        assert not s.of("input_audio_buffer.committed")
        assert s.of("input_audio_buffer.speech_started")[0]["item_id"] == delta["item_id"]

    talk(server, conversation)


def test_semantic_detection_waits_for_silence(server):
    async def conversation(s):
        session = await s.update(turn_detection={"type": "semantic_vad", "eagerness": "high"})
        assert session["audio"]["input"]["turn_detection"] == {"type": "semantic_vad", "eagerness": "high"}
        await s.append(samples("c03"))
        await s.append(silence(1500))
        await s.until(TRANSCRIPTION + "completed")

    talk(server, conversation)


@pytest.mark.threads
def test_a_commit_ends_a_turn_early(server):
    async def conversation(s):
        await s.update(turn_detection={"type": "server_vad"})
        await s.append(samples("c03")[: 2 * 16000])
        await s.until("input_audio_buffer.speech_started")
        await s.send("input_audio_buffer.commit")
        done = await s.until(TRANSCRIPTION + "completed")
        assert done["transcript"].startswith("温度")
        assert "input_audio_buffer.speech_stopped" not in s.types_of(done["item_id"])
        await s.append(samples("c03"))
        await s.append(silence(1000))
        again = await s.until(TRANSCRIPTION + "completed")
        assert again["transcript"] == "温度调到二十六"
        assert s.of("input_audio_buffer.speech_started")[-1]["audio_start_ms"] >= 1900

    talk(server, conversation)


def test_a_timeout_makes_an_empty_item(server):
    async def conversation(s):
        await s.update(turn_detection={"type": "server_vad", "idle_timeout_ms": 1000})
        await s.append(silence(1200))
        out = await s.until("input_audio_buffer.timeout_triggered")
        assert (out["audio_start_ms"], out["audio_end_ms"]) == (0, 1200)
        done = await s.until(TRANSCRIPTION + "completed")
        assert done["item_id"] == out["item_id"] and done["transcript"] == ""

    talk(server, conversation)


# turns that the client ends


@pytest.mark.parametrize("rate,ms", few((rate, ms) for rate in (16000, 24000, 48000) for ms in (10, 10000)))
def test_the_client_commits(server, rate, ms):
    async def conversation(s):
        await s.update(rate=rate, turn_detection=None)
        for text, name in [("温度调到二十六", "c03"), ("九零二七四四六一", "d02")]:
            pcm = at_rate(samples(name), rate)
            await s.append(pcm, ms, rate)
            await s.send("input_audio_buffer.commit")
            done = await s.until(TRANSCRIPTION + "completed")
            assert done["transcript"] == text
            assert done["usage"]["seconds"] == pytest.approx(len(pcm) / rate, abs=0.01)
            others = [t for t in s.types_of(done["item_id"]) if not t.startswith(TRANSCRIPTION)]
            assert others == [
                "input_audio_buffer.committed",
                "conversation.item.added",
                "conversation.item.done",
            ]
        first, second = s.of("input_audio_buffer.committed")
        assert first["previous_item_id"] is None and second["previous_item_id"] == first["item_id"]

    talk(server, conversation)


def ulaw(pcm):
    x = pcm.astype(np.int32)
    sign = np.where(x < 0, 0x80, 0)
    x = np.minimum(np.abs(x), 32635) + 132
    exponent = np.floor(np.log2(x)).astype(np.int32) - 7
    return (~(sign | exponent << 4 | x >> (exponent + 3) & 15) & 255).astype(np.uint8)


def alaw(pcm):
    x = pcm.astype(np.int32)
    sign = np.where(x < 0, 0, 0x80)
    x = np.minimum(np.abs(x), 32767) >> 4
    exponent = np.maximum(np.floor(np.log2(np.maximum(x, 1))).astype(np.int32) - 4, 0)
    mantissa = np.where(exponent > 0, x >> np.maximum(exponent, 1) & 15, x >> 1 & 15)
    exponent = np.where(x >= 32, exponent, x >> 5)
    return ((sign | exponent << 4 | mantissa) ^ 0x55).astype(np.uint8)


@pytest.mark.parametrize("kind,encode", [("audio/pcmu", ulaw), ("audio/pcma", alaw)])
def test_g711(server, kind, encode):
    async def conversation(s):
        await s.update(format={"type": kind}, turn_detection=None)
        await s.append(encode(at_rate(samples("c03"), 8000)), 20, 8000)
        await s.send("input_audio_buffer.commit")
        done = await s.until(TRANSCRIPTION + "completed")
        assert done["usage"]["seconds"] == pytest.approx(2.491, abs=0.002)
        assert "度调到二" in done["transcript"]

    talk(server, conversation)


def test_commit_wants_audio(server):
    async def conversation(s):
        await s.update(turn_detection=None)
        for ms in (0, 50):
            await s.append(silence(ms))
            await s.send("input_audio_buffer.commit", event_id=f"c{ms}")
            e = await s.error()
            assert (e["code"], e["event_id"]) == ("input_audio_buffer_commit_empty", f"c{ms}")
        await s.append(silence(50))
        await s.send("input_audio_buffer.commit")
        await s.until(TRANSCRIPTION + "completed")

    talk(server, conversation)


@pytest.mark.parametrize("turns", [None, {"type": "server_vad"}], ids=["client", "server"])
def test_clear(server, turns):
    async def conversation(s):
        await s.update(turn_detection=turns)
        await s.append(samples("d02")[: 2 * 16000])
        if turns:
            await s.until("input_audio_buffer.speech_started")
        await s.send("input_audio_buffer.clear")
        await s.until("input_audio_buffer.cleared")
        await s.send("input_audio_buffer.commit")
        assert (await s.error())["code"] == "input_audio_buffer_commit_empty"
        await s.append(samples("c03"))
        await s.send("input_audio_buffer.commit")
        done = await s.until(TRANSCRIPTION + "completed")
        assert done["transcript"] == "温度调到二十六"

    talk(server, conversation)


@pytest.mark.skipif(SANITIZER == "tsan", reason="half a minute of samples, and no threads that others do not have")
def test_huge_and_tiny_appends(server):
    """More in one message than the engine takes at once; and a sixteenth of a millisecond."""

    async def conversation(s):
        await s.update(rate=48000, turn_detection={"type": "server_vad", "silence_duration_ms": 800})
        await s.append(silence(20000, 48000), 20000, 48000)  # 1.8 MiB
        await s.append(at_rate(samples("c03"), 48000)[:48000], 60000, 48000)
        for i in range(48000, 48300, 3):
            await s.append(at_rate(samples("c03"), 48000)[i : i + 3], 1, 48000)
        await s.append(at_rate(samples("c03"), 48000)[48300:], 60000, 48000)
        await s.append(silence(1000, 48000), 1000, 48000)
        done = await s.until(TRANSCRIPTION + "completed")
        assert done["transcript"].startswith("温度调到二十六")
        assert s.of("input_audio_buffer.speech_started")[0]["audio_start_ms"] == pytest.approx(20000, abs=1000)
        await s.send("input_audio_buffer.append", audio=base64.b64encode(bytes((15 << 20) + 3)).decode())
        assert (await s.error())["param"] == "audio"

    talk(server, conversation)


# text


def test_log_probabilities_when_asked_for(server):
    async def conversation(s):
        await s.update(turn_detection=None, include=["item.input_audio_transcription.logprobs"])
        await s.append(samples("c03"))
        await s.send("input_audio_buffer.commit")
        words = (await s.until(TRANSCRIPTION + "completed"))["logprobs"]
        assert "".join(w["token"] for w in words) == "温度调到二十六"
        for w in words:
            assert bytes(w["bytes"]).decode() == w["token"] and w["logprob"] <= 0

    talk(server, conversation)


def test_keywords_prompt_and_language_are_taken(server):
    async def conversation(s):
        await s.update(
            turn_detection=None,
            transcription={"keywords": ["温度", "空调"], "prompt": "p", "languages": ["zh"], "model": "offline"},
        )
        await s.append(samples("c03"))
        await s.send("input_audio_buffer.commit")
        assert "温度" in (await s.until(TRANSCRIPTION + "completed"))["transcript"]

    talk(server, conversation)


@pytest.mark.parametrize(
    "wanted,code",
    [({"model": "nothing-like-that"}, "model_not_found"), ({"language": "fr"}, "unsupported")],
    ids=["model", "language"],
)
def test_what_no_model_can_do(server, wanted, code):
    async def conversation(s):
        await s.update(turn_detection=None, transcription=wanted)
        await s.append(samples("c03"))
        e = await s.error()
        assert e["code"] == code and e["type"] == "invalid_request_error"
        await s.update(turn_detection=None, transcription={k: None for k in wanted})
        await s.append(samples("c03"))
        await s.send("input_audio_buffer.commit")
        assert (await s.until(TRANSCRIPTION + "completed"))["transcript"]
        assert len(s.of("error")) == 1

    talk(server, conversation)


# items


def test_items_can_be_asked_for_and_deleted(server):
    async def conversation(s):
        await s.update(turn_detection=None)
        await s.append(samples("c03"))
        await s.send("input_audio_buffer.commit")
        done = await s.until(TRANSCRIPTION + "completed")
        item_id = done["item_id"]
        await s.send("conversation.item.retrieve", item_id=item_id)
        item = (await s.until("conversation.item.retrieved"))["item"]
        assert item["id"] == item_id and item["content"][0]["transcript"] == done["transcript"]
        await s.send("conversation.item.delete", item_id=item_id)
        assert (await s.until("conversation.item.deleted"))["item_id"] == item_id
        for kind in ("delete", "retrieve"):
            await s.send(f"conversation.item.{kind}", item_id=item_id, event_id="mine")
            e = await s.error()
            assert (e["code"], e["param"], e["event_id"]) == ("item_not_found", "item_id", "mine")

    talk(server, conversation)


# what clients get wrong

GARBAGE = [
    "",
    "null",
    "[]",
    "{",
    '{"type":}',
    '{"type":"session.update","type":"x"}',
    "[" * 5000,
    '{"a":' * 5000,
    '{"type":"input_audio_buffer.append","audio":"AA=A"}',
    '{"type":"input_audio_buffer.append","audio":"äöü"}',
    '{"type":"input_audio_buffer.append","audio":null}',
    '{"type":"input_audio_buffer.append","audio":["AAAA"]}',
    '{"type":"input_audio_buffer.append"}',
    '{"type":"input_audio_buffer.Commit"}',
    '{"type":"response.create"}',
    '{"type":"response.cancel"}',
    '{"type":"conversation.item.create","item":{}}',
    '{"type":"conversation.item.delete"}',
    '{"type":"session.update"}',
    '{"type":"session.update","session":7}',
    '{"type":"session.update","session":{"audio":{"input":{"format":{"type":"audio/pcm","rate":-1}}}}}',
    '{"type":"session.update","session":{"audio":{"input":{"format":{"type":"audio/pcm","rate":1e300}}}}}',
    '{"type":"session.update","session":{"audio":{"input":{"turn_detection":"server_vad"}}}}',
    '{"type":"session.update","session":{"audio":{"input":{"transcription":{"language":"klingon"}}}}}',
    '{"type":12}',
    '{"event_id":7,"type":"input_audio_buffer.clear"}',
]


def test_garbage_is_answered_and_survived(server):
    async def conversation(s):
        for text in GARBAGE:
            await s.ws.send(text)
            e = await s.error()
            assert e["type"] == "invalid_request_error", text
            assert e["event_id"] is None
        await s.ws.send(b"\0\1\2")
        await s.error()
        await s.send("response.create", event_id="ask")
        assert (await s.error())["event_id"] == "ask"
        await s.update(turn_detection=None)
        await s.append(samples("c03"))
        await s.send("input_audio_buffer.commit")
        assert (await s.until(TRANSCRIPTION + "completed"))["transcript"]

    talk(server, conversation)


@pytest.mark.threads
def test_settings_change_in_mid_stream(server):
    async def conversation(s):
        await s.update(turn_detection=None)
        await s.append(samples("c03"))
        await s.send(
            "session.update",
            session={"audio": {"input": {"format": {"type": "audio/pcmu"}}}},
            event_id="no",
        )
        e = await s.error()
        assert (e["code"], e["event_id"]) == ("input_audio_buffer_not_empty", "no")
        await s.update(transcription={"delay": "high"})  # for the next one
        await s.send("input_audio_buffer.commit")
        done = await s.until(TRANSCRIPTION + "completed")
        assert done["transcript"] == "温度调到二十六"
        await s.append(samples("c03"))
        await s.send("input_audio_buffer.commit")
        done = await s.until(TRANSCRIPTION + "completed")
        assert done["transcript"] == "温度调到26"
        await s.update(turn_detection={"type": "server_vad"})
        await s.append(samples("c03"))
        await s.append(silence(1000))
        await s.until(TRANSCRIPTION + "completed")
        await s.append(samples("d02")[: 2 * 16000])
        await s.until("input_audio_buffer.speech_started")
        await s.update(turn_detection=None)  # the sentence ends where it stands
        await s.until(TRANSCRIPTION + "completed")

    talk(server, conversation)


@pytest.mark.threads
def test_many_short_commits(server):
    async def conversation(s):
        await s.update(turn_detection=None)
        piece = base64.b64encode(samples("c03")[:3200].tobytes()).decode()
        for _ in range(12):
            await s.send("input_audio_buffer.append", audio=piece)
            await s.send("input_audio_buffer.commit")
        await s.until(TRANSCRIPTION + "completed", 12)
        ids = [e["item_id"] for e in s.of("input_audio_buffer.committed")]
        assert len(set(ids)) == 12
        assert [e["previous_item_id"] for e in s.of("input_audio_buffer.committed")] == [None] + ids[:-1]

    talk(server, conversation)


@pytest.mark.threads
def test_hanging_up_frees_the_stream(server):
    async def leave():
        ws = await connect(server)
        s = Session(ws)
        await s.next()
        await s.update(turn_detection={"type": "server_vad"})
        await s.append(samples("v01"))
        await s.until("input_audio_buffer.speech_started")
        ws.transport.abort()

    before = server.fds()
    for _ in range(5):
        patiently(leave)
    wait_until(lambda: server.fds() <= before, T, "the sockets are gone")
    wait_until(lambda: get(server.port, "/stats").json()["streams"] == 0, T, "the streams are, too")


@pytest.mark.threads
@pytest.mark.parametrize("turns", [None, {"type": "server_vad"}], ids=["client", "server"])
def test_a_service_that_stops_hears_the_end(start_server, micro_models, turns):
    server = start_server({**micro_models, "PINNA_PUNCTUATION": "off"})

    async def conversation(s):
        await s.update(turn_detection=turns)
        await s.append(samples("c03"))
        await s.send("conversation.item.retrieve", item_id="none")  # answered: all of it was read
        await s.until("error")
        server.signal(signal.SIGTERM)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            while True:
                await s.next()
        assert closed.value.code == 1001
        assert s.of(TRANSCRIPTION + "completed")[0]["transcript"].startswith("温度调到二十六")

    talk(server, conversation)
    assert server.wait() == 0
    server.stop()


# keys for browsers


def post(server, path, body, **kw):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request(server.port, "POST", f"/v1/realtime/{path}", [("Content-Type", "application/json")], text, **kw)


def test_client_secrets(server):
    session = {
        "type": "transcription",
        "audio": {"input": {"transcription": {"language": "zh", "prompt": "p"}, "turn_detection": None}},
    }
    r = post(server, "client_secrets", {"expires_after": {"anchor": "created_at", "seconds": 60}, "session": session})
    assert r.status == 200
    body = r.json()
    assert body["value"].startswith("ek_") and body["expires_at"] > 1.7e9
    assert body["session"]["audio"]["input"]["turn_detection"] is None

    async def conversation(s):
        audio = s.events[0]["session"]["audio"]["input"]
        assert audio["turn_detection"] is None
        assert audio["transcription"]["prompt"] == "p"

    talk(server, conversation, headers=[("Authorization", f"Bearer {body['value']}")])
    talk(server, conversation, subprotocols=["realtime", f"openai-insecure-api-key.{body['value']}"])


def test_older_sessions_are_made_by_post(server):
    r = post(server, "transcription_sessions", {"input_audio_format": "g711_alaw", "turn_detection": None})
    body = r.json()
    assert r.status == 200 and body["input_audio_format"] == "g711_alaw"
    assert body["client_secret"]["value"].startswith("ek_")

    async def conversation(s):
        assert s.events[0]["session"]["input_audio_format"] == "g711_alaw"

    key = body["client_secret"]["value"]
    talk(server, conversation, headers=[("Authorization", f"Bearer {key}"), ("OpenAI-Beta", "realtime=v1")])


def test_keys_that_are_none(server):
    async def refused(**kw):
        with pytest.raises(websockets.InvalidStatusCode) as e:
            await connect(server, **kw)
        assert e.value.status_code == 401

    asyncio.run(refused(headers=[("Authorization", "Bearer ek_00000000000000000000000000000000")]))
    asyncio.run(refused(subprotocols=["realtime", "openai-insecure-api-key.ek_0"]))
    talk(server, lambda s: asyncio.sleep(0), headers=[("Authorization", "Bearer sk-anything")])


@pytest.mark.parametrize(
    "body,param",
    [
        (b"{", None),
        (b"[]", None),
        ({"session": 3}, "session"),
        ({"expires_after": {"seconds": 9}}, "expires_after"),
        ({"expires_after": {"seconds": 7201}}, "expires_after"),
        ({"session": {"audio": {"input": {"turn_detection": 1}}}}, "session.audio.input.turn_detection"),
    ],
)
def test_bodies_that_are_wrong(server, body, param):
    check_error(post(server, "client_secrets", body), 400, param=param)


def test_a_body_is_bounded(server):
    check_error(post(server, "client_secrets", b" " * (200 << 10)), 413)
    assert post(server, "client_secrets", b"").status == 200
