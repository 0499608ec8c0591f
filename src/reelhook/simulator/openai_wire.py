"""The OpenAI wire: `/v1/videos` as openai-python 3.54 and OpenAI's API reference describe it."""

from collections.abc import Mapping

from aiohttp import web

from reelhook.simulator.core import UnknownJobError
from reelhook.simulator.download import video_download
from reelhook.simulator.fault_injector import (
    CONTENT,
    CREATE,
    FaultInjector,
    SimulatedRefusal,
    json_response,
)
from reelhook.simulator.job import Phase, SimulatedJob, Variant
from reelhook.simulator.openai_request import page_query
from reelhook.simulator.requests import MODEL, json_object, video_from
from reelhook.simulator.wire import Wire

_UNUSED_ID = "video_" + 32 * "0"
"""An id that no job has: reelhook reads it to find out which server this is."""
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


class OpenAIWire(Wire):
    """The six requests of the wire; every key is present, even if its value is null.

    `/content` serves the video. A job with a file elsewhere has its address in `url`, like SGLang.
    """

    id_prefix = "video_"

    def _injector(self, api_key: str | None) -> FaultInjector:
        return FaultInjector(self._simulator, refusal_body=refusal_body, api_key=api_key)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, with the version in their paths."""
        handler = self.injector.handler
        path = "/v1/videos/{id}"
        return [
            web.post("/v1/videos", handler(CREATE, self._create)),
            web.post(f"{path}/remix", handler(CREATE, self._remix)),
            web.get("/v1/videos", handler("list", self._list), allow_head=False),
            web.get("/v1/models", self.injector.exempt(self._models), allow_head=False),
            web.get(f"/v1/videos/{{id:{_UNUSED_ID}}}", self.injector.exempt(self._get)),
            web.get(path, handler("get", self._get), allow_head=False),
            web.get(f"{path}/content", handler(CONTENT, self._content)),
            web.delete(path, handler("delete", self._delete)),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        return self._job_response(self._create_job(video_from(await _fields(request))))

    async def _remix(self, request: web.Request) -> web.Response:
        source = self._job(request)
        if not source.content_is_ready(self._simulator.now()):
            message = _why_there_is_no_content(self._simulator.state(source).phase)
            raise SimulatedRefusal(400, message, code="video_not_ready", param="id")
        prompt = (await json_object(request)).get("prompt")
        wanted = {"prompt": prompt, "model": source.video.model, "seconds": source.video.seconds}
        size = f"{source.video.width}x{source.video.height}"
        video = video_from({**wanted, "size": size})
        shown = {"remixed_from_video_id": source.id}
        return self._job_response(self._create_job(video, shown))

    async def _models(self, _request: web.Request) -> web.Response:
        card = {"id": MODEL, "object": "model", "created": 0, "owned_by": "reelhook"}
        return json_response({"object": "list", "data": [card]})

    async def _list(self, request: web.Request) -> web.Response:
        if not self._simulator.faults.listing:
            raise SimulatedRefusal(405, "Listing is switched off in this simulator.")
        query = page_query(request.query)
        try:
            page = self._simulator.page(
                after=query.after,
                limit=query.limit,
                newest_first=query.newest_first,
                id_prefix=self.id_prefix,
            )
        except UnknownJobError as error:
            raise SimulatedRefusal(404, f"No such video: {error}", param="after") from error
        videos = [self._video(job) for job in page.jobs]
        return json_response(
            {
                "object": "list",
                "data": videos,
                "first_id": videos[0]["id"] if videos else None,
                "last_id": videos[-1]["id"] if videos else None,
                "has_more": page.has_more,
            }
        )

    async def _get(self, request: web.Request) -> web.Response:
        return self._job_response(self._job(request))

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
        return await video_download(request, self._queue, job.video, variant)

    async def _delete(self, request: web.Request) -> web.Response:
        job = self._job(request)
        self._simulator.delete(job.id)
        return json_response({"id": job.id, "deleted": True, "object": "video.deleted"})

    def _job(self, request: web.Request) -> SimulatedJob:
        """Return the job that the path names, or raise the refusal."""
        try:
            return self._simulator.get(request.match_info["id"])
        except UnknownJobError as error:
            raise SimulatedRefusal(
                404, f"No such video: {error}", code="not_found", param="id"
            ) from error

    def _job_response(self, job: SimulatedJob) -> web.Response:
        response = json_response(self._video(job))
        if hint_seconds := self._simulator.faults.poll_after_seconds:
            response.headers["openai-poll-after-ms"] = str(round(1000 * hint_seconds))
        return response

    def _video(self, job: SimulatedJob) -> dict[str, object]:
        state = self._simulator.state(job)
        failure = state.failure
        elsewhere = job.foreign_url is not None and state.phase is Phase.COMPLETED
        return {
            **({"url": job.foreign_url} if elsewhere else {}),
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
            "remixed_from_video_id": job.shown.get("remixed_from_video_id"),
            "error": failure and {"code": failure.code, "message": failure.message},
        }


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)


def _why_there_is_no_content(phase: Phase) -> str:
    if phase is Phase.COMPLETED:
        return "The video has expired."
    return f"The video is {_STATUS[phase]}; there is no content."


async def _fields(request: web.Request) -> Mapping[str, object]:
    # A file is the reference image, which the simulator ignores.
    if request.content_type in {"multipart/form-data", "application/x-www-form-urlencoded"}:
        try:
            form = await request.post()
        except (ValueError, RuntimeError) as error:
            raise SimulatedRefusal(400, f"The form could not be read: {error}") from error
        return {name: value for name, value in form.items() if isinstance(value, str)}
    return await json_object(request)
