"""`/v1/videos` in the dialect of one of the servers in `flavours`."""

import json
from collections.abc import Mapping, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler

from reelhook.simulator.core import Simulator, UnknownJobError
from reelhook.simulator.download import video_download
from reelhook.simulator.fault_injector import (
    CONTENT,
    CREATE,
    FaultInjector,
    SimulatedRefusal,
    json_response,
)
from reelhook.simulator.flavour import CreateBody, Flavour, ListingStyle
from reelhook.simulator.job import Phase, SimulatedJob
from reelhook.simulator.render_queue import RenderQueue
from reelhook.simulator.wire import Wire


class FlavouredFaults(FaultInjector):
    """Refuses, and checks keys, as one server does."""

    def __init__(self, simulator: Simulator, flavour: Flavour, api_key: str | None) -> None:
        super().__init__(simulator, refusal_body=lambda _: {}, api_key=api_key)
        self._flavour = flavour

    def handler(self, kind: str, carry_out: Handler) -> Handler:
        """Return the handler of requests of this kind, with the server's headers."""
        serve = super().handler(kind, carry_out)

        async def with_headers(request: web.Request) -> web.StreamResponse:
            response = await serve(request)
            if not response.prepared:
                response.headers.update(self._flavour.headers)
            return response

        return with_headers

    def refuse(self, refusal: SimulatedRefusal) -> web.Response:
        """Return the refusal in this server's form."""
        return self._flavour.refuse(refusal)

    def unrouted(self, error: web.HTTPException, request: web.Request) -> SimulatedRefusal:
        """Return the refusal of an unknown path or a wrong method, as FastAPI's."""
        return SimulatedRefusal(error.status, error.reason)

    def _check_key(self, request: web.Request) -> None:
        if self._flavour.wants_authorization and "Authorization" not in request.headers:
            raise SimulatedRefusal(401, "Not authenticated")
        try:
            super()._check_key(request)
        except SimulatedRefusal:
            raise self._flavour.wrong_key from None


class FlavouredWire(Wire):
    """The requests of the wire, the models and the health of one server."""

    def __init__(
        self, simulator: Simulator, queue: RenderQueue, api_key: str | None, flavour: Flavour
    ) -> None:
        self._flavour = flavour
        super().__init__(simulator, queue, api_key)

    def _injector(self, api_key: str | None) -> FaultInjector:
        return FlavouredFaults(self._simulator, self._flavour, api_key)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, with the version in their paths."""
        handler = self.injector.handler
        path = "/v1/videos/{id}"
        healths = ["/health", *(["/v1/health"] if self._flavour.versioned_health else [])]
        return [
            web.post("/v1/videos", handler(CREATE, self._create)),
            web.get("/v1/videos", handler("list", self._list), allow_head=False),
            web.get(path, handler("get", self._get), allow_head=False),
            web.get(f"{path}/content", handler(CONTENT, self._content), allow_head=False),
            *(
                [web.delete(path, handler("delete", self._delete))]
                if self._flavour.deleting
                else []
            ),
            web.get("/v1/models", self.injector.exempt(self._models), allow_head=False),
            *(web.get(path, self._health, allow_head=False) for path in healths),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        flavour, simulator = self._flavour, self._simulator
        if simulator.faults.engine_dead and flavour.dead is not None:
            raise flavour.dead
        body = await _create_body(request, forms_alone=flavour.forms_alone)
        wanted = flavour.read(body, flavour.models[0])
        if flavour.busy is not None and self._renders():
            raise flavour.busy
        job = simulator.create(
            wanted.video,
            id_prefix=flavour.name,
            job_id=flavour.make_id(simulator.random),
            engine=wanted.engine,
            shown=wanted.shown,
        )
        self._queue.video_created(wanted.video)
        return json_response(self._video(job), flavour.created_status)

    async def _list(self, request: web.Request) -> web.Response:
        listing = self._flavour.listing
        if listing is None or not self._simulator.faults.listing:
            raise self._flavour.no_listing or SimulatedRefusal(405, "Method Not Allowed")
        jobs = self._simulator.listed(self._flavour.name)
        has_more = False
        if listing.pages:
            jobs, has_more = _page(jobs, listing, request.query)
        videos = [self._video(job) for job in jobs]
        cursors: Mapping[str, object] = {
            "first_id": videos[0]["id"] if videos else None,
            "last_id": videos[-1]["id"] if videos else None,
            "has_more": has_more,
        }
        return json_response(
            {"data": videos, "object": "list", **{name: cursors[name] for name in listing.cursors}}
        )

    async def _get(self, request: web.Request) -> web.Response:
        flavour = self._flavour
        job = self._job_or(request, flavour.missing(request.match_info["id"]))
        video = self._video(job)
        if self._simulator.state(job).phase is Phase.FAILED:
            return json_response(flavour.failed_read(video), flavour.failed_status)
        return json_response(video)

    async def _content(self, request: web.Request) -> web.StreamResponse:
        flavour = self._flavour
        missing = flavour.content_missing or flavour.missing(request.match_info["id"])
        job = self._job_or(request, missing)
        if not job.content_is_ready(self._simulator.now()):
            status = flavour.statuses[self._simulator.state(job).phase]
            raise flavour.content_pending(job.id, status)
        if not flavour.ranges:
            request = request.clone(headers={})
        return await video_download(request, self._queue, job.video)

    async def _delete(self, request: web.Request) -> web.Response:
        flavour = self._flavour
        assert flavour.deleting is not None  # noqa: S101 - there is no route without it
        job = self._job_or(request, flavour.missing(request.match_info["id"]))
        video = self._video(job)
        self._simulator.delete(job.id, stops=flavour.deleting.stops)
        return json_response(flavour.deleting.response(job.id, video))

    async def _models(self, _request: web.Request) -> web.Response:
        created = int(self._simulator.now())
        card = {"object": "model", "created": created, "owned_by": self._flavour.owned_by}
        models = [{"id": name, **card} for name in self._flavour.models]
        return json_response({"object": "list", "data": models})

    async def _health(self, _request: web.Request) -> web.Response:
        health, dead = self._flavour.health, self._flavour.dead
        if self._simulator.faults.engine_dead and dead is not None:
            return json_response({"status": "unhealthy", "error": dead.message}, 503)
        return web.Response() if health is None else json_response(health)

    def _job_or(self, request: web.Request, missing: SimulatedRefusal) -> SimulatedJob:
        try:
            return self._simulator.get(request.match_info["id"])
        except UnknownJobError:
            raise missing from None

    def _renders(self) -> bool:
        newest = self._simulator.newest
        if newest is None:
            return False
        return self._simulator.state(newest).phase in {Phase.QUEUED, Phase.RUNNING}

    def _video(self, job: SimulatedJob) -> dict[str, object]:
        state = self._simulator.state(job)
        flavour = self._flavour
        return flavour.show(job, state, flavour.statuses[state.phase], flavour.progress(state))


def _page(
    jobs: Sequence[SimulatedJob], listing: ListingStyle, query: Mapping[str, str]
) -> tuple[Sequence[SimulatedJob], bool]:
    """Return a page, and True if more follow.

    The servers' stores sort by whole seconds; within a second, jobs stay in the order of creation,
    even if the newest come first.
    """
    limit = _limit(query.get("limit"), listing)
    newest_first = not listing.ordered or query.get("order", "desc").lower() != "asc"
    jobs = sorted(jobs, key=lambda job: int(job.created_at), reverse=newest_first)
    after = query.get("after")
    if after is not None:
        places = [place for place, job in enumerate(jobs) if job.id == after]
        first = places[0] + 1 if places else (0 if listing.from_the_top else len(jobs))
        jobs = jobs[first:]
    return (jobs, False) if limit is None else (jobs[:limit], len(jobs) > limit)


def _limit(value: str | None, listing: ListingStyle) -> int | None:
    if value is None:
        return listing.limit_default
    if not value.isascii() or not value.isdecimal():
        raise SimulatedRefusal(422, "Input should be a valid integer", param="limit")
    if listing.limits is not None and not listing.limits[0] <= int(value) <= listing.limits[1]:
        message = f"Input should be less than or equal to {listing.limits[1]}"
        raise SimulatedRefusal(422, message, param="limit")
    return int(value)


async def _create_body(request: web.Request, *, forms_alone: bool) -> CreateBody:
    if request.content_type == "multipart/form-data":
        form = await request.post()
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        files = {
            name: f"upload:{value.content_type}"
            for name, value in form.items()
            if isinstance(value, web.FileField)
        }
        return CreateBody(texts, files, form=True)
    if forms_alone:
        return CreateBody({}, {}, form=True)
    try:
        fields = json.loads(await request.read())
    except ValueError:
        fields = {}  # like these servers, which then report a missing prompt
    return CreateBody(fields if isinstance(fields, dict) else {}, {}, form=False)
