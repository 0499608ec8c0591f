"""fal: apps behind a queue, asked over REST.

Paths, statuses and fields as in fal-client 1.0.3 (`client.py`: `AppId`, `_parse_status`,
`from_request_id`, `_raise_for_status`); files' lives and webhooks from fal's documentation, "Queue"
and "Webhooks". There is no listing: a submit whose answer is lost is found by its webhook alone.

Our id of a job is the path of its queue entry, `owner/app/requests/ID`, so that it says all that
reading it needs.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from urllib.parse import quote

from reelhook.domain.errors import InvalidRequestError, ProviderError
from reelhook.domain.report import (
    Accepted,
    Cost,
    Failed,
    Finished,
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
from reelhook.providers.fal.models import MODELS, arguments
from reelhook.providers.fal.queue import Queue
from reelhook.providers.fal.webhook import KEYS_URL, FalWebhooks, keys_url
from reelhook.providers.http.address import key_header, segment
from reelhook.providers.http.error_mapping import failed, not_understood, unread, words
from reelhook.providers.http.expiring import ExpiringProvider
from reelhook.providers.http.json_fields import (
    is_segment,
    number,
    readable_id,
    text,
    unknown,
    web_address,
)
from reelhook.providers.http.provider import Fields
from reelhook.providers.http.response import ProviderResponse

_NAMESPACES = frozenset({"workflows", "comfy"})
_PLACES = ("video", "videos", "output", "data", "result")
_DEPTH_MAX = 8
_NO_FILE = "The request is completed, but its result shows no video."
_NO_ID = (
    "{!r} can't be a request's id; it looks like fal-ai/veo3/requests/ID, each part one segment"
)
_GONE = "fal no longer has the result of this request."
_NO_PATH = "The app ran and found nothing at its path: check the model's name."
_ENDS = frozenset(range(400, 500)) - {401, 403, 408, 425, 429}
"""Statuses of a result with which an app has ended a request."""
_INVALID = frozenset({400, 413, 422})
_PROBE = "fal-ai/veo3/requests/00000000-0000-0000-0000-000000000000"


class Fal(ExpiringProvider):
    """One account at fal."""

    name = "fal"
    default_base_url = "https://queue.fal.run"
    traits = Capabilities(notifies=True)
    models = MODELS

    def authorization(self, key: str | None) -> dict[str, str]:
        """Return the header that shows the key, in fal's own scheme."""
        return key_header(key)

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool] = lambda: True,
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """Put a request into an app's queue, exactly once."""
        app = request.model.strip("/")
        if not _is_app(app):  # what it may create could never be asked for
            return Refused("invalid_request", "An app at fal is written owner/name")
        hook = "" if callback_url is None else f"?fal_webhook={quote(callback_url, safe='')}"
        outcome = await self.pay(
            f"{_quoted(app)}{hook}", arguments(request), may_send, partial(_accepted, app)
        )
        if isinstance(outcome, Accepted):
            self._queue.see(outcome.provider_job_id, self.now())
        return outcome

    async def get(self, provider_job_id: str) -> Reading:
        """Read one request; a completed one takes a second read, of its result."""
        path = _path(provider_job_id)
        answer = await self.ask("GET", f"{path}/status")
        if answer.status == 404:
            return Reading(Missing())
        if not answer.ok:
            raise unread(answer, self.now())
        status = answer.fields()
        match status.get("status"):
            case "IN_QUEUE":
                self._queue.see(provider_job_id, self.now(), status.get("queue_position"))
                return Reading(Progress(running=False))
            case "IN_PROGRESS":
                self._queue.see(provider_job_id, self.now())
                return Reading(Progress(running=True))
            case "COMPLETED" if text(status.get("error")):
                return Reading(_failed(status))
            case "COMPLETED":
                result = await self.ask("GET", path)
                return Reading(self._result(provider_job_id, result))
            case other:
                told = unknown(other)
                if told is None:
                    raise not_understood(answer, "a request with a status")
                return Reading(told)

    def _result(self, provider_job_id: str, answer: ProviderResponse) -> Report:
        if answer.ok:
            return _file(answer)
        if kind := _kind(answer):  # the app's own response, or fal's about its runner
            code = answer.status if answer.status in _INVALID else None
            told = failed({"type": kind, "code": code, "message": words(answer)})
            return replace(told, cost=_units(answer))
        if not answer.is_object() or answer.status not in _ENDS:  # a proxy's page, a passing fault
            raise unread(answer, self.now())
        if answer.status not in {404, 410}:
            return failed({"code": answer.status, "message": words(answer)})
        if self._queue.is_young(provider_job_id, self.now()):
            return Failed("invalid_request", f"{words(answer)}. {_NO_PATH}")
        return Failed("content_missing", f"{_GONE} It says: {words(answer)}")

    async def cancel(self, provider_job_id: str) -> bool:
        """Cancel a request; False where fal does not, or no longer, do that."""
        return await self.canceled("PUT", f"{_path(provider_job_id)}/cancel")

    async def cancel_stops(self) -> bool | None:
        """Return None: of a request that runs already the app decides (fal's queue API)."""
        return None

    @cached_property
    def _queue(self) -> Queue:
        return Queue()

    def ahead(self, provider_job_id: str) -> int | None:
        """Return the request's place in fal's queue, as it was last told."""
        return self._queue.ahead(provider_job_id)

    @cached_property
    def _notices(self) -> FalWebhooks:
        # Where the queue is somewhere else, a proxy or a simulator, so are its keys.
        origin = None if str(self.base) == self.default_base_url else str(self.base.origin())
        address = KEYS_URL if origin is None else keys_url(origin)
        return FalWebhooks(self.http, self.room, address, self.now)

    async def notice(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Read a webhook of fal's, signed with one of its keys (Ed25519)."""
        return await self._notices.read(headers, body)

    def id_of(self, called: str, model: str) -> str:
        """Return our id of a request: fal names no app with it. One of ours stays as it is.

        Raises `InvalidRequestError`.
        """
        whole = "/requests/" in called
        one = called if whole else f"{_queue(model.strip('/'))}/requests/{called}"
        if not _is_id(one):
            raise InvalidRequestError("provider_job_id", _NO_ID.format(called))
        return one

    async def check(self) -> str:
        """Ask for a request that there is not: a wrong key is refused before that is told."""
        answer = await self.ask("GET", f"{_PROBE}/status")
        if answer.status in {401, 403}:
            raise unread(answer, self.now())
        return "the key is accepted"


def _accepted(app: str, created: Fields) -> Accepted | None:
    request_id = readable_id(created.get("request_id"))
    if request_id is None or not is_segment(request_id):
        return None
    return Accepted(f"{_queue(app)}/requests/{request_id}")


def _queue(app: str) -> str:
    """Return an app's queue: its sub-path is no part of it."""
    parts = app.split("/")
    return "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])


def _is_app(app: str) -> bool:
    return "/" in app and all(map(is_segment, app.split("/")))


def _is_id(provider_job_id: str) -> bool:
    app, _, request_id = provider_job_id.rpartition("/requests/")
    return _is_app(app) and app.count("/") <= 2 and is_segment(request_id)


def _path(provider_job_id: str) -> str:
    if not _is_id(provider_job_id):
        raise ProviderError(_NO_ID.format(provider_job_id))
    return _quoted(provider_job_id)


def _quoted(path: str) -> str:
    return "/".join(map(segment, path.split("/")))


def _file(result: ProviderResponse) -> Report:
    """Return where the video lies. Raises `ProviderError` for what is no app's result.

    Only an object without any address says that there is no file.
    """
    fields = result.fields()
    if url := video_url(fields):
        return Finished(url, cost=_units(result))
    places = [fields.get(key) for key in _PLACES]
    places += [place.get("url") for place in places if isinstance(place, dict)]
    if not result.is_object() or any(isinstance(place, int | float) for place in places):
        raise not_understood(result, "the result of a request")
    return Failed("content_missing", _NO_FILE, _units(result))


def _failed(status: Fields) -> Failed:
    return failed({"type": status.get("error_type"), "message": status.get("error")})


def _kind(answer: ProviderResponse) -> str | None:
    """Return the machine-readable kind of an error: an app's in the body, or fal's own.

    As fal's documentation has it, "Model errors" and "Request errors".
    """
    detail = answer.fields().get("detail")
    first = detail[0] if isinstance(detail, list) and detail else None
    kind = first.get("type") if isinstance(first, dict) else None
    own = answer.fields().get("error_type")
    return text(kind) or text(own) or answer.headers.get("x-fal-error-type")


def _units(result: ProviderResponse) -> Cost | None:
    """Return what is charged, in the unit of the app: seconds, megapixels, videos."""
    amount = number(result.headers.get("x-fal-billable-units"))
    return None if amount is None or amount < 0 else Cost(amount, "units")


def video_url(result: Fields) -> str | None:
    """Return where the video lies, in the places that apps put it."""
    for key in _PLACES:
        if url := _url_in(result.get(key)):
            return url
    return web_address(text(result.get("video_url")) or text(result.get("url")))


def _url_in(place: object, depth: int = 0) -> str | None:
    if depth > _DEPTH_MAX:
        return None
    match place:
        case str():
            return web_address(place)
        case [first, *_]:
            return _url_in(first, depth + 1)
        case dict():
            return web_address(place.get("url")) or next(
                filter(None, (_url_in(place.get(key), depth + 1) for key in ("video", "videos"))),
                None,
            )
        case _:
            return None
