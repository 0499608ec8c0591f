"""Runway: what is sent, and what its answers mean."""

from collections.abc import AsyncIterator
from typing import Any, Required, get_args, get_origin, get_type_hints

import pytest
from aiohttp import web
from runwayml import AsyncRunwayML
from runwayml.types.image_to_video_create_params import ImageToVideoCreateParams
from runwayml.types.text_to_video_create_params import TextToVideoCreateParams

from providers.paying import SUBMIT_SECONDS, PaysOnce
from providers.upstreams import Upstream
from reelhook.domain.errors import ContentMissingError, ListingUnsupportedError, ProviderError
from reelhook.domain.model import Image
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
from reelhook.providers.runway.provider import Runway
from reelhook.providers.runway.request import body_of

CREATED = {"id": "17f20503-6c24-4c16-946b-35dbbce2af2f", "estimatedCost": {"credits": 60}}
NOW = 1_700_000_000
VIDEO = "https://dnznrvs05pmza.cloudfront.net/video.mp4?_jwt=abc"
IMAGE = "https://example.com/fox.png"


@pytest.fixture
async def runway(server: Upstream) -> AsyncIterator[Runway]:
    async with Runway(
        f"{server.url}/v1", "key_1", submit_timeout_seconds=5, now=lambda: NOW
    ) as one:
        yield one


@pytest.fixture
async def client(server: Upstream) -> AsyncIterator[AsyncRunwayML]:
    async with AsyncRunwayML(api_key="key_1", base_url=server.url, max_retries=0) as one:
        yield one


class TestRunwayPaysOnce(PaysOnce):
    def provider(self, base: str) -> Runway:
        return Runway(base, "key_1", submit_timeout_seconds=SUBMIT_SECONDS)

    def request_(self) -> VideoRequest:
        return VideoRequest(prompt="A fox", model="gen4.5")


# -- submitting -----------------------------------------------------------------------------------


async def test_a_text_is_sent_as_the_sdk_sends_it(
    server: Upstream, runway: Runway, client: AsyncRunwayML
) -> None:
    server.answers(200, CREATED)
    await client.text_to_video.create(
        model="gen4.5", prompt_text="A fox", ratio="720:1280", duration=8, seed=7
    )
    outcome = await runway.submit(
        VideoRequest(prompt="A fox", model="gen4.5", seconds="8", aspect_ratio="9:16", seed=7)
    )
    theirs, ours = server.seen
    assert (ours.method, ours.path) == (theirs.method, theirs.path) == ("POST", "/v1/text_to_video")
    assert ours.json() == theirs.json()
    for name in ("Authorization", "X-Runway-Version", "Content-Type"):
        assert ours.headers[name] == theirs.headers[name]
    assert outcome == Accepted(str(CREATED["id"]), quote=Cost(60.0, "credits"))


async def test_an_image_is_sent_as_the_sdk_sends_it(
    server: Upstream, runway: Runway, client: AsyncRunwayML
) -> None:
    server.answers(200, CREATED)
    await client.image_to_video.create(
        model="gen4_turbo", prompt_text="A fox", prompt_image=IMAGE, ratio="1104:832", duration=5
    )
    request = VideoRequest(
        prompt="A fox", model="gen4_turbo", seconds="5", size="1104x832", image=IMAGE
    )
    await runway.submit(request)
    theirs, ours = server.seen
    assert ours.path == theirs.path == "/v1/image_to_video"
    assert ours.json() == theirs.json()


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"model": "gen4.5"}, {"ratio": "1280:720", "duration": 5}),
        ({"model": "veo3.1"}, {"ratio": "1280:720"}),
        ({"model": "kling3.0_pro", "aspect_ratio": "1:1"}, {"ratio": "1440:1440"}),
        ({"model": "seedance2_5"}, {}),
        ({"model": "hailuo3", "size": "1280x720"}, {"ratio": "16:9"}),
        ({"model": "hailuo3", "aspect_ratio": "4:3"}, {"ratio": "4:3"}),
        (
            {"model": "wan3", "size": "1280x720", "image": IMAGE},
            {"promptImage": IMAGE, "ratio": "auto_720p"},
        ),
        ({"model": "wan3", "size": "1280x720"}, {"ratio": "1280:720"}),
        ({"model": "new", "size": "640x360"}, {"ratio": "640:360"}),
        ({"model": "new", "aspect_ratio": "16:9"}, {"ratio": "16:9"}),
        ({"model": "new", "seconds": "2.5"}, {"duration": 2.5}),
        (
            {
                "model": "gen4.5",
                "seconds": "4",
                "options": {"ratio": "720:1280", "duration": 9, "outputFormat": "prores"},
            },
            {"ratio": "720:1280", "duration": 4, "outputFormat": "prores"},
        ),
    ],
)
async def test_shape_and_length_are_told_as_the_model_has_them(
    server: Upstream, runway: Runway, asked: dict[str, Any], sent: dict[str, object]
) -> None:
    server.answers(200, CREATED)
    await runway.submit(VideoRequest(prompt="A fox", **asked))
    assert server.seen[0].json() == {"model": asked["model"], "promptText": "A fox", **sent}


async def test_an_empty_account_is_told_as_quota(server: Upstream, runway: Runway) -> None:
    words = "You do not have enough credits to run this task."
    server.answers(400, {"error": words})
    outcome = await runway.submit(VideoRequest(prompt="A fox", model="gen4.5"))
    assert outcome == Refused("quota", words)
    server.answers(400, {"error": "promptText: no opening credits, please"})
    outcome = await runway.submit(VideoRequest(prompt="A fox", model="gen4.5"))
    assert isinstance(outcome, Refused)
    assert outcome.code == "invalid_request"


# -- the models -----------------------------------------------------------------------------------


def _variants(union: object) -> dict[str, dict[str, Any]]:
    hints = [get_type_hints(variant) for variant in get_args(union)]
    return {get_args(one["model"])[0]: one for one in hints}


def _ratios(variant: dict[str, Any] | None) -> set[str]:
    result = get_args(variant["ratio"]) if variant and "ratio" in variant else ()
    return {one for one in result if one[0].isdigit()}


def test_the_models_are_those_of_the_sdk_with_its_ratios_durations_and_seeds() -> None:
    texts, images = _variants(TextToVideoCreateParams), _variants(ImageToVideoCreateParams)
    assert {model.name for model in Runway.models} == texts.keys() | images.keys()
    for model in Runway.models:
        text, image = texts.get(model.name), images[model.name]
        sizes = {size.replace("x", ":") for size in model.sizes or ()}
        assert sizes | set(model.aspect_ratios or ()) == _ratios(text) | _ratios(image)
        assert (model.image is Image.REQUIRED) == (text is None)
        assert model.seed == ("seed" in image)
        durations = {str(one) for one in get_args(image["duration"]) if isinstance(one, int)}
        assert not durations or durations == set(model.seconds or ())


def test_what_runway_demands_is_always_told() -> None:
    for union, image in ((TextToVideoCreateParams, None), (ImageToVideoCreateParams, IMAGE)):
        for variant in get_args(union):
            hints = get_type_hints(variant, include_extras=True)
            [name] = get_args(get_type_hints(variant)["model"])
            demanded = {_camel(key) for key, hint in hints.items() if get_origin(hint) is Required}
            limits = next(model for model in Runway.models if model.name == name)
            body = body_of(VideoRequest(prompt="A fox", model=name, image=image), limits)
            assert demanded <= body.keys()
            assert {"ratio", "duration"} & body.keys() <= demanded
            assert body.keys() <= {_camel(key) for key in hints}
            if "ratio" in body:
                assert body["ratio"] in get_args(get_type_hints(variant)["ratio"])


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


# -- reading --------------------------------------------------------------------------------------


def task(status: str, **fields: object) -> dict[str, object]:
    return {"id": "t1", "createdAt": "2026-11-20T12:00:00.000Z", "status": status, **fields}


@pytest.mark.parametrize(
    ("response", "result"),
    [
        (task("PENDING", estimatedCost={"credits": 60}), Progress(running=False)),
        (task("THROTTLED", estimatedCost={"credits": 60}), Progress(running=False)),
        (task("RUNNING", progress=0.57), Progress(True, 57)),
        (task("RUNNING", progress=0), Progress(True, 0)),
        (task("RUNNING", progress=1.7), Progress(True, 100)),
        (task("RUNNING", progress=None), Progress(running=True)),
        (task("RUNNING"), Progress(running=True)),
        (
            task("SUCCEEDED", output=[VIDEO], cost={"credits": 55}),
            Finished(VIDEO, NOW + 86400, cost=Cost(55.0, "credits")),
        ),
        (task("SUCCEEDED", output=[None, VIDEO]), Finished(VIDEO, NOW + 86400)),
        (
            task("CANCELLED", cost={"credits": 0}),
            Failed("canceled", "The task was canceled or deleted.", Cost(0.0, "credits")),
        ),
        (task("REBOOTING"), Unknown("REBOOTING")),
    ],
)
async def test_a_status_is_told_in_our_words(
    server: Upstream, runway: Runway, response: dict[str, object], result: Report
) -> None:
    server.answers(200, response)
    assert (await runway.get("t1")).report == result
    assert server.seen[0].path == "/v1/tasks/t1"
    assert server.seen[0].headers["X-Runway-Version"] == "2024-11-06"


@pytest.mark.parametrize(
    ("failure_code", "code"),
    [
        ("SAFETY.INPUT.TEXT", "moderation"),
        ("SAFETY.INPUT.IMAGE", "moderation"),
        ("SAFETY.OUTPUT.VIDEO", "moderation"),
        ("INPUT_PREPROCESSING.SAFETY.TEXT", "moderation"),
        ("INPUT_PREPROCESSING.INTERNAL", "provider_error"),
        ("INPUT_PREPROCESSING.IMAGE", "invalid_request"),
        ("ASSET.INVALID", "invalid_request"),
        ("INTERNAL.BAD_OUTPUT.CODE01", "provider_error"),
        ("INTERNAL", "provider_error"),
        ("CREDITS.EXHAUSTED", "quota"),
        ("SOMETHING.NEW", "provider_error"),
    ],
)
async def test_a_failure_code_is_told_as_ours_with_runways_words(
    server: Upstream, runway: Runway, failure_code: str, code: str
) -> None:
    response = task("FAILED", failure="Words.", failureCode=failure_code, cost={"credits": 0})
    server.answers(200, response)
    result = (await runway.get("t1")).report
    assert result == Failed(code, f"Words. ({failure_code})", Cost(0.0, "credits"))


async def test_a_failure_without_words_or_code_is_a_failure(
    server: Upstream, runway: Runway
) -> None:
    server.answers(200, task("FAILED", failure=None, failureCode="SAFETY.INPUT.TEXT"))
    assert (await runway.get("t1")).report == Failed("moderation", "SAFETY.INPUT.TEXT")
    server.answers(200, task("FAILED", failure="Words.", failureCode=None))
    assert (await runway.get("t1")).report == Failed("provider_error", "Words.")
    server.answers(200, task("FAILED"))
    result = (await runway.get("t1")).report
    assert isinstance(result, Failed)
    assert result.message


@pytest.mark.parametrize("output", [None, [], [None], "", {}])
async def test_success_without_a_file_is_a_failure_of_its_own(
    server: Upstream, runway: Runway, output: object
) -> None:
    server.answers(200, task("SUCCEEDED", output=output, cost={"credits": 5}))
    result = (await runway.get("t1")).report
    assert isinstance(result, Failed)
    assert (result.code, result.cost) == ("content_missing", Cost(5.0, "credits"))


async def test_a_404_is_missing_and_no_status_an_error(server: Upstream, runway: Runway) -> None:
    server.answers(404, {"error": "No such task"})
    assert (await runway.get("t1")).report == Missing()
    server.answers(200, {"id": "t1"})
    with pytest.raises(ProviderError):
        await runway.get("t1")


async def test_there_is_no_listing(runway: Runway) -> None:
    with pytest.raises(ListingUnsupportedError):
        await runway.page(None, 100)


@pytest.mark.parametrize("status", ["PENDING", "THROTTLED", "RUNNING", "REBOOTING"])
async def test_a_task_is_canceled_by_deleting_it(
    server: Upstream, runway: Runway, status: str
) -> None:
    async def response(request: web.Request) -> web.StreamResponse:
        gone = request.method == "DELETE"
        return web.Response(status=204) if gone else web.json_response(task(status))

    server.respond = response
    assert await runway.cancel("t 1")
    asked = [(one.method, one.path) for one in server.seen]
    assert asked == [("GET", "/v1/tasks/t%201"), ("DELETE", "/v1/tasks/t%201")]


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "CANCELLED"])
async def test_a_task_that_has_ended_is_not_deleted(
    server: Upstream, runway: Runway, status: str
) -> None:
    server.answers(200, task(status))
    assert not await runway.cancel("t1")
    server.answers(404, {})
    assert not await runway.cancel("t1")
    assert {one.method for one in server.seen} == {"GET"}


async def test_check_tells_the_credits_left(server: Upstream, runway: Runway) -> None:
    server.answers(200, {"creditBalance": 1200, "tier": {}, "usage": {}})
    assert await runway.check() == "1200 credits left"
    assert server.seen[0].path == "/v1/organization"
    server.answers(200, {})
    with pytest.raises(ProviderError):
        await runway.check()


# -- files ----------------------------------------------------------------------------------------


class Files:
    """Serves a task whose file is at `good`, and refuses every other address."""

    def __init__(self, server: Upstream, refusal: int) -> None:
        self.server = server
        self.refusal = refusal
        self.good = "/fresh"
        self.status = 200
        server.respond = self.response

    async def response(self, request: web.Request) -> web.Response:
        if request.path.startswith("/v1/tasks/"):
            fresh = task("SUCCEEDED", output=[f"{self.server.url}/fresh?_jwt=2"])
            return web.json_response(fresh, status=self.status)
        if request.path != self.good:
            return web.Response(status=self.refusal)
        return web.Response(body=b"video")


async def fetched(runway: Runway, url: str) -> bytes:
    async with runway.content("t1", url, None) as content:
        return b"".join([chunk async for chunk in content.chunks])


@pytest.mark.parametrize("refusal", [401, 403, 404, 410, 500])
async def test_an_address_that_has_expired_is_replaced_by_a_fresh_one(
    server: Upstream, runway: Runway, refusal: int
) -> None:
    Files(server, refusal)
    assert await fetched(runway, f"{server.url}/stale?_jwt=1") == b"video"
    assert [one.path for one in server.seen] == ["/stale", "/v1/tasks/t1", "/fresh"]
    assert ["Authorization" in one.headers for one in server.seen] == [False, True, False]


async def test_a_good_address_is_used_as_it_is(server: Upstream, runway: Runway) -> None:
    Files(server, 404)
    assert await fetched(runway, f"{server.url}/fresh?_jwt=2") == b"video"
    assert len(server.seen) == 1


async def test_a_fresh_address_is_asked_for_once(server: Upstream, runway: Runway) -> None:
    files = Files(server, 404)
    files.good = "/nowhere"
    for url in ("/stale", "/fresh?_jwt=2"):
        server.seen.clear()
        with pytest.raises(ContentMissingError):
            await fetched(runway, f"{server.url}{url}")
        assert sum(one.path == "/v1/tasks/t1" for one in server.seen) == 1


async def test_without_the_task_the_file_is_missing(server: Upstream, runway: Runway) -> None:
    Files(server, 403).status = 404
    with pytest.raises(ContentMissingError):
        await fetched(runway, f"{server.url}/stale")


async def test_what_breaks_while_it_is_read_is_not_read_again(
    server: Upstream, runway: Runway
) -> None:
    Files(server, 404)
    with pytest.raises(ProviderError, match="reader's own"):
        async with runway.content("t1", f"{server.url}/fresh", None):
            raise ProviderError("the reader's own")
    assert len(server.seen) == 1
