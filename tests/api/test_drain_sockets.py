"""SIGTERM while people speak: what was said gets its final result, then the sockets are closed with 1001."""
import asyncio
import json
import signal
import struct

import pytest
import websockets

from funasr_readers import bare, connect, receive, send_audio, until_final
from server_process import FACTOR
from test_ptt import pcm
from wire import BINARY, CLOSE, TEXT, Ws, frame, wait_until

T = 60 * FACTOR


def control(command):
    return frame(TEXT, json.dumps({"type": "control", "command": command}).encode())


def read(w):
    op, data = w.read_message()
    assert op == TEXT
    return json.loads(data)


def ends(w):
    assert w.read_close() == (1001, "the service is stopping")
    w.send(frame(CLOSE, struct.pack(">H", 1001)))
    assert w.closes(10 * FACTOR)


@pytest.mark.threads
def test_finals_before_the_end(start_server, micro_models):
    s = start_server(dict(micro_models, PINNA_PUNCTUATION="off"))
    idle, echo, speaker = (Ws(s.port, p, extra=(), timeout=T) for p in ("/ws/asr", "/test/echo", "/ws/asr"))
    assert read(idle)["code"] == read(speaker)["code"] == 200
    speaker.send(control("start"))
    assert read(speaker)["message"] == "开始录音"
    speaker.send(frame(BINARY, pcm("s01")))
    first = read(speaker)
    assert first["type"] == "result"  # the audio is being heard; nobody said stop
    s.signal(signal.SIGTERM)
    ends(idle)
    ends(echo)
    frames = [first]
    while frames[-1]["type"] != "final":
        frames.append(read(speaker))
    assert frames[-1]["text"]
    assert "停止录音" in [f.get("message") for f in frames]
    ends(speaker)
    assert s.wait() == 0


async def is_told_why(ws):
    try:
        await asyncio.wait_for(ws.recv(), T)
        raise AssertionError("a message came")
    except websockets.ConnectionClosed as e:
        assert (e.rcvd.code, e.rcvd.reason) == (1001, "the service is stopping")


def test_funasr_finals_before_the_end(start_server, micro_models):
    """Live audio ends where it is, a recording may come to its end, and what waits for its answer gets it."""
    s = start_server(dict(micro_models, PINNA_PUNCTUATION="off"))
    words, text = pcm("s01"), "打电话给一三八零零"
    end = json.dumps({"is_speaking": False})

    async def begin(ws, audio, **settings):
        await ws.send(json.dumps(dict(settings, is_speaking=True, itn=False)))
        await send_audio(ws, audio)

    async def run():
        sockets = [await connect(s.port) for _ in range(5)]
        idle, live, two_pass, recording, queue = sockets
        await begin(live, words, mode="online")
        await begin(two_pass, words, mode="2pass")
        await begin(recording, words[: len(words) // 2], mode="offline")
        for name in "abc":
            await begin(queue, words[64000:80000], mode="offline", wav_name=name)
            await queue.send(end)
        for ws in sockets:
            await asyncio.wait_for(await ws.ping(), T)  # what was sent has arrived
        s.signal(signal.SIGTERM)
        await is_told_why(idle)
        await send_audio(recording, words[len(words) // 2 :])
        await recording.send(end)
        heard = [await until_final(ws) for ws in (live, two_pass, recording)]
        answers = [await receive(queue) for _ in "abc"]
        for ws in sockets[1:]:
            await is_told_why(ws)
        return heard, answers

    (live, two_pass, recording), answers = asyncio.run(run())
    assert bare("".join(m["text"] for m in live)) == text
    assert bare(two_pass[-1]["text"]) == bare(recording[-1]["text"]) == text
    assert [(a["wav_name"], a["text"]) for a in answers] == [(n, answers[0]["text"]) for n in "abc"]
    assert s.wait() == 0


def test_who_does_not_answer_is_not_waited_for(start_server, micro_models):
    """A peer that ignores the closing handshake holds the end up for a few seconds only."""
    s = start_server(micro_models)
    w = Ws(s.port, "/test/echo", extra=(), timeout=T)
    s.signal(signal.SIGTERM)
    assert w.read_close()[0] == 1001
    assert s.wait() == 0
    wait_until(lambda: not s.alive(), T, "it has ended")
    w.close()
