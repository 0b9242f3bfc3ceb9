"""funasr_readers.py - how clients of FunASR's WebSocket behave, in a few lines each (spec http-apis 10.2)."""
import asyncio
import json
import re

import websockets

from server_process import FACTOR

T = 30 * FACTOR
PIECE = 1920  # bytes: 60 ms
MARKS = "，。？、！,.?!"


def bare(text):
    return "".join(c for c in text if c not in MARKS)


def connect(port, path="/", scheme="ws", **more):
    return websockets.connect(
        f"{scheme}://127.0.0.1:{port}{path}", ping_interval=None, max_size=None, open_timeout=T, **more
    )


async def receive(ws, seconds=T):
    return json.loads(await asyncio.wait_for(ws.recv(), seconds))


async def until_final(ws):
    messages = [await receive(ws)]
    while not messages[-1]["is_final"]:
        messages.append(await receive(ws))
    return messages


async def send_audio(ws, audio, piece=PIECE):
    for i in range(0, len(audio), piece):
        await ws.send(audio[i : i + piece])


async def talk(ws, audio, settings=None, piece=PIECE, end=None):
    """One input, and all its answers."""
    if settings is not None:
        await ws.send(json.dumps(dict({"is_speaking": True}, **settings)))
    await send_audio(ws, audio, piece)
    await ws.send(json.dumps(dict({"is_speaking": False}, **(end or {}))))
    return await until_final(ws)


def ask(port, audio, path="/", **settings):
    async def run():
        async with connect(port, path) as ws:
            return await talk(ws, audio, settings)

    return asyncio.run(run())


class Page:
    """The browser page: appends live text, replaces it by corrected text, and walks the time stamps."""

    def __init__(self):
        self.shown = self.settled = ""
        self.starts = []  # of the pieces between marks

    def walk(self, text, timestamp):
        if timestamp is None or not text:
            return
        assert isinstance(timestamp, str)
        stamps, index = json.loads(timestamp), 0
        for word in re.sub("[。？，、?. ]", ",", text).split(","):
            if not word:
                continue
            self.starts.append(stamps[index][0])  # the page's script ends where there is none
            index += 1 if re.fullmatch("[a-zA-Z]+", word) else len(word.encode("utf-16-le")) // 2

    def read(self, m):
        if m["mode"] in ("2pass-offline", "offline"):
            self.walk(m["text"], m.get("timestamp"))
            self.settled += m["text"]
            self.shown = self.settled
        else:
            assert "timestamp" not in m
            self.shown += m["text"]


async def xiaozhi(port, audio):
    """The voice assistant's server: one connection an utterance, all audio in one message, 5 s of patience."""
    async with connect(
        port,
        subprotocols=["binary"],
        extra_headers={"Authorization": "Bearer; none"},
    ) as ws:
        assert ws.subprotocol == "binary"
        config = {"mode": "offline", "chunk_size": [5, 10, 5], "chunk_interval": 10, "wav_name": "session-1"}
        await ws.send(json.dumps(dict(config, is_speaking=True, itn=False)))
        await ws.send(audio)
        await ws.send(json.dumps({"is_speaking": False}))
        text = ""
        while True:
            m = await receive(ws, 5 * FACTOR)
            text += m["text"]
            if m.get("is_final", True):
                return text


async def file_client(port, audio, **settings):
    """The C++ and the older Python clients: the first answer is the answer."""
    async with connect(port) as ws:
        first = {"mode": "offline", "wav_name": "demo", "is_speaking": True, "hotwords": "", "itn": True}
        await ws.send(json.dumps(dict(first, audio_fs=16000, wav_format="pcm", **settings)))
        await send_audio(ws, audio)
        await ws.send(json.dumps({"is_speaking": False}))
        return await receive(ws)
