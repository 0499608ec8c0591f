"""The OpenAI wire: `/v1/videos` as openai-python 3.54 and OpenAI's API reference describe it.

Built on aiohttp.web; `upstream` says why.
"""

import json
from collections.abc import Mapping

from aiohttp import web

from reelhook.simulator.core import NotFoundError, Simulator
from reelhook.simulator.download import video_download
from reelhook.simulator.fault_injector import (
    CONTENT,
    CREATE,
    FaultInjector,
    SimulatedRefusal,
    json_answer,
)
from reelhook.simulator.job import Phase, SimulatedJob, Variant
from reelhook.simulator.openai_request import MODEL, page_query, video_from
from reelhook.simulator.render_queue import RenderQueue

_ID_PREFIX = "video_"
_NOBODYS = _ID_PREFIX + 32 * "0"
"""An id that is never given: reelhook asks for it to tell what server this is."""
_STATUS = {
    Phase.QUEUED: "queued",
    Phase.RUNNING: "in_progress",
    Phase.COMPLETED: "completed",
    Phase.FAILED: "failed",
}


def refusal_body(refusal: SimulatedRefusal) -> Mapping[str, object]:
    """Return OpenAI's error object."""
    match refusal.status:
        case 429:
            kind = "rate_limit_error"
        case status if status >= 500:
            kind = "server_error"
        case _:
            kind = "invalid_request_error"
    error = {"message": refusal.message, "type": kind}
    return {"error": error | {"param": refusal.param, "code": refusal.code}}


class OpenAIWire:
    """The five requests of the wire; every key is there even when it is null.

    A video lies behind `/content`. A job that names another address has it in `url`, as SGLang's.
    """

    def __init__(self, simulator: Simulator, studio: RenderQueue, upstream: FaultInjector) -> None:
        self._simulator = simulator
        self._studio = studio
        self._upstream = upstream

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, with the version in their paths."""
        handler = self._upstream.handler
        one = "/v1/videos/{id}"
        return [
            web.post("/v1/videos", handler(CREATE, self._create)),
            web.get("/v1/videos", handler("list", self._list), allow_head=False),
            web.get("/v1/models", self._upstream.exempt(self._models), allow_head=False),
            web.get(f"/v1/videos/{{id:{_NOBODYS}}}", self._upstream.exempt(self._get)),
            web.get(one, handler("get", self._get), allow_head=False),
            web.get(f"{one}/content", handler(CONTENT, self._content)),
            web.delete(one, handler("delete", self._delete)),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        video = video_from(await _fields(request))
        job = self._simulator.create(video, id_prefix=_ID_PREFIX)
        self._studio.video_created(video)
        return self._job_answer(job)

    async def _models(self, _request: web.Request) -> web.Response:
        card = {"id": MODEL, "object": "model", "created": 0, "owned_by": "reelhook"}
        return json_answer({"object": "list", "data": [card]})

    async def _list(self, request: web.Request) -> web.Response:
        if not self._simulator.faults.listing:
            raise SimulatedRefusal(405, "Listing is switched off in this simulator.")
        query = page_query(request.query)
        try:
            page = self._simulator.page(
                after=query.after,
                limit=query.limit,
                newest_first=query.newest_first,
                id_prefix=_ID_PREFIX,
            )
        except NotFoundError as error:
            raise SimulatedRefusal(404, f"No such video: {error}", param="after") from error
        videos = [self._video(job) for job in page.jobs]
        return json_answer(
            {
                "object": "list",
                "data": videos,
                "first_id": videos[0]["id"] if videos else None,
                "last_id": videos[-1]["id"] if videos else None,
                "has_more": page.has_more,
            }
        )

    async def _get(self, request: web.Request) -> web.Response:
        return self._job_answer(self._job(request))

    async def _content(self, request: web.Request) -> web.Response:
        try:
            variant = Variant(request.query.get("variant", Variant.VIDEO))
        except ValueError as error:
            known = ", ".join(Variant)
            raise SimulatedRefusal(
                400, f"variant must be one of {known}", param="variant"
            ) from error
        job = self._job(request)
        if not job.content_is_ready(self._simulator.now()):
            raise SimulatedRefusal(404, _why_there_is_no_content(self._simulator.state(job).phase))
        return await video_download(request, self._studio, job.video, variant)

    async def _delete(self, request: web.Request) -> web.Response:
        job = self._job(request)
        self._simulator.delete(job.id)
        return json_answer({"id": job.id, "deleted": True, "object": "video.deleted"})

    def _job(self, request: web.Request) -> SimulatedJob:
        try:
            return self._simulator.get(request.match_info["id"])
        except NotFoundError as error:
            raise SimulatedRefusal(
                404, f"No such video: {error}", code="not_found", param="id"
            ) from error

    def _job_answer(self, job: SimulatedJob) -> web.Response:
        answer = json_answer(self._video(job))
        if hint_seconds := self._simulator.faults.poll_after_seconds:
            answer.headers["openai-poll-after-ms"] = str(round(1000 * hint_seconds))
        return answer

    def _video(self, job: SimulatedJob) -> dict[str, object]:
        state = self._simulator.state(job)
        failure = state.failure
        named = job.foreign_url is not None and state.phase is Phase.COMPLETED
        return {
            **({"url": job.foreign_url} if named else {}),
            "id": job.id,
            "object": "video",
            "model": job.video.model,
            "status": _STATUS[state.phase],
            "progress": state.progress,
            "created_at": int(job.created_at),
            "completed_at": _whole(state.completed_at),
            "expires_at": _whole(state.expires_at),
            "prompt": self._simulator.faults.shown(job.video.prompt),
            "size": f"{job.video.width}x{job.video.height}",
            "seconds": str(job.video.seconds),
            "remixed_from_video_id": None,
            "error": failure and {"code": failure.code, "message": failure.message},
        }


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)


def _why_there_is_no_content(phase: Phase) -> str:
    if phase is Phase.COMPLETED:
        return "The video has expired."
    return f"The video is {_STATUS[phase]}; there is no content."


async def _fields(request: web.Request) -> Mapping[str, object]:
    # Whatever comes as a file is the reference image, which the simulator doesn't look at.
    if request.content_type in {"multipart/form-data", "application/x-www-form-urlencoded"}:
        try:
            form = await request.post()
        except (ValueError, RuntimeError) as error:
            raise SimulatedRefusal(400, f"The form could not be read: {error}") from error
        return {name: value for name, value in form.items() if isinstance(value, str)}
    try:
        fields = json.loads(await request.read())
    except ValueError as error:
        raise SimulatedRefusal(400, f"The body is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise SimulatedRefusal(400, "The body must be a JSON object.")
    return fields
