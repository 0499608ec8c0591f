"""reelhook inside another application, mounted and called."""

import importlib.util
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cleaning_up import clean_up
from fastapi import FastAPI
from hosts import AT_ONCE, SMALL, ended, get, hosting, post, provider, settings
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp
from structlog.testing import capture_logs

import reelhook
from reelhook.domain.errors import SettingsError

EXAMPLE = Path(__file__).parents[2] / "examples" / "embedding.py"


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with capture_logs() as lines:
        yield lines


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as one:
        yield one


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("embedding_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def team(
    tmp_path: Path, build: Callable[[reelhook.Settings], ASGIApp], **overrides: Any
) -> AsyncIterator[str]:
    """Serve a team's application on a simulated provider whose videos are done at once."""
    async with provider(AT_ONCE) as (simulator, _):

        def built(url: str) -> ASGIApp:
            given = {"public_url": f"{url}/video", **overrides}
            return build(settings(tmp_path, simulator.base_url, **given))

        async with hosting(built) as url:
            yield url


def fastapi_app(chosen: reelhook.Settings) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with reelhook.open(chosen) as hook:
            app.mount("/video", hook.asgi)
            yield

    return FastAPI(lifespan=lifespan)


def starlette_app(chosen: reelhook.Settings) -> Starlette:
    """Mount it two levels down, next to a route of the team's own."""

    async def own(_: Any) -> JSONResponse:
        return JSONResponse({"own": True})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with reelhook.open(chosen) as hook:
            app.router.routes.append(
                Mount("/tools", routes=[Mount("/video", hook.asgi), Route("/own", own)])
            )
            yield

    return Starlette(lifespan=lifespan)


# -- the example ----------------------------------------------------------------------------------


async def test_the_example_makes_a_video_of_a_story(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with team(tmp_path, example().create_app) as url:
        story = {"title": "Fox", "text": "A fox looks for a hat."}
        _, posted = await post(session, f"{url}/stories", json=story)
        status = await ended(session, url + posted["status"])
        assert status["ready"] is True
        assert status["videoUrl"] == f"{url}/video/api/sora/videos/{posted['job']}/download"


async def test_the_example_can_be_started_again(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    for number in (1, 2):
        async with team(tmp_path, example().create_app) as url:
            await post(session, f"{url}/stories", json={"title": "Fox", "text": "A fox"})
            _, stats = await get(session, f"{url}/video/api/stats")
            assert stats["jobs"]["total"] == number


# -- mounted --------------------------------------------------------------------------------------


async def test_the_documentation_is_below_the_mount_point(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with team(tmp_path, fastapi_app) as url:
        async with session.get(f"{url}/video/docs") as page:
            assert page.status == 200
            assert "/video/openapi.json" in await page.text()
        _, document = await get(session, f"{url}/video/openapi.json")
        assert document["servers"] == [{"url": "/video"}]
        _, own = await get(session, f"{url}/openapi.json")
        assert own["paths"] == {}


async def test_the_webhook_tells_an_address_below_the_mount_point(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    posted: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        posted.append(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook_url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        async with team(tmp_path, fastapi_app, webhook_url=hook_url) as url:
            body = {"script": "A fox", **SMALL}
            _, answer = await post(session, f"{url}/video/api/generate", json=body)
            status = await ended(session, f"{url}/video/api/videos/status/{answer['jobId']}")
            async with session.get(status["videoUrl"]) as video:
                assert (video.status, (await video.read())[4:8]) == (200, b"ftyp")
        # Stopping lets what is being sent arrive.
        assert [webhook["videoUrl"] for webhook in posted] == [status["videoUrl"]]
    finally:
        await clean_up(runner)


async def test_errors_below_the_mount_point_have_our_form(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with team(tmp_path, fastapi_app) as url:
        assert await get(session, f"{url}/video/api/jobs/job_nowhere") == (
            404,
            {"error": "Job not found", "code": "job_not_found"},
        )
        status, error = await post(session, f"{url}/video/api/generate", json={})
        assert (status, error["field"]) == (400, "script")
        status, error = await get(session, f"{url}/video/nowhere")
        assert (status, error["code"]) == (404, "not_found")


async def test_the_key_guards_what_is_below_the_mount_point(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    bearer = {"Authorization": "Bearer secret-key"}
    async with team(tmp_path, fastapi_app, api_key="secret-key") as url:
        for path in ("/video/healthz", "/video/readyz"):
            assert (await get(session, url + path))[0] == 200
        async with session.get(f"{url}/video/docs") as page:
            assert page.status == 200
        for path in ("/video/api/stats", "/video/video/docs", "/video/video/healthz"):
            assert (await get(session, url + path))[0] == 401
        async with session.get(f"{url}/video/", allow_redirects=False) as page:
            assert (page.status, page.headers["Location"]) == (303, "/video/login")
        body = {"script": "A fox", **SMALL}
        _, answer = await post(session, f"{url}/video/api/generate", json=body, headers=bearer)
        job_url = f"{url}/video/api/videos/status/{answer['jobId']}"
        async with aiohttp.ClientSession(headers=bearer) as keyed:
            video_url = (await ended(keyed, job_url))["videoUrl"]
        assert "?signature=" in video_url
        async with session.get(video_url) as video:
            assert video.status == 200
        assert (await get(session, video_url.partition("?")[0]))[0] == 401
        assert (await get(session, f"{url}/openapi.json"))[0] == 200  # the team's own


async def test_any_host_is_the_team_s_affair_but_web_pages_still_can_not_submit(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with team(tmp_path, fastapi_app) as url:
        generate, body = f"{url}/video/api/generate", {"script": "A fox"}
        host = {"Host": "stories.example"}
        assert (await post(session, generate, json=body, headers=host))[0] == 200
        evil = host | {"Origin": "https://evil.example"}
        assert (await post(session, generate, json=body, headers=evil))[0] == 403
        assert (await post(session, generate, data="{}", headers=host))[0] == 415


async def test_it_can_be_mounted_in_starlette_at_any_depth(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with team(tmp_path, starlette_app, api_key="secret-key") as url:
        assert (await get(session, f"{url}/tools/own"))[1] == {"own": True}
        mounted = f"{url}/tools/video"
        assert (await get(session, f"{mounted}/readyz"))[0] == 200
        assert (await get(session, f"{mounted}/api/stats"))[0] == 401
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer secret-key"}) as keyed:
            _, answer = await post(keyed, f"{mounted}/api/generate", json={"script": "A", **SMALL})
            status = await ended(keyed, f"{mounted}/api/videos/status/{answer['jobId']}")
        signature = status["videoUrl"].partition("?")[2]
        path = f"{mounted}/api/sora/videos/{answer['jobId']}/download?{signature}"
        async with session.get(path) as video:
            assert video.status == 200


async def test_behind_a_proxy_that_strips_a_prefix_it_works_too(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with provider(AT_ONCE) as (simulator, _):
        chosen = settings(tmp_path, simulator.base_url, api_key="secret-key")
        async with hosting(lambda _: fastapi_app(chosen), root_path="/proxied") as url:
            assert (await get(session, f"{url}/video/readyz"))[0] == 200
            assert (await get(session, f"{url}/video/api/stats"))[0] == 401


# -- opening --------------------------------------------------------------------------------------


async def test_without_a_provider_it_does_not_open(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="OPENAI_BASE_URL"):
        async with reelhook.open(reelhook.Settings.of(data_dir=tmp_path)):
            pass


async def test_two_can_not_have_one_data_directory(tmp_path: Path) -> None:
    chosen = settings(tmp_path, "http://127.0.0.1:9/v1")
    async with reelhook.open(chosen):
        with pytest.raises(SettingsError, match="REELHOOK_DATA_DIR"):
            async with reelhook.open(chosen):
                pass
    async with reelhook.open(chosen) as hook:
        assert (await hook.get_sora_polling_stats())["total"] == 0


async def test_an_error_inside_the_block_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with reelhook.open(settings(tmp_path, "http://127.0.0.1:9/v1")):
            raise ZeroDivisionError


async def test_the_app_that_outlives_the_block_says_that_it_is_unavailable(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with reelhook.open(settings(tmp_path, "http://127.0.0.1:9/v1")) as hook:
        asgi = hook.asgi
    app = FastAPI()
    app.mount("/video", asgi)
    async with hosting(lambda _: app) as url:
        status, error = await get(session, f"{url}/video/api/stats")
        assert (status, error["code"]) == (503, "store_unavailable")
