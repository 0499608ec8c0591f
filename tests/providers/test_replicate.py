"""Replicate: what is sent, and what its answers mean."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from providers.paying import SUBMIT_SECONDS, PaysOnce
from providers.upstreams import Upstream
from reelhook.domain.errors import ContentMissingError, ProviderError, ProviderUnauthorizedError
from reelhook.domain.report import (
    Accepted,
    Failed,
    Finished,
    Missing,
    Progress,
    RateLimited,
    Refused,
    Report,
    Unknown,
)
from reelhook.domain.request import VideoRequest
from reelhook.providers.replicate.provider import Replicate

VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
VIDEO = "https://replicate.delivery/xezq/video.mp4"


def prediction(**changes: object) -> dict[str, object]:
    """Return a prediction as the SDK's documentation shows one."""
    fields: dict[str, object] = {
        "id": "gm3qorzdhgbfurvjtvhg6dckhu",
        "model": "google/veo-3-fast",
        "version": "hidden",
        "input": {"prompt": "A fox"},
        "logs": "",
        "output": None,
        "data_removed": False,
        "error": None,
        "status": "starting",
        "source": "api",
        "created_at": "2023-11-14T22:13:20.907244Z",
        "started_at": None,
        "completed_at": None,
        "metrics": {},
        "urls": {"get": "https://api.replicate.com/v1/predictions/x", "web": "", "cancel": ""},
    }
    return fields | changes


@pytest.fixture
async def replicate(server: Upstream) -> AsyncIterator[Replicate]:
    async with Replicate(
        f"{server.url}/v1", "r8_key", submit_timeout_seconds=5, now=lambda: 1_700_000_000.0
    ) as one:
        yield one


class TestReplicatePaysOnce(PaysOnce):
    def provider(self, base: str) -> Replicate:
        return Replicate(base, "r8_key", submit_timeout_seconds=SUBMIT_SECONDS)

    def request_(self) -> VideoRequest:
        return VideoRequest(prompt="A fox", model="google/veo-3-fast")


# -- submitting -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "path", "fields"),
    [
        ("google/veo-3-fast", "/v1/models/google/veo-3-fast/predictions", {}),
        ("o w/na me", None, {}),
        (f"owner/name:{VERSION}", "/v1/predictions", {"version": VERSION}),
        (VERSION, "/v1/predictions", {"version": VERSION}),
    ],
)
async def test_a_model_says_where_its_predictions_are_created(
    server: Upstream,
    replicate: Replicate,
    model: str,
    path: str | None,
    fields: Mapping[str, object],
) -> None:
    server.answers(201, prediction())
    outcome = await replicate.submit(VideoRequest(prompt="A fox", model=model))
    if path is None:
        assert isinstance(outcome, Refused)
        assert not server.seen
        return
    assert isinstance(outcome, Accepted)
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", path)
    assert seen.json() == {**fields, "input": {"prompt": "A fox"}}


async def test_the_common_parameters_win_over_the_providers_own(
    server: Upstream, replicate: Replicate
) -> None:
    server.answers(201, prediction())
    await replicate.submit(
        VideoRequest(
            prompt="Calm\n\nA fox",
            model="google/veo-3-fast",
            seconds="8",
            size="1280x720",
            image="https://example.com/fox.png",
            seed=7,
            options={"prompt": "no", "seed": 1, "generate_audio": False},
        )
    )
    (seen,) = server.seen
    assert seen.json() == {
        "input": {
            "prompt": "Calm\n\nA fox",
            "duration": 8,
            "aspect_ratio": "16:9",
            "image": "https://example.com/fox.png",
            "seed": 7,
            "generate_audio": False,
        }
    }
    assert seen.headers["Authorization"] == "Bearer r8_key"
    assert "Prefer" not in seen.headers
    assert "Cancel-After" not in seen.headers


@pytest.mark.parametrize(
    ("model", "called"),
    [
        ("minimax/hailuo-2.3", "first_frame_image"),
        ("kwaivgi/kling-v2.1", "start_image"),
        (f"kwaivgi/kling-v2.1:{VERSION}", "start_image"),
        ("bytedance/seedance-2.0", "image"),
        ("somebody/something", "image"),
    ],
)
async def test_an_image_goes_by_the_name_that_the_model_has_for_it(
    server: Upstream, replicate: Replicate, model: str, called: str
) -> None:
    server.answers(201, prediction())
    image = "data:image/png;base64,AAAA"
    await replicate.submit(VideoRequest(prompt="A fox", model=model, image=image))
    assert server.seen[0].json()["input"] == {"prompt": "A fox", called: image}


async def test_a_webhook_is_asked_for_at_the_start_and_the_end(
    server: Upstream, replicate: Replicate
) -> None:
    server.answers(201, prediction())
    request = VideoRequest(prompt="A fox", model="a/b")
    await replicate.submit(request, callback_url="https://example.com/hook")
    assert server.seen[0].json() == {
        "input": {"prompt": "A fox"},
        "webhook": "https://example.com/hook",
        "webhook_events_filter": ["start", "completed"],
    }


async def test_an_address_that_replicate_would_refuse_is_left_out() -> None:
    async with Replicate(key="r8_key") as replicate:
        assert not replicate._can_call("http://example.com/hook")
        assert replicate._can_call("https://example.com/hook")


async def test_an_accepted_prediction_tells_its_id_and_state(
    server: Upstream, replicate: Replicate
) -> None:
    server.answers(201, prediction(status="processing", id="p1"))
    outcome = await replicate.submit(VideoRequest(prompt="A fox", model="a/b"))
    assert outcome == Accepted("p1", Progress(running=True))


@pytest.mark.parametrize(
    ("detail", "wait"),
    [
        ("Request was throttled. Your rate limit resets in ~30s.", 30.0),
        ("Request was throttled. Expected available in 1 second.", 1.0),
        ("Request was throttled. Your rate limit resets in ~99999999s.", 86400.0),
        ("Request was throttled.", None),
    ],
)
async def test_a_429_tells_its_wait_in_words_where_it_has_no_header(
    server: Upstream, replicate: Replicate, detail: str, wait: float | None
) -> None:
    server.answers(429, {"detail": detail})
    outcome = await replicate.submit(VideoRequest(prompt="A fox", model="a/b"))
    assert outcome == RateLimited(wait, detail)
    with pytest.raises(ProviderError) as caught:
        await replicate.get("p1")
    assert caught.value.retry_after_seconds == wait
    server.answers(429, {"detail": detail}, headers={"Retry-After": "5"})
    with pytest.raises(ProviderError) as caught:
        await replicate.page(None, 100)
    assert caught.value.retry_after_seconds == 5


async def test_wrong_input_is_refused_in_replicates_words(
    server: Upstream, replicate: Replicate
) -> None:
    words = "- input.duration: must be one of 4, 6, 8"
    server.answers(422, {"title": "Input validation failed", "detail": words, "status": 422})
    outcome = await replicate.submit(VideoRequest(prompt="A fox", model="a/b"))
    assert outcome == Refused("invalid_request", words)


# -- reading --------------------------------------------------------------------------------------

BARS = "seed: 1\n  0%|          | 0/50 [00:00<?, ?it/s]\n 34%|███▍      | 17/50 [00:05<00:10]\n"


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({"status": "starting", "logs": BARS}, Progress(running=False)),
        ({"status": "processing", "logs": ""}, Progress(running=True)),
        ({"status": "processing", "logs": None}, Progress(running=True)),
        ({"status": "processing", "logs": BARS + "done with it"}, Progress(True, 34)),
        ({"status": "processing", "logs": "50% done"}, Progress(running=True)),
        ({"status": "succeeded", "output": VIDEO}, Finished(VIDEO)),
        ({"status": "succeeded", "output": [VIDEO]}, Finished(VIDEO)),
        ({"status": "succeeded", "output": ["https://h/cover.png", VIDEO]}, Finished(VIDEO)),
        ({"status": "succeeded", "output": {"poster": None, "video": VIDEO}}, Finished(VIDEO)),
        ({"status": "succeeded", "output": {"a": [{"b": VIDEO}]}}, Finished(VIDEO)),
        (
            {"status": "succeeded", "output": VIDEO, "completed_at": "2023-11-14T22:13:20Z"},
            Finished(VIDEO, 1_700_003_600),
        ),
        ({"status": "failed", "error": "CUDA"}, Failed("provider_error", "CUDA")),
        (
            {"status": "failed", "error": "The input was flagged as sensitive. (E005)"},
            Failed("moderation", "The input was flagged as sensitive. (E005)"),
        ),
        ({"status": "canceled"}, Failed("canceled", "The prediction was canceled.")),
        ({"status": "canceled", "error": "by hand"}, Failed("canceled", "by hand")),
        ({"status": "rebooting"}, Unknown("rebooting")),
    ],
)
async def test_a_status_is_told_in_our_words(
    server: Upstream, replicate: Replicate, fields: dict[str, Any], result: Report
) -> None:
    server.answers(200, prediction(**fields))
    assert (await replicate.get("p 1")).report == result
    assert server.seen[0].path == "/v1/predictions/p%201"


@pytest.mark.parametrize("output", [None, [], "", {}, "text", 5, {"seed": 1}])
async def test_success_without_a_file_is_a_failure_of_its_own(
    server: Upstream, replicate: Replicate, output: object
) -> None:
    for removed in (True, False):
        server.answers(
            200, prediction(status="succeeded", output=output, data_removed=removed, input={})
        )
        result = (await replicate.get("p1")).report
        assert isinstance(result, Failed)
        assert result.code == "content_missing"
        assert ("hour" in result.message) == removed


async def test_a_deadline_passed_is_told_as_expired(server: Upstream, replicate: Replicate) -> None:
    server.answers(200, prediction(status="aborted"))
    result = (await replicate.get("p1")).report
    assert isinstance(result, Failed)
    assert result.code == "expired"


async def test_a_404_is_missing_and_no_status_an_error(
    server: Upstream, replicate: Replicate
) -> None:
    server.answers(404, {"detail": "not found"})
    assert (await replicate.get("p1")).report == Missing()
    server.answers(200, {"id": "p1"})
    with pytest.raises(ProviderError):
        await replicate.get("p1")


async def test_a_prediction_is_canceled_by_a_post(server: Upstream, replicate: Replicate) -> None:
    server.answers(200, prediction(status="canceled"))
    assert await replicate.cancel("p1")
    assert (server.seen[0].method, server.seen[0].path) == ("POST", "/v1/predictions/p1/cancel")
    server.answers(404, {})
    assert not await replicate.cancel("p1")


async def test_a_file_is_fetched_without_the_key(server: Upstream, replicate: Replicate) -> None:
    server.answers(200, text=b"video", headers={"Content-Type": "video/mp4"})
    async with replicate.content("p1", f"{server.url}/video.mp4", None) as content:
        assert b"".join([chunk async for chunk in content.chunks]) == b"video"
    assert "Authorization" not in server.seen[0].headers
    server.answers(404)
    with pytest.raises(ContentMissingError):
        async with replicate.content("p1", f"{server.url}/video.mp4", None):
            pass


async def test_check_names_the_account(server: Upstream, replicate: Replicate) -> None:
    server.answers(200, {"type": "user", "username": "fox", "name": "Fox", "github_url": None})
    assert await replicate.check() == "account fox"
    assert server.seen[0].path == "/v1/account"
    server.answers(401, {"detail": "Unauthenticated"})
    with pytest.raises(ProviderUnauthorizedError):
        await replicate.check()
    server.answers(200, [])
    with pytest.raises(ProviderError):
        await replicate.check()


@pytest.mark.parametrize(("left", "waits"), [("0", True), ("1", False)])
async def test_where_nothing_is_left_of_the_rate_the_next_read_waits_for_its_reset(
    server: Upstream, left: str, waits: bool
) -> None:
    headers = {"ratelimit-remaining": left, "ratelimit-reset": "0.3"}
    server.answers(200, {"id": "p1", "status": "starting"}, headers=headers)
    async with Replicate(server.url, "r8-key") as replicate:
        await replicate.get("p1")
        told_at = asyncio.get_running_loop().time()
        read = asyncio.create_task(replicate.get("p1"))
        await asyncio.sleep(0.1)
        assert (len(server.seen) == 1) == waits
        await read
        assert (asyncio.get_running_loop().time() - told_at >= 0.25) or not waits
