"""A receiver whose TLS is not in order costs one attempt, and gets nothing of the webhook."""

import asyncio
import ssl
from ipaddress import ip_address

import pytest
from webhook_receivers import (
    CERTIFICATES,
    LOOPBACK,
    Behaviour,
    Counting,
    Receiver,
    Switchboard,
    client_tls,
    ok,
    receiver,
    request,
    reset,
    resolving,
    server_tls,
)

from reelhook.domain.delivery import WebhookResponse
from reelhook.guard.addresses import AddressPolicy
from reelhook.webhooks.sender import AiohttpSender


async def test_a_hanging_tls_handshake_is_given_up_before_the_attempt_is() -> None:
    async def silent(_: Receiver, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with receiver(silent) as one, AiohttpSender(LOOPBACK, connect_seconds=0.05) as sender:
        answer = await sender.send(request(f"https://127.0.0.1:{one.port}/"))
        await asyncio.wait_for(one.closed.wait(), 60)
    assert (answer.status, answer.error) == (None, "timeout")


async def tls_answer(
    certificate: str, name: str, tls: ssl.SSLContext | None
) -> tuple[WebhookResponse, Receiver]:
    look_up, _ = resolving([ip_address("93.184.215.14")])
    async with receiver(ok(b"thanks"), server_tls(certificate)) as one:
        board = Switchboard(lambda _: one.port)
        async with AiohttpSender(
            AddressPolicy(), look_up=look_up, open_socket=board.open_socket, tls=tls
        ) as sender:
            return await sender.send(request(f"https://{name}/hook")), one


@pytest.mark.parametrize(
    ("certificate", "name", "words"),
    [
        ("expired", "hooks.example.com", "expired"),
        ("self_signed", "hooks.example.com", "self-signed"),
        ("receiver", "hooks.example.net", "hooks.example.net"),
        ("receiver", "hooks.example.com", "issuer"),
    ],
    ids=["expired", "self-signed", "another name", "unknown authority"],
)
async def test_a_bad_certificate_is_told_and_nothing_is_sent(
    certificate: str, name: str, words: str
) -> None:
    tls = None if words == "issuer" else client_tls()
    answer, one = await tls_answer(certificate, name, tls)
    assert (answer.status, answer.error) == (None, "tls")
    assert words in (answer.detail or "")
    assert (one.requests, answer.body) == ([], "")


async def test_plain_http_behind_an_https_url_is_told() -> None:
    async def plain(
        _: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read(100)
        writer.write(ok(b"", status="400 Bad Request"))
        await reader.read()

    async with receiver(plain) as one, AiohttpSender(LOOPBACK) as sender:
        answer = await sender.send(request(f"https://127.0.0.1:{one.port}/"))
    assert (answer.status, answer.error) == (None, "tls")
    assert "does not speak TLS" in (answer.detail or "")


async def breaking_off(
    _: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await reader.read(100)
    reset(writer)


async def hanging_up(
    _: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await reader.read(100)
    writer.close()


def saying(words: bytes) -> Behaviour:
    async def behave(
        _: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read(100)
        while not writer.transport.is_closing():
            writer.write(words)
            await writer.drain()
            await asyncio.sleep(0.001)

    return behave


@pytest.mark.parametrize(
    ("behave", "error", "words"),
    [
        (hanging_up, "tls", "closed the connection during the TLS handshake"),
        (breaking_off, "connect", "reset"),
        (saying(b"\x15\x03\x03\x00\x02\x02\x28"), "tls", "alert handshake failure"),
        (saying(b"\x15\x03\x03\x00\x02\x02\x78"), "tls", "speaks only HTTP/2"),
        (saying(b"\x16\x03\x03\x00\x01\x02"), "tls", "No trusted TLS"),
        (saying(b"\0" * 65536), "tls", "does not speak TLS"),
        (saying(b"\x16\x03\x03\x40\x00\x02" + b"\0" * 8192), "tls", "No trusted TLS"),
    ],
    ids=[
        "FIN",
        "RST",
        "an alert",
        "only HTTP/2",
        "a dripped hello",
        "endless zeros",
        "a record too large",
    ],
)
async def test_a_handshake_that_fails_is_told(behave: Behaviour, error: str, words: str) -> None:
    async with receiver(behave) as one, AiohttpSender(LOOPBACK, connect_seconds=2) as sender:
        answer = await sender.send(request(f"https://127.0.0.1:{one.port}/"))
        await asyncio.wait_for(one.closed.wait(), 60)
    assert (answer.status, answer.error, one.connections) == (None, error, 1)
    assert words in (answer.detail or "")


async def test_a_receiver_that_wants_a_clients_certificate_is_told_of() -> None:
    tls = server_tls("receiver")
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(CERTIFICATES / "authority.pem")
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    async with receiver(ok(b""), tls) as one, AiohttpSender(LOOPBACK, tls=client_tls()) as sender:
        answer = await sender.send(request(f"https://127.0.0.1:{one.port}/"))
    assert (answer.status, answer.error, one.requests) == (None, "tls", [])
    assert "client certificate" in (answer.detail or "")


async def test_a_receiver_that_ignores_the_farewell_of_tls_holds_no_socket() -> None:
    async def deaf(
        one: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await one.next_request(reader)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a real one can read
        await asyncio.Event().wait()

    counting = Counting()
    async with (
        receiver(deaf, server_tls("receiver")) as one,
        AiohttpSender(LOOPBACK, open_socket=counting.open_socket, tls=client_tls()) as sender,
    ):
        url = f"https://127.0.0.1:{one.port}/"
        assert (await sender.send(request(url, timeout_seconds=0.1))).error == "timeout"
        (opened,) = counting.sockets
        async with asyncio.timeout(1):
            while opened.fileno() != -1:  # noqa: ASYNC110 - a closing socket tells nobody
                await asyncio.sleep(0.001)
