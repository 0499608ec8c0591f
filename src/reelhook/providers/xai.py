"""xAI, which serves Grok Imagine: video requests over its REST API.

Paths and statuses from docs.x.ai, "Video generation" and the REST API reference. xai-sdk 1.21.0
asks for the same over gRPC: its types (`types/video.py`, `proto/v6/video_pb2.pyi`, `cost.py`) name
the same fields, ratios, resolutions and costs. There is no listing, no cancelling and no webhook.
"""

from collections.abc import Callable
from dataclasses import replace

from reelhook.domain.errors import ProviderError, ProviderUnauthorizedError
from reelhook.domain.job import VideoRequest
from reelhook.domain.report import (
    Accepted,
    Missing,
    Progress,
    Reading,
    Refused,
    SubmitOutcome,
)
from reelhook.ports import Traits
from reelhook.providers.address import segment
from reelhook.providers.answer import Answer
from reelhook.providers.expiring import ExpiringProvider
from reelhook.providers.http_provider import Fields
from reelhook.providers.receiving import RESPONSE_BYTES_MAX
from reelhook.providers.refusal import unread, words
from reelhook.providers.values import readable_id, text
from reelhook.providers.xai_video import MODELS, body, report

_WRONG_KEY = "incorrect api key"
"""How a 400 begins that is about the key, not about the request."""
_MODERATED = "violates usage guidelines"
"""What a 403 says that is about the prompt, not about the key."""
_NO_CREDITS = ("any credits", "available credits", "spending limit")


class XAI(ExpiringProvider):
    """One account at xAI."""

    name = "xai"
    default_base_url = "https://api.x.ai/v1"
    default_path = "/v1"
    traits = Traits(cancels=False)
    models = MODELS

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool] = lambda: True,
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """Create a video request, exactly once. No address goes along: xAI calls none."""
        outcome = await self.pay("videos/generations", body(request), may_send, _accepted)
        return _understood(outcome) if isinstance(outcome, Refused) else outcome

    async def ask(self, method: str, path: str, *, bytes_max: int = RESPONSE_BYTES_MAX) -> Answer:
        """Send a request that costs nothing. Raises `ProviderError`, for a wrong key too."""
        answer = await super().ask(method, path, bytes_max=bytes_max)
        if answer.status == 400 and words(answer).lower().startswith(_WRONG_KEY):
            raise ProviderUnauthorizedError(words(answer))
        return answer

    async def get(self, provider_job_id: str) -> Reading:
        """Read one request. While it is under way it is answered with 202."""
        answer = await self.ask("GET", f"videos/{segment(provider_job_id)}")
        if answer.status == 404:
            return Reading(Missing())
        if not answer.ok:
            raise unread(answer, self.now())
        told = report(answer.fields())
        if told is None and answer.status == 202 and _says_nothing_more(answer):
            told = Progress(running=False)
        if told is None:
            raise ProviderError("The provider's answer is not a video request with a status")
        return Reading(told)

    async def check(self) -> str:
        """Ask which video models the key opens."""
        listing = await self.read("video-generation-models") or {}
        models = listing.get("models")
        if not isinstance(models, list):
            raise ProviderError("The provider's answer is not a list of models")
        names = [text(one.get("id")) for one in models if isinstance(one, dict)]
        return f"video models: {', '.join(filter(None, names)) or 'none'}"


def _says_nothing_more(pending: Answer) -> bool:
    """Whether a 202 is xAI's own: an object, or nothing at all. A page is a proxy's."""
    return pending.is_object() or pending.body in {b"", b"null"}


def _accepted(created: Fields) -> Accepted | None:
    provider_job_id = readable_id(created.get("request_id"))
    return None if provider_job_id is None else Accepted(provider_job_id)


def _understood(refused: Refused) -> Refused:
    """Tell by its words what a refusal is about, where xAI's statuses tell otherwise."""
    said = refused.message.lower()
    if said.startswith(_WRONG_KEY):
        return Refused("provider_unauthorized", refused.message, unauthorized=True)
    if _MODERATED in said:
        return Refused("moderation", refused.message)
    if any(mark in said for mark in _NO_CREDITS):
        return replace(refused, code="quota")
    return refused
