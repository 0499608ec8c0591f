"""The scene of `reelhook demo --dashboard`: jobs in every state, made over the HTTP API alone."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from reelhook.cli.client import Api, job_path

SETTINGS: dict[str, Any] = {"poll_seconds": 0.5, "submit_settle_seconds": 0}
"""Settings with which the scene needs no minutes."""
NEW_JOB_SECONDS = 12.0
NEW_JOBS_MAX = 300
"""So many jobs are added while the page is open; their videos take some 100 MB."""
LOOK_SECONDS = 0.2
_ENDED = frozenset({"completed", "failed", "canceled"})
_BEGUN = _ENDED | {"queued", "processing"}
FAILING = "partner"
"""The receiver that fails."""
_BUDGET = {
    "jobsPerDay": 500,
    "moneyPerDay": {"USD": 40},
    "moneyPerMonth": {"USD": 600},
    "unknownPrice": {"USD": 0.4},
}
_NORMAL = {"queue_seconds": 0.5, "render_seconds": 2, "moderation": 0, "lost_create": 0}

FAL, XAI, RUNWAY = "fal/fal-ai/veo3/fast", "xai/grok-imagine-video", "runway/gen4.5"
SEEDANCE, SORA = "ark/dreamina-seedance-2-0-260128", "openai/sora-2"
_SIZED = frozenset({RUNWAY, SORA})
"""Models that take a size, where others take an aspect ratio."""
FINISHED = (
    ("A potter's hands shaping clay", RUNWAY),
    ("A hot-air balloon above a desert canyon", SEEDANCE),
    ("Bees around lavender, shallow depth of field", XAI),
    ("Drone flight over terraced rice fields", SEEDANCE),
    ("A fox crossing a snowy field at dawn", XAI),
    ("Night train through a neon city", FAL),
    ("A lighthouse at dusk, waves rolling in", SORA),
)
LATER = (
    ("Clouds forming above a mountain pass", RUNWAY),
    ("Paper boats on a rain-wet street", XAI),
    ("Northern lights over a frozen lake", FAL),
    ("An old cinema projector starting up", SORA),
    ("Wild horses in the morning mist", SEEDANCE),
    ("A tram in the evening rain", XAI),
)


@dataclass
class Scene:
    """Jobs on a server with simulated providers, which can be made to go wrong."""

    api: Api
    provider: Api
    """The simulator's own routes."""
    hooks: str
    """The address of the receivers of webhooks."""
    shown: dict[str, str] = field(default_factory=dict)
    """A job of each state, by its state; `endpoint` is the endpoint that was added last."""

    async def fill(self) -> None:
        """Make jobs in every state, endpoints of which one fails, and a budget."""
        await self.set_up()
        await self.add_endpoint(FAILING, "Partner's archive")
        await self.finish(FINISHED[:-3])
        await self.go_wrong()
        await self.begin()
        await self.finish(FINISHED[-3:])

    async def set_up(self) -> None:
        """Register two endpoints, and set a budget."""
        await self.add_endpoint("shop", "Shop backend")
        await self.add_endpoint("studio", "Studio")
        await self.api.put("/api/projects/default/budgets", _BUDGET)

    async def add_endpoint(self, name: str, about: str) -> None:
        """Register an endpoint for the events of all jobs."""
        body = {"url": f"{self.hooks}/{name}", "description": about, "broadcast": True}
        self.shown["endpoint"] = str((await self.api.post("/api/endpoints", body)).value["id"])

    async def finish(self, videos: Sequence[tuple[str, str]] = FINISHED) -> None:
        """Make videos, and wait until they are finished."""
        jobs = [await self._submit(script, model) for script, model in videos]
        for job_id in jobs:
            await self._until(job_id, _ENDED)
        self.shown["completed"] = jobs[-1]

    async def go_wrong(self) -> None:
        """Make a job that fails, one in doubt, and one that a person cancels."""
        failed = await self._submit("A scene that moderation stops", FAL, moderation=1)
        doubt = await self._submit("Two dancers on an empty stage", XAI, lost_create=1)
        canceled = await self._submit("The wrong storyboard", RUNWAY, render_seconds=900)
        await self.api.post(job_path(canceled, "/cancel"))
        for job_id in (failed, doubt):
            await self._until(job_id, _ENDED)
        self.shown |= {"failed": failed, "doubt": doubt}

    async def begin(self) -> None:
        """Make jobs that are queued, or rendering for minutes."""
        self.shown["rendering"] = await self._submit(*LATER[0], queue_seconds=1, render_seconds=240)
        await self._submit(*LATER[1], queue_seconds=1, render_seconds=60)
        await self._submit(*LATER[2], queue_seconds=120, render_seconds=180)

    async def posters(self) -> None:
        """Wait until the newest finished video has a poster."""
        path = job_path(self.shown["completed"])
        while (await self.api.get(path)).value.get("posterUrl") is None:  # noqa: ASYNC110 - as above
            await asyncio.sleep(LOOK_SECONDS)

    async def go_on(self) -> None:
        """Add a job every few seconds, so that there is always something to see."""
        scripts = itertools.cycle((*LATER[3:], *FINISHED, *LATER[:3]))
        seconds = itertools.cycle((30, 50, 20, 75))
        for (script, model), render in itertools.islice(
            zip(scripts, seconds, strict=False), NEW_JOBS_MAX
        ):
            await asyncio.sleep(NEW_JOB_SECONDS)
            await self._submit(script, model, queue_seconds=2, render_seconds=render)

    async def _submit(self, script: str, model: str, **behaviour: float) -> str:
        """Request a video of a provider that behaves like this; return once it has the job."""
        await self._behave(**behaviour)
        length = "4" if model in {SORA, FAL} else "5"
        body = {"script": script, "model": model, "seconds": length}
        name, shape = ("size", "1280x720") if model in _SIZED else ("aspectRatio", "16:9")
        body[name] = shape
        job_id = str((await self.api.post("/api/generate", body)).value["jobId"])
        await self._until(job_id, _BEGUN)
        return job_id

    async def _behave(self, **behaviour: float) -> None:
        await self.provider.patch("/simulator/faults", {**_NORMAL, **behaviour})

    async def _until(self, job_id: str, statuses: frozenset[str]) -> None:
        while (await self.api.get(job_path(job_id))).value["status"] not in statuses:  # noqa: ASYNC110 - read over HTTP
            await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def receivers() -> AsyncIterator[str]:
    """Run receivers of webhooks, of which one fails, until the block ends; yield their address."""

    async def receive(request: web.Request) -> web.Response:
        await request.read()
        if request.path == f"/{FAILING}":
            return web.Response(status=503, text="The archive is being moved")
        return web.json_response({"ok": True})

    application = web.Application()
    application.router.add_post("/{name}", receive)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def until_stopped(work: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    """Work until `stop` is set; afterwards wait for it. Raises what the work raises."""
    working = asyncio.ensure_future(work())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            await stopping
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
