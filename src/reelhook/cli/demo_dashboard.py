"""`reelhook demo --dashboard`: the dashboard with jobs in every state, until Ctrl-C."""

import asyncio
import json
import secrets
import signal
import tempfile
from contextlib import AsyncExitStack

from reelhook.cli import render
from reelhook.cli.client import api_at


async def show_dashboard(*, as_json: bool) -> None:
    """Run the program with a temporary database, print the dashboard's address, and fill it."""
    from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help
    from reelhook.cli.demo_scene import (  # noqa: PLC0415 - as above
        SETTINGS,
        Scene,
        receivers,
        until_stopped,
    )
    from reelhook.config import Settings  # noqa: PLC0415 - as above

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        simulator = (await stack.enter_async_context(bootstrap.simulator())).removesuffix("/v1")
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="reelhook-demo-"))
        hooks = await stack.enter_async_context(receivers())
        settings = Settings.of(
            port=0,
            data_dir=directory,
            webhook_secret=secrets.token_urlsafe(24),
            allow_networks="127.0.0.1/32",
            **SETTINGS,
        )
        running = await stack.enter_async_context(
            bootstrap.server(settings, simulator_url=simulator)
        )
        _say(running.url, as_json=as_json)
        api = await stack.enter_async_context(api_at(running.url))
        scene = Scene(api, await stack.enter_async_context(api_at(simulator)), hooks)

        async def play() -> None:
            await scene.fill()
            await scene.go_on()

        await until_stopped(play, stop)


def _say(url: str, *, as_json: bool) -> None:
    if as_json:
        render.say(json.dumps({"dashboard": f"{url}/", "api": url}))
        return
    render.say(f"Dashboard: {url}/")
    render.say("Open it in a browser: jobs in every state appear within half a minute.")
    render.say("Everything is simulated. Ctrl-C stops it, and nothing is kept.")
