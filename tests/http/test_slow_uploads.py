"""Slow senders of large bodies delay no others, and no key takes all the memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path

import pytest
from gateways import Gateway
from starlette.types import Message
from vercel_clients import KEY, served
from wires import connected

from reelhook.doors.bodies import Bodies
from reelhook.doors.limits import Limits

MIB = 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n"
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
SLOW = (
    f"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
    f"Content-Type: {FORM['Content-Type']}\r\nContent-Length: {4 * MIB}\r\n\r\n--b\r\n"
)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with served(tmp_path, upload_max_mib=4, transfer_seconds=2) as one:
        yield one


def upload() -> BytesIO:
    parts = (
        b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nx\r\n',
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n',
        PNG + bytes(3 * MIB // 2),
        b"\r\n--b--\r\n",
    )
    return BytesIO(b"".join(parts))


async def test_a_slow_sender_does_not_stop_the_uploads_of_others(server: Gateway) -> None:
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(connected(server.url))
        await wire.send(SLOW.encode())
        async with asyncio.timeout(1.5):
            reply = await server.post("/v1/videos", data=upload(), headers=FORM)
        assert reply.status == 200, reply.body


async def test_a_key_leaves_half_of_the_memory_to_others() -> None:
    bodies, arriving = Bodies(Limits(upload_bytes=2 * MIB)), asyncio.Event()
    read: list[str] = []

    async def sent() -> Message:
        await arriving.wait()
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def receive(key_id: str) -> None:
        async def starting() -> Message:
            read.append(key_id)
            return await sent()

        body = bodies.body(starting, 3 * MIB // 2, 2 * MIB)
        body.belongs_to(key_id)
        await body.receive()
        body.close()

    async with asyncio.TaskGroup() as group:
        for key_id in ("slow", "slow", "slow", "other", "other"):
            group.create_task(receive(key_id))
        for _ in range(5):
            await asyncio.sleep(0)
        assert sorted(read) == ["other", "other", "slow", "slow"]
        arriving.set()
    assert len(read) == 5
