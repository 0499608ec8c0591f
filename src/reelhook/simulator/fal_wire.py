"""fal's wire below `/fal`, as fal-client 1.0.3 speaks it: apps behind a queue, and webhooks."""

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import partial

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from reelhook.simulator.callbacks import CallbackSender, Message
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

ROOT = "/fal"
URL_SECONDS = 24 * 3600
_ID_PREFIX = "fal-"
_STATUS = {
    Phase.QUEUED: "IN_QUEUE",
    Phase.RUNNING: "IN_PROGRESS",
    Phase.COMPLETED: "COMPLETED",
    Phase.FAILED: "COMPLETED",
}
_USER = "simulated"


def refusal_body(refusal: SimulatedRefusal) -> Mapping[str, object]:
    """Return fal's error object."""
    return {"detail": refusal.message}


class FalWire:
    """Requests: submit, status, result, cancel; the keys of webhooks, and the files."""

    def __init__(self, simulator: Simulator, studio: RenderQueue, api_key: str | None) -> None:
        self._simulator = simulator
        self._studio = studio
        self._upstream = FaultInjector(
            simulator, refusal_body=refusal_body, api_key=api_key, scheme="Key"
        )
        self._files = FaultInjector(simulator, refusal_body=refusal_body, api_key=None)
        self._callbacks = CallbackSender()
        self._key = Ed25519PrivateKey.from_private_bytes(simulator.random.randbytes(32))

    def mount(self, app: web.Application) -> None:
        """Add the routes, with their prefix, and what runs beside them."""
        handler = self._upstream.handler
        one = ROOT + r"/{app:.+}/requests/{id}"
        app.add_routes(
            [
                web.get("/fal-files/{id}/video.mp4", self._files.handler(CONTENT, self._file)),
                web.get("/.well-known/jwks.json", self._files.exempt(self._keys)),
                web.get(f"{one}/status", handler("get", self._status), allow_head=False),
                web.put(f"{one}/cancel", handler("delete", self._cancel)),
                web.get(one, handler("get", self._result), allow_head=False),
                web.post(ROOT + "/{app:.+}", handler(CREATE, self._submit)),
            ]
        )
        app.cleanup_ctx.append(self._callbacks.running)

    async def _submit(self, request: web.Request) -> web.Response:
        video = _video(await json_object(request), request.match_info["app"])
        job = self._simulator.create(video, id_prefix=_ID_PREFIX)
        self._studio.video_created(video)
        if hook := request.query.get("fal_webhook"):
            phase, told = partial(self._phase, job), partial(self._message, job)
            self._callbacks.watch(hook, phase, told)
        app = "/".join(request.match_info["app"].split("/")[:2])
        base = request.url.origin().with_path(f"{ROOT}/{app}/requests/{job.id}")
        return json_answer(
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

    async def _status(self, request: web.Request) -> web.Response:
        job = self._job(request)
        phase = self._phase(job)
        answer: dict[str, object] = {
            "status": _STATUS[phase],
            "request_id": job.id,
            "response_url": str(request.url.with_path(request.path.removesuffix("/status"))),
            "logs": None,
        }
        if phase is Phase.QUEUED:
            answer["queue_position"] = 0
        if _STATUS[phase] == "COMPLETED":
            answer["metrics"] = {"inference_time": float(job.video.seconds)}
        return json_answer(answer, 200 if _STATUS[phase] == "COMPLETED" else 202)

    async def _result(self, request: web.Request) -> web.Response:
        job = self._job(request)
        match self._phase(job):
            case Phase.COMPLETED:
                return json_answer(self._output(job, str(request.url.origin())))
            case Phase.FAILED:
                problem = {
                    "loc": ["body", "prompt"],
                    "msg": "The content could not be processed because of its content policy.",
                    "type": "content_policy_violation",
                }
                return json_answer({"detail": [problem]}, 422)
            case _:
                raise SimulatedRefusal(400, "Request is still in progress")

    async def _cancel(self, request: web.Request) -> web.Response:
        job = self._job(request)
        if self._phase(job) in {Phase.COMPLETED, Phase.FAILED}:
            return json_answer({"status": "ALREADY_COMPLETED"}, 400)
        self._simulator.delete(job.id)
        return json_answer({"status": "CANCELLATION_REQUESTED"}, 202)

    async def _keys(self, _request: web.Request) -> web.Response:
        x = urlsafe_b64encode(self._key.public_key().public_bytes_raw()).decode().rstrip("=")
        return json_answer({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]})

    async def _file(self, request: web.Request) -> web.Response:
        job = self._job(request)
        ended_at = self._simulator.state(job).completed_at
        if ended_at is None or self._simulator.now() >= ended_at + URL_SECONDS:
            raise SimulatedRefusal(404, "No such file.")
        return await video_download(request, self._studio, job.video)

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
        moment = str(int(self._simulator.now()))
        digest = hashlib.sha256(body).hexdigest()
        signed = "\n".join((job.id, _USER, moment, digest)).encode()
        return body, {
            "X-Fal-Webhook-Request-Id": job.id,
            "X-Fal-Webhook-User-Id": _USER,
            "X-Fal-Webhook-Timestamp": moment,
            "X-Fal-Webhook-Signature": self._key.sign(signed).hex(),
        }

    def _output(self, job: SimulatedJob, origin: str) -> dict[str, object]:
        return {
            "video": {
                "url": job.file_url(f"{origin}/fal-files/{job.id}/video.mp4"),
                "content_type": "video/mp4",
                "file_name": "video.mp4",
            }
        }

    def _phase(self, job: SimulatedJob) -> Phase:
        return self._simulator.state(job).phase

    def _job(self, request: web.Request) -> SimulatedJob:
        one = request.match_info["id"]
        try:
            if one.startswith(_ID_PREFIX):
                return self._simulator.get(one)
        except NotFoundError:
            pass
        raise SimulatedRefusal(404, "Request not found")


def _video(fields: Mapping[str, object], app: str) -> VideoSpec:
    size = size_of(fields.get("aspect_ratio") or "16:9", fields.get("resolution") or "720p")
    if size is None:
        raise SimulatedRefusal(422, "aspect_ratio or resolution is invalid")
    seconds = str(fields.get("duration") or "5").removesuffix("s")
    given = {"prompt": fields.get("prompt"), "model": app, "seconds": seconds, "size": size}
    try:
        return video_from(given)
    except SimulatedRefusal as refusal:
        raise SimulatedRefusal(422, refusal.message) from refusal
