"""xAI, which serves Grok Imagine: video requests over its REST API.

Paths and statuses from docs.x.ai, "Video generation" and the REST API reference. xai-sdk 1.21.0
asks for the same over gRPC: its types (`types/video.py`, `proto/v6/video_pb2.pyi`, `cost.py`) name
the same fields, ratios, resolutions and costs. There is no listing, no cancelling and no webhook.
"""

import re
from collections.abc import Callable

from reelhook.domain.report import (
    Accepted,
    Failed,
    Missing,
    Progress,
    Reading,
    SubmitOutcome,
)
from reelhook.domain.request import VideoRequest
from reelhook.ports import Capabilities
from reelhook.providers.http.address import segment
from reelhook.providers.http.error_mapping import not_understood, unread, words
from reelhook.providers.http.expiring import ExpiringProvider
from reelhook.providers.http.json_fields import readable_id, text
from reelhook.providers.http.provider import Fields
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.xai.video import MODELS, body, cost, report

_MODERATED = re.compile(
    r"imagine:content-moderated|rejected by content moderation|violates usage guidelines",
    re.IGNORECASE,
)
"""What a refused poll says of its video. Other 400s early in a render pass."""
_STATUS = "a video request with a status"


class XAI(ExpiringProvider):
    """One account at xAI."""

    name = "xai"
    default_base_url = "https://api.x.ai/v1"
    default_path = "/v1"
    traits = Capabilities(cancels=False)
    models = MODELS

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool] = lambda: True,
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """Create a video request, exactly once. No address goes along: xAI calls none."""
        return await self.pay("videos/generations", body(request), may_send, _accepted)

    async def get(self, provider_job_id: str) -> Reading:
        """Read one request. While it is under way it is answered with 202, moderated with 400."""
        answer = await self.ask("GET", f"videos/{segment(provider_job_id)}")
        if answer.status == 404:
            return Reading(Missing())
        if _is_moderated(answer):
            # It was rendered, so it may be charged for.
            return Reading(Failed("moderation", words(answer), cost(answer.fields())))
        if not answer.ok:
            raise unread(answer, self.now())
        told = report(answer.fields())
        if told is None and answer.status == 202 and _says_nothing_more(answer):
            told = Progress(running=False)
        if told is None:
            raise not_understood(answer, _STATUS)
        return Reading(told)

    async def check(self) -> str:
        """Ask which video models the key opens."""
        answer = await self.ask("GET", "video-generation-models")
        if not answer.ok:
            raise unread(answer, self.now())
        models = answer.fields().get("models")
        if not isinstance(models, list):
            raise not_understood(answer, "a list of models")
        names = [text(one.get("id")) for one in models if isinstance(one, dict)]
        return f"video models: {', '.join(filter(None, names)) or 'none'}"


def _says_nothing_more(pending: ProviderResponse) -> bool:
    """Whether a 202 is xAI's own: an object, or nothing at all. A page is a proxy's."""
    return pending.is_object() or pending.body in {b"", b"null"}


def _accepted(created: Fields) -> Accepted | None:
    provider_job_id = readable_id(created.get("request_id"))
    return None if provider_job_id is None else Accepted(provider_job_id)


def _is_moderated(answer: ProviderResponse) -> bool:
    """Whether a poll is refused since the video, or what it was asked for, was filtered."""
    if not 400 <= answer.status < 500:
        return False
    code = answer.fields().get("code")
    return bool(_MODERATED.search(f"{code if isinstance(code, str) else ''} {words(answer)}"))
