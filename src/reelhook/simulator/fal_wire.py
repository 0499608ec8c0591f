"""fal's wire below `/fal`, as fal-client 1.0.3 uses it: apps behind a queue, and webhooks."""

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import partial

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from reelhook.simulator.callbacks import Message
from reelhook.simulator.core import Simulator
from reelhook.simulator.fault_injector import (
    CREATE,
    UPLOAD,
    FaultInjector,
    SimulatedRefusal,
    json_response,
)
from reelhook.simulator.field_types import first_wrong, is_flag, is_text, is_texts
from reelhook.simulator.job import Phase, SimulatedJob, VideoSpec
from reelhook.simulator.render_queue import RenderQueue
from reelhook.simulator.requests import json_object, size_of, video_from
from reelhook.simulator.wire import Wire

ROOT = "/fal"
_UPLOADS = "/fal-uploads"
_STATUS = {
    Phase.QUEUED: "IN_QUEUE",
    Phase.RUNNING: "IN_PROGRESS",
    Phase.COMPLETED: "COMPLETED",
    Phase.FAILED: "COMPLETED",
}
_USER = "simulated"
_FIELDS = {
    **dict.fromkeys(("image_url", "start_image_url", "first_frame_url"), is_text),
    **dict.fromkeys(("end_image_url", "tail_image_url", "last_frame_url"), is_text),
    **dict.fromkeys(("image_urls", "video_urls", "audio_urls"), is_texts),
    "negative_prompt": is_text,
    "generate_audio": is_flag,
    "resolution": is_text,
}
"""Arguments of fal's video apps (fal.ai/docs/model-api-reference). Each app has some of them."""
_DRAWN = {"360p": "480p", "540p": "480p", "580p": "480p", "768p": "720p", "4k": "1080p"}
"""Resolutions of apps, drawn in one that the simulator has."""


def refusal_body(refusal: SimulatedRefusal) -> Mapping[str, object]:
    """Return fal's error object."""
    return {"detail": refusal.message}


class FalWire(Wire):
    """Requests: submit, status, result, cancel; uploads, the keys of webhooks, and the files."""

    id_prefix = "fal-"
    job_missing = "Request not found"
    file_path = "/fal-files/{id}/video.mp4"

    def __init__(self, simulator: Simulator, queue: RenderQueue, api_key: str | None) -> None:
        super().__init__(simulator, queue, api_key)
        self._key = Ed25519PrivateKey.from_private_bytes(simulator.random.randbytes(32))

    def _injector(self, api_key: str | None) -> FaultInjector:
        return FaultInjector(
            self._simulator, refusal_body=refusal_body, api_key=api_key, scheme="Key"
        )

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, with their full paths."""
        handler = self.injector.handler
        path = ROOT + r"/{app:.+}/requests/{id}"
        return [
            self._file_route(),
            web.get("/.well-known/jwks.json", self._files.exempt(self._keys)),
            web.get(f"{path}/status", handler("get", self._status), allow_head=False),
            web.put(f"{path}/cancel", handler("delete", self._cancel)),
            web.get(path, handler("get", self._result), allow_head=False),
            web.post("/storage/upload/initiate", handler(UPLOAD, self._begin_upload)),
            web.put(_UPLOADS + "/{id}", self._files.handler(UPLOAD, self._upload)),
            web.post(ROOT + "/{app:.+}", handler(CREATE, self._submit)),
        ]

    async def _submit(self, request: web.Request) -> web.Response:
        fields = await json_object(request)
        self._check_uploads(fields, f"{request.url.origin()}{_UPLOADS}/", 422)
        video = _video(fields, request.match_info["app"])
        job = self._create_job(video)
        if hook := request.query.get("fal_webhook"):
            self._callbacks.watch(hook, partial(self._phase, job), partial(self._message, job))
        app = "/".join(request.match_info["app"].split("/")[:2])
        base = request.url.origin().with_path(f"{ROOT}/{app}/requests/{job.id}")
        return json_response(
            {
                "status": "IN_QUEUE",
                "request_id": job.id,
                "gateway_request_id": job.id,
                "response_url": str(base),
                "status_url": f"{base}/status",
                "cancel_url": f"{base}/cancel",
                "queue_position": 0,
            }
        )

    async def _begin_upload(self, request: web.Request) -> web.Response:
        fields = await json_object(request)
        if not is_text(fields.get("content_type")) or not is_text(fields.get("file_name")):
            raise SimulatedRefusal(422, "file_name and content_type are required")
        address = f"{request.url.origin()}{_UPLOADS}/{self._upload_id()}"
        self._uploads.expect(address)
        return json_response({"upload_url": f"{address}?signature=simulated", "file_url": address})

    async def _upload(self, request: web.Request) -> web.Response:
        address = str(request.url.with_query(None))
        self._keep_upload(address, request.content_type, await request.read())
        return web.Response()

    async def _status(self, request: web.Request) -> web.Response:
        job = self._job(request)
        phase = self._phase(job)
        body: dict[str, object] = {
            "status": _STATUS[phase],
            "request_id": job.id,
            "response_url": str(request.url.with_path(request.path.removesuffix("/status"))),
            "logs": None,
        }
        if phase is Phase.QUEUED:
            body["queue_position"] = 0
        if _STATUS[phase] == "COMPLETED":
            body["metrics"] = {"inference_time": float(job.video.seconds)}
        return json_response(body, 200 if _STATUS[phase] == "COMPLETED" else 202)

    async def _result(self, request: web.Request) -> web.Response:
        job = self._job(request)
        match self._phase(job):
            case Phase.COMPLETED:
                return json_response(self._output(job, request))
            case Phase.FAILED:
                problem = {
                    "loc": ["body", "prompt"],
                    "msg": "The content could not be processed because of its content policy.",
                    "type": "content_policy_violation",
                }
                return json_response({"detail": [problem]}, 422)
            case _:
                raise SimulatedRefusal(400, "Request is still in progress")

    async def _cancel(self, request: web.Request) -> web.Response:
        job = self._job(request)
        if self._phase(job) in {Phase.COMPLETED, Phase.FAILED}:
            return json_response({"status": "ALREADY_COMPLETED"}, 400)
        self._simulator.delete(job.id)
        return json_response({"status": "CANCELLATION_REQUESTED"}, 202)

    async def _keys(self, _request: web.Request) -> web.Response:
        x = urlsafe_b64encode(self._key.public_key().public_bytes_raw()).decode().rstrip("=")
        return json_response({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]})

    def _message(self, job: SimulatedJob, phase: Phase) -> Message | None:
        if phase not in {Phase.COMPLETED, Phase.FAILED}:
            return None
        body = json.dumps(
            {
                "request_id": job.id,
                "gateway_request_id": job.id,
                "status": "OK" if phase is Phase.COMPLETED else "ERROR",
                "payload": {},
            }
        ).encode()
        timestamp = str(int(self._simulator.now()))
        digest = hashlib.sha256(body).hexdigest()
        signed = "\n".join((job.id, _USER, timestamp, digest)).encode()
        return body, {
            "X-Fal-Webhook-Request-Id": job.id,
            "X-Fal-Webhook-User-Id": _USER,
            "X-Fal-Webhook-Timestamp": timestamp,
            "X-Fal-Webhook-Signature": self._key.sign(signed).hex(),
        }

    def _output(self, job: SimulatedJob, request: web.Request) -> dict[str, object]:
        return {
            "video": {
                "url": job.file_url(self._file_url(job, request)),
                "content_type": "video/mp4",
                "file_name": "video.mp4",
            }
        }

    def _phase(self, job: SimulatedJob) -> Phase:
        return self._simulator.state(job).phase


def _video(fields: Mapping[str, object], app: str) -> VideoSpec:
    if wrong := first_wrong(fields, _FIELDS):
        raise SimulatedRefusal(422, f"{wrong} has a wrong type")
    resolution = str(fields.get("resolution") or "720p")
    size = size_of(fields.get("aspect_ratio") or "16:9", _DRAWN.get(resolution, resolution))
    if size is None:
        raise SimulatedRefusal(422, "aspect_ratio or resolution is invalid")
    seconds = str(fields.get("duration") or "5").removesuffix("s")
    video = {"prompt": fields.get("prompt"), "model": app, "seconds": seconds, "size": size}
    try:
        return video_from(video)
    except SimulatedRefusal as refusal:
        raise SimulatedRefusal(422, refusal.message) from refusal
