"""What a project's key costs, compared with REELHOOK_API_KEY: `python -m bench.keys`.

Creates and retrieves are sent in short turns, with one key and then the other, so that both meet
the same noise. The fastest quarter of the turns is compared. Exits 1 if those with a project's key
take more than 1.15 times as long.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp

from bench.figures import Figures, quantile
from bench.stage import RESULTS, Stage, stage

KEY = "the operator's key of the benchmark"
RATIO_MAX = 1.15
AT_ONCE = 8
CREATES = 40
READS = 160
"""The requests of one turn."""
WARM_UP = 2
FASTEST = 0.25


class Clients:
    """Sends requests with one key or the other."""

    def __init__(self, here: Stage, session: aiohttp.ClientSession, job_id: str) -> None:
        self._url = here.server.url
        self._session = session
        self._job_id = job_id

    async def create(self, key: str) -> None:
        body = {"script": "A fox", "seconds": "4"}
        await self._send("POST", "/api/generate", key, json=body)

    async def retrieve(self, key: str) -> None:
        await self._send("GET", f"/api/jobs/{self._job_id}", key)

    async def _send(self, method: str, path: str, key: str, **options: object) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        async with self._session.request(
            method,
            self._url + path,
            headers=headers,
            **options,  # type: ignore[arg-type] # of aiohttp
        ) as response:
            await response.read()
            assert response.status == 200, response.status


async def turn(send: Callable[[str], Awaitable[None]], key: str, count: int) -> float:
    """Send that many requests, a few at a time; return the seconds they took."""
    left = iter(range(count))

    async def client() -> None:
        for _ in left:
            await send(key)

    began = time.monotonic()
    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return time.monotonic() - began


async def compare(
    send: Callable[[str], Awaitable[None]], key: str, count: int, rounds: int
) -> tuple[float, float, float]:
    """Return the ratio, and the milliseconds per request with each key."""
    took: dict[str, list[float]] = {key: [], KEY: []}
    for number in range(rounds + WARM_UP):
        for one in (key, KEY) if number % 2 else (KEY, key):
            seconds = await turn(send, one, count)
            if number >= WARM_UP:
                took[one].append(seconds / count * 1000)
    with_key, with_operator = (quantile(took[one], FASTEST) for one in (key, KEY))
    return with_key / with_operator, with_key, with_operator


async def measure(rounds: int) -> Figures:
    figures = Figures("keys")
    async with stage("keys", {"REELHOOK_API_KEY": KEY}) as here:
        await here.server.start()
        async with aiohttp.ClientSession() as session:
            operator = {"Authorization": f"Bearer {KEY}"}
            body = {"name": "bench", "scopes": ["submit"]}
            url = f"{here.server.url}/api/keys"
            async with session.post(url, json=body, headers=operator) as response:
                key = (await response.json())["key"]
            url = f"{here.server.url}/api/generate"
            async with session.post(url, json={"script": "A fox"}, headers=operator) as response:
                job_id = (await response.json())["jobId"]
            clients = Clients(here, session, job_id)
            for name, send, count in (
                ("create", clients.create, CREATES),
                ("retrieve", clients.retrieve, READS),
            ):
                ratio, with_key, with_operator = await compare(send, key, count, rounds)
                figures.tell(f"{name}, REELHOOK_API_KEY", f"{with_operator:.2f} ms")
                figures.tell(f"{name}, a project's key", f"{with_key:.2f} ms")
                figures.at_most(f"{name}, ratio", ratio, RATIO_MAX)
                figures.values[f"{name}_ratio"] = ratio
        await here.server.stop()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="pairs of turns of each kind")
    figures = asyncio.run(measure(parser.parse_args().rounds))
    figures.show()
    figures.write(RESULTS)
    sys.exit(0 if figures.reached else 1)


if __name__ == "__main__":
    main()
