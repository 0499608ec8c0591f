"""Running a stub's web application on loopback until SIGTERM."""

import asyncio
import json
import signal
import socket
import struct
import sys
from typing import Any

import uvloop
from aiohttp import web


def json_response(
    content: Any, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    body = json.dumps(content, separators=(",", ":")).encode()
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def reset(request: web.Request) -> web.Response:
    """Cut the request's connection with a TCP reset; the response returned goes nowhere."""
    transport = request.transport
    if transport is not None:
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            linger_none = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_none)
        transport.abort()
    return web.Response()


def serve(app: web.Application, ports: list[int]) -> None:
    """Listen on 127.0.0.1; print `{"ports": [...]}` when ready; return after SIGTERM."""
    uvloop.run(_serve(app, ports))


async def _serve(app: web.Application, ports: list[int]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=False)
    await runner.setup()
    try:
        for port in ports:
            await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        print(json.dumps({"ports": [address[1] for address in runner.addresses]}), flush=True)
        await stopping.wait()
    finally:
        await runner.cleanup()
    sys.stdout.flush()
