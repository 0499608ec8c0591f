from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.problem import Problem
from reelhook.domain.request import (
    FALLBACKS_MAX,
    OPTIONS_CHARACTERS_MAX,
    PROMPT_CHARACTERS_MAX,
    SEED_MAX,
    VideoRequest,
    check_ids,
    check_request,
)

RIGHT = VideoRequest("A fox", "sora-2")
LONGEST = PROMPT_CHARACTERS_MAX


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"prompt": "x" * LONGEST},
        {"prompt": "ü" * LONGEST, "title": "x" * 255},
        {"model": "x" * 255, "door_fields": {"owner": "x" * 255}},
        {"seconds": "4", "size": "1280x720"},
        {"seconds": "9999", "size": "99999x99999"},
        {"options": {"fps": 24, "nested": {"a": [1, None, "ü\0\ud800"]}}},
        {"fallbacks": ("m",) * FALLBACKS_MAX, "seed": SEED_MAX},
    ],
    ids=lambda fields: ",".join(fields) or "nothing",
)
def test_what_is_within_the_limits_passes(fields: dict[str, Any]) -> None:
    check_request(replace(RIGHT, **fields))


@pytest.mark.parametrize(
    ("fields", "field", "problem", "remedy"),
    [
        ({"prompt": ""}, "prompt", Problem.EMPTY, "must not be empty"),
        ({"prompt": " \n"}, "prompt", Problem.EMPTY, "must not be empty"),
        ({"prompt": None}, "prompt", Problem.NOT_TEXT, "must be a string"),
        ({"prompt": "x" * (LONGEST + 1)}, "prompt", Problem.TOO_LONG, "at most 32000 characters"),
        ({"prompt": "A\0fox"}, "prompt", Problem.NUL, "NUL"),
        ({"prompt": "A fox\ud800"}, "prompt", Problem.NOT_UNICODE, "surrogate"),
        ({"title": "x" * 256}, "title", Problem.TOO_LONG, "at most 255 characters"),
        ({"model": None}, "model", Problem.NOT_TEXT, "must be a string"),
        ({"model": "x" * 256}, "model", Problem.TOO_LONG, "at most 255 characters"),
        ({"door_fields": {"owner": ""}}, "door_fields.owner", Problem.EMPTY, "must not be empty"),
        ({"door_fields": {"owner": 7}}, "door_fields.owner", Problem.NOT_TEXT, "must be a string"),
        ({"seconds": "soon"}, "seconds", Problem.FORM, "must be"),
        ({"seconds": 4}, "seconds", Problem.NOT_TEXT, "must be a string"),
        ({"seconds": "4\n"}, "seconds", Problem.FORM, "must be"),
        ({"size": "1280x"}, "size", Problem.FORM, "must be"),
        ({"aspect_ratio": "16x9"}, "aspect_ratio", Problem.FORM, "must be"),
        ({"image": "fox.png"}, "image", Problem.NOT_AN_IMAGE, "http"),
        ({"remix_of": "a video"}, "remix_of", Problem.FORM, "must be"),
        ({"last_frame": "fox.png"}, "last_frame", Problem.NOT_AN_IMAGE, "http"),
        (
            {"reference_videos": ("https://i.example/a.mp4", "data:image/png;base64,AA==")},
            "reference_videos.1",
            Problem.NOT_A_FILE,
            "data:video/",
        ),
        ({"reference_audios": ("fox",)}, "reference_audios.0", Problem.NOT_A_FILE, "data:audio/"),
        ({"reference_images": ("x",) * 21}, "reference_images", Problem.TOO_MANY, "at most 20"),
        ({"resolution": "HD"}, "resolution", Problem.FORM, "must be"),
        ({"negative_prompt": ""}, "negative_prompt", Problem.EMPTY, "must not be empty"),
        ({"seed": -1}, "seed", Problem.RANGE, "from 0 to 4294967295"),
        ({"options": []}, "options", Problem.NOT_AN_OBJECT, "JSON object"),
        ({"options": {"a": float("nan")}}, "options", Problem.NOT_AN_OBJECT, "JSON object"),
        ({"options": {"a": {1}}}, "options", Problem.NOT_AN_OBJECT, "JSON object"),
        ({"options": {"a": "x" * OPTIONS_CHARACTERS_MAX}}, "options", Problem.TOO_LONG, "at most"),
        ({"fallbacks": ("m", "")}, "fallbacks.1", Problem.EMPTY, "must not be empty"),
        ({"fallbacks": ("m",) * 6}, "fallbacks", Problem.TOO_MANY, "at most 5"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_not_is_named_with_its_problem_and_remedy(
    fields: dict[str, Any], field: str, problem: Problem, remedy: str
) -> None:
    with pytest.raises(InvalidRequestError, match=remedy) as refused:
        check_request(replace(RIGHT, **fields))
    assert (refused.value.field, refused.value.problem) == (field, problem)
    assert str(refused.value).startswith(field)


@pytest.mark.parametrize(
    ("provider_job_id", "job_id", "field"),
    [
        ("", None, "provider_job_id"),
        ("video 1", None, "provider_job_id"),
        ("x" * 256, None, "provider_job_id"),
        ("video_1", "", "job_id"),
        ("video_1", "x" * 129, "job_id"),
        ("video_1", "a/b", "job_id"),
        ("video_1", "a\n", "job_id"),
        ("video_1", "events", "job_id"),
    ],
)
def test_no_job_is_registered_under_what_is_no_id(
    provider_job_id: str, job_id: str | None, field: str
) -> None:
    check_ids("video_1", "Events")
    with pytest.raises(InvalidRequestError) as refused:
        check_ids(provider_job_id, job_id)
    assert refused.value.field == field


@given(st.text())
def test_the_title_is_the_first_50_characters_of_the_prompt_unless_it_is_given(prompt: str) -> None:
    title = VideoRequest(prompt).title
    assert prompt.startswith(title)
    assert len(title) == min(len(prompt), 50)
    assert VideoRequest(prompt, title="Fox").title == "Fox"


def test_requests_can_be_told_apart_by_their_options() -> None:
    same = VideoRequest("A fox", options={"a": 1, "b": 2})
    assert {same, VideoRequest("A fox", options={"b": 2, "a": 1})} == {same}
    assert VideoRequest("A fox", options={"a": 1}) != same
    assert same.options_json == '{"a": 1, "b": 2}'
    assert VideoRequest("A fox").options_json is None


def test_a_message_in_place_of_a_problem_is_the_whole_sentence() -> None:
    error = InvalidRequestError("status", "There is no such status")
    assert (error.field, error.problem, str(error)) == (
        "status",
        None,
        "There is no such status",
    )
