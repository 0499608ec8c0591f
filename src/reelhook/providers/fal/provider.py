"""fal: apps behind a queue with a REST API.

Paths, statuses and fields as in fal-client 1.0.3 (`client.py`: `AppId`, `_parse_status`,
`from_request_id`, `_raise_for_status`); the lifetime of files and webhooks from fal's
documentation, "Queue" and "Webhooks". fal has no listing: a submit whose response was lost can only
be found by its webhook.

Our id of a job is the path of its queue entry, `owner/app/requests/ID`. A read needs nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import ClassVar
from urllib.parse import quote

from yarl import URL

from reelhook.domain.errors import InvalidRequestError, ProviderError
from reelhook.domain.media import BYTES_MAX, File
from reelhook.domain.report import (
    Accepted,
    Failed,
    Missing,
    Notice,
    Progress,
    Reading,
    Refused,
    Report,
    SubmitOutcome,
)
from reelhook.domain.request import VideoRequest
from reelhook.ports import Capabilities
from reelhook.providers.fal.models import MODELS, arguments, refusal_before_sending
from reelhook.providers.fal.queue import Queue
from reelhook.providers.fal.result import error_kind, failed_report, file_report, units
from reelhook.providers.fal.webhook import FalWebhooks, keys_url
from reelhook.providers.http.address import key_header, segment
from reelhook.providers.http.error_mapping import (
    error_message,
    failure_from,
    not_understood,
    read_error,
)
from reelhook.providers.http.expiring import ExpiringProvider
from reelhook.providers.http.json_fields import (
    Fields,
    is_segment,
    readable_id,
    text,
    unknown,
)
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.http.uploading import UploadingProvider
from reelhook.providers.http.uploads import address_in, file_name

_NAMESPACES = frozenset({"workflows", "comfy"})
_NO_ID = "{!r} is not a request id; write it like fal-ai/veo3/requests/ID, each part one segment"
_GONE = "fal no longer has the result of this request."
_NO_PATH = "The app ran, but its path does not exist: check the model's name."
_ENDS = frozenset(range(400, 500)) - {401, 403, 408, 425, 429}
"""Statuses of a result that mean that the app has ended the request."""
_INVALID = frozenset({400, 413, 422})
_REST_URL = "https://rest.fal.ai"
_INLINE_MAX = 1_000_000
"""Source: fal's documentation, "Files", which advises against long `data:` URIs without naming a
number. This one is Replicate's."""
_PROBE = "fal-ai/veo3/requests/00000000-0000-0000-0000-000000000000"
_LARGE_RESULT_BYTES = 10_000
_RESULT_SECONDS = 3600.0
_LARGE_RESULT_SECONDS = 360.0
"""The times for which fal keeps a result, and one of 10 kB or more. Source: fal's documentation,
"Queue"."""


class Fal(UploadingProvider, ExpiringProvider):
    """One account at fal."""

    name = "fal"
    default_base_url = "https://queue.fal.run"
    traits = Capabilities(notifies=True)
    models = MODELS
    inline_max: ClassVar = dict.fromkeys(BYTES_MAX, _INLINE_MAX)

    def authorization(self, key: str | None) -> dict[str, str]:
        """Return the header that carries the key, in fal's own scheme."""
        return key_header(key)

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool] = lambda: True,
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """Add a request to an app's queue, exactly once."""
        app = request.model.strip("/")
        if not _is_app(app):  # a request that it created could never be read
            return Refused("invalid_request", "A model at fal is written owner/name")
        if refused := refusal_before_sending(request):
            return refused
        sent = await self.with_uploads(request)
        if not isinstance(sent, VideoRequest):
            return sent
        query = "" if callback_url is None else f"?fal_webhook={quote(callback_url, safe='')}"
        outcome = await self.pay(
            f"{_quoted(app)}{query}", arguments(sent), may_send, partial(_accepted, app)
        )
        if isinstance(outcome, Accepted):
            self._queue.see(outcome.provider_job_id, self.now())
        return outcome

    async def upload(self, file: File) -> str:
        """Upload a file to fal's storage (fal-client 1.0.3, `_upload_via_storage`)."""
        url = URL(f"{self._rest}/storage/upload/initiate?storage_type=gcs")
        wanted = {"file_name": file_name(file), "content_type": file.content_type}
        begun = await self.uploader.ask(url, self.headers, wanted)
        address = address_in(begun, "file_url")
        kind = {"Content-Type": file.content_type}
        await self.uploader.send("PUT", begun.get("upload_url"), kind, file.body)
        return address

    @property
    def _rest(self) -> str:
        """The origin of fal's other routes. A proxy or a simulator in place of the queue has them.

        The simulator also publishes the keys of webhooks there.
        """
        return _REST_URL if str(self.base) == self.default_base_url else str(self.base.origin())

    async def get(self, provider_job_id: str) -> Reading:
        """Read one request. If it is completed, a second read gets its result."""
        path = self.job_path(provider_job_id)
        response = await self.ask("GET", f"{path}/status")
        if response.status == 404:
            return Reading(Missing())
        if not response.ok:
            raise read_error(response, self.now())
        status = response.fields()
        match status.get("status"):
            case "IN_QUEUE":
                self._queue.see(provider_job_id, self.now(), status.get("queue_position"))
                return Reading(Progress(running=False))
            case "IN_PROGRESS":
                self._queue.see(provider_job_id, self.now())
                return Reading(Progress(running=True))
            case "COMPLETED" if text(status.get("error")):
                return Reading(failed_report(status))
            case "COMPLETED":
                result = await self.ask("GET", path)
                return Reading(self._result(provider_job_id, result))
            case other:
                report = unknown(other)
                if report is None:
                    raise not_understood(response, "a request with a status")
                return Reading(report)

    def _result(self, provider_job_id: str, response: ProviderResponse) -> Report:
        if response.ok:
            small = len(response.body or b"") < _LARGE_RESULT_BYTES
            seconds = _RESULT_SECONDS if small else _LARGE_RESULT_SECONDS
            return self.with_expiry(file_report(response), seconds)
        if kind := error_kind(response):  # the app's own error, or fal's about its runner
            code = response.status if response.status in _INVALID else None
            failure = failure_from({"type": kind, "code": code, "message": error_message(response)})
            return replace(failure, cost=units(response))
        # A proxy's page, or a temporary fault, says nothing about the request.
        if not response.is_object() or response.status not in _ENDS:
            raise read_error(response, self.now())
        if response.status not in {404, 410}:
            return failure_from({"code": response.status, "message": error_message(response)})
        if self._queue.is_young(provider_job_id, self.now()):
            return Failed("invalid_request", f"{error_message(response)}. {_NO_PATH}")
        return Failed("content_missing", f"{_GONE} Its response: {error_message(response)}")

    def job_path(self, provider_job_id: str) -> str:
        """Return the path of one request. Raises `ProviderError` for an id that is not ours."""
        if not _is_id(provider_job_id):
            raise ProviderError(_NO_ID.format(provider_job_id))
        return _quoted(provider_job_id)

    async def cancel(self, provider_job_id: str) -> bool:
        """Cancel a request; return False if fal refuses that."""
        return await self.canceled("PUT", f"{self.job_path(provider_job_id)}/cancel")

    async def cancel_stops(self) -> bool | None:
        """Return None: the app decides about a running request (fal's queue API)."""
        return None

    @cached_property
    def _queue(self) -> Queue:
        return Queue()

    def ahead(self, provider_job_id: str) -> int | None:
        """Return the number of requests before this one in fal's queue, as last reported."""
        return self._queue.ahead(provider_job_id)

    @cached_property
    def _webhooks(self) -> FalWebhooks:
        return FalWebhooks(self.http, self.memory, keys_url(self._rest), self.now)

    async def notice(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Read a webhook from fal, signed with one of its keys (Ed25519)."""
        return await self._webhooks.read(headers, body)

    def id_of(self, called: str, model: str) -> str:
        """Return our id for a request id of fal's, which names no app; our own id is unchanged.

        Raises `InvalidRequestError`.
        """
        is_ours = "/requests/" in called
        job_id = called if is_ours else f"{_queue(model.strip('/'))}/requests/{called}"
        if not _is_id(job_id):
            raise InvalidRequestError("provider_job_id", _NO_ID.format(called))
        return job_id

    async def check(self) -> str:
        """Read a request that does not exist; fal checks the key before the id."""
        response = await self.ask("GET", f"{_PROBE}/status")
        if response.status in {401, 403}:
            raise read_error(response, self.now())
        return "the key is accepted"


def _accepted(app: str, created: Fields) -> Accepted | None:
    request_id = readable_id(created.get("request_id"))
    if request_id is None or not is_segment(request_id):
        return None
    return Accepted(f"{_queue(app)}/requests/{request_id}")


def _queue(app: str) -> str:
    """Return an app's queue, which does not include the app's sub-path."""
    parts = app.split("/")
    return "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])


def _is_app(app: str) -> bool:
    return "/" in app and all(map(is_segment, app.split("/")))


def _is_id(provider_job_id: str) -> bool:
    app, _, request_id = provider_job_id.rpartition("/requests/")
    return _is_app(app) and app.count("/") <= 2 and is_segment(request_id)


def _quoted(path: str) -> str:
    return "/".join(map(segment, path.split("/")))
