"""A receiver that speaks only HTTP/2 is reported as such, however it hangs up."""

import asyncio
from dataclasses import replace
from ipaddress import ip_address

import pytest
from webhook_receivers import (
    Receiver,
    Switchboard,
    client_tls,
    receiver,
    request,
    resolving,
    server_tls,
)

from reelhook.guard.addresses import AddressPolicy
from reelhook.webhooks.sender import AiohttpSender

SETTINGS = bytes.fromhex("00000c 04 00 00000000 000300000064 000400100000")
GOAWAY = bytes.fromhex("000008 07 00 00000000 00000000 00000001")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("begins", ["at once", "when it is asked"])
@pytest.mark.parametrize("ends", ["FIN", "RST", "silence"])
@pytest.mark.parametrize("body_bytes", [2, 900_000], ids=["small", "large"])
async def test_it_is_told(tls: bool, begins: str, ends: str, body_bytes: int) -> None:
    async def behave(
        _: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if begins == "at once":
            writer.write(SETTINGS)
        await reader.read(24)  # where the client's preface would be
        if begins != "at once":
            writer.write(SETTINGS)
        if ends == "silence" and begins != "at once":
            await reader.read(-1)
        writer.write(GOAWAY)
        if ends == "RST":
            writer.transport.abort()

    look_up, _ = resolving([ip_address("93.184.215.14")])
    async with receiver(behave, server_tls("receiver") if tls else None) as one:
        board = Switchboard(lambda _: one.port)
        sender = AiohttpSender(
            AddressPolicy(), look_up=look_up, open_socket=board.open_socket, tls=client_tls()
        )
        url = f"{'https' if tls else 'http'}://hooks.example.com/"
        async with sender:
            answer = await sender.send(replace(request(url), body=b"x" * body_bytes))
    assert (answer.status, answer.error) == (None, "protocol")
    assert "only HTTP/2" in (answer.detail or "")
    assert one.connections == 1
