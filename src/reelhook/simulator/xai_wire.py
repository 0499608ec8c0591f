"""xAI's wire below `/xai/v1`, as its REST API reference describes it."""

from collections.abc import Mapping

from aiohttp import web

from reelhook.simulator.fault_injector import (
    CREATE,
    FaultInjector,
    SimulatedRefusal,
    json_response,
)
from reelhook.simulator.job import Phase, SimulatedJob, VideoSpec
from reelhook.simulator.requests import json_object, size_of, video_from
from reelhook.simulator.wire import Wire

ROOT = "/xai/v1"
TICKS_PER_SECOND = 500_000_000
"""Five cents in units of 1e-10 USD."""
SECONDS_MAX = 15
REFERENCES_MAX = 7
_MODELS = ("grok-imagine-video", "grok-imagine-video-1.5")
_CODES = {
    400: "Client specified an invalid argument",
    404: "Some requested entity was not found",
    429: "Some resource has been exhausted",
}
_INTERNAL = "The service encountered an internal error"


def refusal_body(refusal: SimulatedRefusal) -> Mapping[str, object]:
    """Return xAI's error object."""
    return {"code": _CODES.get(refusal.status, _INTERNAL), "error": refusal.message}


class _XAIFaults(FaultInjector):
    """Refuses a wrong key with 400."""

    def refuse(self, refusal: SimulatedRefusal) -> web.Response:
        if refusal.status == 401:
            message = "Incorrect API key provided. You can obtain one from https://console.x.ai."
            refusal = SimulatedRefusal(400, message)
        return super().refuse(refusal)


class XAIWire(Wire):
    """Video requests: create and get; the models and the files."""

    id_prefix = "xai-"
    job_missing = "The requested video was not found."
    file_path = "/xai/files/{id}/video.mp4"

    def _injector(self, api_key: str | None) -> FaultInjector:
        return _XAIFaults(self._simulator, refusal_body=refusal_body, api_key=api_key)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, with their full paths."""
        handler = self.injector.handler
        return [
            web.post(f"{ROOT}/videos/generations", handler(CREATE, self._create)),
            web.get(ROOT + "/videos/{id}", handler("get", self._get), allow_head=False),
            web.get(f"{ROOT}/video-generation-models", self.injector.exempt(self._models)),
            self._file_route(),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        video = _video(await json_object(request))
        job = self._create_job(video)
        return json_response({"request_id": job.id})

    async def _get(self, request: web.Request) -> web.Response:
        job = self._job(request)
        state = self._simulator.state(job)
        match state.phase:
            case Phase.COMPLETED:
                url = job.file_url(self._file_url(job, request))
                return _done(job, url, job.video.seconds, respects=True)
            case Phase.FAILED:
                return _done(job, "", 0, respects=False)
            case _:
                return json_response({"status": "pending", "progress": state.progress}, 202)

    async def _models(self, _request: web.Request) -> web.Response:
        models = [
            {
                "id": model,
                "object": "model",
                "created": 1_769_558_400,
                "owned_by": "xai",
                "input_modalities": ["text", "image"],
                "output_modalities": ["video"],
            }
            for model in _MODELS
        ]
        return json_response({"models": models})


def _done(job: SimulatedJob, url: str, seconds: int, *, respects: bool) -> web.Response:
    """Return a request that is done; a filtered video is charged too."""
    return json_response(
        {
            "status": "done",
            "video": {"url": url, "duration": seconds, "respect_moderation": respects},
            "model": job.video.model,
            "usage": {"cost_in_usd_ticks": TICKS_PER_SECOND * job.video.seconds},
            "progress": 100,
        }
    )


def _video(fields: Mapping[str, object]) -> VideoSpec:
    present = {name: value for name, value in fields.items() if value is not None}
    size = size_of(present.get("aspect_ratio", "16:9"), present.get("resolution", "480p"))
    if size is None:
        raise SimulatedRefusal(400, "aspect_ratio or resolution is invalid.")
    seconds = present.get("duration", 8)
    if not isinstance(seconds, int) or not 1 <= seconds <= SECONDS_MAX:
        raise SimulatedRefusal(400, f"duration must be between 1 and {SECONDS_MAX} seconds.")
    model = present.get("model", _MODELS[0])
    _check_files(present, model)
    return video_from(
        {"prompt": present.get("prompt"), "model": model, "seconds": seconds, "size": size}
    )


def _check_files(fields: Mapping[str, object], model: object) -> None:
    """Refuse frames and references as xAI's SDK describes them."""
    references = fields.get("reference_images", [])
    if not isinstance(references, list) or len(references) > REFERENCES_MAX:
        raise SimulatedRefusal(400, f"reference_images must have at most {REFERENCES_MAX} images.")
    files = [fields[name] for name in ("image", "last_frame") if name in fields]
    if not all(
        isinstance(file, Mapping) and isinstance(file.get("url"), str)
        for file in [*files, *references]
    ):
        raise SimulatedRefusal(400, "An image must be an object with its url.")
    if not isinstance(fields.get("generate_audio", True), bool):
        raise SimulatedRefusal(400, "generate_audio must be a boolean.")
    if model == _MODELS[0] and ("last_frame" in fields or (references and "image" in fields)):
        raise SimulatedRefusal(400, f"last_frame is only supported for {_MODELS[1]}.")
