"""Large files are uploaded to providers that have an API for it, before the paid call."""

import asyncio
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from ipaddress import IPv4Address
from random import Random
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from reelhook.domain.media import File
from reelhook.domain.report import Accepted, NotSent, RateLimited, Refused, SubmitOutcome
from reelhook.domain.request import VideoRequest
from reelhook.providers.fal.provider import Fal
from reelhook.providers.http.file_access import FileAccess
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.replicate.provider import Replicate
from reelhook.providers.runway.provider import Runway
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import RunningSimulator, running

SMALL = File("image/png", b"\x89PNG\r\n\x1a\n" + b"x" * 1000)
LARGE = File("image/png", b"\x89PNG\r\n\x1a\n" + Random(1).randbytes(4_000_000))
ADAPTERS: dict[str, tuple[str, Callable[..., HttpProvider], str]] = {
    "fal": ("/fal", Fal, "fal-ai/kling-video/v2.5-turbo/pro/image-to-video"),
    "replicate": ("/replicate/v1", Replicate, "bytedance/seedance-2.0"),
    "runway": ("/runway/v1", Runway, "gen4.5"),
}


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running(Faults(), random=Random(1), api_key="key") as server:
        yield server


def opened(root: str, name: str, **more: Any) -> tuple[HttpProvider, str]:
    path, adapter, model = ADAPTERS[name]
    return adapter(f"{root}{path}", "key", **more), model


@pytest.mark.parametrize("name", ADAPTERS)
async def test_a_large_file_is_uploaded_once_and_a_small_one_is_sent(
    simulator: RunningSimulator, name: str
) -> None:
    provider, model = opened(simulator.root_url, name)
    async with provider:
        small = VideoRequest("A fox", model, image=SMALL.uri)
        assert isinstance(await provider.submit(small, lambda: True), Accepted)
        assert not simulator.simulator.uploads.kept
        large = VideoRequest("A fox", model, image=LARGE.uri)
        assert isinstance(await provider.submit(large, lambda: True), Accepted)
    [file] = set(simulator.simulator.uploads.kept.values())
    assert (file.content_type, file.size) == ("image/png", len(LARGE.body))
    assert file.sha256 == sha256(LARGE.body).hexdigest()


class Host:
    """A provider whose uploads end as a test says; a create would be counted."""

    def __init__(self, status: int, *, at_storage: bool = False, address: str = "") -> None:
        self.status, self.at_storage, self.address = status, at_storage, address
        self.creates = 0

    async def respond(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        if request.path.endswith(("/initiate", "/files", "/uploads")):
            if not self.at_storage:
                return web.json_response({"error": "no"}, status=self.status)
            storage = self.address or f"{request.url.origin()}/storage"
            begun = {"upload_url": storage, "uploadUrl": storage, "fields": {"key": "1"}}
            uploaded = {"file_url": "https://fal.media/1", "runwayUri": "runway://1"}
            return web.json_response({**begun, **uploaded})
        if request.path == "/storage":
            return web.Response(status=self.status)
        self.creates += 1
        return web.json_response({"id": "1", "request_id": "1"})


async def submitted(host: Host, name: str, **more: Any) -> SubmitOutcome:
    """Submit a request with a large image to an adapter at this host."""
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", host.respond)
    async with TestServer(app, shutdown_timeout=0) as server:
        provider, model = opened(str(server.make_url("")).rstrip("/"), name, **more)
        async with provider:
            return await provider.submit(
                VideoRequest("A fox", model, image=LARGE.uri), lambda: True
            )


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (500, NotSent, None),
        (302, NotSent, None),
        (429, RateLimited, None),
        (413, Refused, "image_unavailable"),
        (401, Refused, "provider_unauthorized"),
    ],
)
async def test_a_refused_upload_is_no_paid_call(
    name: str, status: int, kind: type, code: str | None
) -> None:
    host = Host(status)
    outcome = await submitted(host, name)
    assert isinstance(outcome, kind), outcome
    assert (getattr(outcome, "code", None), host.creates) == (code, 0)


@pytest.mark.parametrize("name", ["fal", "runway"])
@pytest.mark.parametrize(
    ("host", "kind"),
    [
        (Host(503, at_storage=True), NotSent),
        (Host(403, at_storage=True), NotSent),
        (Host(400, at_storage=True), Refused),
        (Host(200, at_storage=True, address="http://10.0.0.1/storage"), Refused),
        (Host(200, at_storage=True, address="https://rebound.example/storage"), Refused),
        (Host(200, at_storage=True, address="nonsense"), Refused),
    ],
)
async def test_storage_that_fails_or_may_not_be_dialled_is_no_paid_call(
    name: str, host: Host, kind: type
) -> None:
    async def look_up(_: str) -> list[IPv4Address]:
        return [IPv4Address("10.0.0.1")]

    outcome = await submitted(host, name, files=FileAccess(look_up=look_up))
    assert isinstance(outcome, kind), outcome
    assert host.creates == 0


@pytest.mark.parametrize("name", ADAPTERS)
async def test_a_proxy_without_uploads_gets_the_file_in_the_create(name: str) -> None:
    host = Host(404)
    outcome = await submitted(host, name)
    assert isinstance(outcome, Accepted)
    assert host.creates == 1


async def test_an_upload_that_hangs_ends_with_the_time_of_a_submit() -> None:
    gate = asyncio.Event()

    class Hanging(Host):
        async def respond(self, request: web.Request) -> web.StreamResponse:
            await gate.wait()
            return web.Response()

    host = Hanging(200)
    outcome = await submitted(host, "runway", submit_timeout_seconds=0.2)
    gate.set()
    assert isinstance(outcome, NotSent)
    assert "longer than 0.2 s" in outcome.reason
