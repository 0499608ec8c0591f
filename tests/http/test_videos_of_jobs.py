"""A request whose image or video is made by an earlier job, at every door."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from gateways import AT_ONCE, SMALL, Gateway
from vercel_clients import headers, served

from reelhook.simulator.faults import Faults

FOX: dict[str, Any] = {"script": "A fox", **SMALL}
OPENAI = {"prompt": "A fox", "seconds": "1"}
VERCEL = {"prompt": "A fox"}
GENERATE, VIDEOS, START = "/api/generate", "/v1/videos", "/v4/ai/video-model/start"


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with served(tmp_path, AT_ONCE) as running:
        yield running


async def asked(server: Gateway, path: str, body: dict[str, Any]) -> Any:
    return await server.post(path, json=body, headers=headers() if path == START else {})


async def test_a_completed_job_is_taken_at_every_door(server: Gateway) -> None:
    job_id = await server.submit()
    await server.job_when(job_id, "completed")
    image = {"job": job_id, "frame": "last"}
    video_id = job_id.replace("job_", "video_")
    bodies: list[tuple[str, dict[str, Any]]] = [
        (GENERATE, {**FOX, "image": image}),
        (GENERATE, {**FOX, "image": f"job:{job_id}"}),
        (VIDEOS, {**OPENAI, "image": {"job": job_id}}),
        (VIDEOS, {**OPENAI, "input_reference": {**image, "job": video_id}}),
        (VIDEOS, {**OPENAI, "image": f"job:{video_id}"}),
        (START, {**VERCEL, "image": image}),
        (START, {**VERCEL, "providerOptions": {"reelhook": {"image": image}}}),
    ]
    for path, body in bodies:
        reply = await asked(server, path, body)
        assert reply.status == 200, (path, body, reply.body)
    made = (await server.get("/api/jobs", params={"limit": 1})).json()["jobs"][0]["jobId"]
    await server.job_when(made, "completed")


async def test_other_jobs_are_refused_and_the_field_is_named(server: Gateway) -> None:
    done = await server.submit()
    await server.job_when(done, "completed")
    server.simulator.faults = Faults(queue_seconds=1000)
    queued = await server.submit()
    other = {"job": "job_other", "frame": "last"}
    cases: list[tuple[str, dict[str, Any], tuple[str, str]]] = [
        (GENERATE, {"image": {"job": queued}}, ("job_not_finished", "image")),
        (GENERATE, {"image": other}, ("job_not_found", "image")),
        (GENERATE, {"video": {"job": queued}}, ("invalid_request", "video")),
        (GENERATE, {"referenceVideos": [other]}, ("invalid_request", "referenceVideos.frame")),
        (GENERATE, {"image": {**other, "frame": "7"}}, ("invalid_request", "image.frame")),
        (GENERATE, {"referenceAudios": [{"job": done}]}, ("invalid_request", "referenceAudios.0")),
        (GENERATE, {"image": {"job": "../x"}}, ("invalid_request", "image")),
    ]
    for path, fields, (code, field) in cases:
        reply = await asked(server, path, {**FOX, **fields})
        assert reply.refusal == (400, code, field), fields
    reply = await asked(server, VIDEOS, {**OPENAI, "input_reference": {"job": queued}})
    error = reply.json()["error"]
    assert (error["code"], error["param"]) == ("job_not_finished", "input_reference")
    assert "in_progress" not in error["message"]
    reply = await asked(server, START, {**VERCEL, "inputReferences": [{"job": queued}]})
    assert (reply.status, reply.json()["error"]["param"]) == (400, "inputReferences")
    assert await server.total() == 2


async def test_another_projects_job_does_not_exist(server: Gateway) -> None:
    done = await server.submit()
    await server.job_when(done, "completed")
    await server.post("/api/projects", json={"name": "other"})
    reply = await asked(server, GENERATE, {**FOX, "image": {"job": done}, "project": "other"})
    assert reply.refusal == (400, "job_not_found", "image")


async def test_a_repeated_request_gets_its_job_although_the_source_is_gone(
    server: Gateway,
) -> None:
    done = await server.submit()
    await server.job_when(done, "completed")
    body = {**FOX, "image": {"job": done}}
    key = {"Idempotency-Key": "one"}
    first = (await server.post(GENERATE, json=body, headers=key)).json()["jobId"]
    assert (await server.delete(f"/api/jobs/{done}")).status == 204
    again = await server.post(GENERATE, json=body, headers=key)
    assert (again.status, again.json()["jobId"]) == (200, first)


async def test_a_model_that_takes_videos_gets_the_whole_video(tmp_path: Path) -> None:
    async with served(tmp_path, AT_ONCE, providers=("runway",)) as server:
        done = await server.submit()
        await server.job_when(done, "completed")
        fields = {"model": "runway/seedance2", "video": {"job": done}}
        reply = await server.post(GENERATE, json={"script": "A fox", **fields})
        assert reply.status == 200, reply.body
        await server.job_when(reply.json()["jobId"], "completed")
        unknown = {**fields, "video": {"job": "job_other"}}
        reply = await server.post(GENERATE, json={"script": "A fox", **unknown})
        assert reply.refusal == (400, "job_not_found", "video")
