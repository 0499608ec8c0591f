"""fal: what is sent, and what its answers mean."""

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from fal_client.client import AppId, AsyncRequestHandle, Completed, InProgress, Queued

from providers.paying import SUBMIT_SECONDS, PaysOnce
from providers.upstreams import Upstream
from reelhook.domain.errors import (
    InvalidRequestError,
    ProviderError,
    ProviderUnauthorizedError,
)
from reelhook.domain.report import (
    Accepted,
    Cost,
    Failed,
    Finished,
    Missing,
    Progress,
    Refused,
    Report,
    Unknown,
)
from reelhook.domain.request import VideoRequest
from reelhook.providers.fal.provider import Fal
from reelhook.providers.fal.result import video_url

APP = "fal-ai/kling-video/o3/pro/text-to-video"
ONE = "fal-ai/kling-video/requests/764cabcf-b745-4b3e-ae38-1200304cf45b"
URL = "https://v3.fal.media/files/video.mp4"
REQUEST = VideoRequest(prompt="A fox", model=APP)


@pytest.fixture
async def fal(server: Upstream) -> AsyncIterator[Fal]:
    async with Fal(server.url, "key-id:key-secret", submit_timeout_seconds=5) as one:
        yield one


class TestFalPaysOnce(PaysOnce):
    def provider(self, base: str) -> Fal:
        return Fal(base, "key", submit_timeout_seconds=SUBMIT_SECONDS)

    def request_(self) -> VideoRequest:
        return REQUEST


# -- submitting -------------------------------------------------------------------------------


async def test_a_request_says_everything_in_fals_words(server: Upstream, fal: Fal) -> None:
    server.answers(200, {"request_id": "r-1", "status": "IN_QUEUE"})
    request = VideoRequest(
        prompt="A fox\n\nin the snow",
        model=APP,
        seconds="5",
        size="1280x720",
        image="https://example.com/fox.png",
        seed=7,
        options={"negative_prompt": "blur", "seed": 1},
    )
    outcome = await fal.submit(request, callback_url="https://here.example/p?x=1&y=ä")
    assert outcome == Accepted("fal-ai/kling-video/requests/r-1")
    (sent,) = server.seen
    assert (sent.method, sent.path) == ("POST", f"/{APP}")
    assert sent.query == {"fal_webhook": "https://here.example/p?x=1&y=ä"}
    assert sent.headers["Authorization"] == "Key key-id:key-secret"
    assert json.loads(sent.body) == {
        "prompt": "A fox\n\nin the snow",
        "duration": "5",
        "aspect_ratio": "16:9",
        "image_url": "https://example.com/fox.png",
        "seed": 7,
        "negative_prompt": "blur",
    }


@pytest.mark.parametrize(
    ("model", "written"),
    [
        ("fal-ai/veo3/fast", "8s"),
        ("fal-ai/kling-video/v4/text-to-video", 8),
        ("fal-ai/kling-video/o3/pro/text-to-video", "8"),
        ("someone/else", "8"),
    ],
)
async def test_a_duration_is_written_as_the_app_wants_it(
    server: Upstream, fal: Fal, model: str, written: object
) -> None:
    server.answers(200, {"request_id": "r-1"})
    await fal.submit(VideoRequest(prompt="A fox", model=model, seconds="8"))
    assert json.loads(server.seen[0].body)["duration"] == written


@pytest.mark.parametrize(
    "app",
    ["fal-ai/veo3", "fal-ai/veo3/fast", "workflows/me/mine", "comfy/me/mine/sub", "a/b/c/d/e"],
)
async def test_our_id_is_the_path_that_the_official_client_asks(
    server: Upstream, fal: Fal, app: str
) -> None:
    server.answers(200, {"request_id": "r-1"})
    outcome = await fal.submit(VideoRequest(prompt="A fox", model=app))
    handle = AsyncRequestHandle.from_request_id(None, app, "r-1")  # type: ignore[arg-type] # never asked
    assert isinstance(outcome, Accepted)
    assert handle.response_url == f"https://queue.fal.run/{outcome.provider_job_id}"
    assert fal.id_of("r-1", app) == outcome.provider_job_id
    assert AppId.from_endpoint_id(app).alias in outcome.provider_job_id


@pytest.mark.parametrize("model", ["veo3", "fal-ai/../veo3", "./veo3", "fal-ai//veo3", "/veo3/"])
async def test_what_could_never_be_asked_for_is_not_created(
    server: Upstream, fal: Fal, model: str
) -> None:
    server.answers(200, {"request_id": "r-1"})
    outcome = await fal.submit(VideoRequest(prompt="A fox", model=model))
    assert outcome == Refused("invalid_request", "A model at fal is written owner/name")
    assert server.seen == []


@pytest.mark.parametrize("called", ["r-1", "a/requests/r-1", "../x/requests/r-1"])
def test_an_id_without_its_app_is_refused(fal: Fal, called: str) -> None:
    with pytest.raises(InvalidRequestError, match="write it like fal-ai/veo3/requests/ID"):
        fal.id_of(called, "")
    assert fal.id_of(ONE, "") == ONE


# -- reading ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "report"),
    [
        ({"status": "IN_QUEUE", "queue_position": 3}, Progress(running=False)),
        ({"status": "IN_PROGRESS", "logs": [{"message": "50%"}]}, Progress(running=True)),
        (
            {"status": "COMPLETED", "error": "It ran out of memory", "error_type": "oom"},
            Failed("provider_error", "It ran out of memory"),
        ),
        (
            {
                "status": "COMPLETED",
                "error": "Not allowed",
                "error_type": "content_policy_violation",
            },
            Failed("moderation", "Not allowed"),
        ),
        ({"status": "SLEEPING"}, Unknown("SLEEPING")),
    ],
)
async def test_a_status_is_told_in_our_words(
    server: Upstream, fal: Fal, status: object, report: Report
) -> None:
    server.answers(200, status)
    assert (await fal.get(ONE)).report == report
    assert [one.path for one in server.seen] == [f"/{ONE}/status"]


def test_the_statuses_are_those_of_the_official_client() -> None:
    handle = AsyncRequestHandle("r-1", "", "", "", None)  # type: ignore[arg-type] # never asked
    assert isinstance(handle._parse_status({"status": "IN_QUEUE", "queue_position": 0}), Queued)
    assert isinstance(handle._parse_status({"status": "IN_PROGRESS", "logs": None}), InProgress)
    read_result = handle._parse_status({"status": "COMPLETED", "logs": None, "error": "x"})
    assert isinstance(read_result, Completed)
    assert read_result.error == "x"


async def completed_with(server: Upstream, fal: Fal, status: int, result: object) -> Report:
    async def response(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/status"):
            return web.json_response({"status": "COMPLETED", "logs": None})
        return web.json_response(result, status=status)

    server.respond = response
    return (await fal.get(ONE)).report


@pytest.mark.parametrize(
    "result",
    [
        {"video": {"url": URL}},
        {"video": URL},
        {"videos": [{"url": URL}]},
        {"output": {"video": {"url": URL}}},
        {"data": {"videos": [{"url": URL}]}},
        {"video_url": URL},
    ],
)
async def test_the_video_is_found_where_apps_put_it(
    server: Upstream, fal: Fal, result: object
) -> None:
    found = await completed_with(server, fal, 200, result)
    assert isinstance(found, Finished)
    assert found.url == URL
    assert isinstance(result, dict)
    assert video_url(result) == URL


@pytest.mark.parametrize(
    ("status", "result", "code"),
    [
        (200, {"images": []}, "content_missing"),
        (404, {"detail": "gone"}, "content_missing"),
        (
            422,
            {"detail": [{"loc": ["body"], "msg": "No.", "type": "content_policy_violation"}]},
            "moderation",
        ),
        (
            422,
            {"detail": [{"loc": ["body"], "msg": "Bad.", "type": "value_error"}]},
            "invalid_request",
        ),
    ],
)
async def test_a_result_that_is_none_ends_the_job(
    server: Upstream, fal: Fal, status: int, result: object, code: str
) -> None:
    report = await completed_with(server, fal, status, result)
    assert isinstance(report, Failed)
    assert report.code == code


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "downstream_service_error", "provider_error"),
        (500, "downstream_service_unavailable", "provider_error"),
        (500, "internal_server_error", "provider_error"),
        (504, "generation_timeout", "provider_error"),
        (403, "content_policy_violation", "moderation"),
        (422, "image_too_small", "invalid_request"),
    ],
)
async def test_an_app_s_own_error_ends_the_job_whatever_its_status(
    server: Upstream, fal: Fal, status: int, kind: str, code: str
) -> None:
    detail = [{"loc": ["body"], "msg": "It went wrong", "type": kind, "input": {"prompt": "a cat"}}]
    report = await completed_with(server, fal, status, {"detail": detail})
    assert report == Failed(code, "body: It went wrong")


async def test_an_error_of_the_runner_ends_the_job(server: Upstream, fal: Fal) -> None:
    said = {"detail": "Request timed out", "error_type": "request_timeout"}
    report = await completed_with(server, fal, 504, said)
    assert report == Failed("provider_error", "Request timed out")


@pytest.mark.parametrize(
    ("read_result", "cost"),
    [("38.8", Cost(38.8, "units")), ("0", Cost(0, "units")), ("soon", None), ("-1", None)],
)
async def test_billable_units_are_the_cost(
    server: Upstream, fal: Fal, read_result: str, cost: Cost | None
) -> None:
    async def response(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/status"):
            return web.json_response({"status": "COMPLETED"})
        return web.json_response(
            {"video": {"url": URL}}, headers={"x-fal-billable-units": read_result}
        )

    server.respond = response
    found = (await fal.get(ONE)).report
    assert isinstance(found, Finished)
    assert (found.url, found.cost) == (URL, cost)


@pytest.mark.parametrize(("size", "seconds"), [(100, 3600), (12_000, 360)])
async def test_a_file_expires_with_its_result_sooner_if_that_is_large(
    server: Upstream, size: int, seconds: int
) -> None:
    async with Fal(server.url, "key", now=lambda: 1_700_000_000.0) as fal:
        found = await completed_with(
            server, fal, 200, {"video": {"url": URL}, "prompt": "x" * size}
        )
    assert found == Finished(URL, 1_700_000_000 + seconds)


@pytest.mark.parametrize(
    ("read_result", "ahead"),
    [(12654, 12654), (0, 0), ("3", 3), (-1, None), (None, None), ([], None)],
)
async def test_the_place_in_the_queue_is_kept(
    server: Upstream, fal: Fal, read_result: object, ahead: int | None
) -> None:
    assert fal.ahead(ONE) is None
    server.answers(200, {"status": "IN_QUEUE", "queue_position": read_result})
    await fal.get(ONE)
    assert fal.ahead(ONE) == ahead
    server.answers(200, {"status": "IN_PROGRESS"})
    await fal.get(ONE)
    assert fal.ahead(ONE) is None


@pytest.mark.parametrize("words", ["Not found", "Unexpected status code: 404"])
async def test_a_young_request_without_a_result_was_sent_to_no_app(
    server: Upstream, words: str
) -> None:
    now = 1_700_000_000.0
    async with Fal(server.url, "key", now=lambda: now) as fal:
        server.answers(200, {"request_id": "r-1", "status": "IN_QUEUE"})
        accepted = await fal.submit(REQUEST)
        assert isinstance(accepted, Accepted)

        async def response(request: web.Request) -> web.StreamResponse:
            if request.path.endswith("/status"):
                return web.json_response({"status": "COMPLETED"})
            return web.json_response({"detail": words}, status=404)

        server.respond = response
        young = (await fal.get(accepted.provider_job_id)).report
        assert isinstance(young, Failed)
        assert (young.code, words in young.message) == ("invalid_request", True)
        now += 3600
        old = (await fal.get(accepted.provider_job_id)).report
        assert isinstance(old, Failed)
        assert (old.code, words in old.message) == ("content_missing", True)


async def test_a_result_that_can_not_be_read_now_ends_nothing(server: Upstream, fal: Fal) -> None:
    for status in (302, 307, 401, 429, 500, 503):
        with pytest.raises(ProviderError):
            await completed_with(server, fal, status, {"detail": "later"})


async def test_a_request_that_there_is_not_is_missing(server: Upstream, fal: Fal) -> None:
    server.answers(404, {"detail": "Not found"})
    assert (await fal.get(ONE)).report == Missing()


@pytest.mark.parametrize("bad", ["", "r-1", "a/requests/b", "../x/requests/b", "a/b/requests/.."])
async def test_what_is_no_id_is_not_asked_for(server: Upstream, fal: Fal, bad: str) -> None:
    with pytest.raises(ProviderError, match="write it like"):
        await fal.get(bad)
    assert server.seen == []


async def test_canceling(server: Upstream, fal: Fal) -> None:
    server.answers(202, {"status": "CANCELLATION_REQUESTED"})
    assert await fal.cancel(ONE)
    assert (server.seen[0].method, server.seen[0].path) == ("PUT", f"/{ONE}/cancel")
    server.answers(400, {"status": "ALREADY_COMPLETED"})
    assert not await fal.cancel(ONE)


async def test_the_key_is_checked_for_nothing(server: Upstream, fal: Fal) -> None:
    server.answers(404, {"detail": "Not found"})
    assert await fal.check() == "the key is accepted"
    server.answers(401, {"detail": "Invalid key"})
    with pytest.raises(ProviderUnauthorizedError, match="Invalid key"):
        await fal.check()
    assert server.posts == 0
