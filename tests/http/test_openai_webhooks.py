"""Webhooks of videos that the official `openai` client requested: it unwraps them itself."""

from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE
from openai import BadRequestError
from openai_clients import FOX, QUIET, posted, served, told
from receivers import receiver

pytestmark = QUIET
SECRET = "whsec_b2YgdGhlIHJlY2VpdmVy"


async def test_the_client_unwraps_what_comes_to_the_requests_own_url(tmp_path: Path) -> None:
    async with receiver() as client, served(tmp_path, AT_ONCE) as (server, sdk):
        own: dict[str, Any] = {"webhook_url": client.url, "callback_secret": SECRET}
        video = await sdk.videos.create(**FOX, extra_body=own)
        webhook = await client.first(lambda _: True)
        # The client knows this event by its type only.
        event: Any = sdk.webhooks.unwrap(webhook.raw, dict(webhook.headers), secret=SECRET)
        assert (event.type, event.data.id) == ("video.completed", video.id)
        remix = await sdk.videos.remix(video.id, prompt="In the snow", extra_body=own)
        webhook = await client.first(lambda one: one.body["data"]["id"] == remix.id)
        event = sdk.webhooks.unwrap(webhook.raw, dict(webhook.headers), secret=SECRET)
        assert event.type == "video.completed"
        assert SECRET not in str(await server.job(f"job_{video.id.removeprefix('video_')}"))


async def test_a_request_may_choose_another_format(tmp_path: Path) -> None:
    async with receiver() as client, served(tmp_path, AT_ONCE) as (_, sdk):
        created = await posted(sdk, callback_url=client.url, callback_format="reelhook")
        webhook = await client.ending(f"job_{created['id'].removeprefix('video_')}")
        assert webhook.body["status"] == "completed"


async def test_a_secret_that_can_not_sign_is_named(tmp_path: Path) -> None:
    url = "http://127.0.0.1:2/hook"
    wrong: list[tuple[dict[str, str], str]] = [
        ({"callback_secret": SECRET}, "callback_secret"),
        ({"callback_secret": "short", "webhook_url": url}, "callback_secret"),
        ({"callback_format": "other", "webhook_url": url}, "callback_format"),
    ]
    async with served(tmp_path) as (server, sdk):
        for fields, param in wrong:
            with pytest.raises(BadRequestError) as refused:
                await posted(sdk, **fields)
            assert told(refused.value)[2] == param
            assert "short" not in refused.value.message
        assert await server.total() == 0
