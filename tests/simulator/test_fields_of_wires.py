"""The simulator takes each field as our adapters send it, and refuses fields of wrong types."""

from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import pytest

from reelhook.domain.model import Image, Model
from reelhook.domain.report import Accepted, Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.fal.provider import Fal
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.replicate.provider import Replicate
from reelhook.providers.runway.provider import Runway
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import RunningSimulator, running

IMAGE = "https://example.com/fox.png"
NO_RESOLUTION = {"kling2.5_turbo_pro"}
"""Models that take no resolution next to an image."""
ADAPTERS: dict[str, Callable[[str], HttpProvider]] = {
    "fal": lambda root: Fal(f"{root}/fal", "key"),
    "replicate": lambda root: Replicate(f"{root}/replicate/v1", "key"),
    "runway": lambda root: Runway(f"{root}/runway/v1", "key"),
}


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running(Faults(), random=Random(1)) as server:
        yield server


def _requests(model: Model) -> list[VideoRequest]:
    """Return a request for each field and each resolution that the model takes."""
    fields: list[dict[str, Any]] = [{"resolution": one} for one in model.resolutions or ()]
    fields += [{"audio": True}] if model.audio else []
    fields += [{"negative_prompt": "blur"}] if model.negative_prompt else []
    frames = {"image": IMAGE, "last_frame": IMAGE, "resolution": (model.resolutions or (None,))[-1]}
    fields += [frames] if model.last_frame and model.name not in NO_RESOLUTION else []
    first = {} if model.references_or_frames or model.image is Image.NONE else {"image": IMAGE}
    for kind in ("images", "videos", "audios"):
        if getattr(model, f"reference_{kind}_max") != 0:
            fields.append({f"reference_{kind}": (IMAGE,), **first})
    return [VideoRequest("A fox", model.name, **one) for one in fields]


@pytest.mark.parametrize("name", ADAPTERS)
async def test_each_field_of_each_model_is_accepted(simulator: RunningSimulator, name: str) -> None:
    async with ADAPTERS[name](simulator.root_url) as provider:
        for model in provider.models:
            for request in _requests(model):
                outcome = await provider.submit(request, lambda: True)
                assert isinstance(outcome, Accepted), request


@pytest.mark.parametrize(
    ("name", "options", "named"),
    [
        ("fal", {"generate_audio": "yes"}, "generate_audio"),
        ("fal", {"image_urls": IMAGE}, "image_urls"),
        ("replicate", {"reference_images": IMAGE}, "reference_images"),
        ("replicate", {"generate_audio": "yes"}, "generate_audio"),
        ("runway", {"audio": "yes"}, "audio"),
        ("runway", {"references": [IMAGE]}, "references"),
    ],
)
async def test_a_wrong_type_is_refused(
    simulator: RunningSimulator, name: str, options: dict[str, Any], named: str
) -> None:
    async with ADAPTERS[name](simulator.root_url) as provider:
        request = VideoRequest("A fox", "owner/model", options=options)
        outcome = await provider.submit(request, lambda: True)
    assert isinstance(outcome, Refused)
    assert outcome.code == "invalid_request"
    assert named in outcome.message


@pytest.mark.parametrize(
    "frames", [[{"uri": IMAGE, "position": "last"}], [{"uri": IMAGE, "position": "second"}], [1]]
)
async def test_runway_s_frames_need_a_first_one(
    simulator: RunningSimulator, frames: list[object]
) -> None:
    async with ADAPTERS["runway"](simulator.root_url) as runway:
        path, body = "image_to_video", {"model": "veo3.1", "promptText": "A", "promptImage": frames}
        outcome = await runway.pay(path, body, lambda: True, lambda _: None)
    assert isinstance(outcome, Refused)
    assert "promptImage" in outcome.message
