"""Runway's wire below `/runway/v1`, as runwayml-python 5.24 uses it."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from aiohttp import web

from reelhook.simulator.download import video_download
from reelhook.simulator.fault_injector import (
    CREATE,
    UPLOAD,
    FaultInjector,
    SimulatedRefusal,
    json_response,
)
from reelhook.simulator.field_types import first_wrong, is_flag, is_text, is_uris
from reelhook.simulator.job import Phase, SimulatedJob, VideoSpec
from reelhook.simulator.requests import PIXELS_MAX, form_of, json_object, video_from
from reelhook.simulator.wire import Wire

ROOT = "/runway/v1"
_UPLOADS = "/runway/uploads"
_ADDRESS = "runway://simulated/"
_INLINE_MAX = {"image": 5_000_000, "video": 16_000_000, "audio": 16_000_000}
"""The longest `data:` URIs (Runway's API documentation, "Inputs")."""
VERSION = "2024-11-06"
URL_SECONDS = 24 * 3600
"""The lifetime of a file's address; each read of its task returns a new one."""
CREDITS_PER_SECOND = 5
CREDITS_LEFT = 100_000

_STATUS = {
    Phase.QUEUED: "PENDING",
    Phase.RUNNING: "RUNNING",
    Phase.COMPLETED: "SUCCEEDED",
    Phase.FAILED: "FAILED",
}
_FIELDS = {
    **dict.fromkeys(("references", "referenceVideos", "referenceAudio"), is_uris),
    **dict.fromkeys(("negativePrompt", "resolution"), is_text),
    "audio": is_flag,
}
_PIXELS = re.compile(r"(\d{3,4}):(\d{3,4})", re.ASCII)


def refusal_body(refusal: SimulatedRefusal) -> Mapping[str, object]:
    """Return Runway's error object."""
    return {"error": refusal.message}


class RunwayWire(Wire):
    """Tasks: create from a text or an image, get, delete; uploads, the organization, the files."""

    id_prefix = "runway-"
    job_missing = "No such task."
    file_path = "/runway/files/{id}/output.mp4"

    def _injector(self, api_key: str | None) -> FaultInjector:
        return FaultInjector(self._simulator, refusal_body=refusal_body, api_key=api_key)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, with their full paths."""
        handler = self.injector.handler
        task = ROOT + "/tasks/{id}"
        return [
            web.post(f"{ROOT}/text_to_video", handler(CREATE, self._create)),
            web.post(f"{ROOT}/image_to_video", handler(CREATE, self._create)),
            web.post(f"{ROOT}/uploads", handler(UPLOAD, self._begin_upload)),
            web.post(_UPLOADS, self._files.handler(UPLOAD, self._upload)),
            web.get(task, handler("get", self._get), allow_head=False),
            web.delete(task, handler("delete", self._delete)),
            web.get(f"{ROOT}/organization", self.injector.exempt(self._organization)),
            self._file_route(),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        _check_version(request)
        fields = await json_object(request)
        if request.path.endswith("image_to_video"):
            _check_frames(fields.get("promptImage"))
        if wrong := first_wrong(fields, _FIELDS):
            raise SimulatedRefusal(400, f"{wrong}: invalid type")
        self._check_uploads(fields, _ADDRESS, 400)
        if any(len(uri) > _INLINE_MAX[kind] for kind, uri in _inline(fields)):
            raise SimulatedRefusal(400, "A data URI is too long; use an upload")
        job = self._create_job(_video(fields))
        return json_response({"id": job.id, "estimatedCost": _cost(job)})

    async def _begin_upload(self, request: web.Request) -> web.Response:
        _check_version(request)
        fields = await json_object(request)
        if fields.get("type") != "ephemeral" or not is_text(fields.get("filename")):
            raise SimulatedRefusal(400, "type and filename are required")
        file_id = self._upload_id()
        self._uploads.expect(f"{_ADDRESS}{file_id}")
        begun = {"uploadUrl": f"{request.url.origin()}{_UPLOADS}", "fields": {"key": file_id}}
        return json_response({**begun, "runwayUri": f"{_ADDRESS}{file_id}"})

    async def _upload(self, request: web.Request) -> web.Response:
        fields, content_type, body = await form_of(request)
        self._keep_upload(f"{_ADDRESS}{fields.get('key')}", content_type, body)
        return web.Response(status=204)

    async def _get(self, request: web.Request) -> web.Response:
        _check_version(request)
        return json_response(self._shown(self._job(request), request))

    async def _delete(self, request: web.Request) -> web.Response:
        _check_version(request)
        self._simulator.delete(self._job(request).id)
        return web.Response(status=204)

    async def _organization(self, _request: web.Request) -> web.Response:
        return json_response(
            {
                "creditBalance": CREDITS_LEFT,
                "tier": {"maxMonthlyCreditSpend": CREDITS_LEFT, "models": {}},
                "usage": {"models": {}},
            }
        )

    async def _file(self, request: web.Request) -> web.Response:
        """Send a job's video until the expiry in its address."""
        job = self._job(request)
        until = request.query.get("until", "")
        now = self._simulator.now()
        if not until.isdecimal() or now >= int(until):
            raise SimulatedRefusal(401, "The address has expired.")
        if self._simulator.state(job).phase is not Phase.COMPLETED:
            raise SimulatedRefusal(404, "There is no such file yet.")
        return await video_download(request, self._queue, job.video)

    def _shown(self, job: SimulatedJob, request: web.Request) -> dict[str, object]:
        state = self._simulator.state(job)
        created_at = datetime.fromtimestamp(job.created_at, UTC).isoformat(timespec="milliseconds")
        task: dict[str, object] = {
            "id": job.id,
            "status": _STATUS[state.phase],
            "createdAt": created_at.replace("+00:00", "Z"),
        }
        match state.phase:
            case Phase.COMPLETED:
                return task | {"cost": _cost(job), "output": [self._address(job, request)]}
            case Phase.FAILED:
                failure = {"failure": "The simulator's moderation blocked this task."}
                code = {"failureCode": "SAFETY.OUTPUT.VIDEO"}
                return task | failure | code | {"cost": {"credits": 0}}
            case Phase.RUNNING:
                return task | {"estimatedCost": _cost(job), "progress": state.progress / 100}
            case _:
                return task | {"estimatedCost": _cost(job)}

    def _address(self, job: SimulatedJob, request: web.Request) -> str:
        file = self._file_url(job, request)
        return job.file_url(file.with_query(until=int(self._simulator.now()) + URL_SECONDS))


def _check_version(request: web.Request) -> None:
    if request.headers.get("X-Runway-Version") != VERSION:
        raise SimulatedRefusal(400, f"The header X-Runway-Version must be {VERSION}.")


def _check_frames(images: object) -> None:
    """Refuse frames without a first one, or with a position that the SDK does not have."""
    if not images:
        raise SimulatedRefusal(400, "promptImage: required")
    if is_text(images):
        return
    frames = images if isinstance(images, list) and is_uris(images) else []
    positions = [frame.get("position") for frame in frames]
    if "first" not in positions or not {"first", "last"}.issuperset(positions):
        raise SimulatedRefusal(400, "promptImage: needs a first frame, and at most a last one")


def _inline(fields: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the kind and the text of each `data:` URI of a create."""
    for name in ("promptImage", "references", "referenceVideos", "referenceAudio"):
        value = fields.get(name)
        for item in value if isinstance(value, list) else [value]:
            uri = item.get("uri") if isinstance(item, dict) else item
            kind = uri[5:10] if isinstance(uri, str) and uri.startswith("data:") else ""
            if kind in _INLINE_MAX:
                yield kind, str(uri)


def _video(fields: Mapping[str, object]) -> VideoSpec:
    return video_from(
        {
            "prompt": fields.get("promptText"),
            "model": fields.get("model"),
            "seconds": fields.get("duration", 5),
            "size": _size(fields.get("ratio")),
        }
    )


def _size(ratio: object) -> str:
    """Return the video's size, halved if it is larger than the simulator draws."""
    written = _PIXELS.fullmatch(ratio) if isinstance(ratio, str) else None
    if written is None:
        return "1280x720"
    sides = [int(side) for side in written.groups()]
    scale = 2 if max(sides) > PIXELS_MAX else 1
    return "x".join(str(side // scale // 2 * 2) for side in sides)


def _cost(job: SimulatedJob) -> dict[str, object]:
    return {"credits": CREDITS_PER_SECOND * job.video.seconds}
