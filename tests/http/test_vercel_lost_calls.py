"""Calls whose connection breaks before their result: the repetition gets the same job, if any."""

import asyncio
from pathlib import Path
from typing import Any

from gateways import Gateway, until
from vercel_clients import FOX, event, generated, headers, rendered, served, told


async def test_a_call_whose_connection_breaks_is_joined_by_an_equal_one(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        for _ in range(2):
            async with server.session.post(
                f"{server.url}/v4/ai/video-model", json=FOX, headers=headers()
            ) as response:
                assert await response.content.readany()
                response.close()
            await until(lambda: _lost(server))
        last = asyncio.create_task(generated(server))
        await rendered(server)
        assert event(await last)["type"] == "result"
        assert await server.total() == 1
        again = asyncio.create_task(generated(server))
        await rendered(server, 2)
        assert event(await again)["type"] == "result"
        assert server.simulator.creations == 2


async def test_a_read_by_others_gives_its_job_to_the_repetition_of_a_broken_call(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as server:
        async with server.session.post(
            f"{server.url}/v4/ai/video-model", json=FOX, headers=headers()
        ) as response:
            assert await response.content.readany()
            job_id = await _only_job(server)
            video = f"/v1/videos/video_{job_id.removeprefix('job_')}"
            assert (await server.get(video)).status == 200
            response.close()
        await until(lambda: _lost(server))
        again = asyncio.create_task(generated(server))
        await rendered(server)
        assert event(await again)["providerMetadata"]["reelhook"]["jobId"] == job_id
        assert server.simulator.creations == 1
        assert (await server.get(video)).status == 200
        last = asyncio.create_task(generated(server))  # the result was written, so it is a new call
        await rendered(server, 2)
        assert event(await last)["type"] == "result"


async def test_a_job_that_is_deleted_while_a_call_waits_ends_the_call(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        state: Any = server.hook.asgi
        jobs = state.state.gateway.jobs
        kept, deleted = jobs.job, asyncio.Event()

        async def late(*given: Any) -> Any:
            await deleted.wait()
            return await kept(*given)

        object.__setattr__(jobs, "job", late)
        call = asyncio.create_task(generated(server))
        await until(lambda: _stored(server))
        job_id = await _canceled(server)
        assert (await server.delete(f"/api/jobs/{job_id}")).status == 204
        deleted.set()
        found = event(await call)
        assert (found["type"], found["statusCode"]) == ("error", 424)
        assert found["message"].startswith(f"{job_id} was deleted")


async def test_a_repetition_of_a_call_whose_job_was_deleted_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        async with server.session.post(
            f"{server.url}/v4/ai/video-model", json=FOX, headers=headers()
        ) as response:
            assert await response.content.readany()
            response.close()
        await until(lambda: _lost(server))
        deleted = await server.delete(f"/api/jobs/{await _canceled(server)}")
        assert deleted.status == 204
        assert told(await generated(server))[3] == "job_deleted"
        assert server.simulator.creations == 1


async def _stored(server: Gateway) -> bool:
    return await server.total() == 1


async def _canceled(server: Gateway) -> str:
    """Cancel the only job once its provider has it; return its id."""
    job_id = await _only_job(server)

    async def arrived() -> bool:
        return server.simulator.creations == 1

    await until(arrived)
    reply = await server.post(f"/api/jobs/{job_id}/cancel?force=true", json={})
    assert reply.status == 200, reply.body
    return job_id


async def _only_job(server: Gateway) -> str:
    [job] = (await server.get("/api/jobs")).json()["jobs"]
    return str(job["jobId"])


async def _lost(server: Gateway) -> bool:
    state: Any = server.hook.asgi
    return not state.state.stream_slots._taken
