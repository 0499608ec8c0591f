"""Jobs through every server of `/v1/videos` that the simulator plays, to what a user reads.

`NOT_YET` lists what does not hold today. What holds is taken out of it: its marks are strict.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from gateways import Gateway, gateway, until

from reelhook.domain.listing import ORDER_MARGIN_MILLISECONDS
from reelhook.simulator.faults import Faults
from reelhook.simulator.flavour import OUT_OF_MEMORY, Flavour
from reelhook.simulator.flavours import FLAVOURS

MINUTE = Faults(queue_seconds=1, render_seconds=61)
PICTURE = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8)).decode()
AT_A_URL = "http://127.0.0.1/fox.png"
ECHOING = {"sglang", "fastvideo"}
FORGETTING = {name for name, one in FLAVOURS.items() if one.deleting and not one.deleting.stops}
WITH_PROMPTS = {"vllm-omni", "aquiles", "tensorrt-llm"}
SIZE = {"seconds": 4, "size": "1280x720"}
"""What every one of them takes."""

MODEL = "the default model is one that this server refuses"
ONE_FRAME = "without seconds this server renders one frame"
IMAGE = "images are not sent in a form that this server takes"
WORDS = "this server's status words are not known"
FORGOTTEN = "a job that is missing is shown after ten minutes"
LOST = "a listing without prompts does not tell which create was lost"
STOPPED = "a cancel does not say that the server renders on"
NOT_YET: dict[tuple[str, str], str] = {}


@dataclass
class Stage:
    """One server behind a gateway, and how long to wait for what should happen."""

    flavour: Flavour
    server: Gateway
    patience: float

    async def submit(self, script: str = "A fox", **fields: Any) -> str:
        named = {"model": self.flavour.models[0], **SIZE, **fields}
        given = {name: value for name, value in named.items() if value is not None}
        reply = await self.server.post("/api/generate", json={"script": script, **given})
        assert reply.status == 200, reply.body
        return str(reply.json()["jobId"])

    async def job_when(self, job_id: str, holds: Callable[[Any], object]) -> Any:
        async def look() -> Any:
            job = await self.server.job(job_id)
            assert holds(job) or job["status"] not in {"failed", "canceled"}, job
            return job if holds(job) else None

        return await until(look, self.patience)

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

    async def download(self, job_id: str, **headers: str) -> Any:
        return await self.server.get(f"/api/sora/videos/{job_id}/download", headers=headers)


async def text(stage: Stage) -> None:
    job_id = await stage.submit()
    await stage.completed(job_id)
    assert (await stage.download(job_id)).body[4:8] == b"ftyp"


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
        assert stage.flavour.name in {"aquiles", "tensorrt-llm", "litellm"}
        assert "image" in job["error"] or "reference" in job["error"], job


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
        tells = stage.flavour.name in {"sglang", "aquiles"}
        assert job["progress"] == (50 if tells else 0)


async def failure(stage: Stage) -> None:
    stage.server.simulator.faults = replace(MINUTE, broken=1)
    job_id = await stage.submit()
    await stage.accepted(job_id)
    stage.server.time.advance(120)
    job = await stage.job_when(job_id, lambda job: job["status"] == "failed")
    assert OUT_OF_MEMORY in job["error"]
    assert job["code"] == "provider_error"


async def busy(stage: Stage) -> None:
    first = await stage.submit("The first")
    await stage.accepted(first)
    second = await stage.submit("The second")

    async def sent() -> bool:
        return stage.server.simulator.requests["create"] > 1

    if stage.flavour.busy is not None:
        await until(sent, stage.patience)
    await stage.completed(first)
    await stage.completed(second)
    assert stage.server.simulator.creations == 2


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
    if stage.flavour.busy is None:
        # Only entries that lie so far apart show in which order a listing is.
        await asyncio.sleep(ORDER_MARGIN_MILLISECONDS / 1000)
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

    await until(created, stage.patience)
    simulator.faults = MINUTE
    if stage.flavour.listing is None:  # nothing can tell where it is
        job = await stage.job_when(job_id, lambda job: job["status"] == "failed")
        assert job["code"] == "submission_unknown"
    else:
        await stage.completed(job_id)
    assert simulator.creations == before + 1


async def restart(stage: Stage) -> None:
    job_id = await stage.submit()
    await stage.accepted(job_id)
    await stage.server.post(f"/api/jobs/{job_id}/poll")
    stage.server.simulator.restart()
    assert (await stage.job_when(job_id, lambda job: job.get("missingSince")))["missingSince"]


async def file_after_a_restart(stage: Stage) -> None:
    job_id = await stage.submit()
    await stage.completed(job_id)
    stage.server.simulator.restart()
    if stage.flavour.listing is not None:
        assert (await stage.download(job_id)).refusal == (410, "content_missing", None)
    else:
        assert (await stage.download(job_id)).status == 502


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


async def ranges(stage: Stage) -> None:
    job_id = await stage.submit()
    await stage.completed(job_id)
    part = await stage.download(job_id, Range="bytes=4-7")
    assert (part.status, part.body) == (206, b"ftyp")


SCENARIOS: dict[str, Callable[[Stage], Awaitable[None]]] = {
    one.__name__: one
    for one in (
        *(text, image_as_data, image_by_url, options, default_model, no_seconds, progress),
        *(failure, busy, cancel, lost_create, lost_among_others, restart, file_after_a_restart),
        *(engine_dead, ranges),
    )
}


def matrix() -> list[Any]:
    """Return every scenario at every server, with a mark where it does not hold yet."""
    rows = []
    for scenario in SCENARIOS:
        for name in FLAVOURS:
            reason = NOT_YET.get((scenario, name))
            marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
            rows.append(pytest.param(scenario, name, marks=marks, id=f"{scenario}-{name}"))
    return rows


@pytest.mark.parametrize(("scenario", "name"), matrix())
async def test_a_user_gets_what_the_server_can_do(scenario: str, name: str, tmp_path: Path) -> None:
    patience = 2 if (scenario, name) in NOT_YET else 60
    flavour = FLAVOURS[name]
    chosen: dict[str, Any] = {"openai_api_key": "key", "poll_seconds": 0.05}
    if scenario.startswith("lost"):
        chosen["submit_settle_seconds"] = 0.3
    async with gateway(tmp_path, MINUTE, flavour=flavour, **chosen) as server:
        await SCENARIOS[scenario](Stage(flavour, server, patience))
