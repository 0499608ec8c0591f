"""The official `openai` client repeats a create on its own; it gets the same video, paid once."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from gateways import AT_ONCE
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, InternalServerError
from openai_clients import FOX, KEY, QUIET, posted, served, told

from reelhook.domain.errors import StoreError

pytestmark = QUIET


class Lossy(httpx2.AsyncHTTPTransport):
    """Loses the responses to the first so many requests, which the server has got."""

    def __init__(self, losses: int) -> None:
        super().__init__()
        self.losses = losses
        self.counts: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.counts.append(request.headers["x-stainless-retry-count"])
        response = await super().handle_async_request(request)
        if len(self.counts) <= self.losses:
            await response.aclose()
            raise httpx2.ReadError("lost", request=request)
        return response


def losing(url: str, losses: int) -> tuple[AsyncOpenAI, Lossy]:
    lossy = Lossy(losses)
    http = DefaultAsyncHttpxClient(transport=lossy)
    return AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=3, http_client=http), lossy


async def test_a_create_whose_responses_were_lost_is_one_video(tmp_path: Path) -> None:
    async with served(tmp_path, AT_ONCE) as (server, _):
        sdk, lossy = losing(server.url, losses=2)
        files: dict[str, Any] = {"extra_body": {"metadata": {"order": "7"}}}
        video = await sdk.videos.create(**FOX, **files)
        assert lossy.counts == ["0", "1", "2"]
        assert (await sdk.videos.poll(video.id)).status == "completed"
        assert await server.total() == server.simulator.creations == 1
        again = await sdk.videos.create(**FOX, **files)
        assert again.id != video.id
        await sdk.close()


async def test_a_database_that_goes_away_after_the_create_makes_no_client_repeat_it(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, retries=2) as (server, sdk):
        app: Any = server.hook.asgi
        jobs = app.state.gateway.jobs
        kept = jobs.job

        async def away(*_: Any) -> None:
            raise StoreError("away")

        object.__setattr__(jobs, "job", away)
        created = await posted(sdk)
        object.__setattr__(jobs, "job", kept)
        assert (created["status"], created["prompt"]) == ("queued", "A fox")
        stored = await sdk.videos.retrieve(created["id"])
        assert 0 <= created["created_at"] - stored.created_at <= 1
        assert await server.total() == 1


async def test_a_refusal_by_the_database_is_repeated_as_a_new_create(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, sdk):
        app: Any = server.hook.asgi
        jobs = app.state.gateway.jobs
        kept, tries = jobs._store.create, 0

        async def away_once(*arguments: Any) -> Any:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise StoreError("away")
            return await kept(*arguments)

        jobs._store.create = away_once
        with pytest.raises(InternalServerError) as refused:
            await posted(sdk)
        assert told(refused.value)[3] == "store_unavailable"
        created = await posted(sdk)
        assert (await sdk.videos.retrieve(created["id"])).status == "queued"
        assert await server.total() == 1


async def test_a_retry_that_the_database_refuses_leaves_its_call_the_paid_job(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, AT_ONCE) as (server, _):
        sdk, lossy = losing(server.url, losses=1)
        app: Any = server.hook.asgi
        store = app.state.gateway.new_jobs._store
        kept, tries = store.create, 0

        async def second_away(*arguments: Any) -> Any:
            nonlocal tries
            tries += 1
            if tries == 2:
                raise StoreError("away")
            return await kept(*arguments)

        store.create = second_away
        video = await sdk.videos.create(**FOX)
        assert lossy.counts == ["0", "1", "2"]
        assert (await sdk.videos.poll(video.id)).status == "completed"
        assert await server.total() == server.simulator.creations == 1
        await sdk.close()
