"""Stops the servers of tests without leaving a connection open."""

import asyncio

from aiohttp import web

_ITERATIONS = 5


async def clean_up(runner: web.AppRunner) -> None:
    """Stop a server, and close its connections.

    A connection that arrived just now takes a few iterations of the event loop to become known to
    aiohttp. Its own clean-up would leave that one open, and asyncio's warning of it would fail some
    later test.
    """
    for _ in range(_ITERATIONS):
        await asyncio.sleep(0)
    await runner.cleanup()
