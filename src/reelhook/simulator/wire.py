"""The base class of wires, with the common parts of every provider's simulated API."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from aiohttp import web
from yarl import URL

from reelhook.simulator.callbacks import CallbackSender
from reelhook.simulator.core import Simulator, UnknownJobError
from reelhook.simulator.download import video_download
from reelhook.simulator.fault_injector import CONTENT, FaultInjector, SimulatedRefusal
from reelhook.simulator.job import SimulatedJob, VideoSpec
from reelhook.simulator.render_queue import RenderQueue

FILE_SECONDS = 24 * 3600
"""The time in which a finished video can be downloaded, unless a wire has its own limit."""


class Wire(ABC):
    """The simulated API of one provider: its routes, its jobs and its files."""

    id_prefix: ClassVar[str] = ""
    """Distinguishes the jobs of this wire from those of others."""
    job_missing: ClassVar[str]
    """The message of a 404 for an unknown job."""
    file_missing: ClassVar[str] = "No such file."
    """The message of a 404 for a file that does not exist, or no longer."""
    file_path: ClassVar[str]
    """The path of a job's video, with `{id}`."""

    def __init__(self, simulator: Simulator, queue: RenderQueue, api_key: str | None) -> None:
        self._simulator = simulator
        self._queue = queue
        self.injector = self._injector(api_key)
        self._files = self._injector(None)
        self._callbacks = CallbackSender()
        self._uploads = simulator.uploads

    @abstractmethod
    def _injector(self, api_key: str | None) -> FaultInjector:
        """Return the wrapper of handlers that checks this key and renders refusals."""

    @abstractmethod
    def routes(self) -> Sequence[web.RouteDef]:
        """Return the routes, with their full paths."""

    def mount(self, app: web.Application) -> None:
        """Add the routes, and end the callbacks with the application."""
        app.add_routes(self.routes())
        app.cleanup_ctx.append(self._callbacks.running)

    def _create_job(
        self, video: VideoSpec, shown: Mapping[str, object] = MappingProxyType({})
    ) -> SimulatedJob:
        job = self._simulator.create(video, id_prefix=self.id_prefix, shown=shown)
        self._queue.video_created(video)
        return job

    def _job(self, request: web.Request) -> SimulatedJob:
        """Return the job that the path names, or raise the refusal."""
        job_id = request.match_info["id"]
        try:
            if job_id.startswith(self.id_prefix):
                return self._simulator.get(job_id)
        except UnknownJobError:
            pass
        raise SimulatedRefusal(404, self.job_missing)

    def _keep_upload(self, address: str, content_type: str, body: bytes) -> None:
        try:
            self._uploads.keep(address, content_type, body)
        except KeyError:
            raise SimulatedRefusal(403, "This address is not known, or has expired.") from None

    def _check_uploads(self, fields: object, prefix: str, status: int) -> None:
        """Refuse a create that names a file which was never uploaded."""
        if self._uploads.lacks(fields, prefix):
            raise SimulatedRefusal(status, "A file of the request was never uploaded.")

    def _upload_id(self) -> str:
        return f"{self._simulator.random.getrandbits(64):016x}"

    def _file_route(self) -> web.RouteDef:
        return web.get(self.file_path, self._files.handler(CONTENT, self._file))

    def _file_url(self, job: SimulatedJob, request: web.Request) -> URL:
        return request.url.origin().with_path(self.file_path.format(id=job.id))

    async def _file(self, request: web.Request) -> web.Response:
        """Send a job's video, for a day after its end."""
        job = self._job(request)
        ended_at = self._simulator.state(job).completed_at
        if ended_at is None or self._simulator.now() >= ended_at + FILE_SECONDS:
            raise SimulatedRefusal(404, self.file_missing)
        return await video_download(request, self._queue, job.video)
