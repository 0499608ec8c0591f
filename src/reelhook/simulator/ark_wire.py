"""Ark's wire below `/ark/api/v3`, as volcengine-ark-runtime 5.0.54 uses it.

Messages follow the API reference of ModelArk and Volcengine, and so does the listing, which shows
the last 7 days of one tier.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from aiohttp import web

from reelhook.simulator.ark_request import ArkRequest, ListQuery, list_query, request_from
from reelhook.simulator.callbacks import Message
from reelhook.simulator.core import JOBS_MAX, Simulator
from reelhook.simulator.fault_injector import (
    CREATE,
    FaultInjector,
    SimulatedRefusal,
    json_response,
)
from reelhook.simulator.job import Phase, SimulatedJob
from reelhook.simulator.render_queue import RenderQueue
from reelhook.simulator.wire import Wire

ROOT = "/ark/api/v3/contents/generations/tasks"
LISTED_SECONDS = 7 * 24 * 3600
TOKENS_PER_SECOND = 21_780

_CANCELLED = "cancelled"
_STATUS = {
    Phase.QUEUED: "queued",
    Phase.RUNNING: "running",
    Phase.COMPLETED: "succeeded",
    Phase.FAILED: "failed",
}
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
    own_code = refusal.code if refusal.status == 400 and refusal.param else None
    error = {"code": own_code or code, "message": refusal.message, "param": refusal.param or ""}
    return {"error": error | {"type": kind}}


@dataclass(slots=True)
class _Task:
    request: ArkRequest
    job: SimulatedJob
    cancelled_at: float | None = None


class ArkWire(Wire):
    """Tasks: create, get, list, cancel or delete; callbacks, and the files."""

    id_prefix = "cgt-"
    job_missing = "The specified task is not found."
    file_missing = "The specified key does not exist."
    file_path = "/ark/files/{id}/video.mp4"

    def __init__(self, simulator: Simulator, queue: RenderQueue, api_key: str | None) -> None:
        super().__init__(simulator, queue, api_key)
        self._tasks: dict[str, _Task] = {}

    def _injector(self, api_key: str | None) -> FaultInjector:
        return FaultInjector(self._simulator, refusal_body=refusal_body, api_key=api_key)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, with their full paths."""
        handler = self.injector.handler
        task = ROOT + "/{id}"
        return [
            web.post(ROOT, handler(CREATE, self._create)),
            web.get(ROOT, handler("list", self._list), allow_head=False),
            web.get(task, handler("get", self._get), allow_head=False),
            web.delete(task, handler("delete", self._delete)),
            self._file_route(),
        ]

    # -- requests -----------------------------------------------------------------------------

    async def _create(self, request: web.Request) -> web.Response:
        created = await request_from(request)
        job = self._create_job(created.video)
        task = self._tasks[job.id] = _Task(created, job)
        self._forget()
        if created.callback_url is not None:
            self._call(created.callback_url, task, request)
        return json_response({"id": job.id})

    async def _get(self, request: web.Request) -> web.Response:
        return json_response(self._shown(self._task(request), request))

    async def _list(self, request: web.Request) -> web.Response:
        if not self._simulator.faults.listing:
            raise SimulatedRefusal(404, "Listing is switched off in this simulator.")
        query = list_query(request.query)
        found = list(self._found(query))
        start = (query.page_num - 1) * query.page_size
        page = islice(found, start, start + query.page_size)
        items = [self._shown(task, request) for task in page]
        return json_response({"total": len(found), "items": items})

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
        return json_response({})

    # -- tasks --------------------------------------------------------------------------------

    def _task(self, request: web.Request) -> _Task:
        return self._tasks[self._job(request).id]

    def _found(self, query: ListQuery) -> Iterator[_Task]:
        """Yield the tasks that a listing shows, newest first."""
        oldest = self._simulator.now() - LISTED_SECONDS
        for task_id, task in reversed(self._tasks.items()):
            wanted = (
                task_id in self._simulator.jobs
                and task.job.created_at >= oldest
                and task.request.tier == query.tier
                and query.status in {None, self._status(task)}
                and query.model in {None, task.request.video.model}
                and (not query.ids or task_id in query.ids)
            )
            if wanted:
                yield task

    def _status(self, task: _Task) -> str:
        if task.cancelled_at is not None:
            return _CANCELLED
        return _STATUS[self._simulator.state(task.job).phase]

    def _shown(self, task: _Task, request: web.Request) -> dict[str, object]:
        job, video, status = task.job, task.request.video, self._status(task)
        tokens = TOKENS_PER_SECOND * video.seconds
        fields: dict[str, object] = {
            "id": job.id,
            "model": video.model,
            "status": status,
            "created_at": int(job.created_at),
            "updated_at": int(self._updated_at(task)),
            "service_tier": task.request.tier,
            "execution_expires_after": 172_800,
        }
        match status:
            case "succeeded":
                url = self._file_url(job, request)
                return fields | {
                    "content": {"video_url": job.file_url(url)},
                    "usage": {"completion_tokens": tokens, "total_tokens": tokens},
                    "seed": task.request.seed,
                    "resolution": task.request.resolution,
                    "ratio": task.request.ratio,
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
        times = (job.created_at, job.created_at + job.queue_seconds, job.ends_at)
        return max(at for at in times if at <= max(now, job.created_at))

    def _forget(self) -> None:
        if len(self._tasks) > 2 * JOBS_MAX:
            known = self._simulator.jobs
            self._tasks = {id_: task for id_, task in self._tasks.items() if id_ in known}

    # -- callbacks ----------------------------------------------------------------------------

    def _call(self, url: str, task: _Task, request: web.Request) -> None:
        def phase() -> Phase:
            # A cancelled task has ended too.
            cancelled = task.cancelled_at is not None
            return Phase.FAILED if cancelled else self._simulator.state(task.job).phase

        def message(_phase: Phase) -> Message:
            return json.dumps(self._shown(task, request)).encode(), {}

        self._callbacks.watch(url, phase, message)
