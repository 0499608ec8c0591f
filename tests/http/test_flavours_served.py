"""Jobs through every server of `/v1/videos` that the simulator plays, to what a user reads."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from gateways import AT_ONCE, SMALL, Gateway, gateway, until

from reelhook.domain.listing import ORDER_MARGIN_MILLISECONDS
from reelhook.providers.openai.refusals import AQUILES_SIZES
from reelhook.simulator.faults import Faults
from reelhook.simulator.flavour import OUT_OF_MEMORY, Flavour
from reelhook.simulator.flavours import FLAVOURS

pytestmark = pytest.mark.long

MINUTE = Faults(queue_seconds=1, render_seconds=61)
PICTURE = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8)).decode()
AT_A_URL = "http://127.0.0.1/fox.png"
ENDED = ("completed", "failed", "canceled")
ONE_AT_A_TIME = {"aquiles", "fastvideo"}
"""They have no queue: the next job is created when the one before has ended."""


@dataclass
class Stage:
    """One server behind a gateway."""

    flavour: Flavour
    server: Gateway

    async def submit(self, script: str = "A fox", **fields: Any) -> str:
        named = {"model": self.flavour.models[0], **SMALL, **fields}
        if self.flavour.name == "aquiles":
            named["size"] = AQUILES_SIZES[0]  # any other makes it crash
        given = {name: value for name, value in named.items() if value is not None}
        reply = await self.server.post("/api/generate", json={"script": script, **given})
        assert reply.status == 200, reply.body
        return str(reply.json()["jobId"])

    async def job_when(self, job_id: str, holds: Callable[[Any], object]) -> Any:
        async def look() -> Any:
            job = await self.server.job(job_id)
            assert holds(job) or job["status"] not in {"failed", "canceled"}, job
            return job if holds(job) else None

        return await until(look)

    async def accepted(self, job_id: str) -> Any:
        return await self.job_when(job_id, lambda job: job["soraJobId"])

    async def completed(self, job_id: str) -> Any:
        await self.accepted(job_id)
        self.server.time.advance(120)
        return await self.job_when(job_id, lambda job: job["status"] == "completed")

    async def engine(self, job_id: str) -> Any:
        """Return what reached the engine for this job."""
        job = await self.accepted(job_id)
        return self.server.simulator.jobs[job["soraJobId"]].engine

    async def finish(self) -> None:
        """Let all jobs end."""
        self.server.simulator.faults = MINUTE

        async def ended() -> bool:
            self.server.time.advance(120)
            counts = (await self.server.get("/api/stats")).json()["jobs"]
            return int(counts["total"]) == sum(int(counts.get(one, 0)) for one in ENDED)

        await until(ended)

    async def download(self, job_id: str, **headers: str) -> Any:
        return await self.server.get(f"/api/sora/videos/{job_id}/download", headers=headers)


async def text(stage: Stage) -> None:
    job_id = await stage.submit()
    await stage.completed(job_id)
    video = await stage.download(job_id)
    assert video.body[4:8] == b"ftyp"
    part = await stage.download(job_id, Range="bytes=4-7")
    assert (part.status, part.body) == (206, b"ftyp")
    assert part.headers["Content-Range"] == f"bytes 4-7/{len(video.body)}"


async def image_as_data(stage: Stage) -> None:
    engine = await stage.engine(await stage.submit(image=PICTURE))
    assert engine["image"].startswith(("upload:image/png", "data:image/png"))


async def image_by_url(stage: Stage) -> None:
    """An image that the server would drop, or refuses, must not be paid for in silence."""
    job_id = await stage.submit(image=AT_A_URL)
    job = await stage.job_when(job_id, lambda job: job["soraJobId"] or job["status"] == "failed")
    if job["soraJobId"]:
        assert AT_A_URL in str((await stage.engine(job_id)).get("image"))
    else:
        assert stage.flavour.name == "aquiles"  # it takes files alone
        assert "not by URL: give it as data:image/png;base64" in job["error"]


async def options(stage: Stage) -> None:
    engine = await stage.engine(
        await stage.submit(seed=5, providerOptions={"num_inference_steps": 7})
    )
    if stage.flavour.name != "aquiles":  # it passes none on
        assert (engine["seed"], engine["num_inference_steps"]) == (5, 7)


async def default_model(stage: Stage) -> None:
    await stage.completed(await stage.submit(model=None))


async def no_seconds(stage: Stage) -> None:
    job_id = await stage.submit(seconds=None)
    assert (await stage.engine(job_id)).get("num_frames") != 1
    await stage.completed(job_id)


async def progress(stage: Stage) -> None:
    job_id = await stage.submit()
    await stage.accepted(job_id)
    stage.server.time.advance(31)
    if stage.flavour.name != "fastvideo":  # it says "queued" until the end
        job = await stage.job_when(job_id, lambda job: job["status"] == "processing")
        reports = stage.flavour.name in {"sglang", "aquiles"}
        assert job["progress"] == (50 if reports else 0)


async def failure(stage: Stage) -> None:
    stage.server.simulator.faults = replace(MINUTE, broken=1)
    job_id = await stage.submit()
    await stage.accepted(job_id)
    stage.server.time.advance(120)
    job = await stage.job_when(job_id, lambda job: job["status"] == "failed")
    assert OUT_OF_MEMORY in job["error"]
    assert job["code"] == "provider_error"


async def busy(stage: Stage) -> None:
    """A server without a queue is sent nothing that it would refuse, or render at the same time."""
    simulator = stage.server.simulator
    before = simulator.requests["create"]
    first = await stage.submit("The first")
    await stage.accepted(first)
    second = await stage.submit("The second")
    if stage.flavour.name not in ONE_AT_A_TIME:
        await stage.accepted(second)
    await stage.completed(first)
    await stage.completed(second)
    assert simulator.requests["create"] == before + 2
    began, other = [
        simulator.jobs[(await stage.accepted(one))["soraJobId"]].created_at
        for one in (first, second)
    ]
    waited = other - began >= MINUTE.queue_seconds + MINUTE.render_seconds
    assert waited is (stage.flavour.name in ONE_AT_A_TIME)


async def cancel(stage: Stage) -> None:
    job_id = await stage.submit()
    await stage.accepted(job_id)
    reply = await stage.server.post(f"/api/jobs/{job_id}/cancel")
    if stage.flavour.deleting is None:
        assert reply.refusal == (409, "not_cancelable", None)
        return
    assert (reply.status, reply.json()["status"]) == (200, "canceled")
    assert reply.json().get("stopped", True) is stage.flavour.deleting.stops


async def lost_create(stage: Stage) -> None:
    await stage.completed(await stage.submit("Shows what the server is like"))
    await _lost(stage)


async def lost_among_others(stage: Stage) -> None:
    """The others are of the same second, which these servers' listings do not order."""
    await stage.completed(await stage.submit("Shows what the server is like"))
    # Only entries that lie so far apart show in which order a listing is.
    await asyncio.sleep(ORDER_MARGIN_MILLISECONDS / 1000)
    if stage.flavour.name in ONE_AT_A_TIME:
        stage.server.simulator.faults = AT_ONCE
    for number in range(3):
        await stage.accepted(await stage.submit(f"Other {number}"))
    await _lost(stage)


async def _lost(stage: Stage) -> None:
    simulator = stage.server.simulator
    before = simulator.creations
    simulator.faults = replace(MINUTE, lost_create=1)
    job_id = await stage.submit("The lost one")

    async def created() -> bool:
        return simulator.creations > before

    await until(created)
    simulator.faults = MINUTE
    if stage.flavour.listing is None:  # nothing reports its position
        job = await stage.job_when(job_id, lambda job: job["status"] == "failed")
        assert job["code"] == "submission_unknown"
    else:
        await stage.completed(job_id)
    assert simulator.creations == before + 1


async def restart(stage: Stage) -> None:
    finished = await stage.submit("The finished one")
    await stage.completed(finished)
    job_id = await stage.submit()
    await stage.accepted(job_id)
    await stage.server.post(f"/api/jobs/{job_id}/poll")
    stage.server.simulator.restart()
    video = await stage.download(finished)
    await stage.job_when(job_id, lambda job: job.get("missingSince"))
    assert video.refusal == (410, "content_missing", None)


async def engine_dead(stage: Stage) -> None:
    stage.server.simulator.faults = replace(MINUTE, engine_dead=True)
    job_id = await stage.submit()
    if stage.flavour.dead is None:
        await stage.accepted(job_id)
        stage.server.time.advance(120)
        await stage.job_when(job_id, lambda job: job["status"] == "failed")
    else:
        words = stage.flavour.dead.message
        await stage.job_when(job_id, lambda job: words in json.dumps(job))


Scenario = Callable[[Stage], Awaitable[None]]
SHARING: tuple[Scenario, ...] = (
    *(text, image_as_data, image_by_url, options, default_model, no_seconds, progress),
    *(failure, busy, cancel, engine_dead),
)
"""They leave a server as they found it."""
ALONE: tuple[Scenario, ...] = (lost_create, lost_among_others, restart)


@asynccontextmanager
async def staged(folder: Path, name: str, **chosen: Any) -> AsyncIterator[Stage]:
    """Serve until the block ends, with this server behind the gateway."""
    flavour = FLAVOURS[name]
    # Images at addresses are passed on: what servers do with them is tested here.
    defaults = {"openai_api_key": "key", "poll_seconds": 0.05, "fetch_images": False}
    async with gateway(folder, MINUTE, flavour=flavour, **{**defaults, **chosen}) as server:
        yield Stage(flavour, server)


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=list(FLAVOURS))
async def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    async with staged(tmp_path_factory.mktemp(request.param), request.param) as stage:
        yield stage


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scenario", SHARING, ids=lambda one: one.__name__)
async def test_a_user_gets_what_the_server_can_do(shared: Stage, scenario: Scenario) -> None:
    try:
        await scenario(shared)
    finally:
        await shared.finish()


@pytest.mark.parametrize("scenario", ALONE, ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", FLAVOURS)
async def test_a_user_reads_what_became_of_a_lost_job(
    name: str, scenario: Scenario, tmp_path: Path
) -> None:
    async with staged(tmp_path, name, submit_settle_seconds=0.3) as stage:
        await scenario(stage)
