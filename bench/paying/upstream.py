"""The simulator, which speaks every provider's protocol, behind `Mischievous`; a process.

It keeps what was created, by prompt: that is what was paid for.
"""

import argparse
import time
from collections import Counter
from random import Random

from aiohttp import web

from bench.paying.mischief import Mischievous
from bench.serving import json_response, serve
from reelhook.simulator.core import Simulator
from reelhook.simulator.faults import Faults
from reelhook.simulator.render_queue import RenderQueue
from reelhook.simulator.server import create_app

FAULTS = Faults(queue_seconds=0.05, render_seconds=0.15)


def application(seed: int) -> web.Application:
    chance = Random(seed)  # noqa: S311  # chooses faults, makes no keys
    simulator = Simulator(FAULTS, random=chance, clock=time.time)
    mischief = Mischievous(chance)

    async def rate(request: web.Request) -> web.Response:
        mischief.rate = (await request.json())["rate"]
        return json_response({})

    async def told(_request: web.Request) -> web.Response:
        return json_response(
            {
                "created": Counter(job.video.prompt for job in simulator.jobs.values()),
                "ids": sorted(simulator.jobs),
                "creates": mischief.creates,
                "images_struck": mischief.images_struck,
                "struck": [[*key, count] for key, count in mischief.struck.items()],
            }
        )

    app = create_app(simulator, RenderQueue())
    app.middlewares.insert(0, mischief.middleware)
    app.add_routes(
        [
            web.put("/mischief/rate", rate),
            web.get("/mischief/told", told),
            web.get("/images/{name}", mischief.image),
        ]
    )
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    serve(application(parser.parse_args().seed), [0])


if __name__ == "__main__":
    main()
