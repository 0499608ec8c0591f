from dataclasses import replace
from typing import Any

import pytest

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.job import SCRIPT_CHARACTERS_MAX, VideoRequest
from reelhook.domain.request import check_ids, check_request

RIGHT = VideoRequest(script="A fox", model="sora-2")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"script": "x" * SCRIPT_CHARACTERS_MAX},
        {"script": "ü" * SCRIPT_CHARACTERS_MAX, "direction": ""},
        {"script": "x" * (SCRIPT_CHARACTERS_MAX - 5), "direction": "abc"},
        {"model": "x" * 255, "wallet_address": "0x" + "f" * 253},
        {"seconds": "4", "size": "1280x720"},
        {"seconds": "9999", "size": "99999x99999"},
    ],
    ids=lambda fields: ",".join(fields) or "nothing",
)
def test_what_is_within_the_limits_passes(fields: dict[str, Any]) -> None:
    check_request(replace(RIGHT, **fields))


@pytest.mark.parametrize(
    ("fields", "field", "remedy"),
    [
        ({"script": ""}, "script", "must not be empty"),
        ({"script": " \n"}, "script", "must not be empty"),
        ({"script": None}, "script", "must be a string"),
        ({"script": "x" * (SCRIPT_CHARACTERS_MAX + 1)}, "script", "at most 32000 characters"),
        ({"script": "A\0fox"}, "script", "NUL"),
        ({"script": "A fox\ud800"}, "script", "surrogate"),
        ({"direction": "x" * (SCRIPT_CHARACTERS_MAX - 6)}, "prompt", "at most 32000 characters"),
        ({"direction": "x" * (SCRIPT_CHARACTERS_MAX + 1)}, "prompt", "at most 32000 characters"),
        ({"direction": 7}, "prompt", "must be a string"),
        ({"model": None}, "model", "must be a string"),
        ({"model": "x" * 256}, "model", "at most 255 characters"),
        ({"wallet_address": ""}, "walletAddress", "must not be empty"),
        ({"wallet_address": "x" * 256}, "walletAddress", "at most 255 characters"),
        ({"seconds": "soon"}, "seconds", "must be a string like"),
        ({"seconds": 4}, "seconds", "must be a string like"),
        ({"seconds": "4\n"}, "seconds", "must be a string like"),
        ({"size": "1280x"}, "size", "must be a string like"),
        ({"render_version": "v1"}, "renderVersion", "must be v3"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_not_is_named_with_its_remedy(
    fields: dict[str, Any], field: str, remedy: str
) -> None:
    with pytest.raises(InvalidRequestError, match=remedy) as refused:
        check_request(replace(RIGHT, **fields))
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("provider_job_id", "job_id", "field"),
    [
        ("", None, "soraJobId"),
        ("video 1", None, "soraJobId"),
        ("x" * 256, None, "soraJobId"),
        ("video_1", "", "jobId"),
        ("video_1", "x" * 129, "jobId"),
        ("video_1", "a/b", "jobId"),
        ("video_1", "a\n", "jobId"),
        ("video_1", "events", "jobId"),
    ],
)
def test_no_job_is_registered_under_what_is_no_id(
    provider_job_id: str, job_id: str | None, field: str
) -> None:
    check_ids("video_1", "Events")
    with pytest.raises(InvalidRequestError) as refused:
        check_ids(provider_job_id, job_id)
    assert refused.value.field == field
