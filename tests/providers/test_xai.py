"""xAI: what is sent, and what its answers mean."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import web
from google.protobuf.json_format import MessageToDict, ParseDict
from xai_sdk.proto import deferred_pb2, video_pb2
from xai_sdk.types.video import VideoAspectRatioMap, VideoResolutionMap
from xai_sdk.video import VideoResponse, _make_generate_request

from providers.paying import SUBMIT_SECONDS, PaysOnce
from providers.upstreams import Upstream
from reelhook.domain.errors import (
    ContentMissingError,
    ListingUnsupportedError,
    ProviderError,
    ProviderUnauthorizedError,
    WebhookVerificationError,
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
from reelhook.providers.http.error_mapping import NO_REASON
from reelhook.providers.xai.provider import XAI
from reelhook.providers.xai.video import PIXELS, RATIOS, report

NOW = 1_700_000_000
ONE = "f532feb6-49a9-4f9a-9a37-6e64ef725e8f"
URL = "https://vidgen.x.ai/xai-vidgen-bucket/video.mp4"
FILTERED = Failed("moderation", "The video did not respect xAI's moderation rules.")
NO_FILE = Failed("content_missing", "The request is done, but it has no video.")


def done(**video: object) -> dict[str, object]:
    """Return a request that is done, as the API reference shows one."""
    shown = {"url": URL, "duration": 6, "respect_moderation": True} | video
    return {"status": "done", "video": shown, "model": "grok-imagine-video"}


@pytest.fixture
async def xai(server: Upstream) -> AsyncIterator[XAI]:
    async with XAI(server.url, "xai-key", submit_timeout_seconds=5, now=lambda: NOW) as one:
        yield one


class TestXAIPaysOnce(PaysOnce):
    def provider(self, base: str) -> XAI:
        return XAI(base, "xai-key", submit_timeout_seconds=SUBMIT_SECONDS)

    def request_(self) -> VideoRequest:
        return VideoRequest(prompt="A fox", model="grok-imagine-video")


# -- submitting -----------------------------------------------------------------------------------


async def test_a_create_sends_the_common_parameters(server: Upstream, xai: XAI) -> None:
    server.answers(200, {"request_id": ONE})
    request = VideoRequest(
        prompt="Calm\n\nA fox",
        model="grok-imagine-video",
        seconds="8",
        size="720x1280",
        image="data:image/png;base64,AAAA",
        options={"user": "me", "duration": 3, "resolution": "480p"},
    )
    assert await xai.submit(request, callback_url="https://me/hook") == Accepted(ONE)
    [seen] = server.seen
    assert (seen.method, seen.path) == ("POST", "/v1/videos/generations")
    assert seen.headers["Authorization"] == "Bearer xai-key"
    assert seen.json() == {
        "model": "grok-imagine-video",
        "prompt": "Calm\n\nA fox",
        "duration": 8,
        "aspect_ratio": "9:16",
        "resolution": "720p",
        "image": {"url": "data:image/png;base64,AAAA"},
        "user": "me",
    }


async def test_what_was_not_asked_for_is_not_sent(server: Upstream, xai: XAI) -> None:
    server.answers(200, {"request_id": ONE})
    await xai.submit(VideoRequest("A fox", "m", aspect_ratio="1:1", options={"resolution": "720p"}))
    assert server.seen[0].json() == {
        "model": "m",
        "prompt": "A fox",
        "aspect_ratio": "1:1",
        "resolution": "720p",
    }


WRONG_KEY = "Incorrect API key provided: xa***ey. You can obtain an API key from https://x.ai."
BLOCKED = "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"
POOR = "Your team has either used all available credits or reached its monthly spending limit."


@pytest.mark.parametrize(
    ("status", "words", "refused"),
    [
        (400, WRONG_KEY, Refused("provider_unauthorized", WRONG_KEY, unauthorized=True)),
        (403, BLOCKED, Refused("moderation", BLOCKED)),
        (400, BLOCKED, Refused("moderation", BLOCKED)),
        (403, POOR, Refused("quota", POOR, unauthorized=True)),
        (400, "duration is wrong", Refused("invalid_request", "duration is wrong")),
        (404, "The model does not exist", Refused("invalid_request", "The model does not exist")),
    ],
)
async def test_a_refusal_is_understood_by_its_words(
    server: Upstream, xai: XAI, status: int, words: str, refused: Refused
) -> None:
    code = "Client specified an invalid argument" if status == 400 else "Told"
    server.answers(status, {"code": code, "error": words})
    assert await xai.submit(VideoRequest(prompt="A fox", model="m")) == refused
    assert server.posts == 1


# -- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "response", "report"),
    [
        (202, {"status": "pending", "progress": 0}, Progress(running=False, percent=0)),
        (202, {"status": "pending", "progress": 37}, Progress(running=True, percent=37)),
        (200, {"status": "pending"}, Progress(running=False)),
        (202, {"request_id": ONE}, Progress(running=False)),
        (202, None, Progress(running=False)),
        (200, done(), Finished(URL, NOW + 86400)),
        (
            200,
            done() | {"usage": {"cost_in_usd_ticks": 500000000}},
            Finished(URL, NOW + 86400, cost=Cost(0.05, "USD")),
        ),
        (200, done(respect_moderation=False), FILTERED),
        (200, done(url="", respect_moderation=False), FILTERED),
        (200, done(url=None), NO_FILE),
        (200, done() | {"status": None}, Finished(URL, NOW + 86400)),
        (
            200,
            done(url="", file_output={"public_url": "https://h/v.mp4"}),
            Finished("https://h/v.mp4", NOW + 86400),
        ),
        (200, {"status": "done"}, NO_FILE),
        (
            200,
            {"status": "failed", "error": {"code": "internal_error", "message": "Sorry."}},
            Failed("provider_error", "Sorry."),
        ),
        (
            200,
            {"status": "failed", "error": {"code": "invalid_argument", "message": "Too long."}},
            Failed("invalid_request", "Too long."),
        ),
        (
            200,
            {"status": "failed", "error": {"code": "permission_denied", "message": BLOCKED}},
            Failed("moderation", BLOCKED),
        ),
        (
            200,
            {"status": "failed", "code": "generation_failed", "error": "Sorry."},
            Failed("provider_error", "Sorry."),
        ),
        (200, {"status": "failed"}, Failed("provider_error", NO_REASON)),
        (
            200,
            {"status": "expired"},
            Failed("expired", "The request expired at xAI before it was done."),
        ),
        (200, {"status": "queued"}, Unknown("queued")),
        (404, {"code": "x", "error": "not found"}, Missing()),
    ],
)  # fmt: skip
async def test_a_request_is_read(
    server: Upstream, xai: XAI, status: int, response: object, report: Report
) -> None:
    server.answers(status, response)
    assert (await xai.get(ONE)).report == report
    assert server.seen[0].path == f"/v1/videos/{ONE}"


REJECTED = "Generated video rejected by content moderation."


@pytest.mark.parametrize(
    "body",
    [
        {"code": "imagine:content-moderated", "error": REJECTED},
        {"code": "Client specified an invalid argument", "error": REJECTED},
        {"code": "imagine:content-moderated", "error": REJECTED, "usage": {"cost_in_usd_ticks": 0}},
    ],
)
async def test_a_poll_refused_by_moderation_ends_the_job(
    server: Upstream, xai: XAI, body: dict[str, Any]
) -> None:
    server.answers(400, body)
    cost = Cost(0, "USD") if "usage" in body else None
    assert (await xai.get(ONE)).report == Failed("moderation", REJECTED, cost)


async def test_a_refused_video_is_charged_for(server: Upstream, xai: XAI) -> None:
    said = {"code": "x", "error": REJECTED, "usage": {"cost_in_usd_ticks": 8500000000}}
    server.answers(400, said)
    assert (await xai.get(ONE)).report == Failed("moderation", REJECTED, Cost(0.85, "USD"))


@pytest.mark.parametrize("status", [400, 422, 500])
async def test_any_other_refused_poll_ends_nothing(server: Upstream, xai: XAI, status: int) -> None:
    server.answers(status, {"code": "Client specified an invalid argument", "error": "Not yet"})
    with pytest.raises(ProviderError, match="Not yet"):
        await xai.get(ONE)


@pytest.mark.parametrize("odd", [{}, {"request_id": ONE}, {"status": None}, []])
async def test_what_shows_no_status_is_no_reading(server: Upstream, xai: XAI, odd: object) -> None:
    server.answers(200, odd)
    with pytest.raises(ProviderError):
        await xai.get(ONE)


@pytest.mark.parametrize(("status", "words"), [(400, WRONG_KEY), (401, "No key"), (403, "No")])
async def test_a_refused_key_is_told(server: Upstream, xai: XAI, status: int, words: str) -> None:
    server.answers(status, {"code": "x", "error": words})
    with pytest.raises(ProviderUnauthorizedError):
        await xai.get(ONE)
    with pytest.raises(ProviderUnauthorizedError):
        await xai.check()


async def test_a_check_tells_which_models_the_key_opens(server: Upstream, xai: XAI) -> None:
    server.answers(200, {"models": [{"id": "grok-imagine-video"}, {"id": 3}, None]})
    assert await xai.check() == "video models: grok-imagine-video"
    assert server.seen[0].path == "/v1/video-generation-models"


async def test_there_is_no_listing_no_cancelling_and_no_webhook(xai: XAI) -> None:
    assert await xai.get_many([ONE]) == {}
    assert not await xai.cancel(ONE)
    with pytest.raises(ListingUnsupportedError):
        await xai.page(None, 100)
    with pytest.raises(WebhookVerificationError):
        await xai.notice({}, json.dumps({"request_id": ONE}).encode())


async def test_a_file_that_moved_is_found_and_one_that_is_gone_is_missing(
    server: Upstream, xai: XAI
) -> None:
    there = True

    async def respond(request: web.Request) -> web.StreamResponse:
        if request.path == "/old":
            return web.Response(status=404)
        if request.path == "/new":
            assert "Authorization" not in request.headers
            return web.Response(body=b"video")
        if not there:
            return web.json_response({"code": "x", "error": "gone"}, status=404)
        return web.json_response(done(url=f"{server.url}/new"))

    server.respond = respond
    async with xai.content(ONE, f"{server.url}/old", None) as content:
        assert b"".join([chunk async for chunk in content.chunks]) == b"video"
    there = False
    with pytest.raises(ContentMissingError):
        async with xai.content(ONE, f"{server.url}/old", None):
            pass


# -- the official SDK's types ---------------------------------------------------------------------


def test_our_ratios_and_resolutions_are_those_of_the_sdk() -> None:
    assert set(RATIOS) == set(VideoAspectRatioMap)
    assert set(PIXELS) == set(VideoResolutionMap)


async def test_the_sdk_makes_the_same_request_of_what_we_send(server: Upstream, xai: XAI) -> None:
    server.answers(200, {"request_id": ONE})
    await xai.submit(
        VideoRequest(
            prompt="A fox",
            model="grok-imagine-video",
            seconds="8",
            size="1280x720",
            image="https://h/fox.png",
        )
    )
    sent: dict[str, Any] = server.seen[0].json()
    theirs = _make_generate_request(
        sent["prompt"],
        sent["model"],
        image_url=sent["image"]["url"],
        video_url=None,
        duration=sent["duration"],
        aspect_ratio=sent["aspect_ratio"],
        resolution=sent["resolution"],
        reference_image_urls=None,
    )
    assert set(sent) == {name.name for name, _ in theirs.ListFields()}


@pytest.mark.parametrize(
    "response",
    [
        done() | {"usage": {"cost_in_usd_ticks": 500000000}, "progress": 100},
        done(url="", duration=0, respect_moderation=False),
    ],
)
def test_what_we_read_is_what_the_sdk_reads(response: Mapping[str, Any]) -> None:
    fields = {name: value for name, value in response.items() if name != "status"}
    message = ParseDict(fields, video_pb2.VideoResponse())
    theirs = VideoResponse(message)
    result = report(response)
    if isinstance(result, Finished):
        assert result.url == theirs.url
        assert result.cost == (None if theirs.cost_usd is None else Cost(theirs.cost_usd, "USD"))
    else:
        assert result == FILTERED
        with pytest.raises(ValueError, match="moderation"):
            assert theirs.url
    shown = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    assert report({"status": "done", **shown}) == result


def test_every_status_of_the_sdk_is_known() -> None:
    for status in deferred_pb2.DeferredStatus.keys():  # noqa: SIM118 - an enum of protobuf's
        if status != "INVALID_DEFERRED_STATUS":
            assert not isinstance(report({"status": status.lower()}), Unknown)
