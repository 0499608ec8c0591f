"""A proxy before PostgreSQL that loses responses to COMMIT: `python -m bench.lossy_postgres`.

The client's connection is always cut. What the server gets is in turn the COMMIT, nothing but the
end of the connection, or the COMMIT a while later, as when a network holds back what it will
deliver after all.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from collections import Counter
from itertools import cycle
from random import Random

COMMIT = b"COMMIT;\x00"
HELD_SECONDS = 0.5
WAYS = ("done", "undone", "late")


class Proxy:
    def __init__(self, port: int, share: float, seed: int) -> None:
        self._port = port
        self._share = share
        self._chance = Random(seed)  # noqa: S311  # chooses moments, makes no keys
        self._ways = cycle(WAYS)
        self.lost: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            return
        lost = asyncio.Event()
        up = asyncio.create_task(self._up(reader, back, writer, lost))
        down = asyncio.create_task(self._down(there, writer, lost))
        await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
        if lost.is_set():
            await asyncio.wait([up], timeout=2 * HELD_SECONDS)
        for task in (up, down):
            task.cancel()
        writer.transport.abort()
        back.transport.abort()

    async def _up(
        self,
        reader: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        lost: asyncio.Event,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if COMMIT in data and self._chance.random() < self._share:
                    lost.set()
                    await self._lose(next(self._ways), data, back, client)
                    return
                back.write(data)
                await back.drain()

    async def _lose(
        self, way: str, data: bytes, back: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        self.lost[way] += 1
        if way == "undone":
            back.transport.abort()
        if way == "done":
            back.write(data)
            await back.drain()
            await asyncio.sleep(HELD_SECONDS)  # for the server to have done it
        client.transport.abort()
        if way == "late":
            await asyncio.sleep(self._chance.uniform(0, HELD_SECONDS))
            back.write(data)
            await back.drain()
            await asyncio.sleep(HELD_SECONDS)

    async def _down(
        self, there: asyncio.StreamReader, client: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await there.read(65536):
                if not lost.is_set():
                    client.write(data)
                    await client.drain()


async def _main(proxy: Proxy) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1")
    print(json.dumps({"ports": [listener.sockets[0].getsockname()[1]]}), flush=True)
    await stopping.wait()
    listener.close()
    print(f"responses to COMMIT that were lost: {dict(proxy.lost)}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=int, required=True, help="the server's port")
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    asyncio.run(_main(Proxy(given.to, given.share, given.seed)))


if __name__ == "__main__":
    main()
