"""xAI's wire below `/xai/v1`, as its REST API reference describes it."""

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
from reelhook.simulator.job import Phase, SimulatedJob, VideoSpec
from reelhook.simulator.openai_request import video_from
from reelhook.simulator.render_queue import RenderQueue
from reelhook.simulator.replicate_request import json_object
from reelhook.simulator.sizes import size_of

ROOT = "/xai/v1"
URL_SECONDS = 24 * 3600
TICKS_PER_SECOND = 500_000_000
"""Five cents in units of 1e-10 USD."""
SECONDS_MAX = 15
_MODELS = ("grok-imagine-video", "grok-imagine-video-1.5")
_ID_PREFIX = "xai-"
_CODES = {
    400: "Client specified an invalid argument",
    404: "Some requested entity was not found",
    429: "Some resource has been exhausted",
}
_INTERNAL = "The service encountered an internal error"


def refusal_body(refusal: SimulatedRefusal) -> Mapping[str, object]:
    """Return xAI's error object."""
    return {"code": _CODES.get(refusal.status, _INTERNAL), "error": refusal.message}


class _Upstream(FaultInjector):
    """A wrong key is refused with 400."""

    def refuse(self, refusal: SimulatedRefusal) -> web.Response:
        if refusal.status == 401:
            words = "Incorrect API key provided. You can obtain one from https://console.x.ai."
            refusal = SimulatedRefusal(400, words)
        return super().refuse(refusal)


class XAIWire:
    """Video requests: create and get; the models and the files."""

    def __init__(self, simulator: Simulator, studio: RenderQueue, api_key: str | None) -> None:
        self._simulator = simulator
        self._studio = studio
        self._upstream = _Upstream(simulator, refusal_body=refusal_body, api_key=api_key)
        self._files = FaultInjector(simulator, refusal_body=refusal_body, api_key=None)

    def mount(self, app: web.Application) -> None:
        """Add the routes, with their prefix."""
        handler = self._upstream.handler
        app.add_routes(
            [
                web.post(f"{ROOT}/videos/generations", handler(CREATE, self._create)),
                web.get(ROOT + "/videos/{id}", handler("get", self._get), allow_head=False),
                web.get(f"{ROOT}/video-generation-models", self._upstream.exempt(self._models)),
                web.get("/xai/files/{id}/video.mp4", self._files.handler(CONTENT, self._file)),
            ]
        )

    async def _create(self, request: web.Request) -> web.Response:
        video = _video(await json_object(request))
        job = self._simulator.create(video, id_prefix=_ID_PREFIX)
        self._studio.video_created(video)
        return json_answer({"request_id": job.id})

    async def _get(self, request: web.Request) -> web.Response:
        job = self._job(request)
        state = self._simulator.state(job)
        match state.phase:
            case Phase.COMPLETED:
                url = request.url.origin().with_path(f"/xai/files/{job.id}/video.mp4")
                return _done(job, job.file_url(url), job.video.seconds, respects=True)
            case Phase.FAILED:
                return _done(job, "", 0, respects=False)
            case _:
                return json_answer({"status": "pending", "progress": state.progress}, 202)

    async def _models(self, _request: web.Request) -> web.Response:
        models = [
            {
                "id": one,
                "object": "model",
                "created": 1_769_558_400,
                "owned_by": "xai",
                "input_modalities": ["text", "image"],
                "output_modalities": ["video"],
            }
            for one in _MODELS
        ]
        return json_answer({"models": models})

    async def _file(self, request: web.Request) -> web.Response:
        job = self._job(request)
        ended_at = self._simulator.state(job).completed_at
        if ended_at is None or self._simulator.now() >= ended_at + URL_SECONDS:
            raise SimulatedRefusal(404, "No such file.")
        return await video_download(request, self._studio, job.video)

    def _job(self, request: web.Request) -> SimulatedJob:
        one = request.match_info["id"]
        try:
            if one.startswith(_ID_PREFIX):
                return self._simulator.get(one)
        except NotFoundError:
            pass
        raise SimulatedRefusal(404, "The requested video was not found.")


def _done(job: SimulatedJob, url: str, seconds: int, *, respects: bool) -> web.Response:
    """Answer that a request is done; a video that was filtered is paid for too."""
    return json_answer(
        {
            "status": "done",
            "video": {"url": url, "duration": seconds, "respect_moderation": respects},
            "model": job.video.model,
            "usage": {"cost_in_usd_ticks": TICKS_PER_SECOND * job.video.seconds},
            "progress": 100,
        }
    )


def _video(fields: Mapping[str, object]) -> VideoSpec:
    given = {name: one for name, one in fields.items() if one is not None}
    size = size_of(given.get("aspect_ratio", "16:9"), given.get("resolution", "480p"))
    if size is None:
        raise SimulatedRefusal(400, "aspect_ratio or resolution is invalid.")
    seconds = given.get("duration", 8)
    if not isinstance(seconds, int) or not 1 <= seconds <= SECONDS_MAX:
        raise SimulatedRefusal(400, f"duration must be between 1 and {SECONDS_MAX} seconds.")
    model = given.get("model", _MODELS[0])
    return video_from(
        {"prompt": given.get("prompt"), "model": model, "seconds": seconds, "size": size}
    )
