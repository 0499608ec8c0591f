"""Runway's wire below `/runway/v1`, as runwayml-python 5.24 speaks it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

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
from reelhook.simulator.openai_request import PIXELS_MAX, video_from
from reelhook.simulator.render_queue import RenderQueue
from reelhook.simulator.replicate_request import json_object

ROOT = "/runway/v1"
VERSION = "2024-11-06"
URL_SECONDS = 24 * 3600
"""How long the address of a file can be used; the next look at its task brings a new one."""
CREDITS_PER_SECOND = 5
CREDITS_LEFT = 100_000

_STATUS = {
    Phase.QUEUED: "PENDING",
    Phase.RUNNING: "RUNNING",
    Phase.COMPLETED: "SUCCEEDED",
    Phase.FAILED: "FAILED",
}
_ID_PREFIX = "runway-"
_PIXELS = re.compile(r"(\d{3,4}):(\d{3,4})", re.ASCII)


def refusal_body(refusal: SimulatedRefusal) -> Mapping[str, object]:
    """Return Runway's error object."""
    return {"error": refusal.message}


class RunwayWire:
    """Tasks: create from a text or an image, get, delete; the organization and the files."""

    def __init__(self, simulator: Simulator, studio: RenderQueue, api_key: str | None) -> None:
        self._simulator = simulator
        self._studio = studio
        self._upstream = FaultInjector(simulator, refusal_body=refusal_body, api_key=api_key)
        self._files = FaultInjector(simulator, refusal_body=refusal_body, api_key=None)

    def mount(self, app: web.Application) -> None:
        """Add the routes, with their prefix."""
        handler = self._upstream.handler
        one = ROOT + "/tasks/{id}"
        app.add_routes(
            [
                web.post(f"{ROOT}/text_to_video", handler(CREATE, self._create)),
                web.post(f"{ROOT}/image_to_video", handler(CREATE, self._create)),
                web.get(one, handler("get", self._get), allow_head=False),
                web.delete(one, handler("delete", self._delete)),
                web.get(f"{ROOT}/organization", self._upstream.exempt(self._organization)),
                web.get("/runway/files/{id}/output.mp4", self._files.handler(CONTENT, self._file)),
            ]
        )

    async def _create(self, request: web.Request) -> web.Response:
        _check_version(request)
        fields = await json_object(request)
        if request.path.endswith("image_to_video") and not fields.get("promptImage"):
            raise SimulatedRefusal(400, "promptImage: required")
        video = _video(fields)
        job = self._simulator.create(video, id_prefix=_ID_PREFIX)
        self._studio.video_created(video)
        return json_answer({"id": job.id, "estimatedCost": _cost(job)})

    async def _get(self, request: web.Request) -> web.Response:
        _check_version(request)
        return json_answer(self._shown(self._job(request), request))

    async def _delete(self, request: web.Request) -> web.Response:
        _check_version(request)
        self._simulator.delete(self._job(request).id)
        return web.Response(status=204)

    async def _organization(self, _request: web.Request) -> web.Response:
        return json_answer(
            {
                "creditBalance": CREDITS_LEFT,
                "tier": {"maxMonthlyCreditSpend": CREDITS_LEFT, "models": {}},
                "usage": {"models": {}},
            }
        )

    async def _file(self, request: web.Request) -> web.Response:
        job = self._job(request)
        until = request.query.get("until", "")
        now = self._simulator.now()
        if not until.isdecimal() or now >= int(until):
            raise SimulatedRefusal(401, "The address has expired.")
        if self._simulator.state(job).phase is not Phase.COMPLETED:
            raise SimulatedRefusal(404, "There is no such file yet.")
        return await video_download(request, self._studio, job.video)

    def _job(self, request: web.Request) -> SimulatedJob:
        task = request.match_info["id"]
        try:
            if task.startswith(_ID_PREFIX):
                return self._simulator.get(task)
        except NotFoundError:
            pass
        raise SimulatedRefusal(404, "No such task.")

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
        file = request.url.origin().with_path(f"/runway/files/{job.id}/output.mp4")
        return job.file_url(file.with_query(until=int(self._simulator.now()) + URL_SECONDS))


def _check_version(request: web.Request) -> None:
    if request.headers.get("X-Runway-Version") != VERSION:
        raise SimulatedRefusal(400, f"The header X-Runway-Version must be {VERSION}.")


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
    """Return the video's size: what is larger than this simulator draws is drawn smaller."""
    written = _PIXELS.fullmatch(ratio) if isinstance(ratio, str) else None
    if written is None:
        return "1280x720"
    sides = [int(side) for side in written.groups()]
    scale = 2 if max(sides) > PIXELS_MAX else 1
    return "x".join(str(side // scale // 2 * 2) for side in sides)


def _cost(job: SimulatedJob) -> dict[str, object]:
    return {"credits": CREDITS_PER_SECOND * job.video.seconds}
