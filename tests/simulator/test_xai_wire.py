"""The simulator's xAI wire, as our adapter meets it and the official SDK's types read it."""

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import aiohttp
import pytest
from google.protobuf.json_format import ParseDict
from simulated import running
from xai_sdk.proto import video_pb2
from xai_sdk.video import VideoResponse

from reelhook.domain.errors import ContentMissingError, ProviderUnauthorizedError
from reelhook.domain.report import (
    Accepted,
    Cost,
    Failed,
    Finished,
    InDoubt,
    Missing,
    Progress,
    RateLimited,
    Refused,
)
from reelhook.domain.request import VideoRequest
from reelhook.providers.xai.provider import XAI
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import RunningSimulator

REQUEST = VideoRequest(prompt="A fox", model="grok-imagine-video", seconds="4", size="848x480")


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
async def simulator(clock: Hand) -> AsyncIterator[RunningSimulator]:
    faults = Faults(queue_seconds=1, render_seconds=9)
    async with running(faults, random=Random(1), clock=clock, api_key="key") as server:
        yield server


@pytest.fixture
async def xai(simulator: RunningSimulator, clock: Hand) -> AsyncIterator[XAI]:
    async with XAI(f"{simulator.root_url}/xai/v1", "key", now=clock) as one:
        yield one


async def _job(xai: XAI) -> str:
    outcome = await xai.submit(REQUEST)
    assert isinstance(outcome, Accepted)
    return outcome.provider_job_id


async def test_the_adapter_takes_a_job_from_submit_to_its_video(xai: XAI, clock: Hand) -> None:
    one = await _job(xai)
    assert (await xai.get(one)).report == Progress(running=False, percent=0)
    clock.seconds += 5
    assert (await xai.get(one)).report == Progress(running=True, percent=50)
    clock.seconds += 5
    told = (await xai.get(one)).report
    assert isinstance(told, Finished)
    assert told.cost == Cost(0.2, "USD")
    async with xai.content(one, told.url, "bytes=4-7") as content:
        assert b"".join([chunk async for chunk in content.chunks]) == b"ftyp"
    assert await xai.check() == "video models: grok-imagine-video, grok-imagine-video-1.5"
    clock.seconds += 86400
    with pytest.raises(ContentMissingError):
        async with xai.content(one, told.url, None):
            pass
    assert (await xai.get("none")).report == Missing()


@pytest.mark.parametrize("moderation", [0.0, 1.0])
async def test_the_sdks_types_read_what_the_simulator_says(
    simulator: RunningSimulator, xai: XAI, clock: Hand, moderation: float
) -> None:
    simulator.simulator.faults = Faults(moderation=moderation, render_seconds=1)
    one = await _job(xai)
    clock.seconds += 2
    headers = {"Authorization": "Bearer key"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{simulator.root_url}/xai/v1/videos/{one}") as response,
    ):
        answer = await response.json()
    assert answer.pop("status") == "done"
    video = VideoResponse(ParseDict(answer, video_pb2.VideoResponse()))
    told = (await xai.get(one)).report
    if moderation:
        assert not video.respect_moderation
        assert isinstance(told, Failed)
        assert told.code == "moderation"
    else:
        assert isinstance(told, Finished)
        assert (told.url, told.cost) == (video.url, Cost(video.cost_usd, "USD"))


async def test_the_adapter_meets_the_faults(simulator: RunningSimulator, xai: XAI) -> None:
    simulator.simulator.faults = Faults(rate_limited=1, retry_after_seconds=7)
    assert await xai.submit(REQUEST) == RateLimited(7.0, "Rate limit reached; try again later.")
    for fault in ("server_error", "reset", "malformed", "lost_create"):
        simulator.simulator.faults = Faults(**{fault: 1})  # type: ignore[arg-type]  # names of rates
        assert isinstance(await xai.submit(REQUEST), InDoubt)


async def test_a_wrong_key_and_a_wrong_request_are_refused(
    simulator: RunningSimulator, xai: XAI
) -> None:
    too_long = VideoRequest(prompt="A fox", model="grok-imagine-video", seconds="16")
    outcome = await xai.submit(too_long)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.unauthorized) == ("invalid_request", False)
    async with XAI(f"{simulator.root_url}/xai/v1", "wrong") as stranger:
        outcome = await stranger.submit(REQUEST)
        assert isinstance(outcome, Refused)
        assert outcome.unauthorized
        with pytest.raises(ProviderUnauthorizedError):
            await stranger.check()


FRAME = "https://i.example/fox.png"


@pytest.mark.parametrize(
    ("model", "fields", "words"),
    [
        ("grok-imagine-video-1.5", {"image": FRAME, "reference_images": (FRAME,) * 7}, None),
        ("grok-imagine-video-1.5", {"last_frame": FRAME, "audio": False}, None),
        ("grok-imagine-video", {"reference_images": (FRAME,)}, None),
        ("grok-imagine-video", {"last_frame": FRAME}, "only supported for"),
        ("grok-imagine-video-1.5", {"reference_images": (FRAME,) * 8}, "at most 7 images"),
    ],
)
async def test_frames_and_references_are_checked(
    xai: XAI, model: str, fields: dict[str, Any], words: str | None
) -> None:
    outcome = await xai.submit(VideoRequest("A fox", model, **fields))
    if words is None:
        assert isinstance(outcome, Accepted)
    else:
        assert isinstance(outcome, Refused)
        assert words in outcome.message
