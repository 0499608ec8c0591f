"""xAI, which serves Grok Imagine: video requests over its REST API.

Paths and statuses from docs.x.ai, "Video generation" and the REST API reference. xai-sdk 1.21.0
uses gRPC: its types (`types/video.py`, `proto/v6/video_pb2.pyi`, `cost.py`) name
the same fields, ratios, resolutions and costs. xAI has no listing, no cancel and no webhooks.
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
from reelhook.providers.http.error_mapping import error_message, not_understood, read_error
from reelhook.providers.http.expiring import ExpiringProvider
from reelhook.providers.http.json_fields import Fields, readable_id, text
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.xai.video import MODELS, body, cost, refusal_before_sending, report

_MODERATED = re.compile(
    r"imagine:content-moderated|rejected by content moderation|violates usage guidelines",
    re.IGNORECASE,
)
"""Marks of a poll that is refused because the video was filtered. Any other 400 is temporary."""
_STATUS = "a video request with a status"


class XAI(ExpiringProvider):
    """One account at xAI."""

    name = "xai"
    title = "xAI"
    default_base_url = "https://api.x.ai/v1"
    default_path = "/v1"
    jobs_path = "videos"
    traits = Capabilities(cancels=False)
    models = MODELS
    file_seconds = 24 * 3600.0
    """Source: xai-sdk 1.21.0, the documentation of `video.url`."""

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool] = lambda: True,
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """Create a video request, exactly once. `callback_url` is not sent: xAI has no webhooks."""
        if refused := refusal_before_sending(request):
            return refused
        return await self.pay("videos/generations", body(request), may_send, _accepted)

    async def get(self, provider_job_id: str) -> Reading:
        """Read one request: 202 while it is unfinished, 400 if it was filtered."""
        response = await self.ask("GET", self.job_path(provider_job_id))
        if response.status == 404:
            return Reading(Missing())
        if _is_moderated(response):
            # It was rendered, so it may be charged for.
            return Reading(Failed("moderation", error_message(response), cost(response.fields())))
        if not response.ok:
            raise read_error(response, self.now())
        read = report(response.fields())
        if read is None and response.status == 202 and _is_bare(response):
            read = Progress(running=False)
        if read is None:
            raise not_understood(response, _STATUS)
        return Reading(self.with_expiry(read))

    async def check(self) -> str:
        """List the video models that the key may use."""
        response = await self.required("video-generation-models")
        models = response.fields().get("models")
        if not isinstance(models, list):
            raise not_understood(response, "a list of models")
        names = [text(model.get("id")) for model in models if isinstance(model, dict)]
        return f"video models: {', '.join(filter(None, names)) or 'none'}"


def _is_bare(pending: ProviderResponse) -> bool:
    """Return True if a 202 is xAI's own: an object or an empty body. A page is a proxy's."""
    return pending.is_object() or pending.body in {b"", b"null"}


def _accepted(created: Fields) -> Accepted | None:
    provider_job_id = readable_id(created.get("request_id"))
    return None if provider_job_id is None else Accepted(provider_job_id)


def _is_moderated(response: ProviderResponse) -> bool:
    """Return True if a poll is refused because the video or its prompt was filtered."""
    if not 400 <= response.status < 500:
        return False
    code = text(response.fields().get("code")) or ""
    return bool(_MODERATED.search(f"{code} {error_message(response)}"))
