"""Commands about the server as a whole."""

import asyncio
from enum import StrEnum
from typing import Annotated

import typer

from reelhook.cli import render
from reelhook.cli.client import api_client
from reelhook.cli.options import AsJson, Url


class WatcherAction(StrEnum):
    """What can be done with the watcher."""

    PAUSE = "pause"
    RESUME = "resume"


def stats(url: Url = None, as_json: AsJson = False) -> None:
    """Show how many jobs there are in each status, and how the watcher fares."""

    async def work() -> None:
        async with api_client(url) as api:
            answer = await api.get("/api/stats")
            render.show(answer, render.show_stats, as_json=as_json)

    asyncio.run(work())


def watcher(
    switch: Annotated[WatcherAction, typer.Argument(help="Which way.", show_default=False)],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Pause or resume asking providers how jobs fare.

    Requests are taken and webhooks are sent all the same. A pause holds for every process on the
    database, restarts included, until it is resumed.
    """

    async def work() -> None:
        async with api_client(url) as api:
            answer = await api.post(f"/api/watcher/{switch.value}")
            if as_json:
                render.say(answer.text)
            else:
                paused = answer.value["paused"]
                render.say("The watcher is paused." if paused else "The watcher is watching.")

    asyncio.run(work())
