"""Runway: tasks that make a video from a text or from an image.

Paths and fields as in runwayml-python 5.24 (`resources/tasks.py`, and in `types`:
`task_retrieve_response.py`, `text_to_video_create_response.py`,
`organization_retrieve_response.py`); failure codes from
docs.dev.runwayml.com/errors/task-failures. There is no listing and no webhook.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from reelhook.domain.errors import ContentMissingError, ProviderError
from reelhook.domain.report import (
    Accepted,
    Cost,
    Failed,
    Finished,
    Progress,
    Reading,
    Report,
    SubmitOutcome,
    Unknown,
)
from reelhook.domain.request import VideoRequest
from reelhook.ports import Capabilities, Content
from reelhook.providers.http.address import segment
from reelhook.providers.http.error_mapping import NO_REASON, failed, not_understood, unread
from reelhook.providers.http.json_fields import (
    absent,
    number,
    percent,
    readable_id,
    text,
    unknown,
    web_address,
)
from reelhook.providers.http.provider import Fields, HttpProvider
from reelhook.providers.runway.models import MODELS, body_of, path_of

VERSION = "2024-11-06"
"""The version of the API that this is written for (`X-Runway-Version`)."""

_FILES_MAX = 100
"""How many files of a task are looked at."""
_CANCELED = "The task was canceled or deleted."
_NO_FILE = "The task succeeded, but its output has no file."


class Runway(HttpProvider):
    """One account at Runway."""

    name = "runway"
    default_base_url = "https://api.dev.runwayml.com/v1"
    default_path = "/v1"
    traits = Capabilities(poll_seconds_min=5.0)  # "at most every five seconds" for each task
    models = MODELS

    def authorization(self, key: str | None) -> dict[str, str]:
        """Return the headers that show the key and the API's version."""
        return {**super().authorization(key), "X-Runway-Version": VERSION}

    # -- submitting ---------------------------------------------------------------------------

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool] = lambda: True,
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """Create a task, exactly once. No address goes along: Runway calls none."""
        body = body_of(request, self.model(request.model))
        return await self.pay(path_of(request), body, may_send, _accepted)

    # -- reading ------------------------------------------------------------------------------

    async def get(self, provider_job_id: str) -> Reading:
        """Read one task."""
        return await self.reading(_task(provider_job_id), report)

    async def cancel(self, provider_job_id: str) -> bool:
        """Cancel a task that waits or runs.

        The same request would delete one that has ended, with its video, and it is paid for: so the
        task is looked at first.
        """
        match (await self.get(provider_job_id)).report:
            case Progress() | Unknown():
                return await self.canceled("DELETE", _task(provider_job_id))
            case _:
                return False

    @asynccontextmanager
    async def content(
        self, provider_job_id: str, url: str, byte_range: str | None
    ) -> AsyncIterator[Content]:
        """Open the finished file. Its address lasts a day or two; the task is asked for another.

        Raises `ContentMissingError` or `ProviderError`.
        """
        async with AsyncExitStack() as stack:
            try:
                opened = await stack.enter_async_context(
                    super().content(provider_job_id, url, byte_range)
                )
            except (ContentMissingError, ProviderError):
                fresh = await self._fresh_url(provider_job_id, url)
                if fresh is None:
                    raise
                opened = await stack.enter_async_context(
                    super().content(provider_job_id, fresh, byte_range)
                )
            yield opened

    async def _fresh_url(self, provider_job_id: str, url: str) -> str | None:
        match (await self.get(provider_job_id)).report:
            case Finished(url=fresh) if fresh != url:
                return fresh
            case Finished():
                return None
            case _:
                raise ContentMissingError("Runway no longer has the finished video.")

    async def check(self) -> str:
        """Ask how many credits are left."""
        answer = await self.ask("GET", "organization")
        if not answer.ok:
            raise unread(answer, self.now())
        credits_left = number(answer.fields().get("creditBalance"))
        if credits_left is None:
            raise not_understood(answer, "an organization")
        return f"{credits_left:g} credits left"


def report(task: Fields) -> Report | None:
    """Return what a task says; None if it says no status, or names its file in a way that can't be
    read.
    """
    match task.get("status"):
        case "PENDING" | "THROTTLED":
            return Progress(running=False)
        case "RUNNING":
            share = number(task.get("progress"))
            told = None if share is None else percent(round(100 * share, 6))
            return Progress(running=True, percent=told)
        case "SUCCEEDED":
            return _finished(task.get("output"), _credits(task.get("cost")))
        case "FAILED":
            return _failed(task)
        case "CANCELLED":
            said = failed(task.get("failure")).message
            message = _CANCELED if said == NO_REASON else said
            return Failed("canceled", message, _credits(task.get("cost")))
        case status:
            return unknown(status)


def _finished(output: object, cost: Cost | None) -> Report | None:
    given = output[:_FILES_MAX] if isinstance(output, list) else [output]
    url = next(filter(None, map(web_address, given)), None)
    if url is not None:
        return Finished(url, cost=cost)
    return Failed("content_missing", _NO_FILE, cost) if all(map(absent, given)) else None


def _failed(task: Fields) -> Failed:
    said = failed(task.get("failure"))
    named = text(task.get("failureCode"))
    code = (_code_of_name(named) if named else None) or said.code
    if named is None:
        message = said.message
    elif said.message == NO_REASON:
        message = failed(named).message
    else:
        message = f"{said.message} ({failed(named).message})"
    return Failed(code, message, _credits(task.get("cost")))


def _code_of_name(failure_code: str) -> str | None:
    """Return our code for one of Runway's, such as `SAFETY.INPUT.TEXT`; the SDK lists none."""
    parts = failure_code.upper().split(".")
    if "SAFETY" in parts:  # also INPUT_PREPROCESSING.SAFETY.TEXT
        return "moderation"
    if any("CREDIT" in part for part in parts):
        return "quota"
    if "INTERNAL" in parts:  # also INPUT_PREPROCESSING.INTERNAL: the check itself failed
        return "provider_error"
    if parts[0] in {"INPUT_PREPROCESSING", "ASSET"}:
        return "invalid_request"
    return None


def _accepted(created: Fields) -> Accepted | None:
    provider_job_id = readable_id(created.get("id"))
    if provider_job_id is None:
        return None
    return Accepted(
        provider_job_id,
        report(created) or Progress(running=False),
        quote=_credits(created.get("estimatedCost")),
    )


def _credits(cost: object) -> Cost | None:
    amount = number(cost.get("credits")) if isinstance(cost, dict) else None
    return None if amount is None or amount < 0 else Cost(amount, "credits")


def _task(provider_job_id: str) -> str:
    return f"tasks/{segment(provider_job_id)}"
