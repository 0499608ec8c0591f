"""A job's page shows the request as the API takes it."""

import json

from reelhook.domain.job import Job, Status
from reelhook.domain.media import reference
from reelhook.domain.request import VideoRequest
from reelhook.doors.compat.schemas import GenerateBody
from reelhook.doors.web.request_body import FILE, body_of, json_of, repeated_body

JOB = Job(
    *("job_1", "fal", Status.QUEUED, 1, 1),
    provider="fal",
    model="veo3",
    external_id="o-1",
    metadata='{"customer": "42"}',
)
REQUEST = VideoRequest(
    "A fox",
    model="veo3",
    aspect_ratio="16:9",
    negative_prompt="people",
    audio=False,
    image="https://example.com/fox.png",
    last_frame=reference("0" * 64),
    reference_images=("job:job_2", "data:image/png;base64," + "A" * 1000),
    options={"camera": "slow"},
    fallbacks=("xai/grok",),
)


def test_the_request_has_the_names_and_values_of_the_api() -> None:
    body = body_of(REQUEST, JOB)
    taken = GenerateBody.model_validate(json.loads(json_of(body)))
    assert (taken.script, taken.model, taken.aspect_ratio) == ("A fox", "fal/veo3", "16:9")
    assert (taken.audio, taken.provider_options) == (False, {"camera": "slow"})
    assert (taken.external_id, taken.metadata) == ("o-1", {"customer": "42"})
    assert len(body["referenceImages"][1]) < 400


def test_a_repeated_request_names_no_file_that_only_this_job_has() -> None:
    body = repeated_body(REQUEST, JOB)
    assert body["image"] == "https://example.com/fox.png"
    assert (body["lastFrame"], body["referenceImages"]) == (FILE, ("job:job_2", FILE))
    assert "externalId" not in body
