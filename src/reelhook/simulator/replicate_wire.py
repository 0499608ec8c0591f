"""Replicate's wire below `/replicate/v1`, as replicate-python 1.0.7 and 2.0.0b4 use it."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from aiohttp import web

from reelhook.domain.signature import signed_content, v1
from reelhook.simulator.callbacks import Message
from reelhook.simulator.core import Simulator
from reelhook.simulator.download import video_download
from reelhook.simulator.fault_injector import (
    CREATE,
    UPLOAD,
    FaultInjector,
    SimulatedRefusal,
    json_response,
)
from reelhook.simulator.job import CONTENT_TTL_SECONDS, Phase, SimulatedJob
from reelhook.simulator.render_queue import RenderQueue
from reelhook.simulator.replicate_request import (
    PredictionsQuery,
    ReplicateRequest,
    cursor,
    page_query,
    request_from,
)
from reelhook.simulator.requests import form_of
from reelhook.simulator.wire import Wire

PAGE_SIZE = 100
ROOT = "/replicate/v1"
_FORGOTTEN_MAX = 1000

_STATUS = {
    Phase.QUEUED: "starting",
    Phase.RUNNING: "processing",
    Phase.COMPLETED: "succeeded",
    Phase.FAILED: "failed",
}
_EVENT = {Phase.RUNNING: "start", Phase.COMPLETED: "completed", Phase.FAILED: "completed"}


@dataclass(slots=True)
class _Prediction:
    request: ReplicateRequest
    job: SimulatedJob
    canceled_at: float | None = None


class ReplicateWire(Wire):
    """Predictions: create, get, list, cancel; uploads, account, secret of webhooks, files."""

    job_missing = "The requested resource could not be found."
    file_path = "/replicate/files/{id}/output.mp4"

    def __init__(self, simulator: Simulator, queue: RenderQueue, api_key: str | None) -> None:
        super().__init__(simulator, queue, api_key)
        self._predictions: dict[str, _Prediction] = {}
        self._secret = base64.b64encode(simulator.random.randbytes(24)).decode()

    def _injector(self, api_key: str | None) -> FaultInjector:
        return FaultInjector(self._simulator, refusal_body=self._refusal_body, api_key=api_key)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, with their full paths."""
        handler, exempt = self.injector.handler, self.injector.exempt
        path = ROOT + "/predictions/{id}"
        return [
            web.post(f"{ROOT}/predictions", handler(CREATE, self._create)),
            web.post(ROOT + "/models/{owner}/{name}/predictions", handler(CREATE, self._create)),
            web.get(f"{ROOT}/predictions", handler("list", self._list), allow_head=False),
            web.get(path, handler("get", self._get), allow_head=False),
            web.post(f"{path}/cancel", handler("delete", self._cancel)),
            web.get(f"{ROOT}/account", exempt(self._account)),
            web.get(f"{ROOT}/webhooks/default/secret", exempt(self._show_secret)),
            web.post(f"{ROOT}/files", handler(UPLOAD, self._upload)),
            self._file_route(),
        ]

    def _refusal_body(self, refusal: SimulatedRefusal) -> Mapping[str, object]:
        if refusal.status == 429:
            seconds = self._simulator.faults.retry_after_seconds
            detail = f"Request was throttled. Your rate limit resets in ~{seconds:g}s."
            return {"detail": detail, "status": 429}
        title = {422: "Input validation failed", 404: "Not found", 401: "Unauthenticated"}
        return {
            "title": title.get(refusal.status, "Error"),
            "detail": refusal.message,
            "status": refusal.status,
        }

    # -- requests -----------------------------------------------------------------------------

    async def _create(self, request: web.Request) -> web.Response:
        path = request.match_info
        model = f"{path['owner']}/{path['name']}" if "owner" in path else None
        created = await request_from(request, model)
        self._check_uploads(created.input, f"{request.url.origin()}{ROOT}/files/", 422)
        job = self._create_job(created.video)
        prediction = self._predictions[job.id] = _Prediction(created, job)
        self._forget()
        if created.webhook is not None:
            self._call(created.webhook, prediction, request)
        return json_response(self._shown(prediction, request), 201)

    async def _upload(self, request: web.Request) -> web.Response:
        _, content_type, body = await form_of(request)
        file_id = self._upload_id()
        address = f"{request.url.origin()}{ROOT}/files/{file_id}"
        self._uploads.expect(address)
        self._keep_upload(address, content_type, body)
        shown = {"id": file_id, "content_type": content_type, "size": len(body)}
        return json_response({**shown, "urls": {"get": address}}, 201)

    async def _get(self, request: web.Request) -> web.Response:
        return json_response(self._shown(self._prediction(request), request))

    async def _list(self, request: web.Request) -> web.Response:
        if not self._simulator.faults.listing:
            raise SimulatedRefusal(405, "Listing is switched off in this simulator.")
        found = self._found(page_query(request.query))
        page = list(islice(found, PAGE_SIZE))
        more = next(found, None) is not None
        following = {"cursor": cursor(page[-1].job.number)} if more else {}
        lines = [self._shown(prediction, request) for prediction in page]
        return json_response(
            {
                "previous": None,
                "next": str(request.url.update_query(following)) if more else None,
                "results": [
                    {name: value for name, value in line.items() if name != "logs"}
                    for line in lines
                ],
            }
        )

    async def _cancel(self, request: web.Request) -> web.Response:
        prediction = self._prediction(request)
        if self._phase(prediction) in {Phase.QUEUED, Phase.RUNNING}:
            prediction.canceled_at = self._simulator.now()
        return json_response(self._shown(prediction, request))

    async def _account(self, _request: web.Request) -> web.Response:
        account = {"type": "user", "username": "simulator", "name": "Simulator"}
        return json_response({**account, "github_url": None})

    async def _show_secret(self, _request: web.Request) -> web.Response:
        return json_response({"key": f"whsec_{self._secret}"})

    async def _file(self, request: web.Request) -> web.Response:
        """Send the video of a prediction until its data is removed."""
        prediction = self._prediction(request)
        if prediction.canceled_at is not None or self._removed(prediction):
            raise SimulatedRefusal(404, "There is no such file.")
        if self._phase(prediction) is not Phase.COMPLETED:
            raise SimulatedRefusal(404, "There is no such file yet.")
        return await video_download(request, self._queue, prediction.request.video)

    # -- predictions --------------------------------------------------------------------------

    def _prediction(self, request: web.Request) -> _Prediction:
        prediction = self._predictions.get(self._job(request).id)
        if prediction is None:  # a job of another wire: these ids have no prefix
            raise SimulatedRefusal(404, self.job_missing)
        return prediction

    def _found(self, query: PredictionsQuery) -> Iterator[_Prediction]:
        """Yield the predictions of a listing, newest first."""
        for prediction in reversed(self._predictions.values()):
            job = prediction.job
            if job.id not in self._simulator.jobs:
                continue
            if query.below is not None and job.number >= query.below:
                continue
            created_at = _exact(job.created_at)
            if query.created_before is not None and created_at >= query.created_before:
                continue
            if query.created_after is not None and created_at < query.created_after:
                return
            yield prediction

    def _forget(self) -> None:
        if len(self._predictions) > 2 * len(self._simulator.jobs) + _FORGOTTEN_MAX:
            known = self._simulator.jobs
            self._predictions = {id_: p for id_, p in self._predictions.items() if id_ in known}

    def _phase(self, prediction: _Prediction) -> Phase:
        if prediction.canceled_at is not None:
            return Phase.FAILED
        return self._simulator.state(prediction.job).phase

    def _removed(self, prediction: _Prediction) -> bool:
        ended = prediction.canceled_at or prediction.job.ends_at
        ended_long_ago = self._simulator.now() >= ended + CONTENT_TTL_SECONDS
        return ended_long_ago and self._phase(prediction) in {Phase.COMPLETED, Phase.FAILED}

    def _shown(self, prediction: _Prediction, request: web.Request) -> dict[str, object]:
        created, job = prediction.request, prediction.job
        phase, state = self._phase(prediction), self._simulator.state(job)
        canceled = prediction.canceled_at is not None
        removed = self._removed(prediction)
        root = request.url.origin()
        ended_at = prediction.canceled_at or job.ends_at
        file = job.file_url(self._file_url(job, request))
        address = str(root.with_path(f"{ROOT}/predictions/{job.id}"))
        failed = phase is Phase.FAILED and not canceled
        return {
            "id": job.id,
            "model": created.model,
            "version": created.version,
            "input": {} if removed else self._input(created),
            "logs": "" if removed or phase is Phase.QUEUED else _logs(state.progress),
            "output": file if phase is Phase.COMPLETED and not removed else None,
            "data_removed": removed,
            "error": "The output was flagged as sensitive. (E005)" if failed else None,
            "source": "api",
            "status": "canceled" if canceled else _STATUS[phase],
            "created_at": _iso(job.created_at),
            "started_at": None if phase is Phase.QUEUED else _iso(_started_at(job)),
            "completed_at": _iso(ended_at) if phase in {Phase.COMPLETED, Phase.FAILED} else None,
            "metrics": {"predict_time": job.render_seconds} if phase is Phase.COMPLETED else {},
            "urls": {"get": address, "cancel": f"{address}/cancel", "web": address},
        }

    def _input(self, created: ReplicateRequest) -> Mapping[str, object]:
        shown = self._simulator.faults.shown(created.video.prompt)
        return {name: shown if name == "prompt" else value for name, value in created.input.items()}

    # -- webhooks -----------------------------------------------------------------------------

    def _call(self, url: str, prediction: _Prediction, request: web.Request) -> None:
        def message(phase: Phase) -> Message | None:
            if _EVENT.get(phase) not in prediction.request.events:
                return None
            return self._signed(json.dumps(self._shown(prediction, request)).encode())

        self._callbacks.watch(url, lambda: self._phase(prediction), message)

    def _signed(self, body: bytes) -> Message:
        message_id = f"msg_{self._simulator.random.getrandbits(128):032x}"
        timestamp = str(int(self._simulator.now()))
        signature = v1(f"whsec_{self._secret}", signed_content(message_id, timestamp, body))
        return body, {
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature,
        }


def _started_at(job: SimulatedJob) -> float:
    return job.created_at + job.queue_seconds


def _exact(unix_seconds: float) -> float:
    """Round to the precision shown, so that a filter by a shown time matches its prediction."""
    return datetime.fromtimestamp(unix_seconds, UTC).timestamp()


def _iso(unix_seconds: float) -> str:
    return (
        datetime.fromtimestamp(unix_seconds, UTC)
        .isoformat(timespec="microseconds")
        .replace("+00:00", "Z")
    )


def _logs(progress: int) -> str:
    """Return logs with the progress bars of tqdm."""
    bar = "█" * (progress // 10) + " " * (10 - progress // 10)
    first = "  0%|          | 0/100 [00:00<?, ?it/s]"
    return f"Using seed: 42\n{first}\n{progress:3}%|{bar}| {progress}/100"
