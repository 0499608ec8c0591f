"""Looking on while a server watches: its rounds as the upstream saw them, its CPU, its stalls."""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from bench.figures import quantile
from bench.processes import Server, Stub

PROBE_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Observed:
    """What a while of watching took. `rounds` counts by the reads that a round takes."""

    rounds: float
    seconds: list[float]
    """Of each whole round: from its first request's arrival to its last one's answer."""
    begun: list[float]
    """When each round began, on the monotonic clock; the last one may be under way."""
    reads: float
    cpu: float
    """Seconds of the process for a round, less what it takes while it does not watch."""
    mib: float

    @property
    def longest(self) -> float:
        return max(self.seconds, default=math.nan)


@dataclass(slots=True)
class Watching:
    """A server that watches so many jobs at a stub."""

    server: Server
    stub: Stub
    session: aiohttp.ClientSession
    count: int
    poll_seconds: float
    idle: float = 0.0
    """CPU seconds a second while nothing is watched."""

    async def control(self, what: str, **asked: Any) -> Any:
        return await self._post(f"{self.stub.url}/control/{what}", asked)

    async def measure_idle(self, seconds: float) -> None:
        """Take down what the process takes while watching is paused."""
        await self._post(f"{self.server.url}/api/watcher/pause", {})
        await asyncio.sleep(self.poll_seconds)  # the round under way
        before = self.server.cpu_seconds()
        await asyncio.sleep(seconds)
        self.idle = (self.server.cpu_seconds() - before) / seconds
        await self._post(f"{self.server.url}/api/watcher/resume", {})

    async def observe(self, reads_a_round: int, seconds: float, latency: float = 0.0) -> Observed:
        """Look on for a while, in which the rounds go on as they do."""
        line, _ = await self._log(0)
        before = self.server.cpu_seconds()
        await asyncio.sleep(seconds)
        cpu = self.server.cpu_seconds() - before - self.idle * seconds
        _, reads = await self._log(line)
        rounds = len(reads) / reads_a_round
        seen = divided(reads, self.poll_seconds / 4)
        # The last one may not be over yet.
        whole = [one for one in seen[:-1] or seen if len(one) >= 0.9 * reads_a_round]
        return Observed(
            rounds,
            [one[-1] - one[0] + latency for one in whole],
            [one[0] for one in seen],
            quantile([len(one) for one in whole], 0.5),
            cpu / rounds if rounds else math.nan,
            self.server.rss_mib(),
        )

    async def stalls(self, seconds: float) -> list[float]:
        """Ask the server whether it lives, again and again: an answer waits for its event loop."""
        took: list[float] = []
        end = time.monotonic() + seconds
        while (asked := time.monotonic()) < end:
            async with self.session.get(f"{self.server.url}/healthz") as answer:
                await answer.read()
            took.append(time.monotonic() - asked)
            await asyncio.sleep(PROBE_SECONDS)
        return took

    async def _post(self, url: str, asked: dict[str, Any]) -> Any:
        async with self.session.post(url, json=asked) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def _log(self, line: int) -> tuple[int, list[dict[str, Any]]]:
        url = f"{self.stub.url}/control/state?from={line}"
        async with self.session.get(url) as answer:
            state = await answer.json()
        return state["next"], [one for one in state["log"] if one["kind"] in {"list", "get"}]


def divided(reads: Sequence[dict[str, Any]], pause: float) -> list[list[float]]:
    """Divide reads into rounds: each begins with the newest page, or behind a pause."""
    rounds: list[list[float]] = []
    for read in reads:
        moment, newest = read["t"], read["kind"] == "list" and "after" not in read
        if not rounds or newest or moment - rounds[-1][-1] > pause:
            rounds.append([])
        rounds[-1].append(moment)
    return rounds
