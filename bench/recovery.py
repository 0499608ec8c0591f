"""An upstream that fails at random, loses the answers to creates, or has no listing."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from bench.checks import by_job, check_endings, check_order, check_signatures, terminal
from bench.figures import Figures
from bench.stage import Request, Stage, stage
from bench.upstream_faults import PASSING
from bench.upstream_videos import CONTENT, FAIL_MARK

ENVIRONMENT = {
    "REELHOOK_POLL_SECONDS": "1",
    "REELHOOK_SUBMIT_SETTLE_SECONDS": "4",
    "REELHOOK_SUBMIT_TIMEOUT_SECONDS": "3",
    # Of the creates, a sixth leaves nothing: by default one of 1300 jobs would use up its tries.
    "REELHOOK_SUBMIT_RETRIES": "10",
}
COUNT = 100
END_SECONDS_MAX = 150.0


async def faults(*, shared: bool) -> Figures:
    """10 % each of four faults on every route: every job ends once, rightly."""
    name = "faults-shared" if shared else "faults"
    figures = Figures(name)
    async with stage(name, ENVIRONMENT) as here:
        rates = dict.fromkeys(PASSING, 0.1)
        await here.set_upstream(
            faults={"*": rates}, finish_after_seconds=6.0, late_creates=0.5, progress_seconds=1.0
        )
        await here.server.start()
        requests = [here.request(n, _prompt(name, n, shared=shared)) for n in range(COUNT)]
        arrivals = await _run(here, figures, requests)
        log = (await here.upstream_state())["log"]
        met = Counter(f"{one['kind']} {one['fault']}" for one in log if one["fault"])
        figures.tell("faults met", ", ".join(f"{k} {v}" for k, v in sorted(met.items())))
        _judge_right_endings(figures, requests, arrivals)
        await _judge_creations(here, figures, requests)
        await here.set_upstream(faults={})
        await _judge_downloads(here, figures, requests)
    return figures


async def lost(*, listing: str) -> Figures:
    """Create answers lost: found again by a listing, and unknown where there is none."""
    name = "lost" if listing == "refused" else "lost-listed"
    figures = Figures(name)
    async with stage(name, ENVIRONMENT) as here:
        rates = (0.5, 0.5) if listing == "refused" else (0.7, 1.0)
        await here.set_upstream(
            listing=listing,
            lost_creates=rates[0],
            hung_creates=rates[1],
            finish_after_seconds=4.0,
            late_creates=0.5,
        )
        await here.server.start()
        requests = [here.request(n, f"{name} {n}") for n in range(COUNT)]
        arrivals = await _run(here, figures, requests)
        log = (await here.upstream_state())["log"]
        doubtful = {one["prompt"] for one in log if one["fault"] in {"lost", "hung"}}
        figures.tell("creates whose answer was lost", len(doubtful))
        _judge_lost(figures, requests, arrivals, doubtful if listing == "refused" else set())
        await _judge_creations(here, figures, requests)
    return figures


def _prompt(name: str, number: int, *, shared: bool) -> str:
    """Every fifth prompt is one that must fail."""
    mark = f" {FAIL_MARK}" if number % 5 == 0 else ""
    return f"{name} {number % 5 if shared else number}{mark}"


async def _run(here: Stage, figures: Figures, requests: list[Request]) -> list[dict[str, Any]]:
    started = time.monotonic()
    await here.submit_all(requests)

    await here.ear().ended(len(requests), seconds=END_SECONDS_MAX)
    figures.tell("seconds until all had ended", f"{time.monotonic() - started:.1f}")
    # Two more polls and a settle time: whatever comes too much comes now.
    await asyncio.sleep(4)
    arrivals = await here.arrivals()
    figures.equal("terminal webhooks", len(terminal(arrivals)), len(requests))
    check_endings(figures, arrivals, [str(one.job_id) for one in requests])
    check_order(figures, arrivals)
    check_signatures(figures, arrivals)
    left = [one for one in await here.jobs() if one["status"] in _RUNNING]
    figures.none("jobs still running", left)
    return arrivals


_RUNNING = frozenset({"accepted", "submitting", "queued", "processing"})


def _endings(arrivals: list[dict[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {
        job_id: terminal(of_job)[0]["event"]
        for job_id, of_job in by_job(arrivals).items()
        if terminal(of_job)
    }


def _judge_right_endings(
    figures: Figures, requests: list[Request], arrivals: list[dict[str, Any]]
) -> None:
    endings = _endings(arrivals)
    wrong = []
    for request in requests:
        event = endings.get(str(request.job_id))
        right = "failed" if FAIL_MARK in request.prompt else "completed"
        if event is None or event["status"] != right:
            wrong.append(f"{request.prompt}: wanted {right}, got {event}")
        elif right == "failed" and event["code"] != "moderation":
            wrong.append(f"{request.prompt}: code {event['code']}, error {event['error']}")
    figures.none("jobs that ended wrongly", wrong)


def _judge_lost(
    figures: Figures,
    requests: list[Request],
    arrivals: list[dict[str, Any]],
    unknown: set[str],
) -> None:
    endings = _endings(arrivals)
    wrong = []
    for request in requests:
        event = endings.get(str(request.job_id), {})
        got = (event.get("status"), event.get("code"), event.get("soraJobId") is None)
        in_doubt = request.prompt in unknown
        right = ("failed", "submission_unknown", True) if in_doubt else ("completed", None, False)
        if got != right:
            wrong.append(f"{request.prompt}: wanted {right}, got {event}")
    figures.none("jobs that ended wrongly", wrong)


async def _judge_creations(here: Stage, figures: Figures, requests: list[Request]) -> None:
    creations = await here.creations()
    wanted = Counter(one.prompt for one in requests)
    several = {p: ids for p, ids in creations.items() if len(ids) > wanted[p]}
    fewer = {p: n for p, n in wanted.items() if len(creations.get(p, [])) < n}
    figures.none("prompts created too often", list(several.items()))
    figures.none("prompts created too seldom", list(fewer.items()))
    ids = [one["soraJobId"] for one in await here.jobs() if one["soraJobId"]]
    twice = [one for one, times in Counter(ids).items() if times > 1]
    figures.none("videos that two jobs hold", twice)
    prompts = {video: prompt for prompt, videos in creations.items() for video in videos}
    of_job = {str(one.job_id): one.prompt for one in requests}
    mixed = [
        f"{job['jobId']} asked {of_job.get(job['jobId'])!r}, holds {job['soraJobId']}"
        for job in await here.jobs()
        if job["soraJobId"] and prompts.get(job["soraJobId"]) != of_job.get(job["jobId"])
    ]
    figures.none("jobs that hold another's video", mixed)


async def _judge_downloads(here: Stage, figures: Figures, requests: list[Request]) -> None:
    wrong = []
    for request in [one for one in requests if FAIL_MARK not in one.prompt][:5]:
        url = f"{here.server.url}/api/sora/videos/{request.job_id}/download"
        async with here.session.get(url) as answer:
            body = await answer.read()
            if answer.status != 200 or body != CONTENT:
                wrong.append(f"{request.job_id}: {answer.status} {body[:200]!r}")
    figures.none("downloads that are not the video", wrong)
