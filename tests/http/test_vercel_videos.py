"""Videos by the wire of Vercel's AI Gateway: waited for, started, read."""

import asyncio
from base64 import b64decode
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from gateways import AT_ONCE, Gateway, Reply, until
from stub_providers import StubProvider, stub_provider
from vercel_clients import (
    FOX,
    MODEL,
    event,
    generated,
    headers,
    rendered,
    served,
    started,
    status_of,
    told,
)

from reelhook.domain.errors import StoreError
from reelhook.doors.vercel import result, waiting
from reelhook.doors.vercel.result import is_private
from reelhook.simulator.faults import Faults


async def operation_of(server: Gateway, **fields: Any) -> Any:
    reply = await started(server, **fields)
    assert reply.status == 200, reply.body
    return reply.json()["operation"]


async def test_a_call_waits_for_its_video(tmp_path: Path) -> None:
    async with served(tmp_path, AT_ONCE) as server:
        reply = await generated(server)
        assert reply.body.startswith(b": ")
        found = event(reply)
        assert (found["type"], found["warnings"]) == ("result", [])
        [video] = found["videos"]
        assert (video["type"], video["mediaType"]) == ("base64", "video/mp4")
        assert b64decode(video["data"])[4:8] == b"ftyp"
        assert found["providerMetadata"]["reelhook"]["model"] == MODEL
        [job] = server.simulator.jobs.values()
        assert (job.video.seconds, job.video.width, job.video.height) == (4, 1280, 720)


async def test_a_public_address_gets_a_signed_url(tmp_path: Path) -> None:
    public = "https://reelhook.example.com"
    async with served(tmp_path, AT_ONCE, public_url=public) as server:
        [video] = event(await generated(server))["videos"]
        assert (video["type"], video["mediaType"]) == ("url", "video/mp4")
        assert video["url"].startswith(f"{public}/api/sora/videos/job_")
        path = video["url"].removeprefix(public)
        async with aiohttp.ClientSession() as nobody, nobody.get(server.url + path) as response:
            assert (await response.read())[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://127.0.0.1:3001", True),
        ("http://localhost", True),
        ("https://video.internal", True),
        ("https://printer.local:8443/base", True),
        ("http://[::1]:3001", True),
        ("http://[::ffff:10.0.0.1]", True),
        ("http://100.64.0.1", True),
        ("http://198.18.0.1", True),
        ("http://192.168.1.5", True),
        ("http://8.8.8.8", False),
        ("http://[2606:4700::1]", False),
        ("https://reelhook.example.com", False),
        ("https://internal.example.com", False),
    ],
)
def test_addresses_that_the_client_refuses_are_private(url: str, private: bool) -> None:
    assert is_private(url) is private


async def test_a_large_file_comes_as_a_url_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result, "BASE64_BYTES_MAX", 10)
    async with served(tmp_path, AT_ONCE) as server:
        found = event(await generated(server))
        assert found["videos"][0]["type"] == "url"
        [warning] = found["warnings"]
        assert (warning["type"], "download" in warning["message"]) == ("other", True)


async def test_a_file_of_unknown_size_comes_as_a_url(tmp_path: Path) -> None:
    async with stub_provider() as provider, served(tmp_path, upstream=provider.url) as server:
        provider.content = _without_length
        [found] = await completed_at(provider, server)
        assert (found.status, found.json()["videos"][0]["type"]) == (200, "url")
        assert "of unknown size" in found.json()["warnings"][0]["message"]


async def test_a_file_that_breaks_off_at_once_is_an_error_in_the_door_s_form(
    tmp_path: Path,
) -> None:
    async with stub_provider() as provider, served(tmp_path, upstream=provider.url) as server:
        provider.content = _broken_off
        refused, again = await completed_at(provider, server, reads=2)
        assert told(refused)[:2] == told(again)[:2] == (502, "internal_server_error")


async def completed_at(provider: StubProvider, server: Gateway, reads: int = 1) -> list[Reply]:
    """Finish a video, and read its status so many times."""
    operation = await operation_of(server)
    await server.job_when(operation["jobId"], "processing")
    provider.video("video_1", status="completed")
    await server.job_when(operation["jobId"], "completed")
    return [await status_of(server, operation) for _ in range(reads)]


async def _without_length(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
    await response.prepare(request)
    await response.write(b"0000ftyp")
    return response


async def _broken_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "video/mp4", "Content-Length": "1000"})
    await response.prepare(request)
    assert request.transport is not None
    request.transport.close()
    return response


async def test_a_started_video_is_pending_then_completed(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        operation = await operation_of(server)
        found = (await status_of(server, operation)).json()
        assert found["status"] == "pending"
        await rendered(server)

        async def ended() -> Any:
            found = (await status_of(server, operation)).json()
            return found if found["status"] != "pending" else None

        found = await until(ended)
        assert found["status"] == "completed"
        assert b64decode(found["videos"][0]["data"])[4:8] == b"ftyp"
        assert found["providerMetadata"]["reelhook"]["jobId"] == operation["jobId"]


async def test_a_canceled_and_a_failed_video_end_as_such(tmp_path: Path) -> None:
    async with served(tmp_path / "one") as server:
        operation = await operation_of(server)
        canceled = await server.post(f"/api/jobs/{operation['jobId']}/cancel?force=true", json={})
        assert canceled.status == 200, canceled.body
        assert (await status_of(server, operation)).json()["status"] == "cancelled"
    fails = Faults(queue_seconds=0, render_seconds=0, moderation=1)
    async with served(tmp_path / "two", fails) as server:
        found = event(await generated(server))
        assert (found["type"], found["statusCode"]) == ("error", 424)
        assert (found["errorType"], found["param"]) == ("failed_dependency", None)
        failed = (await server.get("/api/jobs")).json()["jobs"][0]
        status = (await status_of(server, {"jobId": failed["jobId"]})).json()
        assert (status["status"], status["error"]) == ("error", found["message"])
        assert status["providerMetadata"]["reelhook"]["code"] == "moderation"


async def test_comments_come_while_a_job_goes_on_and_the_call_ends_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "KEEP_ALIVE_SECONDS", 0.01)
    monkeypatch.setattr(waiting, "WAIT_SECONDS_MAX", 0.1)
    async with served(tmp_path) as server:
        reply = await generated(server)
        assert reply.body.count(b": keep-alive\n\n") > 2
        found = event(reply)
        assert (found["type"], found["statusCode"]) == ("error", 424)
        job_id = found["message"].partition(" ")[0]
        assert (await status_of(server, {"jobId": job_id})).json()["status"] == "pending"


async def test_a_call_that_may_not_wait_creates_no_job(tmp_path: Path) -> None:
    async with served(tmp_path, streams_max=1) as server:
        async with server.session.post(
            f"{server.url}/v4/ai/video-model", json=FOX, headers=headers()
        ) as response:
            assert await response.content.readany()
            refused = await generated(server, prompt="Another fox")
            assert told(refused) == (503, "internal_server_error", None, "too_many_streams")
            assert "Retry-After" in refused.headers
            response.close()
        assert await server.total() == 1


async def test_a_server_that_stops_breaks_the_connection(tmp_path: Path) -> None:
    async with (
        served(tmp_path) as server,
        server.session.post(
            f"{server.url}/v4/ai/video-model", json=FOX, headers=headers()
        ) as response,
    ):
        assert await response.content.readany()
        state: Any = server.hook.asgi
        state.state.gateway.feed.stop()
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_database_that_is_away_for_a_while_loses_no_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "KEEP_ALIVE_SECONDS", 0.01)
    async with served(tmp_path) as server:
        state: Any = server.hook.asgi
        jobs = state.state.gateway.jobs
        kept, reads = jobs.job, 0

        async def away(*given: Any) -> Any:
            nonlocal reads
            reads += 1
            if reads == 1:
                raise StoreError("away")
            return await kept(*given)

        object.__setattr__(jobs, "job", away)
        call = asyncio.create_task(generated(server))
        await rendered(server)
        assert event(await call)["type"] == "result"


async def test_a_key_makes_a_repeated_call_the_same_job(tmp_path: Path) -> None:
    async with served(tmp_path, AT_ONCE) as server:
        first, second = [event(await generated(server, key="order-1")) for _ in range(2)]
        assert first == second
        assert told(await generated(server, key="order-1", seed=7)) == (
            *(422, "invalid_request_error"),
            *(None, "idempotency_key_reused"),
        )
        assert server.simulator.creations == 1


async def test_the_models_are_listed(tmp_path: Path) -> None:
    async with served(tmp_path, model_aliases="movie=openai/sora-2") as server:
        models = (await server.get("/v4/ai/config")).json()["models"]
        assert models[-1] == {
            "id": "movie",
            "name": "movie",
            "specification": {
                "specificationVersion": "v4",
                "provider": "openai",
                "modelId": "movie",
            },
            "modelType": "video",
        }
