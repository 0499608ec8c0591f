"""What is delivered: registered jobs that the upstream stub changes by plan.

A job whose progress moves every second gives an event a second for a minute, so a pool as large as
the rate is all that has to be watched: a few pages a round. Each change comes long after the one
before should have arrived, since a newer progress would supersede an unsent one.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import aiohttp

from bench.stage import Stage, until

AT_ONCE = 32
START_SECONDS = 0.5
STEPS_MAX = 99


@dataclass(frozen=True, slots=True)
class Plan:
    """`count` changes of each video, one every so many seconds; `ends` with the video's end."""

    every: float
    count: int
    ends: bool = False

    @property
    def seconds(self) -> float:
        """From the first change of the first video to the last one of the last video."""
        return self.every * self.count

    def events(self, videos: int) -> int:
        return videos * self.count


def plan_for(per_second: float, seconds: float, every: float) -> tuple[int, Plan]:
    """Return how many videos make that rate, and their plan."""
    count = round(seconds / every)
    if not 1 <= count <= STEPS_MAX:
        raise ValueError(f"a video has {STEPS_MAX} changes, not {count}")
    return max(1, round(per_second * every)), Plan(every, count, ends=True)


async def make(here: Stage, count: int, *, ended: bool = False) -> list[str]:
    """Make videos at the upstream, of which the server does not know yet."""
    made = await here.post(f"{here.upstream.url}/control/make", {"count": count, "ended": ended})
    ids: list[str] = made["ids"]
    return ids


async def register(here: Stage, videos: Sequence[str], urls: Sequence[str]) -> list[str]:
    """Let the server watch videos, their events going to the URLs in turn; return the job ids."""
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(video: str, url: str) -> str:
            body = {"soraJobId": video, "webhookUrl": url}
            async with session.post(f"{here.server.url}/api/jobs/register", json=body) as answer:
                answer.raise_for_status()
                job_id: str = (await answer.json())["jobId"]
                return job_id

        return await asyncio.gather(
            *(one(video, url) for video, url in zip(videos, cycle(urls), strict=False))
        )


async def start(here: Stage, videos: Sequence[str], plan: Plan, *, seed: int = 1) -> None:
    """Begin to change the videos, a moment from now."""
    content = {
        "ids": list(videos),
        "start_in": START_SECONDS,
        "every": plan.every,
        "count": plan.count,
        "ends": plan.ends,
        "seed": seed,
    }
    await here.post(f"{here.upstream.url}/control/plan", content)


async def arrived(here: Stage) -> int:
    counted = await here.get(f"{here.receivers.url}/control/count")
    count: int = counted["count"]
    return count


async def all_arrived(here: Stage, count: int, *, seconds: float) -> bool:
    """Wait until that many requests have arrived; asking costs the receivers next to nothing."""

    async def enough() -> bool:
        return await arrived(here) >= count

    return await until(enough, seconds=seconds, every=0.25)


async def events_of(here: Stage, jobs: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return every event that the server has recorded of these jobs, by its id."""
    found: dict[str, dict[str, object]] = {}
    gate = asyncio.Semaphore(AT_ONCE)

    async def read(job: str) -> None:
        async with gate:
            answer = await here.get(f"{here.server.url}/api/jobs/{job}/events")
        for event in answer["events"]:
            found[event.pop("id")] = event

    await asyncio.gather(*(read(job) for job in jobs))
    return found


def urls(here: Stage, endpoints: int, *, skip: int = 0) -> list[str]:
    """Return the receivers' URLs, each a port of its own; the first `skip` ports are left out."""
    ports = here.receivers.ports[skip : skip + endpoints]
    return [f"http://127.0.0.1:{port}/hook" for port in ports]
