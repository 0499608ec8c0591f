"""Deprecated names of a request's fields: programs and provider packages still use them."""

from pathlib import Path
from typing import Any

import pytest
from hosts import provider, settings
from structlog.testing import capture_logs

import reelhook
from reelhook.domain import job as former_place
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.request import VideoRequest

EARLIER = former_place.VideoRequest
FIELDS: dict[str, Any] = {
    "script": "A cat",
    "model": "sora-2",
    "direction": "Slowly.",
    "seconds": "8",
    "size": "1280x720",
    "wallet_address": "0xabc",
    "aspect_ratio": "16:9",
    "image": "https://i.example/fox.png",
    "seed": 7,
    "provider_options": '{"fps": 24}',
    "fallbacks": ("fal/veo",),
}


def test_the_former_class_takes_the_earlier_names_and_makes_a_request() -> None:
    request = EARLIER(**FIELDS)
    assert request == VideoRequest(
        prompt="Slowly.\n\nA cat",
        title="A cat",
        model="sora-2",
        seconds="8",
        size="1280x720",
        aspect_ratio="16:9",
        image="https://i.example/fox.png",
        seed=7,
        options={"fps": 24},
        fallbacks=("fal/veo",),
        door_fields={"direction": "Slowly.", "wallet_address": "0xabc"},
    )
    assert EARLIER("A cat", "sora-2", None, "8", "1280x720") == VideoRequest(
        "A cat", "sora-2", seconds="8", size="1280x720"
    )


def test_every_earlier_name_of_a_request_can_be_read() -> None:
    request = EARLIER(**FIELDS)
    assert {name: getattr(request, name) for name in FIELDS} == FIELDS
    assert (request.prompt, request.title) == ("Slowly.\n\nA cat", "A cat")
    assert (request.options, request.render_version) == ({"fps": 24}, "v3")
    bare = VideoRequest("A cat")
    assert (bare.script, bare.direction, bare.wallet_address) == ("A cat", None, None)
    assert bare.provider_options is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"script": " "},
        {"direction": "x" * 32_000},
        {"wallet_address": ""},
        {"render_version": "v1"},
        {"provider_options": "["},
    ],
)
def test_the_limits_of_the_earlier_names_hold(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        EARLIER(**{**FIELDS, **wrong})


def test_a_module_that_annotates_with_the_former_class_can_be_imported() -> None:
    def submit(request: EARLIER | None = None) -> EARLIER | None:  # type: ignore[valid-type] # Any
        return request

    assert submit() is None
    with pytest.raises(AttributeError, match="no attribute 'Other'"):
        former_place.Other  # noqa: B018 - reading it is the test


async def test_an_embedding_program_submits_a_request_with_the_earlier_names(
    tmp_path: Path,
) -> None:
    with capture_logs():
        async with (
            provider() as (simulated, _),
            reelhook.open(settings(tmp_path, simulated.base_url)) as hook,
        ):
            request = EARLIER("A fox", "m", direction="Slowly", provider_options='{"a": 1}')
            created = await hook.service.submit(request)
            job_id = await hook.submit(
                "A fox", direction="Slowly", wallet_address="0xabc", provider_options='{"a": 1}'
            )
            kept = [(await hook.service.job(each)).request for each in (created.job_id, job_id)]
            assert [each.script for each in kept] == ["A fox", "A fox"]
            assert [each.provider_options for each in kept] == ['{"a": 1}', '{"a": 1}']
            assert [each.wallet_address for each in kept] == [None, "0xabc"]
