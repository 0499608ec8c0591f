"""Ark's wire below `/ark/api/v3`, as volcengine-ark-runtime 5.0.54 speaks it.

What it says in words, and that the listing shows the last 7 days of one tier, as in the API
reference of ModelArk and Volcengine.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from aiohttp import web

from reelhook.simulator.ark_request import ArkRequest, ListQuery, asked_by, list_query
from reelhook.simulator.callbacks import CallbackSender, Message
from reelhook.simulator.core import JOBS_MAX, NotFoundError, Simulator
from reelhook.simulator.download import video_download
from reelhook.simulator.fault_injector import (
    CONTENT,
    CREATE,
    FaultInjector,
    SimulatedRefusal,
    json_answer,
)
from reelhook.simulator.job import Phase, SimulatedJob
from reelhook.simulator.render_queue import RenderQueue

ROOT = "/ark/api/v3/contents/generations/tasks"
VIDEO_SECONDS = 24 * 3600
LISTED_SECONDS = 7 * 24 * 3600
TOKENS_PER_SECOND = 21_780

_CANCELLED = "cancelled"
_STATUS = {
    Phase.QUEUED: "queued",
    Phase.RUNNING: "running",
    Phase.COMPLETED: "succeeded",
    Phase.FAILED: "failed",
}
_ID_PREFIX = "cgt-"
_ERRORS = {  # by HTTP status: code and type
    400: ("InvalidParameter", "BadRequest"),
    401: ("AuthenticationError", "Unauthorized"),
    404: ("NotFound", "NotFound"),
    409: ("InvalidAction.RunningTaskDeletion", "Conflict"),
    429: ("AccountRateLimitExceeded", "TooManyRequests"),
}
_MODERATED = {
    "code": "OutputVideoSensitiveContentDetected",
    "message": "The request failed because the output video may contain sensitive information.",
}


def refusal_body(refusal: SimulatedRefusal) -> Mapping[str, object]:
    """Return Ark's error object."""
    code, kind = _ERRORS.get(refusal.status, ("InternalServiceError", "InternalServerError"))
    given = refusal.code if refusal.status == 400 and refusal.param else None
    error = {"code": given or code, "message": refusal.message, "param": refusal.param or ""}
    return {"error": error | {"type": kind}}


@dataclass(slots=True)
class _Task:
    asked: ArkRequest
    job: SimulatedJob
    cancelled_at: float | None = None


class ArkWire:
    """Tasks: create, get, list, cancel or delete; callbacks, and the files."""

    def __init__(self, simulator: Simulator, studio: RenderQueue, api_key: str | None) -> None:
        self._simulator = simulator
        self._studio = studio
        self._upstream = FaultInjector(simulator, refusal_body=refusal_body, api_key=api_key)
        self._files = FaultInjector(simulator, refusal_body=refusal_body, api_key=None)
        self._callbacks = CallbackSender()
        self._tasks: dict[str, _Task] = {}

    def mount(self, app: web.Application) -> None:
        """Add the routes, with their prefix."""
        handler = self._upstream.handler
        one = ROOT + "/{id}"
        app.add_routes(
            [
                web.post(ROOT, handler(CREATE, self._create)),
                web.get(ROOT, handler("list", self._list), allow_head=False),
                web.get(one, handler("get", self._get), allow_head=False),
                web.delete(one, handler("delete", self._delete)),
                web.get("/ark/files/{id}/video.mp4", self._files.handler(CONTENT, self._file)),
            ]
        )
        app.cleanup_ctx.append(self._callbacks.running)

    # -- requests -----------------------------------------------------------------------------

    async def _create(self, request: web.Request) -> web.Response:
        asked = await asked_by(request)
        job = self._simulator.create(asked.video, id_prefix=_ID_PREFIX)
        task = self._tasks[job.id] = _Task(asked, job)
        self._forget()
        self._studio.video_created(asked.video)
        if asked.callback_url is not None:
            self._call(asked.callback_url, task, request)
        return json_answer({"id": job.id})

    async def _get(self, request: web.Request) -> web.Response:
        return json_answer(self._shown(self._task(request), request))

    async def _list(self, request: web.Request) -> web.Response:
        if not self._simulator.faults.listing:
            raise SimulatedRefusal(404, "Listing is switched off in this simulator.")
        query = list_query(request.query)
        found = list(self._found(query))
        start = (query.page_num - 1) * query.page_size
        page = islice(found, start, start + query.page_size)
        items = [self._shown(task, request) for task in page]
        return json_answer({"total": len(found), "items": items})

    async def _delete(self, request: web.Request) -> web.Response:
        task = self._task(request)
        match self._status(task):
            case "queued":
                task.cancelled_at = self._simulator.now()
            case "running":
                raise SimulatedRefusal(409, "Cannot delete task because it is currently running.")
            case "cancelled":
                raise SimulatedRefusal(409, "Cannot delete task because it is cancelled.")
            case _:
                self._simulator.delete(task.job.id)
        return json_answer({})

    async def _file(self, request: web.Request) -> web.Response:
        task = self._task(request)
        ended_at = self._simulator.state(task.job).completed_at
        if ended_at is None or self._simulator.now() >= ended_at + VIDEO_SECONDS:
            raise SimulatedRefusal(404, "The specified key does not exist.")
        return await video_download(request, self._studio, task.asked.video)

    # -- tasks --------------------------------------------------------------------------------

    def _task(self, request: web.Request) -> _Task:
        try:
            return self._tasks[self._simulator.get(request.match_info["id"]).id]
        except (NotFoundError, KeyError):
            raise SimulatedRefusal(404, "The specified task is not found.") from None

    def _found(self, query: ListQuery) -> Iterator[_Task]:
        """Return the tasks that a listing shows, newest first."""
        oldest = self._simulator.now() - LISTED_SECONDS
        for one, task in reversed(self._tasks.items()):
            wanted = (
                one in self._simulator.jobs
                and task.job.created_at >= oldest
                and task.asked.tier == query.tier
                and query.status in {None, self._status(task)}
                and query.model in {None, task.asked.video.model}
                and (not query.ids or one in query.ids)
            )
            if wanted:
                yield task

    def _status(self, task: _Task) -> str:
        if task.cancelled_at is not None:
            return _CANCELLED
        return _STATUS[self._simulator.state(task.job).phase]

    def _shown(self, task: _Task, request: web.Request) -> dict[str, object]:
        job, video, status = task.job, task.asked.video, self._status(task)
        tokens = TOKENS_PER_SECOND * video.seconds
        fields: dict[str, object] = {
            "id": job.id,
            "model": video.model,
            "status": status,
            "created_at": int(job.created_at),
            "updated_at": int(self._updated_at(task)),
            "service_tier": task.asked.tier,
            "execution_expires_after": 172_800,
        }
        match status:
            case "succeeded":
                url = request.url.origin().with_path(f"/ark/files/{job.id}/video.mp4")
                return fields | {
                    "content": {"video_url": job.file_url(url)},
                    "usage": {"completion_tokens": tokens, "total_tokens": tokens},
                    "seed": task.asked.seed,
                    "resolution": task.asked.resolution,
                    "ratio": task.asked.ratio,
                    "duration": video.seconds,
                    "framespersecond": 24,
                }
            case "failed":
                return fields | {"error": _MODERATED}
            case _:
                return fields

    def _updated_at(self, task: _Task) -> float:
        job, now = task.job, self._simulator.now()
        if task.cancelled_at is not None:
            return task.cancelled_at
        moments = (job.created_at, job.created_at + job.queue_seconds, job.ends_at)
        return max(moment for moment in moments if moment <= max(now, job.created_at))

    def _forget(self) -> None:
        if len(self._tasks) > 2 * JOBS_MAX:
            known = self._simulator.jobs
            self._tasks = {one: task for one, task in self._tasks.items() if one in known}

    # -- callbacks ----------------------------------------------------------------------------

    def _call(self, url: str, task: _Task, request: web.Request) -> None:
        def phase() -> Phase:
            # What is cancelled has ended too.
            cancelled = task.cancelled_at is not None
            return Phase.FAILED if cancelled else self._simulator.state(task.job).phase

        def message(_phase: Phase) -> Message:
            return json.dumps(self._shown(task, request)).encode(), {}

        self._callbacks.watch(url, phase, message)
