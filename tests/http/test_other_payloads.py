"""The bodies in other formats than the default one, byte for byte, and Vercel's headers."""

import json

import pytest

from reelhook.bootstrap.formats import formats_at
from reelhook.domain.endpoint import EventName
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Event, EventKind, WireStatus
from reelhook.domain.job import Job, Status
from reelhook.doors.vercel.payload import vercel_headers

FORMATS = formats_at("https://us.example/{}".format)
OPENAI, VERCEL = FORMATS.others["openai"], FORMATS.others["vercel"]
AT = 1_706_176_800_007
DIGEST = "6b274651f0b0a1ecebd2e78292a2326c4cd2fa51a7c1e17e435c30a7fe62db67"
"""`printf '1706176800.%s' BODY | openssl dgst -sha256 -hmac whsec_of_the_start`"""


def event(status: WireStatus, kind: EventKind = EventKind.TERMINAL) -> Event:
    return Event("job_1", 3, kind, status, 100, AT, "video_of_the_provider", error="Straße")


def job(status: Status) -> Job:
    return Job("job_1", "acme", status, AT, AT)


def test_the_body_for_openais_sdks() -> None:
    completed = event(WireStatus.COMPLETED)
    assert OPENAI.body(job(Status.COMPLETED), completed) == (
        b'{"id":"' + completed.id.encode() + b'","object":"event","created_at":1706176800,'
        b'"type":"video.completed","data":{"id":"video_1"}}'
    )


def test_a_registered_jobs_id_is_marked() -> None:
    registered = Job("mine", "acme", Status.FAILED, AT, AT)
    body = json.loads(OPENAI.body(registered, event(WireStatus.FAILED)))
    assert (body["type"], body["data"]) == ("video.failed", {"id": "video_~mine"})


@pytest.mark.parametrize(
    ("status", "wire", "told"),
    [
        (Status.COMPLETED, WireStatus.COMPLETED, "completed"),
        (Status.FAILED, WireStatus.FAILED, "failed"),
        (Status.CANCELED, WireStatus.FAILED, "cancelled"),
    ],
)
def test_the_body_of_vercels_callback(status: Status, wire: WireStatus, told: str) -> None:
    ending = event(wire)
    assert VERCEL.body(job(status), ending).decode() == (
        f'{{"id":"{ending.id}","type":"video.{told}","createdAt":"2024-01-25T10:00:00.007Z",'
        f'"data":{{"jobId":"job_1","status":"{told}"}}}}'
    )


def test_vercels_headers() -> None:
    body = b'{"data":{"jobId":"job_1","status":"completed"}}'
    assert vercel_headers(body, "whsec_of_the_start", AT) == {
        "x-ai-gateway-signature": f"t=1706176800,v1={DIGEST}",
        "x-ai-gateway-idempotency-key": "job_1-completed",
    }


def test_only_ends_are_reported() -> None:
    for name in ("openai", "vercel"):
        for kind in (EventKind.PROGRESS, EventKind.STATUS):
            report = event(WireStatus.PROCESSING, kind)
            assert FORMATS.body(job(Status.PROCESSING), name, report) is None
        assert FORMATS.body(job(Status.FAILED), name, event(WireStatus.FAILED)) is not None


def test_a_format_that_does_not_exist_here_is_the_default_one() -> None:
    report = event(WireStatus.PROCESSING, EventKind.PROGRESS)
    default = FORMATS.default.body(job(Status.PROCESSING), report)
    assert FORMATS.body(job(Status.PROCESSING), "of a later version", report) == default
    with pytest.raises(InvalidRequestError, match=r"one of reelhook, reelhook\+poster, openai"):
        FORMATS.check("of a later version")


def test_the_default_format_reports_everything() -> None:
    FORMATS.check_events("reelhook", list(EventName))
