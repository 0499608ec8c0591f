"""The first client's words for a request become the domain's, and its errors become theirs."""

from typing import Any

import pytest

from reelhook.domain.catalog import Account, Catalog
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.model import Model
from reelhook.domain.request import VideoRequest
from reelhook.doors.compat.request import video_request
from reelhook.doors.request_messages import request_message, wire_name


def refusal(error: InvalidRequestError) -> tuple[str, str]:
    return wire_name(error.field), request_message(error) or str(error)


def test_the_direction_is_put_before_the_script_and_the_title_is_the_script_s() -> None:
    request = video_request("A cat." * 20, direction="Slowly.", wallet_address="0xabc", seed=7)
    assert request == VideoRequest(
        "Slowly.\n\n" + "A cat." * 20,
        title=("A cat." * 20)[:50],
        seed=7,
        door_fields={"direction": "Slowly.", "wallet_address": "0xabc"},
    )
    assert video_request("A cat.", direction="") == VideoRequest("A cat.")


def test_options_may_be_given_as_text() -> None:
    assert video_request("A cat.", provider_options='{"fps": 24}').options == {"fps": 24}
    with pytest.raises(InvalidRequestError) as refused:
        video_request("A cat.", provider_options="fps")
    assert refusal(refused.value) == ("providerOptions", "providerOptions must be a JSON object")


@pytest.mark.parametrize(
    ("fields", "field", "remedy"),
    [
        ({"script": ""}, "script", "script must not be empty"),
        ({"script": " \n", "direction": "Slowly"}, "script", "script must not be empty"),
        ({"script": None}, "script", "script must be a string"),
        ({"script": "x" * 32_001}, "script", "script must have at most 32000 characters"),
        ({"direction": 7}, "prompt", "prompt must be a string"),
        ({"direction": "x" * 32_001}, "prompt", "prompt must have at most 32000 characters"),
        (
            {"direction": "x" * 31_994},
            "prompt",
            "prompt and script together must have at most 32000 characters",
        ),
        ({"wallet_address": ""}, "walletAddress", "walletAddress must not be empty"),
        (
            {"wallet_address": "x" * 256},
            "walletAddress",
            "walletAddress must have at most 255 characters",
        ),
        (
            {"render_version": "v1"},
            "renderVersion",
            "renderVersion must be v3, the video model; v1 and v2 are not offered here",
        ),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_wrong_field_has_the_name_that_the_client_gave_it(
    fields: dict[str, Any], field: str, remedy: str
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        video_request(**{"script": "A fox", **fields})
    assert refusal(refused.value) == (field, remedy)


LIMITS = {"fal": [Model("short", prompt_characters_max=10, sizes=(), aspect_ratios=("16:9",))]}
MODELS = "see GET /api/models or `reelhook models`"
CATALOG = Catalog([Account("fal", "fal")], LIMITS, {})


@pytest.mark.parametrize(
    ("request_", "field", "remedy"),
    [
        (
            VideoRequest("A fox runs on", "fal/short"),
            "script",
            "fal/short takes at most 10 characters of prompt and script together, not 13",
        ),
        (
            VideoRequest("A fox", "fal/short", aspect_ratio="1:1"),
            "aspectRatio",
            "aspectRatio of fal/short must be one of 16:9, not 1:1",
        ),
        (
            VideoRequest("A fox", ""),
            "model",
            f"name a model as provider/model, or set REELHOOK_DEFAULT_MODEL; {MODELS}",
        ),
        (
            VideoRequest("A fox", "sora-2"),
            "model",
            f"sora-2 is not a model of fal; write provider/model, and {MODELS}",
        ),
    ],
)
def test_what_a_model_can_t_do_is_refused_in_the_client_s_words(
    request_: VideoRequest, field: str, remedy: str
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        CATALOG.choose(request_.model).check(request_)
    assert refusal(refused.value) == (field, remedy)
    assert "/api/" not in str(refused.value)  # as an embedding program reads it
