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
from reelhook.simulator.fault_injector import FaultInjector, router_refusals
from reelhook.simulator.faults import Faults
from reelhook.simulator.flavour import Flavour
from reelhook.simulator.flavoured_wire import FlavouredFaults, FlavouredWire
from reelhook.simulator.openai_wire import OpenAIWire, refusal_body
from reelhook.simulator.render_queue import RenderQueue
from reelhook.simulator.replicate_wire import ReplicateWire
from reelhook.simulator.runway_wire import RunwayWire
from reelhook.simulator.xai_wire import XAIWire

_BODY_BYTES_MAX = 64 * 1024 * 1024
_BACKLOG = 1024
_SHUTDOWN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class RunningSimulator:
    """A simulator that answers: `base_url` is for clients, `simulator` for looking inside."""

    simulator: Simulator
    host: str
    port: int

    @property
    def root_url(self) -> str:
        """Where the control routes are, without a slash at the end."""
        return local_url(self.host, self.port)

    @property
    def base_url(self) -> str:
        """What a client of the OpenAI wire is given as its base URL."""
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
) -> AsyncIterator[RunningSimulator]:
    """Run the simulator on the running loop until the block ends; port 0 takes a free one.

    With an `api_key` every request must bear it. `render_ahead` begins a video when its job is
    created, which suits a person; tests and load tests are better off paying for what they fetch.
    With a `flavour` it speaks `/v1/videos` as that server does.
    Raises OSError when the port is taken.
    """
    # Chance in a simulator keeps no secret.
    random = random or Random()  # noqa: S311 - see above
    simulator = Simulator(faults or Faults(), random=random, clock=clock, jobs_max=jobs_max)
    studio = RenderQueue(render_ahead=render_ahead)
    runner = web.AppRunner(
        create_app(simulator, studio, api_key=api_key, flavour=flavour),
        access_log=None,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=_BACKLOG)
        await site.start()
        yield RunningSimulator(simulator, host, runner.addresses[0][1])
    finally:
        await studio.close()
        await runner.cleanup()


def create_app(
    simulator: Simulator,
    studio: RenderQueue,
    *,
    api_key: str | None = None,
    flavour: Flavour | None = None,
) -> web.Application:
    """Return the application with every wire's routes and the control routes."""
    upstream: FaultInjector
    if flavour is None:
        upstream = FaultInjector(simulator, refusal_body=refusal_body, api_key=api_key)
        routes = OpenAIWire(simulator, studio, upstream).routes()
    else:
        upstream = FlavouredFaults(simulator, flavour, api_key)
        routes = FlavouredWire(simulator, studio, upstream, flavour).routes()
    app = web.Application(middlewares=[router_refusals(upstream)], client_max_size=_BODY_BYTES_MAX)
    app.add_routes(routes)
    ReplicateWire(simulator, studio, api_key).mount(app)
    RunwayWire(simulator, studio, api_key).mount(app)
    ArkWire(simulator, studio, api_key).mount(app)
    XAIWire(simulator, studio, api_key).mount(app)
    FalWire(simulator, studio, api_key).mount(app)
    app.add_routes(Control(simulator, upstream).routes())
    return app
