"""SIGTERM while people speak: what was said gets its final result, then the sockets are closed with 1001."""
import json
import signal
import struct

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


def test_who_does_not_answer_is_not_waited_for(start_server, micro_models):
    """A peer that ignores the closing handshake holds the end up for a few seconds only."""
    s = start_server(micro_models)
    w = Ws(s.port, "/test/echo", extra=(), timeout=T)
    s.signal(signal.SIGTERM)
    assert w.read_close()[0] == 1001
    assert s.wait() == 0
    wait_until(lambda: not s.alive(), T, "it has ended")
    w.close()
