"""An id is one segment of a path, for every provider, and leads nowhere else."""

import contextlib
from urllib.parse import quote

import pytest

from providers.upstreams import Upstream
from reelhook.domain.errors import InvalidRequestError, ProviderError
from reelhook.domain.report import Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.ark.provider import Ark
from reelhook.providers.fal.provider import Fal
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.openai.provider import OpenAI
from reelhook.providers.replicate.provider import Replicate
from reelhook.providers.runway.provider import Runway
from reelhook.providers.xai.provider import XAI

BELOW = {
    OpenAI: "/v1/videos/",
    Ark: "/api/v3/contents/generations/tasks/",
    Fal: "/fal-ai/veo3/requests/",
    Replicate: "/v1/predictions/",
    Runway: "/v1/tasks/",
    XAI: "/v1/videos/",
}
ODD = ["a?b", "a#b", "a;b", "a&b=c", "a%2fb", "%2e%2e", "..%2f", "...", "a:b@c", "~!$'()*", "a b"]
CLIMBING = [
    *("../x", "a/../../b", "a/b", "/", "/a", "a/", "..", "."),
    *("a\\..\\b", "\\", "", " ", "a\nb"),
]


def called(kind: type[HttpProvider], one: str) -> str:
    return f"fal-ai/veo3/requests/{one}" if kind is Fal else one


@pytest.mark.parametrize("one", ODD)
@pytest.mark.parametrize("kind", BELOW)
async def test_whatever_an_id_says_it_stays_in_its_place(
    server: Upstream, kind: type[HttpProvider], one: str
) -> None:
    server.answers(404, {})
    async with kind(server.url, "k") as provider:
        with contextlib.suppress(ProviderError):
            await provider.get(called(kind, one))
        with contextlib.suppress(ProviderError):
            await provider.cancel(called(kind, one))
    assert server.seen
    for seen in server.seen:
        assert seen.path.startswith(BELOW[kind] + quote(one, safe=""))
        assert seen.path.removeprefix(BELOW[kind]).count("/") <= 1
        assert seen.query == {}


@pytest.mark.parametrize("one", CLIMBING)
@pytest.mark.parametrize("kind", BELOW)
async def test_what_would_lead_elsewhere_is_no_id(
    server: Upstream, kind: type[HttpProvider], one: str
) -> None:
    async with kind(server.url, "k") as provider:
        with pytest.raises(InvalidRequestError) as refused:
            provider.id_of(called(kind, one), "")
    assert refused.value.field == "provider_job_id"
    assert server.seen == []


@pytest.mark.parametrize(
    "one",
    [
        "fal-ai/veo3/requests/x/../../../../admin/keys",
        "fal-ai/veo3/requests/x/requests/../../y",
        "fal-ai/../admin/requests/x",
        "fal-ai//requests/x",
        "/fal-ai/requests/x",
        "fal-ai/a\\..\\b/requests/x",
        "a/b/c/d/requests/x",
    ],
)
async def test_a_request_at_fal_climbs_out_of_no_queue(server: Upstream, one: str) -> None:
    async with Fal(server.url, "k") as fal:
        with pytest.raises(InvalidRequestError):
            fal.id_of(one, "")
        for asked in (fal.get(one), fal.cancel(one)):
            with pytest.raises(ProviderError):
                await asked
    assert server.seen == []


@pytest.mark.parametrize("model", ["../predictions", "a/..", "./a", "a\\b/c", "../..:v1"])
async def test_neither_does_a_model_at_replicate(server: Upstream, model: str) -> None:
    async with Replicate(server.url, "k") as replicate:
        outcome = await replicate.submit(VideoRequest(prompt="A fox", model=model))
    assert isinstance(outcome, Refused)
    assert server.seen == []
