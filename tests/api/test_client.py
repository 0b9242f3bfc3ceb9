#!/usr/bin/python3
"""The acceptance list of push-to-talk clients, against any service that speaks /ws/asr.

By hand:  /usr/bin/python3 tests/api/test_client.py --url ws://127.0.0.1:9999/ws/asr [--wav FILE]
          prints a line for each check and ends with 0 if all passed. FILE: 16 kHz, mono, 16 bit.
In pytest: the same checks against a server of their own, with a model whose text is known.
"""
import argparse
import asyncio
import base64
import json
import pathlib
import sys
import time
import wave

import websockets

try:
    import pytest
except ImportError:  # by hand it does without
    pytest = None

WAV = pathlib.Path(__file__).resolve().parents[1] / "data" / "paraformer" / "wav" / "s01.wav"
SPOKEN = "打电话给一三八零零"  # in WAV
CHUNK = 3200  # bytes: 100 ms
MANY = 10


class Failed(Exception):
    pass


def require(condition, what):
    if not condition:
        raise Failed(what)


class Setting:
    """What is talked to, and with what."""

    def __init__(self, url, wav=WAV, text=None, pace=1.0, timeout=30):
        self.url, self.text, self.pace, self.timeout = url, text, pace, timeout
        with wave.open(str(wav)) as w:
            require((w.getframerate(), w.getnchannels(), w.getsampwidth()) == (16000, 1, 2), f"{wav} is not 16 kHz mono")
            self.pcm = w.readframes(w.getnframes())


class Client:
    """One connection; every frame that comes is checked for what all have in common."""

    def __init__(self, setting):
        self.setting = setting

    async def __aenter__(self):
        self.ws = await websockets.connect(self.setting.url, open_timeout=self.setting.timeout)
        self.hello = await self.receive()
        return self

    async def __aexit__(self, *_):
        await self.ws.close()

    async def receive(self):
        text = await asyncio.wait_for(self.ws.recv(), self.setting.timeout)
        require(isinstance(text, str), "a binary frame came")
        frame = json.loads(text)
        require(isinstance(frame, dict) and isinstance(frame.get("type"), str), f"no type: {text}")
        require(isinstance(frame.get("timestamp"), int), f"the timestamp is no whole number: {text}")
        return frame

    async def send(self, **message):
        await self.ws.send(json.dumps(message))

    async def control(self, command):
        await self.send(type="control", command=command, timestamp=int(time.time() * 1000))

    async def status(self, message):
        """The next frame, which must be this status."""
        frame = await self.receive()
        require((frame["type"], frame.get("code"), frame.get("message")) == ("status", 200, message), f"not {message}: {frame}")
        return frame

    async def error(self, code):
        frame = await self.receive()
        require(frame["type"] == "error" and frame.get("code") == code, f"not an error {code}: {frame}")
        return frame

    async def begin(self, **fields):
        """Starts an utterance; while the service is too busy for it, again."""
        end = time.monotonic() + self.setting.timeout
        while True:
            await self.send(type="control", command="start", **fields)
            frame = await self.receive()
            if frame.get("code") != 503 or time.monotonic() > end:
                break
            await asyncio.sleep(frame.get("retry_after_ms", 1000) / 1000)
        require(frame.get("message") == "开始录音", f"not the reply to start: {frame}")

    async def audio(self, pcm):
        await self.send(type="audio", data=base64.b64encode(pcm).decode(), timestamp=int(time.time() * 1000))

    async def speak(self, pcm):
        """As a microphone would, `pace` times as slow."""
        for i in range(0, len(pcm), CHUNK):
            await self.audio(pcm[i : i + CHUNK])
            await asyncio.sleep(CHUNK / 32000 * self.setting.pace)

    async def until(self, message):
        """The frames before this status."""
        frames = []
        while True:
            frame = await self.receive()
            if frame["type"] == "status":
                require(frame["message"] == message, f"not {message}: {frame}")
                return frames
            frames.append(frame)

    async def final(self):
        """The final result; None from a service that has none."""
        try:
            frame = await asyncio.wait_for(self.receive(), min(10, self.setting.timeout))
        except asyncio.TimeoutError:
            return None
        require(frame["type"] == "final", f"not a final result: {frame}")
        return frame


async def converse(setting):
    """One press of the button: the partial results and the final one."""
    async with Client(setting) as c:
        await c.begin()
        await c.speak(setting.pcm)
        await c.control("stop")
        return await c.until("停止录音"), await c.final()


def check_results(setting, frames, final):
    for f in frames:
        require((f["type"], f.get("mode")) == ("result", "partial"), f"not a partial result: {f}")
        require(f["text"] and 0 <= f["confidence"] <= 1 and f["processing_time_ms"] >= 0, f"odd values: {f}")
    joined = "".join(f["text"] for f in frames)
    if setting.text is not None:
        require(joined == setting.text, f"heard {joined!r} instead of {setting.text!r}")
    if final is None:
        return
    require(not frames or frames[-1].get("full_text") in (None, joined), "full_text is not all of the text")
    for s in final["segments"]:
        require(0 <= s["start"] <= s["end"] and s["text"], f"odd segment: {s}")
    duration = len(setting.pcm) / 32
    require(abs(final["audio_duration_ms"] - duration) < 100, f"{final['audio_duration_ms']} ms instead of {duration}")
    require(bool(final["text"]) == bool(joined), f"the final text is {final['text']!r}, the partial ones {joined!r}")


async def check_connect(setting):
    async with Client(setting) as c:
        require(c.hello["type"] == "status" and c.hello["code"] == 200, f"odd greeting: {c.hello}")
        require(c.hello["message"] == "连接成功，FunASR已就绪", f"odd greeting: {c.hello}")
        require(c.hello["connection_id"], "no connection_id")
        pong = await c.ws.ping()
        await asyncio.wait_for(pong, setting.timeout)


async def check_control(setting):
    async with Client(setting) as c:
        await c.control("start")
        await c.status("开始录音")
        await c.control("stop")
        require(await c.until("停止录音") == [], "text without audio")
        final = await c.final()
        require(final is None or final["text"] == "", f"text without audio: {final}")
        await c.control("reset")
        await c.status("重置成功")


async def check_audio(setting):
    """Audio brings text while it is sent; outside of start and stop it brings nothing."""
    async with Client(setting) as c:
        await c.audio(setting.pcm[:CHUNK])
        await c.begin()
        await c.speak(setting.pcm)
        frame = await c.receive()
        require(frame["type"] == "result" and frame["text"], f"not text: {frame}")
        await c.control("reset")
        while frame["type"] == "result":
            frame = await c.receive()
        require(frame.get("message") == "重置成功", f"not the reply to reset: {frame}")


async def check_conversation(setting):
    check_results(setting, *await converse(setting))


async def check_many(setting):
    for frames, final in await asyncio.gather(*(converse(setting) for _ in range(MANY))):
        check_results(setting, frames, final)


async def check_invalid(setting):
    async with Client(setting) as c:
        await c.ws.send("this is not JSON")
        await c.error(400)
        await c.ws.send("[]")
        await c.error(400)
        await c.send(type="telepathy")
        require((await c.error(400))["message"] == "未知消息类型: telepathy", "odd message")
        await c.control("dance")
        require((await c.error(400))["message"] == "未知控制指令: dance", "odd message")
        await c.control("start")
        await c.status("开始录音")
        await c.send(type="audio", data="!!!not base64!!!")
        await c.error(400)
        await c.send(type="audio", data="A" * ((1 << 20) + 4))
        require((await c.error(413))["message"] == "音频数据过大", "odd message")
        await c.control("reset")
        await c.status("重置成功")


CHECKS = {
    "connect": check_connect,
    "control commands": check_control,
    "audio": check_audio,
    "conversation": check_conversation,
    f"{MANY} connections at once": check_many,
    "invalid messages": check_invalid,
}


if pytest:

    @pytest.fixture(scope="module")
    def setting(start_module_server, micro_models):
        from server_process import FACTOR

        server = start_module_server(micro_models)
        return Setting(f"ws://127.0.0.1:{server.port}/ws/asr", text=SPOKEN, pace=0.2, timeout=30 * FACTOR)


    @pytest.mark.threads
    @pytest.mark.parametrize("name", CHECKS)
    def test_client(setting, name):
        asyncio.run(CHECKS[name](setting))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--url", default="ws://127.0.0.1:9999/ws/asr")
    parser.add_argument("--wav", default=WAV, help="what to say: 16 kHz, mono, 16 bit")
    args = parser.parse_args()
    passed = 0
    setting = Setting(args.url, args.wav)
    for name, check in CHECKS.items():
        began, why = time.monotonic(), ""
        try:
            asyncio.run(check(setting))
            passed += 1
        except (Failed, OSError, asyncio.TimeoutError, KeyError, ValueError, websockets.WebSocketException) as e:
            why = f": {e or type(e).__name__}"
        print(f"{'FAILED' if why else 'ok':6} {name} ({time.monotonic() - began:.1f} s){why}", flush=True)
    print(f"{passed} passed, {len(CHECKS) - passed} failed")
    return passed < len(CHECKS)


if __name__ == "__main__":
    sys.exit(main())
