"""Ark: what is sent, and what its answers mean."""

import json
from collections.abc import AsyncIterator, Mapping

import pytest
from aiohttp import web
from volcenginesdkarkruntime import AsyncArk
from volcenginesdkarkruntime.types.content_generation.content_generation_task import (
    ContentGenerationTask,
)

from providers.paying import SUBMIT_SECONDS, PaysOnce
from providers.upstreams import Upstream
from reelhook.domain.errors import (
    ContentMissingError,
    InvalidRequestError,
    ProviderError,
    ProviderUnauthorizedError,
    WebhookVerificationError,
)
from reelhook.domain.model import Image
from reelhook.domain.report import (
    Accepted,
    Cost,
    Failed,
    Finished,
    Missing,
    Notice,
    Progress,
    Refused,
    Report,
    Unknown,
)
from reelhook.domain.request import VideoRequest
from reelhook.providers.ark.models import MODELS
from reelhook.providers.ark.provider import Ark
from reelhook.providers.http.error_mapping import NO_REASON

ONE = "cgt-20261123131127-68d9t"
TASKS = "/api/v3/contents/generations/tasks"
NOW = 1_700_000_000.0
URL = "https://ark-content.tos-ap-southeast-1.bytepluses.com/video.mp4?X-Tos-Signature=a%2Fb"


def task(**changes: object) -> dict[str, object]:
    """Return a task that succeeded, as the API reference shows one."""
    fields: dict[str, object] = {
        "id": ONE,
        "model": "seedance-1-5-pro-251215",
        "status": "succeeded",
        "content": {"video_url": URL},
        "seed": 10,
        "resolution": "720p",
        "ratio": "16:9",
        "duration": 5,
        "framespersecond": 24,
        "service_tier": "default",
        "execution_expires_after": 172800,
        "usage": {"completion_tokens": 108900, "total_tokens": 108900},
        "created_at": 1_699_999_000,
        "updated_at": 1_699_999_900,
    }
    return fields | changes


@pytest.fixture
async def ark(server: Upstream) -> AsyncIterator[Ark]:
    async with Ark(server.url, "key", submit_timeout_seconds=5, now=lambda: NOW) as one:
        yield one


@pytest.fixture
async def sdk(server: Upstream) -> AsyncIterator[AsyncArk]:
    client = AsyncArk(base_url=f"{server.url}/api/v3", api_key="key", max_retries=0)
    yield client
    await client.close()


class TestArkPaysOnce(PaysOnce):
    def provider(self, base: str) -> Ark:
        return Ark(base, "key", submit_timeout_seconds=SUBMIT_SECONDS)

    def request_(self) -> VideoRequest:
        return VideoRequest(prompt="A fox", model="seedance-1-5-pro-251215")


# -- submitting -----------------------------------------------------------------------------------


async def test_a_create_sends_the_common_parameters_as_fields(server: Upstream, ark: Ark) -> None:
    server.answers(200, {"id": ONE})
    request = VideoRequest(
        prompt="Calm\n\nA fox",
        model="dreamina-seedance-2-0-260128",
        seconds="8",
        size="1920x1080",
        image="https://h/fox.png",
        seed=7,
        options={
            "service_tier": "flex",
            "seed": 1,
            "watermark": False,
            "content": [{"type": "image_url", "image_url": {"url": "u"}, "role": "last_frame"}],
        },
    )
    assert await ark.submit(request, callback_url="https://me/hook") == Accepted(ONE)
    assert "content" in request.options  # a request is another's, and may be sent again
    [seen] = server.seen
    assert (seen.method, seen.path) == ("POST", TASKS)
    assert seen.headers["Authorization"] == "Bearer key"
    assert seen.json() == {
        "model": "dreamina-seedance-2-0-260128",
        "content": [
            {"type": "text", "text": "Calm\n\nA fox"},
            {
                "type": "image_url",
                "image_url": {"url": "https://h/fox.png"},
                "role": "first_frame",
            },
            {"type": "image_url", "image_url": {"url": "u"}, "role": "last_frame"},
        ],
        "duration": 8,
        "ratio": "16:9",
        "resolution": "1080p",
        "seed": 7,
        "callback_url": "https://me/hook",
        "service_tier": "flex",
        "watermark": False,
    }


async def test_what_was_not_asked_for_is_not_sent(server: Upstream, ark: Ark) -> None:
    server.answers(200, {"id": ONE})
    await ark.submit(VideoRequest(prompt="A fox", model="ep-1", aspect_ratio="21:9"))
    assert server.seen[0].json() == {
        "model": "ep-1",
        "content": [{"type": "text", "text": "A fox"}],
        "ratio": "21:9",
    }


@pytest.mark.parametrize(
    ("size", "ratio", "resolution"),
    [
        ("864x480", "16:9", "480p"),
        ("640x640", "1:1", "480p"),
        ("1280x720", "16:9", "720p"),
        ("834x1112", "3:4", "720p"),
        ("1024x1792", "9:16", "1080p"),
        ("2206x946", "21:9", "1080p"),
    ],
)
async def test_a_size_is_its_ratio_and_the_nearest_resolution(
    server: Upstream, ark: Ark, size: str, ratio: str, resolution: str
) -> None:
    server.answers(200, {"id": ONE})
    await ark.submit(VideoRequest(prompt="A fox", model="ep-1", size=size))
    sent = server.seen[0].json()
    assert (sent["ratio"], sent["resolution"]) == (ratio, resolution)


async def test_our_create_is_that_of_the_official_client(
    server: Upstream, ark: Ark, sdk: AsyncArk
) -> None:
    server.answers(200, {"id": ONE})
    await ark.submit(
        VideoRequest(
            prompt="A fox",
            model="m",
            seconds="5",
            size="1280x720",
            image="https://h/fox.png",
            seed=7,
        ),
        callback_url="https://me/hook",
    )
    await sdk.content_generation.tasks.create(
        model="m",
        content=[
            {"type": "text", "text": "A fox"},
            {"type": "image_url", "image_url": {"url": "https://h/fox.png"}, "role": "first_frame"},
        ],
        callback_url="https://me/hook",
        duration=5,
        ratio="16:9",
        resolution="720p",
        seed=7,
    )
    ours, theirs = server.seen
    sent = {name: value for name, value in theirs.json().items() if value is not None}
    assert ours.json() == sent
    assert (ours.path, ours.headers["Authorization"]) == (
        theirs.path,
        theirs.headers["Authorization"],
    )


@pytest.mark.parametrize(
    ("status", "code", "ours"),
    [
        (400, "InputTextSensitiveContentDetected", "moderation"),
        (400, "InputImageSensitiveContentDetected.PrivacyInformation", "moderation"),
        (400, "SensitiveContentDetected.Violence", "moderation"),
        (400, "InvalidParameter", "invalid_request"),
        (400, "MissingParameter.content", "invalid_request"),
        (404, "ModelNotOpen", "invalid_request"),
    ],
)
async def test_a_refusal_keeps_arks_words(
    server: Upstream, ark: Ark, status: int, code: str, ours: str
) -> None:
    server.answers(
        status, {"error": {"code": code, "message": "No.", "param": "", "type": "BadRequest"}}
    )
    assert await ark.submit(VideoRequest(prompt="A fox", model="m")) == Refused(ours, "No.")


async def test_an_overdue_account_is_unhealthy(server: Upstream, ark: Ark) -> None:
    server.answers(403, {"error": {"code": "AccountOverdueError", "message": "Overdue."}})
    outcome = await ark.submit(VideoRequest(prompt="A fox", model="m"))
    assert outcome == Refused("quota", "Overdue.", unauthorized=True)


# -- reading --------------------------------------------------------------------------------------

COST = Cost(108900, "tokens")
NO_FILE = "The task succeeded, but it has no video."


@pytest.mark.parametrize(
    ("response", "report"),
    [
        (task(status="queued", content=None, usage=None), Progress(running=False)),
        (task(status="running", content=None, usage=None), Progress(running=True)),
        (task(), Finished(URL, 1_699_999_900 + 86400, COST)),
        (task(updated_at=None, usage={}), Finished(URL)),
        (task(content={}), Failed("content_missing", NO_FILE, COST)),
        (task(content=None, usage=None), Failed("content_missing", NO_FILE)),
        (
            task(
                status="failed",
                usage=None,
                error={"code": "OutputVideoSensitiveContentDetected", "message": "Blocked."},
            ),
            Failed("moderation", "Blocked."),
        ),
        (
            task(status="failed", usage=None, error={"code": "InternalServiceError"}),
            Failed("provider_error", "InternalServiceError"),
        ),
        (task(status="failed", usage=None), Failed("provider_error", NO_REASON)),
        (task(status="cancelled", usage=None), Failed("canceled", "The task was cancelled.")),
        (
            task(status="expired", usage=None, error={"message": "Too late."}),
            Failed("expired", "Too late."),
        ),
        (
            task(status="expired", usage=None),
            Failed("expired", "The task did not finish before it expired."),
        ),
        (task(status="deleted"), Unknown("deleted")),
    ],
)
async def test_a_task_is_read(
    server: Upstream, ark: Ark, response: Mapping[str, object], report: Report
) -> None:
    server.answers(200, response)
    assert (await ark.get(ONE)).report == report
    assert server.seen[0].path == f"{TASKS}/{ONE}"


async def test_the_official_clients_task_is_read(server: Upstream, ark: Ark, sdk: AsyncArk) -> None:
    server.answers(200, task())
    read = await sdk.content_generation.tasks.get(task_id=ONE)
    assert read.to_dict() == task()
    assert set(task()) <= set(ContentGenerationTask.model_fields)
    assert (await ark.get(ONE)).report == Finished(URL, 1_699_999_900 + 86400, COST)
    theirs, ours = server.seen
    assert (ours.method, ours.path) == (theirs.method, theirs.path)


async def test_a_task_that_is_not_there_is_missing(server: Upstream, ark: Ark) -> None:
    server.answers(404, {"error": {"code": "NotFound", "message": "not found"}})
    assert (await ark.get(ONE)).report == Missing()


@pytest.mark.parametrize("odd", [{}, {"id": ONE}, {"status": None}, {"status": 3}, []])
async def test_what_shows_no_status_is_no_reading(server: Upstream, ark: Ark, odd: object) -> None:
    server.answers(200, odd)
    with pytest.raises(ProviderError):
        await ark.get(ONE)


async def test_a_refused_key_is_told(server: Upstream, ark: Ark) -> None:
    server.answers(401, {"error": {"code": "AuthenticationError", "message": "Bad key."}})
    with pytest.raises(ProviderUnauthorizedError, match=r"Bad key\."):
        await ark.get(ONE)
    with pytest.raises(ProviderUnauthorizedError):
        await ark.check()
    with pytest.raises(ProviderUnauthorizedError):
        await ark.get_many([ONE])


async def test_a_check_costs_nothing(server: Upstream, ark: Ark) -> None:
    server.answers(200, {"total": 12, "items": [task()]})
    assert await ark.check() == "12 tasks in 7 days"
    [seen] = server.seen
    assert (seen.method, seen.path, seen.query["page_size"]) == ("GET", TASKS, "1")


# -- cancelling -----------------------------------------------------------------------------------


async def test_a_waiting_task_is_cancelled(server: Upstream, ark: Ark) -> None:
    server.answers(200, task(status="queued"))
    assert await ark.cancel(ONE)
    assert [(one.method, one.path) for one in server.seen] == [
        ("GET", f"{TASKS}/{ONE}"),
        ("DELETE", f"{TASKS}/{ONE}"),
    ]


@pytest.mark.parametrize("status", ["running", "succeeded", "failed", "cancelled", "new"])
async def test_no_other_task_is_touched_and_no_paid_record_deleted(
    server: Upstream, ark: Ark, status: str
) -> None:
    server.answers(200, task(status=status))
    assert not await ark.cancel(ONE)
    assert [one.method for one in server.seen] == ["GET"]


async def test_a_task_that_began_meanwhile_is_not_cancelled(server: Upstream, ark: Ark) -> None:
    async def respond(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response(task(status="queued"))
        error = {"code": "InvalidAction.RunningTaskDeletion", "message": "running"}
        return web.json_response({"error": error}, status=409)

    server.respond = respond
    assert not await ark.cancel(ONE)


# -- callbacks ------------------------------------------------------------------------------------


async def test_a_callback_names_its_task(ark: Ark) -> None:
    assert await ark.notice({}, json.dumps(task(status="running")).encode()) == Notice(ONE)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id": null}', b'{"id": ""}', b"[" * 99999])
async def test_a_callback_without_a_task_is_not_believed(ark: Ark, body: bytes) -> None:
    with pytest.raises(WebhookVerificationError):
        await ark.notice({}, body)


# -- files ----------------------------------------------------------------------------------------


async def test_a_file_is_fetched_without_the_key_at_a_fresh_address_when_the_old_one_is_refused(
    server: Upstream, ark: Ark
) -> None:
    keys = []

    async def respond(request: web.Request) -> web.StreamResponse:
        if request.path == "/old":
            return web.Response(status=403)
        if request.path == "/new":
            keys.append(request.headers.get("Authorization"))
            return web.Response(body=b"video")
        return web.json_response(task(content={"video_url": f"{server.url}/new"}))

    server.respond = respond
    async with ark.content(ONE, f"{server.url}/old", None) as content:
        assert b"".join([chunk async for chunk in content.chunks]) == b"video"
    assert keys == [None]
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    "response",
    [
        {"updated_at": NOW - 86400},  # the same address, but its day is over
        {"status": "failed"},
        {"content": {}},
    ],
)
async def test_a_file_whose_day_is_over_is_missing(
    server: Upstream, ark: Ark, response: dict[str, object]
) -> None:
    async def respond(request: web.Request) -> web.StreamResponse:
        if request.path == "/old":
            return web.Response(status=403)
        return web.json_response(task(content={"video_url": f"{server.url}/old"}) | response)

    server.respond = respond
    with pytest.raises(ContentMissingError):
        async with ark.content(ONE, f"{server.url}/old", None):
            pass


async def test_a_file_that_fails_for_now_is_not_said_to_be_missing(
    server: Upstream, ark: Ark
) -> None:
    async def respond(request: web.Request) -> web.StreamResponse:
        if request.path == "/old":
            return web.Response(status=503)
        return web.json_response(task(content={"video_url": f"{server.url}/old"}))

    server.respond = respond
    with pytest.raises(ProviderError, match="503"):
        async with ark.content(ONE, f"{server.url}/old", None):
            pass


# -- models ---------------------------------------------------------------------------------------


async def test_models_know_their_limits() -> None:
    async with Ark(key="key") as ark:
        assert str(ark.base) == "https://ark.ap-southeast.bytepluses.com/api/v3"
        pro = ark.model("seedance-1-5-pro-251215")
        assert pro is not None
        assert (pro.seconds or ())[0] == "4"
        assert pro.aspect_ratios is not None
        images = ark.model("doubao-seedance-1-0-lite-i2v-250428")
        assert images is not None
        assert images.image is Image.REQUIRED
        names = [model.name for model in ark.models]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", [one.name for one in MODELS if "seedance-2-5-" in one.name])
def test_seedance_2_5_takes_4_to_30_seconds_and_no_ratio_beside_an_image(name: str) -> None:
    [model] = [one for one in MODELS if one.name == name]
    for seconds in (4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 30):
        model.check(VideoRequest(prompt="A fox", model=name, seconds=str(seconds)), name)
    for seconds in (3, 31):
        with pytest.raises(InvalidRequestError):
            model.check(VideoRequest(prompt="A fox", model=name, seconds=str(seconds)), name)
    image = "https://h/fox.png"
    with pytest.raises(InvalidRequestError) as raised:
        model.check(
            VideoRequest(prompt="A fox", model=name, image=image, aspect_ratio="16:9"), name
        )
    assert raised.value.field == "aspect_ratio"
