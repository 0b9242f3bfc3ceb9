"""FunASR's WebSocket protocol as its clients use it, with the small trained models of tests/data."""
import array
import asyncio
import json
import ssl
import subprocess
import wave

import pytest

import prometheus
from certificates import Authority
from funasr_readers import (
    PIECE,
    T,
    Page,
    ask,
    bare,
    connect,
    file_client,
    receive,
    send_audio,
    talk,
    until_final,
    xiaozhi,
)
from pinna_fixtures import DATA, for_a_child
from server_process import FACTOR
from test_listeners import free_port
from wire import get, wait_until

TEXTS = ["打开空调三五八", "播放音乐", "今天天气怎么样", "再见"]  # of v01.wav
TEXT = "".join(TEXTS)
MODES = ["offline", "online", "2pass"]
LABEL = {"offline": "offline", "online": "online", "2pass": "2pass-offline"}  # of the last message


@pytest.fixture(scope="module")
def server(start_module_server, micro_models):
    port = free_port()
    s = start_module_server(dict(micro_models, FUNASR_PORT=port))
    s.funasr_port = port
    return s


@pytest.fixture(scope="module")
def narrow(start_module_server, micro_models):
    return start_module_server(
        dict(
            micro_models,
            WHISPER_MODEL="micro",  # for uploads; recordings over sockets are for the model of the second pass
            PINNA_PUNCTUATION="off",
            PINNA_MAX_UPLOAD_MB=1,
            PINNA_MAX_MESSAGE_MB=1,
            PINNA_MAX_AUDIO_SECONDS=10,
            MAX_CONNECTIONS=2,
        )
    )


def wav(name="v01"):
    return DATA / "paraformer" / "wav" / f"{name}.wav"


def samples(name="v01"):
    with wave.open(str(wav(name))) as w:
        return array.array("h", w.readframes(w.getnframes()))


def pcm(name="v01"):
    return samples(name).tobytes()


def last(messages):
    """The final message, after checking that it is the only one of its kind."""
    assert [m["is_final"] for m in messages] == [False] * (len(messages) - 1) + [True]
    return messages[-1]


def text_of(messages):
    page = Page()
    for m in messages:
        page.read(m)
    return bare(page.shown)


# the readers


def test_page_offline(server):
    """In file mode it sends the bytes of a WAV file as if they were samples."""
    messages = ask(server.port, wav().read_bytes(), mode="offline", itn=False, wav_format="PCM", wav_name="h5")
    page = Page()
    page.read(last(messages))
    assert len(messages) == 1 and messages[0]["mode"] == "offline" and messages[0]["wav_name"] == "h5"
    assert bare(page.shown) == TEXT
    assert len(json.loads(messages[0]["timestamp"])) == len(TEXT)
    assert page.starts == sorted(page.starts) and page.starts[0] > 300


@pytest.mark.threads
def test_page_two_pass(server):
    messages = ask(server.port, pcm(), mode="2pass", itn=False, chunk_size=[5, 10, 5], chunk_interval=10)
    last(messages)
    corrected = [m for m in messages if m["mode"] == "2pass-offline"]
    assert [bare(m["text"]) for m in corrected] == TEXTS
    page = Page()
    for m in messages:
        page.read(m)
        assert TEXT.startswith(bare(page.shown)), messages
    assert bare(page.shown) == TEXT


@pytest.mark.threads
def test_page_online(server):
    messages = ask(server.port, pcm(), mode="online", wav_name="live")
    assert text_of(messages) == TEXT
    assert {m["mode"] for m in messages} == {"online"} and {m["wav_name"] for m in messages} == {"live"}
    last(messages)


def test_xiaozhi(server):
    assert bare(asyncio.run(xiaozhi(server.port, pcm()))) == TEXT


def test_file_client(server):
    m = asyncio.run(file_client(server.port, pcm("s01")))
    assert bare(m["text"]) == "打电话给一三八零零" and m["is_final"] is True and m["mode"] == "offline"


# messages


def test_sentences(server):
    """Each is told once, in order, with its marks, its times, and those of its words."""
    messages = ask(server.port, pcm(), mode="2pass", itn=False)
    corrected = [m for m in messages if m["mode"] == "2pass-offline"]
    assert [m["index"] for m in corrected] == [0, 1, 2, 3] and {m["slice_type"] for m in corrected} == {2}
    end = 0
    for m, text in zip(corrected, TEXTS):
        assert end <= m["start_time"] < m["end_time"]
        end = m["end_time"]
        assert m["text"][-1] in "。？"
        stamps = json.loads(m["timestamp"])
        assert len(stamps) == len(text) and stamps[0][0] >= m["start_time"] and stamps[-1][1] <= end
        sents = m["stamp_sents"]
        assert "".join(s["text_seg"].replace(" ", "") + s["punc"] for s in sents) == m["text"]
        assert [t for s in sents for t in s["ts_list"]] == stamps
        assert [[s["start"], s["end"]] for s in sents] == [[s["ts_list"][0][0], s["ts_list"][-1][1]] for s in sents]


@pytest.mark.threads
def test_text_comes_while_the_client_talks(server):
    async def run():
        async with connect(server.port) as ws:
            await ws.send(json.dumps({"mode": "2pass", "is_speaking": True}))
            audio = pcm()
            word, sentence = 2 * 16000 * 5 // 2, 2 * 16000 * 8  # bytes until then
            await send_audio(ws, audio[:word])
            messages = [await receive(ws)]
            await send_audio(ws, audio[word:sentence])
            while messages[-1]["mode"] != "2pass-offline":
                messages.append(await receive(ws))
            await send_audio(ws, audio[sentence:])
            await ws.send(json.dumps({"is_speaking": False}))
            return messages + await until_final(ws)

    messages = asyncio.run(run())
    first = messages[0]
    assert first["mode"] == "2pass-online" and TEXT.startswith(first["text"]) and first["slice_type"] == 0
    live = [m for m in messages if m["mode"] == "2pass-online"]
    assert {m["slice_type"] for m in live} <= {0, 1} and all(m["text"] for m in live)
    assert text_of(messages)[-4:] == TEXT[-4:]


def test_numbers_are_written_unless_itn_is_false(narrow):
    for mode in ("offline", "2pass"):
        m = last(ask(narrow.port, pcm("s01"), mode=mode))
        assert m["text"] == "打电话给13800" and len(json.loads(m["timestamp"])) == len(m["text"])
        assert last(ask(narrow.port, pcm("s01"), mode=mode, itn=False))["text"] == "打电话给一三八零零"


@pytest.mark.parametrize(
    "words",
    ['{"阿里巴巴":20,"音乐":30}', "阿里巴巴 音乐:20", {"阿里巴巴": 20, "new york": 5}, "", None],
    ids=["json", "words", "object", "empty", "null"],
)
def test_hot_words(server, words):
    """This model has no branch for them, so they change nothing."""
    assert bare(ask(server.port, pcm("s01"), mode="offline", itn=False, hotwords=words)[0]["text"]) == "打电话给一三八零零"


def test_chunk_size_as_text(server):
    assert text_of(ask(server.port, pcm(), mode="online", chunk_size="0,10,5", decoder_chunk_look_back=0)) == TEXT


@pytest.mark.parametrize("mode", MODES)
def test_silence_and_nothing_are_answered(server, mode):
    for audio in (bytes(2 * 16000 * 2), b"", b"\1"):
        m = ask(server.port, audio, mode=mode, wav_name="quiet")
        assert m == [{"mode": LABEL[mode], "text": "", "wav_name": "quiet", "is_final": True}]


def test_defaults_without_a_first_message(server):
    async def run():
        async with connect(server.port) as ws:
            return await talk(ws, pcm())

    messages = asyncio.run(run())
    assert {m["wav_name"] for m in messages} == {"wav-default-id"} and last(messages)["mode"] == "2pass-offline"
    assert text_of(messages) == TEXT.replace("三五八", "358") or text_of(messages) == TEXT


# one connection, several inputs


@pytest.mark.parametrize("mode", MODES)
def test_utterances_one_after_the_other(server, mode):
    async def run():
        async with connect(server.port) as ws:
            first = await talk(ws, pcm("s01"), {"mode": mode, "itn": False, "wav_name": "a"})
            same = await talk(ws, pcm("c03"))
            other = await talk(ws, pcm("d02"), {"mode": "offline", "wav_name": "c"})
            return first, same, other

    first, same, other = asyncio.run(run())
    assert text_of(first) == "打电话给一三八零零" and text_of(same) == "温度调到二十六"
    assert last(first)["mode"] == last(same)["mode"] == LABEL[mode] and last(same)["wav_name"] == "a"
    assert text_of(other) == "九零二七四四六一" and last(other)["wav_name"] == "c"


@pytest.mark.threads
def test_utterances_without_waiting(server):
    """What follows an end message waits for its answer."""

    async def run():
        async with connect(server.port) as ws:
            for name in ("s01", "c03", "d02"):
                await ws.send(json.dumps({"mode": "offline", "itn": False, "wav_name": name}))
                await send_audio(ws, pcm(name))
                await ws.send(json.dumps({"is_speaking": False}))
            await ws.send(json.dumps({"is_finished": True}))
            return [await receive(ws) for _ in range(4)]

    answers = asyncio.run(run())
    assert [bare(m["text"]) for m in answers] == ["打电话给一三八零零", "温度调到二十六", "九零二七四四六一", ""]
    assert [m["wav_name"] for m in answers] == ["s01", "c03", "d02", "d02"]


@pytest.mark.parametrize("mode", MODES)
def test_acknowledgement(server, mode):
    async def run():
        async with connect(server.port) as ws:
            asked = await talk(ws, pcm("s01"), {"mode": mode, "wav_name": "w"}, end={"is_end": True})
            asked.append(await receive(ws))
            nothing = await talk(ws, b"", end={"is_end": True})
            nothing.append(await receive(ws))
            return asked, nothing, await talk(ws, pcm("s01"))

    asked, nothing, again = asyncio.run(run())
    ack = {"mode": mode, "wav_name": "w", "is_final": True, "is_end": True}
    assert asked[-1] == nothing[-1] == ack
    assert last(asked[:-1])["text"] and not any("is_end" in m for m in again)


# audio


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("piece", [PIECE + 1, 10**9])
def test_packets_of_any_size(server, mode, piece):
    async def run():
        async with connect(server.port) as ws:
            return await talk(ws, pcm("s01") + b"\0", {"mode": mode, "itn": False}, piece)

    assert text_of(asyncio.run(run())) == "打电话给一三八零零"


def test_other_rates(server):
    s = samples("s01")
    at_48k = array.array("h", [v for v in s for _ in range(3)])
    assert bare(ask(server.port, at_48k.tobytes(), mode="offline", audio_fs=48000)[0]["text"]) == "打电话给一三八零零"
    at_8k = array.array("h", [(a + b) // 2 for a, b in zip(s[::2], s[1::2])])  # too dull for these models' words
    for mode in ("offline", "2pass"):
        m = last(ask(server.port, at_8k.tobytes(), mode=mode, audio_fs=8000))
        assert 2400 < json.loads(m["timestamp"])[-1][1] < 3400


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for suffix in ("mp3", "m4a"):
        subprocess.run(
            ["ffmpeg", "-v", "error", "-i", wav("s01"), "-b:a", "160k", folder / f"a.{suffix}"], check=True, stdin=subprocess.DEVNULL
        )
    plain = wav("s01").read_bytes()
    return {
        "wav": plain,
        "others": for_a_child(plain),
        **{s: (folder / f"a.{s}").read_bytes() for s in ("mp3", "m4a")},
    }


@pytest.mark.threads
@pytest.mark.parametrize("kind", ["wav", "others", "mp3", "m4a"])
def test_files(server, files, kind):
    messages = ask(server.port, files[kind], mode="offline", wav_format=kind, itn=False)
    m = last(messages)
    assert bare(m["text"]) == "打电话给一三八零零" and len(json.loads(m["timestamp"])) == 9
    assert server.spooled() == []


def test_what_is_no_file(server):
    m = last(ask(server.port, b"nonsense" * 100, mode="offline", wav_format="mp3"))
    assert m["text"] == "" and m["error"]
    assert last(ask(server.port, b"", mode="offline", wav_format="mp3")) == {
        "mode": "offline",
        "text": "",
        "wav_name": "wav-default-id",
        "is_final": True,
    }


# errors


@pytest.mark.parametrize(
    "message,says",
    [
        ("{", "message: byte"),
        ("[1]", "not a JSON object"),
        ('{"mode":"3pass"}', "mode must be"),
        ('{"mode":"offline","chunk_size":[5,0,5]}', "chunk_size"),
        ('{"chunk_size":"5,10"}', "chunk_size"),
        ('{"chunk_size":[5,10,1e9]}', "chunk_size"),
        ('{"audio_fs":100}', "audio_fs"),
        ('{"mode":2}', "mode"),
        ('{"type":"control","command":"start"}', "/ws/asr"),
        ("[" * 5000, "nested"),
    ],
)
def test_bad_messages(server, message, says):
    async def run():
        async with connect(server.port) as ws:
            await ws.send(message)
            error = await receive(ws)
            await ws.send(json.dumps({"is_speaking": False}))
            return error, await receive(ws), await talk(ws, pcm("s01"), {"mode": "offline"})

    error, end, after = asyncio.run(run())
    assert says in error.pop("error")
    assert error == {"mode": "2pass", "wav_name": "wav-default-id", "text": "", "is_final": True}
    assert end["is_final"] and says in end["error"]
    assert bare(after[0]["text"]) == "打电话给一三八零零"


def test_files_are_not_for_live_modes(server):
    async def run():
        async with connect(server.port) as ws:
            await ws.send(json.dumps({"mode": "2pass", "wav_format": "mp3", "wav_name": "f"}))
            error = await receive(ws)
            await ws.send(b"mp3" * 1000)
            await ws.send(json.dumps({"is_speaking": False, "is_end": True}))
            return error, await receive(ws), await receive(ws)

    error, end, ack = asyncio.run(run())
    assert error["text"] == "ERROR. Real-time transcription service ONLY SUPPORT PCM stream."
    assert error["is_final"] and end == error
    assert ack["is_end"] and ack["is_final"] is False and ack["error"]


def test_too_much(narrow):
    for settings in ({"wav_format": "wav"}, {"wav_format": "pcm"}):
        m = last(ask(narrow.port, bytes(3 << 19), mode="offline", **settings))
        assert m["text"] == "" and "longer than" in m["error"]
    assert narrow.spooled() == []


@pytest.mark.parametrize("message,code", [(bytes((1 << 20) + 1), 1009), ('"' * (1 << 19), 1009)])
def test_messages_that_are_too_long(narrow, message, code):
    async def run():
        async with connect(narrow.port) as ws:
            await ws.send(message)
            await asyncio.wait_for(ws.wait_closed(), T)
            return ws.close_code

    assert asyncio.run(run()) == code


def test_too_many_connections(narrow):
    async def run():
        async with connect(narrow.port), connect(narrow.port), connect(narrow.port) as third:
            await asyncio.wait_for(third.wait_closed(), T)
            return third.close_code

    assert asyncio.run(run()) == 1008


def test_no_room(start_server, micro_models):
    """Memory has a ceiling, and it is reached."""
    s = start_server(dict(micro_models, ASR_MAX_MEMORY_MB=1))

    async def run():
        async with connect(s.port) as ws:
            await ws.send(json.dumps({"mode": "offline", "wav_format": "mp3", "wav_name": "x"}))
            await ws.send(b"x" * 1000)
            m = await receive(ws)
            await asyncio.wait_for(ws.wait_closed(), T)
            return m, ws.close_code

    m, code = asyncio.run(run())
    assert m["text"] == "" and m["is_final"] and "no room" in m["error"] and code == 1013


# connections


@pytest.mark.threads
def test_a_client_that_leaves(server, files):
    async def run(settings, audio):
        async with connect(server.port) as ws:
            await ws.send(json.dumps(settings))
            await ws.send(audio)
            await asyncio.sleep(0)
            ws.transport.abort()

    def streams():
        return get(server.port, "/stats").json()["streams"]

    for mode in MODES:
        asyncio.run(run({"mode": mode}, pcm()))
    asyncio.run(run({"mode": "offline", "wav_format": "mp3"}, files["mp3"]))
    wait_until(lambda: streams() == 0, T, "streams of those who left are closed")
    assert server.spooled() == []


def test_any_path_of_the_other_port(server):
    for path in ("/", "/wss/", "/a/b?c=d"):
        assert bare(ask(server.funasr_port, pcm("s01"), path, mode="offline")[0]["text"]) == "打电话给一三八零零"


def test_tls(start_server, micro_models, tmp_path):
    """As FunASR's clients do it: without a look at the certificate. And where Sphinx is all there is for recordings,
    the live model hears them."""
    port = free_port()
    settings = dict(micro_models, FUNASR_PORT=port, WHISPER_MODEL="sphinx", PINNA_FINAL_MODEL="off")
    s = start_server(settings, tls=Authority(tmp_path).issue("funasr"))
    blind = ssl.create_default_context()
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE

    async def run(port):
        async with connect(port, scheme="wss", ssl=blind, subprotocols=["binary"]) as ws:
            return await talk(ws, pcm("s01"), {"mode": "offline"}, piece=10**9)

    for p in (s.port, port):
        assert bare(asyncio.run(run(p))[0]["text"]).endswith("电话给一三八零零")


def test_the_root_is_still_a_page(server):
    body = get(server.port, "/").json()
    assert body["status"] == "running" and body["endpoint"].endswith("/ws/asr")


def test_sign_of_life_for_those_who_need_it(server):
    async def run(headers):
        async with connect(server.port, extra_headers=headers) as ws:
            await ws.send(json.dumps({"mode": "offline", "wav_name": "w"}))
            await send_audio(ws, pcm("s01"))
            if headers:
                sign = await receive(ws)
                assert sign == {"mode": "offline", "text": "", "wav_name": "w", "is_final": False}
            await ws.send(json.dumps({"is_speaking": False}))
            return await receive(ws)

    hasty = asyncio.run(run({"Authorization": "Bearer; none"}))
    assert bare(hasty["text"]) == "打电话给一三八零零" and hasty["is_final"]


# what operators see


def told(port):
    """Of pinna_live_*: what FunASR's clients have added so far; histograms by their observations."""
    families = prometheus.parse(get(port, "/metrics").body.decode())
    names = ("connections_total", "utterances_total", "audio_seconds_total", "ignored_messages_total", "errors_total",
             "first_partial_seconds", "final_seconds")
    return {n: families[f"pinna_live_{n}"].total(protocol="funasr") for n in names}


def test_live_metrics(server):
    before, seconds = told(server.port), len(pcm("s01")) / 32000

    async def run():
        async with connect(server.port) as ws:
            for mode in MODES:
                await ws.send(json.dumps({"mode": mode}))
                await send_audio(ws, pcm("s01"))
                if mode != "offline":
                    await receive(ws)  # live text before the end
                await talk(ws, b"")
            await talk(ws, b"")  # is no utterance, nor is a file
            await talk(ws, wav("s01").read_bytes(), {"mode": "offline", "wav_format": "wav"})
            await ws.send("{")
            await receive(ws)
            await ws.send(b"nobody hears this")
            await asyncio.wait_for(await ws.ping(), T)
        async with connect(server.port) as ws:
            await ws.send(pcm("s01"))
            await asyncio.wait_for(await ws.ping(), T)  # and hangs up

    asyncio.run(run())
    want = {"connections_total": 2, "utterances_total": 4, "audio_seconds_total": 4 * seconds, "ignored_messages_total": 1,
            "errors_total": 1, "final_seconds": 3}

    def news():
        return {n: v - before[n] for n, v in told(server.port).items()}

    wait_until(lambda: news()["utterances_total"] >= 4, T, "who hung up is counted")
    got = news()
    assert got.pop("first_partial_seconds") in (2, 3)  # perhaps of the one that hung up, too
    assert got == pytest.approx(want, abs=0.01)
