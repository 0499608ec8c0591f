"""Runway: tasks that create a video from a text or from an image.

Paths and fields as in runwayml-python 5.24 (`resources/tasks.py`, and in `types`:
`task_retrieve_response.py`, `text_to_video_create_response.py`,
`organization_retrieve_response.py`); failure codes from
docs.dev.runwayml.com/errors/task-failures. Runway has no listing and no webhooks.
"""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import ClassVar

from aiohttp import FormData

from reelhook.domain.media import File
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
from reelhook.ports import Capabilities
from reelhook.providers.http.error_mapping import (
    NO_REASON,
    failure_from,
    failure_message,
    not_understood,
)
from reelhook.providers.http.expiring import ExpiringProvider
from reelhook.providers.http.json_fields import (
    Fields,
    absent,
    number,
    percent,
    readable_id,
    text,
    unknown,
    web_address,
)
from reelhook.providers.http.uploading import UploadingProvider
from reelhook.providers.http.uploads import address_in, file_name
from reelhook.providers.runway.models import MODELS
from reelhook.providers.runway.prices import RATES
from reelhook.providers.runway.request import body_of, path_of, refusal_before_sending

VERSION = "2024-11-06"
"""The version of the API (`X-Runway-Version`)."""

_FILES_MAX = 100
"""The number of files of a task that are considered."""
_CANCELED = "The task was canceled or deleted."
_NO_FILE = "The task succeeded, but its output has no file."


class Runway(UploadingProvider, ExpiringProvider):
    """One account at Runway, whose files have addresses for a day or two."""

    name = "runway"
    title = "Runway"
    default_base_url = "https://api.dev.runwayml.com/v1"
    default_path = "/v1"
    jobs_path = "tasks"
    traits = Capabilities(poll_seconds_min=5.0)  # "at most every five seconds" per task
    models = MODELS
    rates = RATES
    inline_max: ClassVar = {"image": 5_000_000, "video": 16_000_000, "audio": 16_000_000}
    """Source: Runway's API documentation, "Inputs". An upload may have 200 MB."""
    file_seconds = 24 * 3600.0
    """Source: Runway's API documentation, "Outputs": URLs expire within 24 to 48 hours."""

    def authorization(self, key: str | None) -> dict[str, str]:
        """Return the headers with the key and the API's version."""
        return {**super().authorization(key), "X-Runway-Version": VERSION}

    # -- submitting ---------------------------------------------------------------------------

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool] = lambda: True,
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """Create a task, exactly once. `callback_url` is not sent: Runway has no webhooks."""
        model = self.model(request.model)
        if refused := refusal_before_sending(request, model):
            return refused
        sent = await self.with_uploads(request)
        if not isinstance(sent, VideoRequest):
            return sent
        return await self.pay(path_of(sent), body_of(sent, model), may_send, _accepted)

    async def upload(self, file: File) -> str:
        """Upload a file for a day (runwayml-python 5.24, `resources/uploads.py`)."""
        name = file_name(file)
        wanted = {"filename": name, "type": "ephemeral"}
        begun = await self.uploader.ask(self.url("uploads"), self.headers, wanted)
        address, fields = address_in(begun, "runwayUri"), begun.get("fields")
        form = FormData()
        for field, value in fields.items() if isinstance(fields, dict) else ():
            form.add_field(str(field), str(value))
        # S3 ignores every field after the file (its documentation, "POST Object").
        form.add_field("file", BytesIO(file.body), filename=name, content_type=file.content_type)
        await self.uploader.send("POST", begun.get("uploadUrl"), {}, form)
        return address

    # -- reading ------------------------------------------------------------------------------

    async def get(self, provider_job_id: str) -> Reading:
        """Read one task."""
        reading = await self.reading(self.job_path(provider_job_id), report)
        return replace(reading, report=self.with_expiry(reading.report))

    async def cancel(self, provider_job_id: str) -> bool:
        """Cancel an unfinished task.

        For a task that has ended, the same request deletes it with its video, although it is paid
        for. So the task is read first.
        """
        match (await self.get(provider_job_id)).report:
            case Progress() | Unknown():
                return await self.canceled("DELETE", self.job_path(provider_job_id))
            case _:
                return False

    async def check(self) -> str:
        """Read the number of credits that are left."""
        response = await self.required("organization")
        credits_left = number(response.fields().get("creditBalance"))
        if credits_left is None:
            raise not_understood(response, "an organization")
        return f"{credits_left:g} credits left"


def report(task: Fields) -> Report | None:
    """Return the report on a task; None without a status, or if its file can't be read."""
    match task.get("status"):
        case "PENDING" | "THROTTLED":
            return Progress(running=False)
        case "RUNNING":
            share = number(task.get("progress"))
            progress = None if share is None else percent(round(100 * share, 6))
            return Progress(running=True, percent=progress)
        case "SUCCEEDED":
            return _finished(task.get("output"), _credits(task.get("cost")))
        case "FAILED":
            return _failed(task)
        case "CANCELLED":
            message = failure_message(task.get("failure"), _CANCELED)
            return Failed("canceled", message, _credits(task.get("cost")))
        case status:
            return unknown(status)


def _finished(output: object, cost: Cost | None) -> Report | None:
    files = output[:_FILES_MAX] if isinstance(output, list) else [output]
    url = next(filter(None, map(web_address, files)), None)
    if url is not None:
        return Finished(url, cost=cost)
    return Failed("content_missing", _NO_FILE, cost) if all(map(absent, files)) else None


def _failed(task: Fields) -> Failed:
    failure = failure_from(task.get("failure"))
    named = text(task.get("failureCode"))
    code = (_code_of_name(named) if named else None) or failure.code
    if named is None:
        message = failure.message
    elif failure.message == NO_REASON:
        message = failure_from(named).message
    else:
        message = f"{failure.message} ({failure_from(named).message})"
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
