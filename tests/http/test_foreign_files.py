"""Files at addresses that nobody vouches for, as simulated providers name them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cleaning_up import clean_up
from gateways import Gateway, gateway

from reelhook.providers.registry import BUILT_IN
from reelhook.simulator.faults import Faults

HOST = "127.0.0.2"
MODELS = {
    "openai": "sora-2",
    "ark": "ark/seedance-1-5-pro-251215",
    "fal": "fal/somebody/app",
    "replicate": "replicate/somebody/app",
    "runway": "runway/gen4.5",
    "xai": "xai/grok-imagine-video",
}


class Internal:
    """A service that no gateway is meant to reach, with a page that a browser would run."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[web.Request] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        return web.Response(text="<script>alert(1)</script>internal-only", content_type="text/html")


@pytest.fixture
async def internal() -> AsyncIterator[Internal]:
    one = Internal()
    app = web.Application()
    app.router.add_get("/{path:.*}", one.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        one.url = f"http://{HOST}:{runner.addresses[0][1]}"
        yield one
    finally:
        await clean_up(runner)


def leading(internal: Internal, fault: str) -> Faults:
    return Faults(
        queue_seconds=0,
        render_seconds=0,
        foreign_file=float(fault == "foreign_file"),
        foreign_redirect=float(fault == "foreign_redirect"),
        foreign_url=f"{internal.url}/latest/meta-data",
    )


async def finished(server: Gateway, provider: str) -> str:
    model = MODELS[provider]
    reply = await server.post("/api/generate", json={"script": "A fox", "model": model})
    assert reply.status == 200, reply.body
    job_id = str(reply.json()["jobId"])
    await server.job_when(job_id, "completed")
    return f"/api/sora/videos/{job_id}/download"


@asynccontextmanager
async def serving(
    folder: Path, faults: Faults, provider: str, **settings: Any
) -> AsyncIterator[tuple[Gateway, str]]:
    providers = () if provider == "openai" else (provider,)
    async with gateway(folder, faults, providers=providers, **settings) as server:
        yield server, await finished(server, provider)


def test_every_simulated_provider_is_tried() -> None:
    assert set(MODELS) == set(BUILT_IN)


@pytest.mark.parametrize("provider", MODELS)
@pytest.mark.parametrize("fault", ["foreign_file", "foreign_redirect"])
async def test_no_internal_address_is_asked_whoever_names_it(
    tmp_path: Path, internal: Internal, fault: str, provider: str
) -> None:
    async with serving(tmp_path, leading(internal, fault), provider) as (server, download):
        reply = await server.get(download)
        if provider == "openai" and fault == "foreign_file":
            assert reply.body[4:8] == b"ftyp"  # its own path has the file all the same
        else:
            assert reply.refusal == (502, "file_address_refused", None)
            assert "file_networks" in reply.json()["error"]
            assert "internal-only" not in reply.body.decode()
    assert internal.requests == []


@pytest.mark.parametrize("setting", ["file_networks", "file_origins"])
async def test_what_the_operator_allows_is_fetched_and_runs_in_no_browser(
    tmp_path: Path, internal: Internal, setting: str
) -> None:
    allowed = {"file_networks": f"fal={HOST}/32", "file_origins": f"fal={internal.url}"}[setting]
    faults = leading(internal, "foreign_redirect")
    async with serving(tmp_path, faults, "fal", **{setting: allowed}) as (server, download):
        for address in (download, f"/api/download?jobId={download.split('/')[4]}"):
            for method in ("GET", "HEAD"):
                reply = await server.request(method, address)
                assert reply.status == 200
                assert reply.headers["Content-Type"] == "application/octet-stream"
                assert reply.headers["X-Content-Type-Options"] == "nosniff"
                assert reply.headers["Content-Security-Policy"] == "sandbox"
    assert all("Authorization" not in one.headers for one in internal.requests)


async def test_what_one_account_is_allowed_no_other_is(tmp_path: Path, internal: Internal) -> None:
    faults = leading(internal, "foreign_redirect")
    allowed = f"openai={HOST}/32,xai={HOST}/32"
    async with serving(tmp_path, faults, "fal", file_networks=allowed) as (server, download):
        assert (await server.get(download)).refusal == (502, "file_address_refused", None)
    assert internal.requests == []


async def test_an_account_of_the_file_has_what_the_file_allows_it(
    tmp_path: Path, internal: Internal
) -> None:
    async with gateway(tmp_path / "one", leading(internal, "foreign_file")) as played:
        base = played.settings.credentials[0].base_url
        assert base is not None
        accounts = tmp_path / "accounts.toml"
        accounts.write_text(
            f'[accounts.fal]\nprovider = "fal"\nkey = "k"\nbase_url = "{base[:-3]}/fal"\n'
            f'file_networks = ["{HOST}/32"]\n'
        )
        async with gateway(tmp_path / "two", accounts_file=str(accounts)) as server:
            reply = await server.get(await finished(server, "fal"))
    assert (reply.status, reply.body) == (200, b"<script>alert(1)</script>internal-only")
