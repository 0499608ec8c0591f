"""Creating a video at a server of `/v1/videos`: `POST /videos`, and the meaning of its response.

One rule: a create may be sent again only if the server definitely did not accept it.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO

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
from reelhook.providers.http.address import segment
from reelhook.providers.http.error_mapping import error_message
from reelhook.providers.http.json_fields import Fields, encodable, is_segment, readable_id
from reelhook.providers.http.paid_post import PaidPost
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.http.submit_outcome import outcome
from reelhook.providers.openai.fields import size_of
from reelhook.providers.openai.refusals import definite_refusal
from reelhook.providers.openai.request import content_of, encoding_of, refusal_before_sending
from reelhook.providers.openai.server import OpenAIServer
from reelhook.providers.openai.server_kind import FACTS, Encoding, ServerKind, kind_of
from reelhook.providers.openai.video import report

_UNREAD = re.compile(
    r"prompt\b.{0,30}(?:missing|required)|(?:missing|required)\b.{0,30}prompt"
    r"|multipart|form-data|content-type|\bbody\b.{0,20}\bjson\b|\bjson\b.{0,20}\bbody\b"
    r"|invalid character '-'",  # Go reads the boundary of a form as JSON
    re.IGNORECASE | re.DOTALL,
)


class Create:
    """Creates videos for one account. `content_url` returns the address of a finished file.

    `server` holds the knowledge about the server; its responses add to that.
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
        """Create a video: one paid POST. Raises nothing except cancellation.

        A second POST follows only if the server definitely did not accept the first one, because
        it could not read its encoding. The accepted encoding is remembered. Both POSTs together
        have one time limit.
        """
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        if request.remix_of is not None:
            return await self._remix(request, request.remix_of, deadline, may_send)
        if refusal := refusal_before_sending(request, self._server):
            return refusal
        encoding = encoding_of(request, self._server)
        response = await self._create(request, encoding, deadline, may_send)
        if isinstance(response, ProviderResponse) and _refused_encoding(response):
            second = await self._create(request, encoding.other, deadline, may_send)
            if not isinstance(second, ProviderResponse):
                return second
            if not _refused_encoding(second):
                self._server.encoding, response = encoding.other, second
        if not isinstance(response, ProviderResponse):
            return response
        return self._outcome(request, response)

    async def _create(
        self,
        request: VideoRequest,
        encoding: Encoding,
        deadline: float,
        may_send: Callable[[], bool],
    ) -> ProviderResponse | NotSent | InDoubt | Refused:
        content = await content_of(request, self._server, encoding)
        if isinstance(content, Refused):
            return content
        return await self._send(self._url, content, deadline, may_send)

    async def _remix(
        self,
        request: VideoRequest,
        source: str,
        deadline: float,
        may_send: Callable[[], bool],
    ) -> SubmitOutcome:
        """Create a remix: `POST /videos/{id}/remix`, JSON as in `resources/videos.py`."""
        if not is_segment(source):
            return Refused("invalid_request", f"{source!r} is not the id of a video here")
        url = URL(f"{self._url}/{segment(source)}/remix", encoded=True)
        content = json.dumps({"prompt": encodable(request.prompt)}).encode()
        response = await self._send(url, content, deadline, may_send)
        if not isinstance(response, ProviderResponse):
            return response
        return self._outcome(replace(request, model=""), response)

    async def _send(
        self,
        url: URL,
        content: bytes | BytesIO | FormData,
        deadline: float,
        may_send: Callable[[], bool],
    ) -> ProviderResponse | NotSent | InDoubt:
        seconds_left = deadline - asyncio.get_running_loop().time()
        if seconds_left <= 0:
            return NotSent("the time limit for submitting was reached", ours=True)
        headers = {"Accept": "application/json", **self._headers}
        if not isinstance(content, FormData):  # a form names its own boundary
            headers["Content-Type"] = Encoding.JSON.value
        return await self._paid.send(
            url, content, headers=headers, timeout_seconds=seconds_left, may_send=may_send
        )

    def _outcome(self, request: VideoRequest, response: ProviderResponse) -> SubmitOutcome:
        kind = kind_of(None, response)  # a gateway names itself in each response
        kind = self._server.kind if kind is ServerKind.UNKNOWN else kind
        definite = definite_refusal(kind, response, size_of(request), self._now())
        submitted = definite or outcome(response, self._accepted, self._now())
        mark = unmarked(request.model)[1]
        if isinstance(submitted, InDoubt) and FACTS[kind].forwards:
            return replace(submitted, ended=False)
        if isinstance(submitted, Accepted):
            self._learn_echo(request.model, response.fields().get("model"))
        elif isinstance(submitted, Refused) and mark is not None and mark in submitted.message:
            # The server checks the model's name, so the create is sent again without the mark.
            self._server.echoes = False
            return NotSent(submitted.message, ours=True)
        return submitted

    def _learn_echo(self, sent: str, shown: object) -> None:
        if sent and shown == sent:
            self._server.echoes = True
        elif unmarked(sent)[1] is not None:
            self._server.echoes = False

    def _accepted(self, video: Fields) -> Accepted | None:
        provider_job_id = readable_id(video.get("id"))
        if provider_job_id is None:
            return None
        current = report(video, lambda: self._content_url(provider_job_id))
        return Accepted(provider_job_id, current or Progress(running=False))


def _refused_encoding(response: ProviderResponse) -> bool:
    """Return True if the server definitely refused the encoding, so that it accepted nothing.

    It returns 415, or reports a sent field as missing: FastAPI with 422, vLLM-Omni with 400.
    """
    if response.status == 415:
        return True
    return response.status in {400, 422} and bool(_UNREAD.search(error_message(response)))
