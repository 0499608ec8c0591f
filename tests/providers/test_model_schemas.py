"""Providers with a schema per model: fields that a model's schema lacks, or that it combines."""

from typing import Any

import pytest

from providers.upstreams import Upstream
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.report import Accepted, Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.fal.provider import Fal
from reelhook.providers.replicate.provider import Replicate

IMAGE = "https://example.com/fox.png"
KLING = "kwaivgi/kling-v2.1"
SEEDANCE = "bytedance/seedance-2.0"
VEO = "google/veo-3.1"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"model": "a/b", "last_frame": IMAGE}, "Replicate has no parameter for lastFrame"),
        ({"model": "a/b", "reference_videos": (IMAGE,)}, "no parameter for referenceVideos"),
        ({"model": SEEDANCE, "last_frame": IMAGE}, "only after a first image"),
        ({"model": "google/veo-3.1", "last_frame": IMAGE}, "only after a first image"),
        ({"model": "google/veo-2", "image": IMAGE, "last_frame": IMAGE}, "for lastFrame"),
        ({"model": "google/veo-2", "audio": True}, "for audio"),
        ({"model": "google/veo-3", "image": IMAGE, "last_frame": IMAGE}, "for lastFrame"),
        ({"model": "google/veo-3.1-fast", "reference_images": (IMAGE,)}, "for referenceImages"),
        ({"model": "bytedance/seedance-1-lite", "reference_videos": (IMAGE,)}, "referenceVideos"),
        ({"model": "bytedance/seedance-1-pro", "audio": True}, "for audio"),
        ({"model": "kwaivgi/kling-v1.6-standard", "audio": True}, "for audio"),
        ({"model": "kwaivgi/kling-v1.6-pro", "audio": True}, "for audio"),
        ({"model": "kwaivgi/kling-v2.0", "last_frame": IMAGE, "image": IMAGE}, "for lastFrame"),
        ({"model": "minimax/video-01", "last_frame": IMAGE, "image": IMAGE}, "for lastFrame"),
        (
            {"model": VEO, "reference_images": (IMAGE,), "image": IMAGE, "last_frame": IMAGE},
            "takes referenceImages or image and lastFrame, not both",
        ),
        (
            {"model": f"{VEO}:{'a' * 64}", "reference_images": (IMAGE,), "image": IMAGE},
            "takes referenceImages or image and lastFrame, not both",
        ),
        ({"model": VEO, "reference_images": (IMAGE,), "seconds": "4"}, "set seconds to 8"),
        ({"model": VEO, "reference_images": (IMAGE,), "aspect_ratio": "9:16"}, "to 16:9"),
        ({"model": VEO, "reference_images": (IMAGE,), "size": "720x1280"}, "to 16:9"),
        ({"model": VEO, "reference_images": (IMAGE,), "options": {"duration": 6}}, "to 8"),
        ({"model": KLING, "image": IMAGE, "last_frame": IMAGE}, "set resolution to 1080p"),
        (
            {"model": KLING, "image": IMAGE, "last_frame": IMAGE, "options": {"mode": "standard"}},
            "set resolution to 1080p",
        ),
        (
            {"model": KLING, "image": IMAGE, "resolution": "720p", "options": {"mode": "pro"}},
            "resolution and mode in providerOptions contradict each other",
        ),
        (
            {"model": "a/b", "audio": True, "options": {"generate_audio": False}},
            "audio and generate_audio in providerOptions contradict each other",
        ),
    ],
)
async def test_replicate_gets_no_input_that_its_model_would_ignore(
    server: Upstream, asked: dict[str, Any], message: str
) -> None:
    async with Replicate(server.url, "key") as replicate:
        outcome = await replicate.submit(VideoRequest(prompt="A fox", **asked))
    assert isinstance(outcome, Refused)
    assert outcome.code == "invalid_request"
    assert message in outcome.message
    assert server.posts == 0


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"resolution": "1080p"}, {"mode": "pro"}),
        ({"resolution": "720p"}, {"mode": "standard"}),
        ({"last_frame": IMAGE, "options": {"mode": "pro"}}, {"mode": "pro", "end_image": IMAGE}),
        ({"resolution": "1080p", "options": {"mode": "pro"}}, {"mode": "pro"}),
    ],
)
async def test_the_resolutions_of_kling_2_1_are_its_modes(
    server: Upstream, asked: dict[str, Any], sent: dict[str, object]
) -> None:
    server.answers(201, {"id": "p1", "status": "starting"})
    async with Replicate(server.url, "key") as replicate:
        await replicate.submit(VideoRequest("A fox", KLING, image=IMAGE, **asked))
    assert sent.items() <= server.seen[0].json()["input"].items()


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"model": VEO, "image": IMAGE, "last_frame": IMAGE}, {"last_frame": IMAGE}),
        (
            {"model": VEO, "reference_images": (IMAGE,), "seconds": "8", "size": "1280x720"},
            {"reference_images": [IMAGE], "duration": 8, "aspect_ratio": "16:9"},
        ),
        ({"model": "google/veo-3", "resolution": "1080p"}, {"resolution": "1080p"}),
        ({"model": "bytedance/seedance-1-pro", "resolution": "1080p"}, {"resolution": "1080p"}),
        ({"model": "kwaivgi/kling-v3-video", "audio": True}, {"generate_audio": True}),
        ({"model": "kwaivgi/kling-v2.0", "negative_prompt": "a"}, {"negative_prompt": "a"}),
    ],
)
async def test_replicate_gets_the_inputs_that_its_model_has(
    server: Upstream, asked: dict[str, Any], sent: dict[str, object]
) -> None:
    server.answers(201, {"id": "p1", "status": "starting"})
    async with Replicate(server.url, "key") as replicate:
        await replicate.submit(VideoRequest("A fox", **asked))
    assert sent.items() <= server.seen[0].json()["input"].items()


async def test_fal_refuses_a_field_and_another_value_of_its_argument(server: Upstream) -> None:
    server.answers(200, {"request_id": "r"})
    both: dict[str, Any] = {"model": "owner/app", "last_frame": IMAGE}
    async with Fal(server.url, "key") as fal:
        options = {"end_image_url": "https://example.com/other.png"}
        outcome = await fal.submit(VideoRequest("A fox", options=options, **both))
        assert isinstance(outcome, Refused)
        assert outcome.message == (
            "lastFrame and end_image_url in providerOptions contradict each other; give only one"
        )
        assert server.posts == 0
        same = VideoRequest("A fox", options={"end_image_url": IMAGE}, **both)
        assert isinstance(await fal.submit(same), Accepted)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (SEEDANCE, {"reference_images": (IMAGE,) * 10}),
        (SEEDANCE, {"reference_images": (IMAGE,), "image": IMAGE}),
        (SEEDANCE, {"reference_videos": (IMAGE,) * 4}),
        ("bytedance/seedance-2.0-fast", {"resolution": "1080p"}),
    ],
)
def test_the_catalogue_knows_how_many_references_seedance_takes(
    model: str, fields: dict[str, Any]
) -> None:
    limits = next(one for one in Replicate.models if one.name == model)
    with pytest.raises(InvalidRequestError):
        limits.check(VideoRequest("A fox", model, **fields), model)
