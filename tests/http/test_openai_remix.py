"""Remixes by the official `openai` client: at a provider that has them, refused at the others."""

from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE
from openai import BadRequestError, NotFoundError
from openai_clients import QUIET, posted, served, told

pytestmark = QUIET


async def test_a_completed_video_is_remixed(tmp_path: Path) -> None:
    async with served(tmp_path, AT_ONCE) as (server, sdk):
        source = await sdk.videos.poll((await posted(sdk))["id"])
        ours: dict[str, Any] = {"metadata": {"order": "7"}, "n": 2}
        remix = await sdk.videos.remix(source.id, prompt="In the snow", extra_body=ours)
        assert remix.id != source.id
        assert (remix.remixed_from_video_id, remix.prompt) == (source.id, "In the snow")
        assert remix.to_dict()["metadata"] == {"order": "7"}
        assert "n is no field" in str(remix.to_dict()["warnings"])
        video = await sdk.videos.poll(remix.id)
        assert (video.status, video.remixed_from_video_id) == ("completed", source.id)
        assert server.simulator.creations == 2
        assert source.remixed_from_video_id is None


async def test_a_repeated_remix_is_one_video(tmp_path: Path) -> None:
    async with served(tmp_path, AT_ONCE) as (server, sdk):
        source = await sdk.videos.poll((await posted(sdk))["id"])
        key = {"Idempotency-Key": "one"}
        first, again = [
            await sdk.videos.remix(source.id, prompt="In the snow", extra_headers=key)
            for _ in range(2)
        ]
        assert first.id == again.id
        assert await server.total() == 2


async def test_what_can_not_be_remixed_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path, providers=["fal"]) as (server, sdk):
        running = await posted(sdk)
        elsewhere = await posted(sdk, model="fal/fal-ai/veo3/fast", seconds="4", size=None)
        with pytest.raises(BadRequestError, match="Only a completed video") as refused:
            await sdk.videos.remix(running["id"], prompt="In the snow")
        assert told(refused.value)[2] == "video_id"
        with pytest.raises(BadRequestError, match="fal can't remix"):
            await sdk.videos.remix(elsewhere["id"], prompt="In the snow")
        with pytest.raises(NotFoundError):
            await sdk.videos.remix("video_none", prompt="In the snow")
        with pytest.raises(BadRequestError) as refused:
            await sdk.videos.remix(running["id"], prompt=None)
        assert told(refused.value)[2] == "prompt"
        assert await server.total() == 2
