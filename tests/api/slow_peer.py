"""slow_peer.py - a peer that takes its time."""
import asyncio
import time


async def drip(port, first, drop=b"", every=0.3, seconds=20, before=b""):
    """Sends `first`, then `drop` again and again: (seconds until the server ended it or None, its bytes).

    `before` is a good request that is answered first.
    """
    t = time.monotonic()  # before the server's deadline can begin
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    if before:
        writer.write(before)
        got = await reader.readuntil(b"}")
        assert got.startswith(b"HTTP/1.1 200"), got
        got = b""
    writer.write(first)

    async def read():
        nonlocal got
        try:
            while more := await reader.read(4096):
                got += more
        except ConnectionError:
            pass

    async def write():
        try:
            while drop:
                await asyncio.sleep(every)
                writer.write(drop)
                await writer.drain()
        except ConnectionError:
            pass

    writing = asyncio.create_task(write())
    try:
        await asyncio.wait_for(read(), seconds)
        return time.monotonic() - t, got
    except asyncio.TimeoutError:
        return None, got
    finally:
        writing.cancel()
        writer.close()
