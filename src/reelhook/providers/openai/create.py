"""Creating a video on the OpenAI wire: `POST /videos`, and what its answer means.

One rule: only what was definitely refused may be sent again.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import assert_never

from aiohttp import FormData
from yarl import URL

from reelhook.domain.model_mark import unmarked
from reelhook.domain.report import (
    Accepted,
    InDoubt,
    NotSent,
    Progress,
    Refused,
    SubmitOutcome,
)
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.error_mapping import words
from reelhook.providers.http.json_fields import readable_id
from reelhook.providers.http.paid_post import PaidPost
from reelhook.providers.http.provider import outcome
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.openai.refusals import definite
from reelhook.providers.openai.request import encoding_of, form_of, json_of, unsayable
from reelhook.providers.openai.server import OpenAIServer
from reelhook.providers.openai.server_kind import FACTS, Encoding, ServerKind, kind_of
from reelhook.providers.openai.video import Fields, report

_UNREAD = re.compile(
    r"prompt\b.{0,30}(?:missing|required)|(?:missing|required)\b.{0,30}prompt"
    r"|multipart|form-data|content-type|\bbody\b.{0,20}\bjson\b|\bjson\b.{0,20}\bbody\b"
    r"|invalid character '-'",  # so Go reads the boundary of a form as JSON
    re.IGNORECASE | re.DOTALL,
)


class Create:
    """Creates videos for one account. `content_url` is our way to a finished file.

    `server` is what is known of the server; what its responses show is added to that.
    """

    def __init__(
        self,
        url: URL,
        headers: Mapping[str, str],
        paid: PaidPost,
        server: OpenAIServer,
        *,
        timeout_seconds: float,
        content_url: Callable[[str], str],
        now: Callable[[], float],
    ) -> None:
        self._url = url
        self._headers = headers
        self._server = server
        self._timeout_seconds = timeout_seconds
        self._content_url = content_url
        self._now = now
        self._paid = paid

    async def submit(self, request: VideoRequest, may_send: Callable[[], bool]) -> SubmitOutcome:
        """Create a video: one paid POST. Never raises, but for cancellation.

        A second one follows only if the first was definitely refused because the server could not
        read its encoding; what the server takes is remembered. The time-out spans both.
        """
        if refusal := unsayable(request, self._server.facts):
            return refusal
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        encoding = encoding_of(request, self._server)
        answer = await self._create(request, encoding, deadline, may_send)
        if isinstance(answer, ProviderResponse) and _could_not_be_read(answer):
            second = await self._create(request, encoding.other, deadline, may_send)
            if not isinstance(second, ProviderResponse):
                return second
            if not _could_not_be_read(second):
                self._server.encoding, answer = encoding.other, second
        if not isinstance(answer, ProviderResponse):
            return answer
        return self._outcome(request, answer)

    async def _create(
        self,
        request: VideoRequest,
        encoding: Encoding,
        deadline: float,
        may_send: Callable[[], bool],
    ) -> ProviderResponse | NotSent | InDoubt:
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            return NotSent("the time for submitting was over", ours=True)
        headers = {"Accept": "application/json", **self._headers}
        content: bytes | FormData
        match encoding:
            case Encoding.JSON:
                content = json_of(request, self._server)
                headers["Content-Type"] = encoding.value
            case Encoding.FORM:
                content = form_of(request, self._server)
            case _:
                assert_never(encoding)
        return await self._paid.send(
            self._url, content, headers=headers, timeout_seconds=left, may_send=may_send
        )

    def _outcome(self, request: VideoRequest, answer: ProviderResponse) -> SubmitOutcome:
        kind = kind_of(None, answer)  # a gateway says itself that it is one
        kind = self._server.kind if kind is ServerKind.UNKNOWN else kind
        certain = definite(kind, answer, request.size, self._now())
        told = certain or outcome(answer, self._accepted, self._now())
        mark = unmarked(request.model)[1]
        if isinstance(told, InDoubt) and FACTS[kind].hands_on:
            return replace(told, ended=False)
        if isinstance(told, Accepted):
            self._learn_echo(request.model, answer.fields().get("model"))
        elif isinstance(told, Refused) and mark is not None and mark in told.message:
            # So it looks at the name of the model: the create goes again with the name alone.
            self._server.echoes = False
            return NotSent(told.message, ours=True)
        return told

    def _learn_echo(self, sent: str, shown: object) -> None:
        if sent and shown == sent:
            self._server.echoes = True
        elif unmarked(sent)[1] is not None:
            self._server.echoes = False

    def _accepted(self, video: Fields) -> Accepted | None:
        provider_job_id = readable_id(video.get("id"))
        if provider_job_id is None:
            return None
        told = report(video, lambda: self._content_url(provider_job_id))
        return Accepted(provider_job_id, told or Progress(running=False))


def _could_not_be_read(answer: ProviderResponse) -> bool:
    """Whether the server definitely refused the encoding: a 415, or it misses what it was sent.

    FastAPI answers 422 for a form field that is missing, vLLM-Omni 400.
    """
    if answer.status == 415:
        return True
    return answer.status in {400, 422} and bool(_UNREAD.search(words(answer)))
