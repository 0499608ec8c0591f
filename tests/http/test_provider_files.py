"""A file that no create can carry is fetched by its provider here, or refused before it is paid."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from gateways import AT_ONCE, Gateway, gateway, until

from reelhook.domain.event import DAY_MILLISECONDS
from reelhook.domain.file_address import FileAddresses
from reelhook.domain.media import File

MP4 = File("video/mp4", b"\0\0\0\x18ftypmp42" + b"x" * 500_000)
BODY = {"script": "A fox", "model": "ark/dreamina-seedance-2-0-260128", "video": MP4.uri}
ARK: dict[str, Any] = {"ark_api_key": "key"}


@asynccontextmanager
async def ark() -> AsyncIterator[tuple[str, list[Any]]]:
    """Serve an Ark that accepts every create; give its base URL and the bodies."""
    bodies: list[Any] = []

    async def respond(request: web.Request) -> web.Response:
        if request.method == "POST":
            bodies.append(await request.json())
            return web.json_response({"id": f"cgt-{len(bodies)}"})
        return web.json_response({"items": [], "total": 0})

    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", respond)
    async with TestServer(app, shutdown_timeout=0) as server:
        yield str(server.make_url("/api/v3")), bodies


async def created(server: Gateway, bodies: list[Any], **fields: Any) -> str:
    """Submit a request, and return the address of the video in its create."""
    reply = await server.post("/api/generate", json={**BODY, **fields})
    assert reply.status == 200, reply.body

    async def sent() -> Any:
        return bodies

    await until(sent)
    [url] = [item["video_url"]["url"] for item in bodies[0]["content"] if "video_url" in item]
    return str(url)


async def test_a_provider_fetches_a_video_by_a_signed_address(tmp_path: Path) -> None:
    public = "https://videos.example.com"
    async with (
        ark() as (base_url, bodies),
        gateway(
            tmp_path,
            AT_ONCE,
            public_url=public,
            api_key="a-long-random-text",
            headers={"Authorization": "Bearer a-long-random-text"},
            ark_base_url=base_url,
            **ARK,
        ) as server,
        aiohttp.ClientSession() as keyless,
    ):
        url = await created(server, bodies)
        assert url.startswith(f"{public}/providers/files/default.{MP4.hash}.")
        path = url.removeprefix(public)
        for method in ("GET", "HEAD", "GET", "HEAD", "GET"):
            async with keyless.request(method, f"{server.url}{path}") as reply:
                assert (reply.status, reply.content_type) == (200, "video/mp4")
                assert reply.content_length == len(MP4.body)
                assert await reply.read() == (MP4.body if method == "GET" else b"")
        forged = path.replace(MP4.hash, "0" * 64)
        assert (await server.get(forged)).refusal == (404, "not_found", None)


async def test_without_a_public_url_it_is_refused_before_anything_is_stored(
    tmp_path: Path,
) -> None:
    async with (
        ark() as (base_url, bodies),
        gateway(tmp_path, AT_ONCE, ark_base_url=base_url, **ARK) as server,
    ):
        job_id = await server.submit()
        await server.job_when(job_id, "completed")
        for video in (MP4.uri, {"job": job_id}):
            reply = await server.post("/api/generate", json={**BODY, "video": video})
            assert reply.refusal == (400, "invalid_request", "video")
            assert "REELHOOK_PUBLIC_URL" in reply.json()["error"]
        assert (await server.total(), bodies) == (1, [])


async def test_the_address_of_a_video_is_passed_on(tmp_path: Path) -> None:
    async with (
        ark() as (base_url, bodies),
        gateway(tmp_path, AT_ONCE, ark_base_url=base_url, **ARK) as server,
    ):
        url = "https://videos.example.com/fox.mp4"
        assert await created(server, bodies, video=url) == url


async def test_an_image_that_the_model_does_not_take_is_refused(tmp_path: Path) -> None:
    small = File("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x40\0\0\0\x40\x08\2\0\0\0")
    body = {**BODY, "image": small.uri}
    del body["video"]
    async with (
        ark() as (base_url, bodies),
        gateway(tmp_path, AT_ONCE, ark_base_url=base_url, **ARK) as server,
    ):
        reply = await server.post("/api/generate", json=body)
        assert reply.refusal == (400, "invalid_request", "image")
        assert "64 x 64 pixels" in reply.json()["error"]
        upload = await server.post("/api/uploads", data=small.body)
        reply = await server.post("/api/generate", json={**body, "image": upload.json()["id"]})
        job = await server.job_when(reply.json()["jobId"], "failed")
        assert (job["code"], bodies) == ("invalid_request", [])
        assert "64 x 64 pixels" in job["error"]


@pytest.mark.parametrize("token", ["", "x", "a.b.c.d", f"default.{'0' * 64}.99999999999999.x"])
def test_a_token_that_is_not_ours_opens_nothing(token: str) -> None:
    assert FileAddresses("https://h.example", "key").file(token, 0) is None


def test_an_address_expires_after_a_day() -> None:
    addresses = FileAddresses("https://h.example", "key")
    url = addresses.address("default", MP4.hash, 1_000_000)
    assert url is not None
    token = url.rpartition("/")[2]
    assert addresses.file(token, DAY_MILLISECONDS) == ("default", MP4.hash)
    assert addresses.file(token, DAY_MILLISECONDS + 1_000_000) is None
    assert FileAddresses().address("default", MP4.hash, 0) is None


@pytest.mark.parametrize(
    "model", ["runway/gen4.5", "replicate/bytedance/seedance-2.0", "fal/fal-ai/kling-video/v3/pro"]
)
async def test_a_large_upload_reaches_the_provider_by_its_own_api(
    tmp_path: Path, model: str
) -> None:
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\5\0\0\0\2\xd0\x08\2\0\0\0"
    body = header + b"x" * 4_000_000
    async with gateway(tmp_path, AT_ONCE, providers=("runway", "replicate", "fal")) as server:
        upload = (await server.post("/api/uploads", data=BytesIO(body))).json()
        fields = {"script": "A fox", "model": model, "image": upload["id"]}
        reply = await server.post("/api/generate", json=fields)
        assert reply.status == 200, reply.body
        await server.job_when(reply.json()["jobId"], "completed")
        [file] = server.simulator.uploads.kept.values()
        assert (file.sha256, file.size) == (upload["sha256"], len(body))
