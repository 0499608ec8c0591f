"""Endpoints and deliveries from within another program."""

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import web
from cleaning_up import clean_up
from hosts import provider, settings
from structlog.testing import capture_logs

import reelhook
from reelhook.ports import DeliveryFilter
from reelhook.simulator.faults import Faults


async def test_a_program_names_its_own_endpoint_and_reads_what_it_was_sent(tmp_path: Path) -> None:
    received: asyncio.Queue[Any] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        await received.put(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        with capture_logs():
            async with (
                provider(Faults(queue_seconds=0, render_seconds=0)) as (simulated, _),
                reelhook.open(settings(tmp_path, simulated.base_url)) as hook,
                asyncio.timeout(60),
            ):
                endpoint = await hook.endpoints.register(
                    url, {"description": "Our app"}, trusted=True
                )
                job_id = await hook.submit("A fox", endpoints=[endpoint.id], seconds="1")
                while (body := await received.get())["status"] != "completed":
                    pass
                assert body["jobId"] == job_id
                wanted = DeliveryFilter(job_id=job_id, endpoint_id=endpoint.id)
                page = await hook.deliveries.page(wanted)
                assert [one.url for one in page.deliveries] == [url]
    finally:
        await clean_up(runner)
