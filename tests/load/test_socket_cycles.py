"""Clients that connect, talk and leave, a third of them by cutting the connection in mid-word: afterwards
descriptors and streams are where they were, and the second half of them took no more memory than the first.
1500 times; 10 000 with PINNA_LONG_TESTS=1."""
import asyncio
import json
import os
import socket
import struct

import pytest

from test_ptt import pcm
from wire import BINARY, CLOSE, TEXT, frame, get, wait_until, ws_head

pytestmark = pytest.mark.load

CYCLES = 10000 if os.environ.get("PINNA_LONG_TESTS") else 1500
CLIENTS = 10
SLACK_KB = 4096  # how many are heard at the same moment decides how far the heap grows at first
START = frame(TEXT, b'{"type":"control","command":"start"}')
STOP = frame(TEXT, b'{"type":"control","command":"stop"}')
RESET = struct.pack("ii", 1, 0)


async def read_frame(reader):
    b0, n = await reader.readexactly(2)
    if n == 126:
        n = struct.unpack(">H", await reader.readexactly(2))[0]
    return b0 & 15, await reader.readexactly(n)


class Busy(Exception):
    """The machine does not keep up with so many speakers now."""


async def until(reader, kind):
    """Reads up to the frame of this type."""
    while True:
        op, data = await read_frame(reader)
        assert op == TEXT, (op, data)
        message = json.loads(data)
        if message["type"] == "error" and message["code"] == 503:
            raise Busy
        assert message["type"] != "error", message
        if message["type"] == kind:
            return message


async def cycle(port, i, word):
    """One client. Every third cuts its connection while it speaks, half of these by a reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await talk(reader, writer, i, word)
    finally:
        writer.close()


async def talk(reader, writer, i, word):
    """What was heard; "" if the connection was cut."""
    writer.write(ws_head("/ws/asr")[0])
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    await until(reader, "status")
    writer.write(START + frame(BINARY, word[: len(word) // 2]))
    await until(reader, "status")
    if i % 3 == 0:
        whole = frame(BINARY, word[len(word) // 2 :])
        writer.write(whole[: len(whole) // 2])
        await writer.drain()
        if i % 2:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        return ""
    writer.write(frame(BINARY, word[len(word) // 2 :]) + STOP)
    final = await until(reader, "final")
    if i % 3 == 1:
        writer.write(frame(CLOSE, struct.pack(">H", 1000)))
        assert (await read_frame(reader))[0] == CLOSE
    return final["text"]


def run(port, word, n, first=0):
    """What the clients that finished heard."""
    heard = set()

    async def client(numbers):
        for i in numbers:
            try:
                heard.add(await asyncio.wait_for(cycle(port, i, word), 120))
            except Busy:
                await asyncio.sleep(0.5)

    async def all_of_them():
        await asyncio.gather(*(client(range(first + k, first + n, CLIENTS)) for k in range(CLIENTS)))

    asyncio.run(all_of_them())
    return heard - {""}


def test_connect_talk_leave(start_server, micro_models, capsys):
    s = start_server(dict(micro_models, PINNA_PUNCTUATION="off", PINNA_FINAL_MODEL="off", MAX_CONNECTIONS=2 * CLIENTS))
    word = pcm("b19700")

    def settled():
        stats = get(s.port, "/stats").json()
        return stats["active_connections"] == 0 and stats["streams"] == 0

    heard = run(s.port, word, 100)
    wait_until(settled, 60, "no socket and no stream is left")
    fds, rss = s.fds(), [s.rss_kb()]
    for half in range(2):
        heard |= run(s.port, word, CYCLES // 2, 100 + half * CYCLES // 2)
        wait_until(settled, 60, "no socket and no stream is left")
        rss.append(s.rss_kb())
    wait_until(lambda: s.fds() <= fds, 20, f"descriptors are back to {fds}")
    with capsys.disabled():
        print(f"\n{CYCLES} cycles: RSS {rss} kB at the start, the middle and the end; descriptors {fds}, {s.fds()}")
    assert len(heard) == 1, "everybody hears the same"
    assert rss[2] - rss[1] < SLACK_KB
