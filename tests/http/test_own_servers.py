"""Servers that people run themselves, as the gateway's clients see them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cleaning_up import clean_up
from gateways import Gateway, gateway, until

pytestmark = pytest.mark.long

_DENIALS: dict[str, dict[str, Any]] = {
    "sglang": {"detail": "Video not found"},
    "vllm": {"error": {"message": "Video not found", "type": "Not Found", "code": 404}},
    "nobody": {"error": {"message": "no such thing"}},
}
NEVER = 3600


@dataclass
class OwnServer:
    """A server of `/v1/videos` whose kind shows in whose its models are."""

    owner: str
    names: list[str] = field(default_factory=lambda: ["Wan-AI/Wan2.2"])
    headers: dict[str, str] = field(default_factory=dict)
    url: str = ""
    videos: dict[str, dict[str, Any]] = field(default_factory=dict)
    may_tell: asyncio.Event = field(default_factory=asyncio.Event)

    async def models(self, _: web.Request) -> web.Response:
        await self.may_tell.wait()
        cards = [{"id": one, "object": "model", "owned_by": self.owner} for one in self.names]
        return web.json_response({"object": "list", "data": cards})

    async def create(self, _: web.Request) -> web.Response:
        one = f"video_{len(self.videos)}"
        self.videos[one] = {"id": one, "object": "video", "status": "in_progress", "progress": 7}
        return web.json_response(self.videos[one])

    async def listing(self, _: web.Request) -> web.Response:
        newest_first = list(self.videos.values())[::-1]
        return web.json_response({"object": "list", "data": newest_first, "has_more": False})

    async def get(self, request: web.Request) -> web.Response:
        if video := self.videos.get(request.match_info["id"]):
            return web.json_response(video)
        denial = _DENIALS.get(self.owner, _DENIALS["nobody"])
        return web.json_response(denial, status=404, headers=self.headers)

    async def delete(self, request: web.Request) -> web.Response:
        return web.json_response(self.videos.pop(request.match_info["id"], {}))

    async def file(self, request: web.Request) -> web.Response:
        known = request.match_info["id"] in self.videos
        return web.Response(status=200 if known else 500, body=b"mp4")


@asynccontextmanager
async def serving(owner: str, **fields: Any) -> AsyncIterator[OwnServer]:
    one = OwnServer(owner, **fields)
    one.may_tell.set()
    app = web.Application()
    app.add_routes(
        [
            web.get("/v1/models", one.models),
            web.post("/v1/videos", one.create),
            web.get("/v1/videos", one.listing),
            web.get("/v1/videos/{id}", one.get),
            web.delete("/v1/videos/{id}", one.delete),
            web.get("/v1/videos/{id}/content", one.file),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield one
    finally:
        await clean_up(runner)


async def rendering(server: Gateway) -> str:
    job_id = await server.submit()
    await server.job_when(job_id, "processing")
    return job_id


# -- canceling ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("owner", "stopped"), [("sglang", False), ("vllm", True)])
async def test_a_cancel_says_whether_the_render_was_stopped(
    tmp_path: Path, owner: str, stopped: bool
) -> None:
    async with serving(owner) as own, gateway(tmp_path, upstream=own.url) as server:
        job_id = await rendering(server)
        first = (await server.post(f"/api/jobs/{job_id}/cancel")).json()
        assert (first["status"], first["stopped"]) == ("canceled", stopped)
        assert not own.videos
        again = (await server.post(f"/api/jobs/{job_id}/cancel")).json()
        assert again == first
        assert (await server.job(job_id))["stopped"] is stopped


async def test_of_a_server_of_no_known_kind_nothing_is_claimed(tmp_path: Path) -> None:
    async with serving("nobody") as own, gateway(tmp_path, upstream=own.url) as server:
        job_id = await rendering(server)
        shown = (await server.post(f"/api/jobs/{job_id}/cancel")).json()
        assert shown["status"] == "canceled"
        assert "stopped" not in shown


async def test_what_was_never_sent_does_not_render(tmp_path: Path) -> None:
    async with gateway(tmp_path, upstream="http://127.0.0.1:9") as server:
        job_id = await server.submit()
        shown = await until(lambda: _canceled(server, job_id))
        assert (shown["status"], shown["stopped"]) == ("canceled", True)


async def _canceled(server: Gateway, job_id: str) -> Any:
    """Cancel between two attempts to send it: that is when it waits."""
    reply = await server.post(f"/api/jobs/{job_id}/cancel")
    return reply.json() if reply.status == 200 else None


# -- a restart ------------------------------------------------------------------------------------


async def test_a_job_that_its_server_does_not_know_any_more_says_since_when(
    tmp_path: Path,
) -> None:
    async with serving("sglang") as own, gateway(tmp_path, upstream=own.url) as server:
        job_id = await rendering(server)
        for path in (f"/api/jobs/{job_id}", f"/api/videos/status/{job_id}"):
            assert "missingSince" not in (await server.get(path)).json()
        kept = dict(own.videos)
        own.videos.clear()

        async def missed() -> Any:
            return (await server.job(job_id)).get("missingSince")

        since = await until(missed)
        status = (await server.get(f"/api/videos/status/{job_id}")).json()
        assert (status["status"], status["missingSince"]) == ("generating", since)
        [line] = [one for one in server.logs if one["event"] == "watch.missing"]
        assert line["job"] == job_id
        own.videos.update(kept)

        async def found() -> bool:
            return "missingSince" not in await server.job(job_id)

        await until(found)


async def test_the_file_of_a_forgotten_job_is_missing_and_not_only_refused(
    tmp_path: Path,
) -> None:
    async with serving("custom") as own, gateway(tmp_path, upstream=own.url) as server:
        job_id = await rendering(server)
        next(iter(own.videos.values()))["status"] = "completed"
        await server.job_when(job_id, "completed")
        url = f"/api/sora/videos/{job_id}/download"
        assert (await server.get(url)).body == b"mp4"
        own.videos.clear()
        assert (await server.get(url)).refusal == (410, "content_missing", None)


# -- models, and what a start says ----------------------------------------------------------------


async def test_a_servers_own_models_are_listed_on_request(tmp_path: Path) -> None:
    async with serving("sglang") as own, gateway(tmp_path, upstream=own.url) as server:
        assert "servers" not in (await server.get("/api/models")).json()
        shown = (await server.get("/api/models?served=true")).json()
        assert shown["servers"] == [
            {
                "account": "openai",
                "provider": "openai",
                "server": "SGLang Diffusion",
                "models": ["openai/Wan-AI/Wan2.2"],
                "ignored": True,
                "error": None,
            }
        ]


async def test_a_server_that_can_not_be_asked_for_its_models_is_shown(tmp_path: Path) -> None:
    async with gateway(tmp_path, upstream="http://127.0.0.1:9") as server:
        [shown] = (await server.get("/api/models?served=true")).json()["servers"]
        assert (shown["models"], shown["server"]) == ([], None)
        assert "list of models can't be read" in shown["error"]


async def test_a_start_warns_of_litellm_that_may_pay_twice(tmp_path: Path) -> None:
    version = {"x-litellm-version": "1.106.2"}
    async with (
        serving("openai", headers=version) as own,
        gateway(tmp_path, upstream=own.url, poll_seconds=NEVER) as server,
    ):

        async def warned() -> bool:
            return any("num_retries: 0" in one["event"] for one in server.logs)

        await until(warned)


async def test_a_start_waits_for_no_advice(tmp_path: Path) -> None:
    async with serving("sglang") as own:
        own.may_tell.clear()
        async with gateway(tmp_path, upstream=own.url) as server:
            assert (await server.get("/api/models")).status == 200
        own.may_tell.set()
