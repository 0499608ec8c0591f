"""Refusals at every provider: words and codes count before statuses, and nothing said is lost."""

import json
import string
from collections.abc import AsyncIterator
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.refusing import BODIES, IDS, MODELS, Body
from providers.upstreams import Upstream
from reelhook.domain.errors import AccountEmptyError, ProviderError, ProviderUnauthorizedError
from reelhook.domain.report import Failed, RateLimited, Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.error_mapping import (
    error_message,
    failure_from,
    read_error,
    refusal_from,
)
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.http.response import ProviderResponse

SHAPES = [(kind, body) for kind, bodies in BODIES.items() for body in bodies]
REFUSING = [400, 401, 402, 403, 404, 413, 422, 451]
CODES = st.sampled_from(["x", "", "error", "bad", "E123"])
SENTENCES = st.text(string.ascii_letters + string.digits + " .,:'", min_size=3, max_size=80).map(
    lambda text: f"Said: {text.strip() or 'no'}"
)
every_shape = pytest.mark.parametrize(
    ("kind", "body"), SHAPES, ids=[f"{kind.name}{body.__name__}" for kind, body in SHAPES]
)
several = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
async def provider(kind: type[HttpProvider], server: Upstream) -> AsyncIterator[HttpProvider]:
    async with kind(server.url, "key", submit_timeout_seconds=5, now=lambda: 0.0) as one:
        yield one


def asked(kind: type[HttpProvider]) -> VideoRequest:
    return VideoRequest(prompt="A fox", model=MODELS[kind])


MEANT = [
    ("content_policy_violation", "No", "moderation"),
    ("InputTextSensitiveContentDetected.PolicyViolation", "No", "moderation"),
    ("x", "Your prompt was flagged as sensitive", "moderation"),
    ("x", "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO", "moderation"),
    ("x", "Failure to pass the risk control system", "moderation"),
    ("x", "input new_sensitive", "moderation"),
    ("x", "The image violates Google's Responsible AI practices.", "moderation"),
    ("PUBLIC_ERROR_UNSAFE_GENERATION", "No", "moderation"),
    ("x", "内容违规", "moderation"),
    ("budget_exceeded", "No", "quota"),
    ("x", "Budget has been exceeded! Current cost: 0.5, Max budget: 0.1", "quota"),
    ("x", "You've hit your monthly spend limit", "quota"),
    ("x", "Your newly created team doesn't have any credits or licenses yet.", "quota"),
    ("x", "用户额度不足, 剩余额度: 0", "quota"),
    ("x", "User is locked. Reason: Exhausted balance. Top up your balance", "quota"),
    ("AccountOverdueError", "No", "quota"),
    ("insufficient_user_quota", "No", "quota"),
    ("x", "You do not have enough credits to run this task.", "quota"),
]


@every_shape
async def test_code_and_words_of_a_refused_create_count_before_its_status(
    server: Upstream, kind: type[HttpProvider], provider: HttpProvider, body: Body
) -> None:
    for status, (code, said, ours) in product(REFUSING, MEANT):
        server.answers(status, body(code, said))
        outcome = await provider.submit(asked(kind), lambda: True)
        assert isinstance(outcome, Refused)
        assert (outcome.code, said in outcome.message) == (ours, True), (status, code, said)
        # Only what speaks of the account marks it.
        assert outcome.unauthorized == (ours == "quota" and status in {401, 403})


@every_shape
@several
@given(status=st.sampled_from([*REFUSING, 418, 429]), code=CODES, said=SENTENCES)
async def test_the_words_of_a_refused_create_reach_the_user(
    server: Upstream,
    kind: type[HttpProvider],
    provider: HttpProvider,
    body: Body,
    status: int,
    code: str,
    said: str,
) -> None:
    server.seen.clear()
    server.answers(status, body(code, said))
    outcome = await provider.submit(asked(kind), lambda: True)
    assert isinstance(outcome, Refused | RateLimited)
    assert said in (outcome.message if isinstance(outcome, Refused) else outcome.reason)
    if status in {401, 403} and "Validation" not in json.dumps(body(code, said)):
        assert isinstance(outcome, Refused)
        assert (outcome.code, outcome.unauthorized) == ("provider_unauthorized", True)


@every_shape
@several
@given(status=st.sampled_from([*REFUSING, 408, 429, 500, 502, 503, 504]), said=SENTENCES)
async def test_the_words_of_a_refused_poll_are_told(
    server: Upstream,
    kind: type[HttpProvider],
    provider: HttpProvider,
    body: Body,
    status: int,
    said: str,
) -> None:
    if status == 404:
        return  # the job is missing: no more is to be said
    server.seen.clear()
    server.answers(status, body("x", said))
    with pytest.raises(ProviderError) as raised:
        await provider.get(IDS[kind])
    assert said in raised.value.message


@every_shape
async def test_a_poll_refused_for_want_of_money_does_not_blame_the_key(
    server: Upstream, kind: type[HttpProvider], provider: HttpProvider, body: Body
) -> None:
    server.answers(403, body("x", "User is locked. Reason: Exhausted balance."))
    with pytest.raises(AccountEmptyError) as raised:
        await provider.get(IDS[kind])
    assert raised.value.code == "quota"
    assert "Exhausted balance" in raised.value.message


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.name) for kind in BODIES])
@several
@given(
    body=st.one_of(
        SENTENCES.map(lambda said: {"hello": said}),
        SENTENCES.map(lambda said: {"message": said}),
        SENTENCES.map(lambda said: [said]),
        SENTENCES,
    )
)
async def test_a_poll_that_is_not_understood_tells_what_was_said(
    server: Upstream, kind: type[HttpProvider], provider: HttpProvider, body: object
) -> None:
    server.seen.clear()
    server.answers(200, body)
    with pytest.raises(ProviderError) as raised:
        await provider.get(IDS[kind])
    said = json.dumps(body).strip('"[]{}').removeprefix('hello": "').removeprefix('message": "')
    assert said in raised.value.message
    assert "HTTP 200" in raised.value.message


# -- single forms, as they were seen --------------------------------------------------------------


def reply(status: int, body: object, **headers: str) -> ProviderResponse:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ProviderResponse(status, named, content)


INNER = {"error": {"code": "InvalidParameter", "message": "role must be specified", "param": ""}}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {
                "error": "Validation of body failed",
                "issues": [
                    {"code": "too_big", "path": ["videoUri"], "message": "At most 30 seconds"},
                    {"path": ["references", 0, "uri"], "message": "Bad URL"},
                ],
                "docUrl": "https://docs.dev.runwayml.com/api",
            },
            "Validation of body failed: videoUri: At most 30 seconds; references.0.uri: Bad URL",
        ),
        (
            {"error": "Incorrect hostname for API key", "details": "Use api.dev.runwayml.com"},
            "Incorrect hostname for API key: Use api.dev.runwayml.com",
        ),
        (
            {"code": "fail_to_fetch_task", "message": json.dumps(INNER), "data": None},
            "role must be specified",
        ),
        (
            {"error": {"message": f"upstream said 400: {json.dumps(INNER)}"}},
            "upstream said 400: role must be specified",
        ),
        ({"message": json.dumps({"message": json.dumps(INNER)})}, "role must be specified"),
        ({"message": "{not json}"}, "{not json}"),
        ({"message": '{"a": 1}'}, '{"a": 1}'),
        ({"error": "A", "details": "A"}, "A"),
    ],
)
def test_words_are_found_where_they_stand(body: object, said: str) -> None:
    assert error_message(reply(400, body)) == said


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        ("insufficient_user_quota", "quota"),
        ("InvalidParameter", "invalid_request"),
        ("InputImageSensitiveContentDetected", "moderation"),
        ("invalid_api_key", "provider_unauthorized"),
    ],
)
@pytest.mark.parametrize("status", [400, 403, 451])
def test_a_code_within_a_text_counts(code: str, ours: str, status: int) -> None:
    inner = json.dumps({"error": {"code": code, "message": "No"}})
    outcome = refusal_from(reply(status, {"code": "fail_to_fetch_task", "message": inner}), 0)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.message) == (ours, "No")


def test_a_loaded_upstream_is_no_wrong_key() -> None:
    said = json.dumps({"error": {"code": "upstream_load_saturated", "message": "Busy"}})
    busy = reply(403, {"code": "fail_to_fetch_task", "message": said})
    assert refusal_from(busy, 0) == RateLimited(None, "Busy")
    assert not isinstance(read_error(busy, 0), ProviderUnauthorizedError)
    assert read_error(busy, 0).unreachable


PAUSED = (
    "Your account has reached the set inference limit for the model, and the model service has "
    "been paused. To continue, please visit the Model Activation page to adjust or close the "
    '"Safe Experience Mode".'
)


def test_a_429_that_never_passes_is_refused_at_once() -> None:
    for code in ("SetLimitExceeded", "x"):
        result = refusal_from(reply(429, {"error": {"code": code, "message": PAUSED}}), 0)
        assert result == Refused("quota", PAUSED)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry_After": "7"}, {"detail": "x", "retry_after": 5}, 7),
        ({}, {"detail": "Your rate limit resets in ~8s.", "retry_after": 5}, 5),
        ({}, {"detail": "Your rate limit resets in ~8s."}, 8),
        ({}, {"detail": "Expected available in 831.5 seconds."}, 831.5),
        ({}, {"error": {"message": "Rate limit reached. Please try again in 20s."}}, 20),
        ({"ratelimit_remaining": "0", "ratelimit_reset": "3"}, {"detail": "Slow down"}, 3),
        ({"ratelimit_remaining": "1", "ratelimit_reset": "3"}, {"detail": "Slow down"}, None),
        ({}, {"detail": "x", "retry_after": "soon"}, None),
        ({}, {"detail": "x", "retry_after": 10**9}, 86400),
        ({}, {"detail": "x", "retry_after": True}, None),
        ({}, [], None),
    ],
)
def test_the_wait_that_a_429_asks_for(
    headers: dict[str, str], body: object, seconds: float | None
) -> None:
    result = refusal_from(reply(429, body, **headers), 0)
    assert isinstance(result, RateLimited)
    assert result.retry_after_seconds == seconds
    assert read_error(reply(429, body, **headers), 0).retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("Input validation error: prompt is too long", "invalid_request"),
        ("Failure to pass the risk control system", "moderation"),
        ({"code": "ServerOverloaded", "message": "Later"}, "provider_error"),
        ({"code": "invalid_api_key", "message": "No"}, "provider_error"),
        ({"code": "InternalServiceError", "message": "Oops"}, "provider_error"),
        ({"type": "generation_timeout", "message": "Too long"}, "provider_error"),
        ("Prediction interrupted; please retry (code: PA)", "provider_error"),
        ("content_policy_violation", "moderation"),
        ("Out of memory with the safety checker on; internal timeout", "provider_error"),
        ("The file was case sensitive", "provider_error"),
    ],
)
def test_why_a_job_failed_is_read_from_its_error(error: object, code: str) -> None:
    result = failure_from(error)
    assert isinstance(result, Failed)
    assert result.code == code


def test_openai_s_type_of_a_refused_key_is_no_bad_request() -> None:
    said = {"error": {"type": "invalid_request_error", "code": None, "message": "No key"}}
    assert refusal_from(reply(401, said), 0) == Refused(
        "provider_unauthorized", "No key", unauthorized=True
    )


@pytest.mark.parametrize(
    "body",
    [
        '{"detail": [{"loc": [%s, -1, true, null, {}], "msg": "No"}]}' % ("9" * 4000),
        '{"error": {"code": %s, "message": "No"}}' % ("9" * 4000),
        '{"error": {"code": {"code": []}, "type": [1], "message": "No"}}',
        '{"message": "%s"}' % ("{" * 1000 + "No" + "}" * 1000),
        '{"errors": [[[[[[[[[["No"]]]]]]]]]]}',
        "No",
        '["No"]',
    ],
)
def test_whatever_stands_in_a_refusal_is_no_trouble(body: str) -> None:
    result = refusal_from(reply(400, body), 0)
    assert isinstance(result, Refused)
    assert "No" in result.message
    assert "No" in read_error(reply(500, body), 0).message


PLAIN = [
    (422, {"detail": [{"loc": ["body", "enable_safety_checker"], "msg": "Not a boolean"}]}),
    (400, {"error": {"code": "InvalidParameter", "message": "safety_tolerance must be 1 to 5"}}),
    (404, {"detail": "Application 'moderation-app' not found"}),
    (400, {"error": "Invalid parameter 'promptText'"}),
    (422, {"title": "Invalid version", "detail": "The version does not exist", "status": 422}),
    (404, {"error": {"code": "ModelNotOpen", "message": "Your account has not activated it"}}),
]


@pytest.mark.parametrize(("status", "body"), PLAIN)
def test_a_bad_request_is_no_more_than_that(status: int, body: object) -> None:
    result = refusal_from(reply(status, body), 0)
    assert isinstance(result, Refused)
    assert (result.code, result.unauthorized) == ("invalid_request", False)


KEYS = [
    (401, {"error": {"message": "无效的令牌", "type": "new_api_error"}}),
    (401, {"detail": "authentication is required to access this application"}),
    (401, {"error": {"code": "AuthenticationError", "message": "The API key format is wrong"}}),
    (403, {"error": {"code": "AccessDenied", "message": "No"}}),
    (403, {"error": "API key is currently blocked: xai-..."}),
    (400, {"code": "x", "error": "Incorrect API key provided: xa***ey."}),
    (401, {"error": {"message": "Expired", "code": "token_expired"}}),
    (403, {"detail": "User is locked. Reason: Admin lock. Please contact support@fal.ai"}),
]


@pytest.mark.parametrize(("status", "body"), KEYS)
def test_a_refused_key_marks_the_account(status: int, body: object) -> None:
    result = refusal_from(reply(status, body), 0)
    assert isinstance(result, Refused)
    assert (result.code, result.unauthorized) == ("provider_unauthorized", True)
    assert isinstance(read_error(reply(status, body), 0), ProviderUnauthorizedError)
