"""Every refusal below `/v1` has OpenAI's form, and the official client raises its typed error."""

import re
from pathlib import Path
from typing import Any

import pytest
from gateways import Gateway, gateway
from openai import (
    APIStatusError,
    AsyncOpenAI,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
from openai_clients import QUIET, client, posted, served, told

from reelhook.domain.errors import CommitUnknownError, StoreError
from reelhook.doors.error_form import ErrorReply
from reelhook.doors.openai.errors import FORM

pytestmark = QUIET


async def error_of(sdk: AsyncOpenAI, method: str, path: str, **options: Any) -> APIStatusError:
    with pytest.raises(APIStatusError) as refused:
        await getattr(sdk, method.lower())(path, cast_to=object, **options)
    return refused.value


def asked_again(error: APIStatusError) -> bool:
    return str(error.response.headers.get("x-should-retry")) != "false"


async def project_key(server: Gateway, *scopes: str, **limits: Any) -> str:
    body = {"name": "app", "scopes": scopes, **limits}
    reply = await server.post("/api/keys", json=body)
    assert reply.status == 201, reply.body
    return str(reply.json()["key"])


async def test_a_wrong_key_is_an_authentication_error(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, _), client(server.url, "wrong") as stranger:
        for path in ("/videos", "/videos/video_1", "/models", "/nowhere"):
            error = await error_of(stranger, "GET", path)
            assert isinstance(error, AuthenticationError)
            assert told(error) == (401, "authentication_error", None, "unauthorized")
            assert not asked_again(error)


async def test_a_key_without_the_scope_is_denied(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, _):
        reader = client(server.url, await project_key(server, "read"))
        with pytest.raises(PermissionDeniedError) as refused:
            await posted(reader)
        assert told(refused.value) == (403, "permission_error", None, "scope_missing")
        await reader.close()


async def test_unknown_routes_and_methods_have_the_form(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, sdk):
        error = await error_of(sdk, "GET", "/nowhere")
        assert isinstance(error, NotFoundError)
        assert told(error) == (404, "invalid_request_error", None, "not_found")
        error = await error_of(sdk, "POST", "/models")
        assert told(error) == (405, "invalid_request_error", None, "method_not_allowed")


async def test_other_paths_keep_their_form(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, _):
        for path in ("/v1x", "/nowhere", "/api/jobs/job_1"):
            assert (await server.get(path)).refusal[0] == 404


async def test_below_a_mount_point_the_form_is_that_of_the_path_within(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, _):
        app: Any = server.hook.asgi
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {"type": "http", "method": "GET", "headers": [], "query_string": b""}
        await app(scope | {"path": "/tools/v1/x", "root_path": "/tools"}, receive, send)
        assert b'"authentication_error"' in sent[-1]["body"]


async def test_a_body_that_is_no_object_is_a_bad_request(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, _):
        for body in (b"", b"{", b"[]", b"null", b"\xff"):
            json_type = {"Content-Type": "application/json"}
            reply = await server.post("/v1/videos", data=body, headers=json_type)
            assert (reply.status, reply.json()["error"]["code"]) == (400, "invalid_request")


async def test_a_body_of_another_type_and_one_that_is_too_large_are_refused(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as (server, sdk):
        reply = await server.post("/v1/videos", data="prompt=A fox")
        assert (reply.status, reply.json()["error"]["code"]) == (415, "unsupported_media_type")
        error = await error_of(sdk, "POST", "/videos", body={"prompt": "x" * 34 * 2**20})
        assert told(error) == (413, "invalid_request_error", None, "request_too_large")
        assert not asked_again(error)


async def test_too_many_requests_are_a_rate_limit_error_and_may_be_sent_again(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as (server, _):
        key = await project_key(server, "read", rates={"requestsPerMinute": 1})
        async with client(server.url, key) as busy:
            await busy.videos.list()
            with pytest.raises(RateLimitError) as refused:
                await busy.videos.list()
            assert told(refused.value) == (429, "rate_limit_error", None, "rate_limited")
            assert asked_again(refused.value)


async def test_budgets_refuse_in_the_form(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, sdk):
        path = "/api/projects/default/budgets"
        assert (await server.request("PUT", path, json={"jobsInFlight": 1})).status == 200
        await posted(sdk)
        with pytest.raises(RateLimitError) as refused:
            await posted(sdk)
        assert told(refused.value) == (429, "rate_limit_error", None, "job_limit_reached")
        assert asked_again(refused.value)
        assert (await server.request("PUT", path, json={"jobsPerDay": 1})).status == 200
        with pytest.raises(RateLimitError) as refused:
            await posted(sdk)
        waits = int(refused.value.response.headers["Retry-After"])
        assert asked_again(refused.value) is (waits <= 120)
        money = {"moneyPerDay": {"USD": 1}, "unknownPrice": {"USD": 2}}
        assert (await server.request("PUT", path, json=money)).status == 200
        with pytest.raises(APIStatusError) as refused_money:
            await posted(sdk)
        assert told(refused_money.value) == (402, "insufficient_quota", None, "over_budget")
        assert not asked_again(refused_money.value)


async def test_a_database_that_is_away_is_a_server_error_that_may_be_tried_again(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as (server, sdk):
        app: Any = server.hook.asgi

        async def away(*_: Any) -> None:
            raise StoreError("away")

        jobs = app.state.gateway.jobs
        jobs._store.job, kept = away, jobs._store.job
        with pytest.raises(InternalServerError) as refused:
            await sdk.videos.retrieve("video_1")
        jobs._store.job = kept
        assert told(refused.value) == (503, "server_error", None, "store_unavailable")
        assert refused.value.response.headers["Retry-After"]
        assert asked_again(refused.value)


@pytest.mark.parametrize(
    ("status", "sent", "again"),
    [(400, 400, False), (408, 408, True), (409, 400, False), (410, 404, False), (500, 500, True)],
)
def test_no_status_makes_a_client_repeat_in_vain(status: int, sent: int, again: bool) -> None:
    response = FORM.respond(ErrorReply(status, "Wrong", "wrong"))
    assert response.status_code == sent
    assert (response.headers.get("x-should-retry") != "false") is again


@pytest.mark.parametrize(("wait", "again"), [("120", True), ("121", False)])
def test_a_refusal_that_lasts_longer_than_the_clients_wait_is_final(wait: str, again: bool) -> None:
    reply = ErrorReply(429, "Wait", "job_limit_reached", headers={"Retry-After": wait})
    assert (FORM.respond(reply).headers.get("x-should-retry") != "false") is again


def test_a_video_that_may_have_been_accepted_is_named() -> None:
    error = CommitUnknownError({"job_id": "job_7"})
    reply = ErrorReply(500, error.message, error.code, facts=error.facts)
    assert b'"video_id":"video_7"' in FORM.respond(reply).body


# -- fields ---------------------------------------------------------------------------------------


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"prompt": ""}, "prompt", "must not be empty"),
    ({"prompt": None}, "prompt", "is required"),
    ({"prompt": 7}, "prompt", "must be a string"),
    ({"model": ""}, "model", "must not be empty"),
    ({"seconds": "long"}, "seconds", "from 1 to 9999"),
    ({"size": "big"}, "size", "such as 1280x720"),
    ({"seed": -1}, "seed", "from 0 to"),
    ({"seed": "many"}, "seed", "must be a whole number"),
    ({"audio": "loud"}, "audio", "must be true or false"),
    ({"metadata": "x"}, "metadata", "must be an object"),
    ({"metadata": {"order": 7}}, "metadata.order", "must be a string"),
    ({"priority": "now"}, "priority", "must be one of"),
    ({"endpoints": ["ep_none"]}, "endpoints", "GET /api/endpoints lists them"),
    ({"provider_options": "x"}, "provider_options", "must be an object"),
    ({"aspect_ratio": "wide"}, "aspect_ratio", "a ratio such as 16:9"),
    ({"resolution": "good"}, "resolution", "such as 720p or 4k"),
    ({"webhook_url": "ftp://x"}, "webhook_url", "http"),
    ({"callback_url": "ftp://x"}, "callback_url", "http"),
    (
        {"webhook_url": "http://a.example", "callback_url": "http://b.example"},
        "callback_url",
        "give one",
    ),
    ({"image": "fox.png"}, "image", "must be an http"),
    ({"input_reference": "fox.png"}, "input_reference", "must be an http"),
    ({"input_reference": {}}, "input_reference", "image_url"),
    ({"input_reference": {"file_id": "file_1"}}, "input_reference.file_id", "image_url"),
    (
        {"input_reference": {"image_url": "http://a.example/a.png"}, "image": "http://b.c"},
        "input_reference",
        "give one",
    ),
    ({"last_frame": "ftp://x"}, "last_frame", "must be an http"),
    ({"reference_images": ["ftp://x"]}, "reference_images.0", "must be an http"),
    ({"reference_images": [7]}, "reference_images.0", "must be a string"),
    ({"fallbacks": ["fal/x"]}, "fallbacks", "has no account here"),
]


async def test_a_wrong_field_is_named(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, sdk):
        for fields, param, words in WRONG:
            with pytest.raises(BadRequestError, match=re.escape(words)) as refused:
                await posted(sdk, **fields)
            assert told(refused.value)[2] == param
        assert await server.total() == 0


async def test_an_image_that_the_model_lacks_or_refuses_is_named_as_it_was_sent(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path, providers=["ark"]) as server, client(server.url) as sdk:
        sent = {"model": "ark/seedance-1-0-lite-t2v-250428", "seconds": "2", "size": None}
        image = {"image_url": "http://127.0.0.1/fox.png"}
        with pytest.raises(BadRequestError, match="takes no input_reference") as refused:
            await posted(sdk, **sent, input_reference=image)
        assert told(refused.value)[2] == "input_reference"


async def test_unknown_fields_are_ignored_and_named(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, sdk):
        created = await posted(sdk, n=2, quality="high", user=None)
        assert [one.split()[0] for one in created["warnings"]] == ["n", "quality"]
        assert "warnings" not in await posted(sdk)


async def test_routes_that_are_not_offered_say_what_to_use(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, sdk):
        for method, path in (
            ("POST", "/videos/edits"),
            ("POST", "/videos/extensions"),
            ("POST", "/videos/characters"),
            ("GET", "/videos/characters/char_1"),
        ):
            error = await error_of(sdk, method, path)
            assert isinstance(error, BadRequestError)
            assert told(error)[3] == "not_offered"
            assert "GET /api/models lists the models" in error.message
            assert not asked_again(error)
