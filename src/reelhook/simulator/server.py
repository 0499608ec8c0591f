"""Starts and stops the simulator."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

from aiohttp import web

from reelhook.guard.hosts import local_url
from reelhook.simulator.ark_wire import ArkWire
from reelhook.simulator.control import Control
from reelhook.simulator.core import JOBS_MAX, Simulator
from reelhook.simulator.fal_wire import FalWire
from reelhook.simulator.fault_injector import router_refusals
from reelhook.simulator.faults import Faults
from reelhook.simulator.flavour import Flavour
from reelhook.simulator.flavoured_wire import FlavouredWire
from reelhook.simulator.openai_wire import OpenAIWire
from reelhook.simulator.render_process import Renderer
from reelhook.simulator.render_queue import RenderQueue
from reelhook.simulator.replicate_wire import ReplicateWire
from reelhook.simulator.runway_wire import RunwayWire
from reelhook.simulator.wire import Wire
from reelhook.simulator.xai_wire import XAIWire

_BODY_BYTES_MAX = 64 * 1024 * 1024
_BACKLOG = 1024
_SHUTDOWN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class RunningSimulator:
    """A simulator that accepts requests; tests inspect it through `simulator`."""

    simulator: Simulator
    host: str
    port: int

    @property
    def root_url(self) -> str:
        """The root, below which the control routes are, without a slash at the end."""
        return local_url(self.host, self.port)

    @property
    def base_url(self) -> str:
        """The base URL for clients of the OpenAI wire."""
        return f"{self.root_url}/v1"


@asynccontextmanager
async def running(
    faults: Faults | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    api_key: str | None = None,
    random: Random | None = None,
    clock: Callable[[], float] = time.time,
    jobs_max: int = JOBS_MAX,
    render_ahead: bool = False,
    flavour: Flavour | None = None,
    renderer: Callable[[], Renderer] = Renderer,
) -> AsyncIterator[RunningSimulator]:
    """Run the simulator on the running loop until the block ends; port 0 takes a free one.

    With an `api_key`, every request must carry it. `render_ahead` starts to render a video when its
    job is created, which suits users; tests render only the videos that they download. A `renderer`
    is made for each run of orders.
    With a `flavour`, `/v1/videos` behaves like that server. Raises OSError if the port is taken.
    """
    random = random or Random()  # noqa: S311 - makes no secrets
    simulator = Simulator(faults or Faults(), random=random, clock=clock, jobs_max=jobs_max)
    queue = RenderQueue(render_ahead=render_ahead, renderer=renderer)
    runner = web.AppRunner(
        create_app(simulator, queue, api_key=api_key, flavour=flavour),
        access_log=None,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=_BACKLOG)
        await site.start()
        yield RunningSimulator(simulator, host, runner.addresses[0][1])
    finally:
        await queue.close()
        await runner.cleanup()


def create_app(
    simulator: Simulator,
    queue: RenderQueue,
    *,
    api_key: str | None = None,
    flavour: Flavour | None = None,
) -> web.Application:
    """Return the application with every wire's routes and the control routes."""
    if flavour is None:
        videos: Wire = OpenAIWire(simulator, queue, api_key)
    else:
        videos = FlavouredWire(simulator, queue, api_key, flavour)
    app = web.Application(
        middlewares=[router_refusals(videos.injector)], client_max_size=_BODY_BYTES_MAX
    )
    videos.mount(app)
    for wire in (ReplicateWire, RunwayWire, ArkWire, XAIWire, FalWire):
        wire(simulator, queue, api_key).mount(app)
    app.add_routes(Control(simulator, videos.injector).routes())
    return app
