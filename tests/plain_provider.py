"""A provider that has finished files, and neither creates jobs nor reads them."""

from collections.abc import Callable

from reelhook.domain.report import Reading, SubmitOutcome
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.provider import HttpProvider


class Plain(HttpProvider):
    """A provider whose files lie where its jobs say."""

    name = "plain"

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool],
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        raise NotImplementedError

    async def get(self, provider_job_id: str) -> Reading:
        raise NotImplementedError
