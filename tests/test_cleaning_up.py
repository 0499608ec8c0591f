"""Servers of tests leave no connection open, whenever it arrived."""

import asyncio
import gc
import socket
import warnings

import pytest
from aiohttp import web
from cleaning_up import clean_up


@pytest.mark.parametrize("iterations", range(5))
def test_a_connection_that_has_just_arrived_is_closed(iterations: int) -> None:
    async def serve() -> socket.socket:
        runner = web.AppRunner(web.Application())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        client = socket.create_connection(runner.addresses[0])
        for _ in range(iterations):
            await asyncio.sleep(0)
        await clean_up(runner)
        return client

    with asyncio.run(serve()), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(one.message) for one in warned] == []
