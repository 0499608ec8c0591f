"""Creates that a server refuses, with default settings: `python -m bench.refused`.

The whole program asks a simulated server that refuses with 500, 502, 503, 409 or a gateway's page:
how soon is its refusal shown, how many creates does it get, how does the job end, and after how
many seconds? All kinds are played side by side, so it takes as long as the slowest, about five
minutes. Exits 1 where a server gets more than four creates, its words are missing, or a job is paid
for twice.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import reelhook
from bench.figures import Figures
from bench.stage import RESULTS
from reelhook.domain.job import Job, Status
from reelhook.doors.compat.functions import Hook
from reelhook.simulator.core import Simulator
from reelhook.simulator.faults import Faults
from reelhook.simulator.refusals import CreateRefusal
from reelhook.simulator.server import running

CREATES_MAX = 4
SHOWN_SECONDS_MAX = 5.0
UNKNOWN_SECONDS_MAX = 180.0
SECONDS_MAX = 600.0
LOOK_SECONDS = 0.05
FALLBACK = "replicate/google/veo-3-fast"
CASES = {
    "refused": "refused, listing known",
    "accepted": "accepted all the same",
    "unknown": "no listing",
}
WORDS = {
    one: "Bad Gateway" if one is CreateRefusal.PAGE else "The limit of 1" for one in CreateRefusal
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a user saw of one job. `creates` are those that its first server got."""

    refusal: CreateRefusal
    case: str
    shown_seconds: float
    words: str
    ended_seconds: float
    end: str
    creates: int
    renders: int

    @property
    def line(self) -> str:
        return (
            f"{self.refusal:<5} {CASES[self.case]:<24}{self.shown_seconds:>8.2f} s"
            f"{self.ended_seconds:>8.1f} s{self.creates:>8}{self.renders:>9}  {self.end}"
        )


async def see(refusal: CreateRefusal, case: str, opening: asyncio.Lock) -> Seen:
    """Submit one job to a server that refuses so, and watch it as a user does."""
    quick = Faults(queue_seconds=0, render_seconds=0)
    chance = Random(1)  # noqa: S311  # makes no keys
    with tempfile.TemporaryDirectory() as folder:
        async with (
            running(quick, random=chance) as server,
            running(quick, random=chance) as other,
            contextlib.AsyncExitStack() as stack,
        ):
            settings = reelhook.Settings.of(
                openai_base_url=server.base_url,
                replicate_base_url=f"{other.root_url}/replicate/v1",
                replicate_api_token="bench",
                data_dir=Path(folder),
                webhook_secret="bench",
            )
            async with opening:  # migrations take turns
                hook = await stack.enter_async_context(reelhook.open(settings))
            for number in range(2):  # so that the listing has shown jobs of ours
                await _ended(hook, await hook.submit(f"Known {number}"))
            rates = {"refused": (1, 0), "accepted": (0, 1), "unknown": (1, 0)}[case]
            server.simulator.faults = Faults(
                refused_create=rates[0],
                refused_after=rates[1],
                refusal=refusal,
                listing=case != "unknown",
                queue_seconds=0,
                render_seconds=0,
            )
            before = server.simulator.requests["create"]
            return await _watched(hook, server.simulator, other.simulator, refusal, case, before)


async def _watched(
    hook: Hook,
    server: Simulator,
    other: Simulator,
    refusal: CreateRefusal,
    case: str,
    before: int,
) -> Seen:
    begun = time.monotonic()
    job_id = await hook.submit("Refused", fallbacks=(FALLBACK,))
    shown: tuple[float, str] | None = None
    job = await _job(hook, job_id)
    while not job.status.terminal and time.monotonic() - begun < SECONDS_MAX:
        if shown is None and job.waiting is not None:
            shown = (time.monotonic() - begun, job.waiting.last_response)
        await asyncio.sleep(LOOK_SECONDS)
        job = await _job(hook, job_id)
    videos = [*server.jobs.values(), *other.jobs.values()]
    seconds, words = shown or (float("nan"), "")
    return Seen(
        refusal,
        case,
        seconds,
        words,
        time.monotonic() - begun,
        f"{job.status} at {job.provider}" + (f", {job.code}: {job.error}" if job.code else ""),
        server.requests["create"] - before,
        sum(one.video.prompt == "Refused" for one in videos),
    )


async def _job(hook: Hook, job_id: str) -> Job:
    return (await hook.service.job(job_id)).job


async def _ended(hook: Hook, job_id: str) -> None:
    ended = False
    while not ended:
        await asyncio.sleep(LOOK_SECONDS)
        ended = (await _job(hook, job_id)).status.terminal


def figures(seen: Sequence[Seen]) -> Figures:
    told = Figures("refused")
    told.at_most(
        "seconds to the words",
        max(s.shown_seconds for s in seen if s.case != "accepted"),
        SHOWN_SECONDS_MAX,
        " s",
    )
    told.at_most("creates at the server", max(one.creates for one in seen), CREATES_MAX)
    told.equal("paid twice", sum(one.renders > 1 for one in seen), 0)
    # What was accepted is mostly found before anyone could read anything.
    told.none(
        "other words",
        [s.line for s in seen if s.case != "accepted" and WORDS[s.refusal] not in s.words],
    )
    ends = {"refused": Status.COMPLETED, "accepted": Status.COMPLETED, "unknown": Status.FAILED}
    told.none("other ends", [s.line for s in seen if not s.end.startswith(ends[s.case])])
    fallen = [s for s in seen if s.case == "refused"]
    told.none("fallback not used", [s.line for s in fallen if "replicate" not in s.end])
    unknown = [s.ended_seconds for s in seen if s.case == "unknown"]
    told.at_most("seconds to submission_unknown", max(unknown), UNKNOWN_SECONDS_MAX, " s")
    return told


async def play(cases: Sequence[str]) -> list[Seen]:
    opening = asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(see(one, case, opening)) for case in cases for one in CreateRefusal
        ]
    return [task.result() for task in tasks]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    seen = asyncio.run(play(list(CASES)))
    print(f"{'':<30}{'words':>10}{'end':>10}{'creates':>8}{'renders':>9}")
    for one in seen:
        print(one.line)
    told = figures(seen)
    told.show()
    told.write(options.results)
    sys.exit(0 if told.reached else 1)


if __name__ == "__main__":
    main()
