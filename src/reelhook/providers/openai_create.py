"""Creating a video on the OpenAI wire: `POST /videos`, and what its answer means.

One rule: only what was surely refused may be sent again.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import assert_never

from aiohttp import FormData
from yarl import URL

from reelhook.domain.job import VideoRequest
from reelhook.domain.report import (
    Accepted,
    InDoubt,
    NotSent,
    Progress,
    SubmitOutcome,
)
from reelhook.providers.answer import Answer
from reelhook.providers.http_provider import outcome
from reelhook.providers.openai_request import form_of, json_of, unsayable
from reelhook.providers.openai_video import Fields, report
from reelhook.providers.paid_post import PaidPost
from reelhook.providers.refusal import words
from reelhook.providers.values import readable_id

_UNREAD = re.compile(
    r"prompt\b.{0,30}(?:missing|required)|(?:missing|required)\b.{0,30}prompt"
    r"|multipart|form-data|content-type",
    re.IGNORECASE | re.DOTALL,
)


class _Encoding(Enum):
    """How a create's fields are sent: some servers take JSON, vLLM-Omni takes forms alone."""

    JSON = "application/json"
    FORM = "multipart/form-data"

    @property
    def other(self) -> "_Encoding":
        """The one to try when this one was refused."""
        return _Encoding.FORM if self is _Encoding.JSON else _Encoding.JSON


class Create:
    """Creates videos for one account. `content_url` is our way to a finished file."""

    def __init__(
        self,
        url: URL,
        headers: Mapping[str, str],
        paid: PaidPost,
        *,
        timeout_seconds: float,
        content_url: Callable[[str], str],
        now: Callable[[], float],
    ) -> None:
        self._url = url
        self._headers = headers
        self._timeout_seconds = timeout_seconds
        self._content_url = content_url
        self._now = now
        self._encoding = _Encoding.JSON
        self._paid = paid

    async def submit(self, request: VideoRequest, may_send: Callable[[], bool]) -> SubmitOutcome:
        """Create a video: one paid POST. Never raises, but for cancellation.

        A second one follows only if the first was surely refused because the server could not
        read its encoding; what the server takes is remembered. The time-out spans both.
        """
        if refusal := unsayable(request):
            return refusal
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        encoding = self._encoding
        answer = await self._create(request, encoding, deadline, may_send)
        if isinstance(answer, Answer) and _could_not_be_read(answer):
            second = await self._create(request, encoding.other, deadline, may_send)
            if not isinstance(second, Answer):
                return second
            if not _could_not_be_read(second):
                self._encoding, answer = encoding.other, second
        if not isinstance(answer, Answer):
            return answer
        return outcome(answer, self._accepted, self._now())

    async def _create(
        self,
        request: VideoRequest,
        encoding: _Encoding,
        deadline: float,
        may_send: Callable[[], bool],
    ) -> Answer | NotSent | InDoubt:
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            return NotSent("the time for submitting was over", ours=True)
        headers = {"Accept": "application/json", **self._headers}
        content: bytes | FormData
        match encoding:
            case _Encoding.JSON:
                content = json_of(request)
                headers["Content-Type"] = encoding.value
            case _Encoding.FORM:
                content = form_of(request)
            case _:
                assert_never(encoding)
        return await self._paid.send(
            self._url, content, headers=headers, timeout_seconds=left, may_send=may_send
        )

    def _accepted(self, video: Fields) -> Accepted | None:
        provider_job_id = readable_id(video.get("id"))
        if provider_job_id is None:
            return None
        told = report(video, lambda: self._content_url(provider_job_id))
        return Accepted(provider_job_id, told or Progress(running=False))


def _could_not_be_read(answer: Answer) -> bool:
    """Whether the server surely refused the encoding: a 415, or it misses what it was sent.

    FastAPI answers 422 for a form field that is missing, vLLM-Omni 400.
    """
    if answer.status == 415:
        return True
    return answer.status in {400, 422} and bool(_UNREAD.search(words(answer)))
