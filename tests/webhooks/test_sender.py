import asyncio
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from ipaddress import ip_address, ip_network

import pytest
from webhook_receivers import (
    BODY,
    HEADERS,
    LOOPBACK,
    NO_CONTENT,
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
    then_close,
    then_hang,
)

from reelhook.domain.delivery import WebhookResponse
from reelhook.guard.addresses import AddressPolicy
from reelhook.guard.networks import IPAddress
from reelhook.webhooks.sender import AiohttpSender

NOW = 1_700_000_000_000


async def answer_to(answer: bytes, *, trusted: bool = False) -> WebhookResponse:
    async with receiver(answer) as one, AiohttpSender(LOOPBACK, now=lambda: NOW) as sender:
        return await sender.send(request(one.url, trusted=trusted))


# -- what goes out --------------------------------------------------------------------------------


@pytest.mark.parametrize("trusted", [True, False])
async def test_the_request_is_exactly_what_was_signed(trusted: bool) -> None:
    async with receiver(NO_CONTENT) as one, AiohttpSender(LOOPBACK) as sender:
        await sender.send(request(f"{one.url}/a/../b?token=x%2Fy+z%20&%zz#top", trusted=trusted))
    head, _, body = one.requests[0].partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    assert line == "POST /hook/a/../b?token=x%2Fy+z%20&%zz HTTP/1.1"
    own = {"Host": f"127.0.0.1:{one.port}", "Content-Length": str(len(BODY))}
    assert dict(header.split(": ") for header in headers) == HEADERS | own
    assert body == BODY


async def test_cookies_are_never_sent_back() -> None:
    setting = ok(b"", "Set-Cookie: a=b; Path=/")
    async with receiver(setting) as one, AiohttpSender(LOOPBACK) as sender:
        for _ in range(2):
            await sender.send(request(one.url))
    assert len(one.requests) == 2
    assert b"ookie" not in b"".join(one.requests)


async def test_the_environments_proxy_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert (await answer_to(NO_CONTENT)).succeeded


async def test_tls_asks_for_an_absolute_name_without_its_dot() -> None:
    asked: list[str | None] = []
    tls = server_tls("receiver")
    tls.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with receiver(NO_CONTENT, tls) as one:
        board = Switchboard(lambda _: one.port)
        look_up, names = resolving([ip_address("93.184.215.14")])
        async with AiohttpSender(
            AddressPolicy(), look_up=look_up, open_socket=board.open_socket, tls=client_tls()
        ) as sender:
            answer = await sender.send(request("https://hooks.example.com./webhook"))
    assert answer.succeeded
    assert (asked, names) == (["hooks.example.com"], ["hooks.example.com."])
    assert b"\r\nHost: hooks.example.com\r\n" in one.requests[0]


# -- what comes back ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 204, 299, 400, 404, 410, 429, 500, 503, 999])
async def test_the_status_is_reported(status: int) -> None:
    answer = await answer_to(ok(b"", status=f"{status} Whatever"))
    assert (answer.status, answer.error, answer.detail) == (status, None, None)
    assert answer.succeeded == (status < 300)


async def test_the_body_is_kept_as_text_up_to_16_kib() -> None:
    assert (await answer_to(ok("grüße".encode()))).body == "grüße"
    assert (await answer_to(ok(b"a\xff\x00b"))).body == "a\ufffd\ufffdb"
    assert (await answer_to(ok(b"x" * 65536))).body == "x" * 16384


async def test_a_body_of_exactly_64_kib_is_no_fault() -> None:
    answer = await answer_to(ok(b"x" * 65536))
    assert (answer.status, answer.error) == (200, None)


async def test_a_body_that_ends_with_the_connection_is_whole() -> None:
    async with (
        receiver(then_close(b"HTTP/1.0 200 OK\r\n\r\nthanks")) as one,
        AiohttpSender(LOOPBACK) as sender,
    ):
        answer = await sender.send(request(one.url))
    assert (answer.status, answer.error, answer.body) == (200, None, "thanks")


async def test_what_a_receiver_says_can_always_be_kept() -> None:
    answer = await answer_to(
        b"HTTP/1.1 302 Found\r\nLocation: /\xff\x01\r\nContent-Length: 1\r\n\r\n\xff"
    )
    assert (answer.status, answer.error) == (302, "redirect")
    assert (answer.body + (answer.detail or "")).encode()


async def test_switching_protocols_is_a_failure_like_any() -> None:
    switched = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw"
    async with receiver(then_hang(switched)) as one, AiohttpSender(LOOPBACK) as sender:
        answer = await sender.send(request(one.url))
        assert (answer.status, answer.succeeded) == (101, False)
        await asyncio.wait_for(one.closed.wait(), 60)


async def test_early_hints_are_passed_over() -> None:
    assert (await answer_to(b"HTTP/1.1 103 Early Hints\r\n\r\n" + NO_CONTENT)).status == 204


@pytest.mark.parametrize("status", ["302 Found", "404 Not Found", "429 Slow", "503 Down"])
async def test_retry_after_is_read_on_any_failure(status: str) -> None:
    answer = await answer_to(ok(b"", "Retry-After: 120", status=status))
    assert answer.retry_after_seconds == 120.0


async def test_a_retry_after_date_counts_from_the_given_clock() -> None:
    date = format_datetime(datetime.fromtimestamp(NOW / 1000 + 90, UTC), usegmt=True)
    answer = await answer_to(ok(b"", f"Retry-After: {date}", status="503 Down"))
    assert answer.retry_after_seconds == 90.0


async def test_retry_after_means_nothing_on_success() -> None:
    assert (await answer_to(ok(b"", "Retry-After: 120"))).retry_after_seconds is None


# -- connections ----------------------------------------------------------------------------------


async def test_a_connection_is_used_again() -> None:
    async with receiver(ok(b"thanks")) as one, AiohttpSender(LOOPBACK) as sender:
        answers = [await sender.send(request(one.url)) for _ in range(5)]
    assert all(answer.succeeded for answer in answers)
    assert one.connections == 1


async def test_trusted_and_untrusted_urls_share_no_connection() -> None:
    async with receiver(ok(b"thanks")) as one, AiohttpSender(LOOPBACK) as sender:
        for trusted in (True, False, True, False):
            await sender.send(request(one.url, trusted=trusted))
    assert one.connections == 2


async def test_a_pooled_connection_that_trust_opened_gives_no_way_in() -> None:
    async with receiver(ok(b"thanks")) as one, AiohttpSender(AddressPolicy()) as sender:
        assert (await sender.send(request(one.url, trusted=True))).succeeded
        assert (await sender.send(request(one.url))).error == "address_refused"
    assert len(one.requests) == 1


@pytest.mark.parametrize("break_off", [reset, asyncio.StreamWriter.close], ids=["RST", "FIN"])
async def test_a_pooled_connection_that_breaks_costs_no_attempt(
    break_off: Callable[[asyncio.StreamWriter], None],
) -> None:
    async def once_each(
        one: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await one.next_request(reader)
        writer.write(ok(b"thanks"))
        await one.next_request(reader)
        break_off(writer)

    async with receiver(once_each) as one, AiohttpSender(LOOPBACK) as sender:
        first, second = [await sender.send(request(one.url)) for _ in range(2)]
    assert (first.status, second.status, second.error) == (200, 200, None)
    # The second request was sent twice: once into the connection that broke, once anew.
    assert (one.connections, len(one.requests)) == (2, 3)


async def test_a_fresh_connection_that_breaks_is_not_tried_twice() -> None:
    async with receiver(then_close(b"")) as one, AiohttpSender(LOOPBACK) as sender:
        assert (await sender.send(request(one.url))).error == "closed_early"
    assert one.connections == 1


async def test_attempts_do_not_wait_for_one_another() -> None:
    all_here = asyncio.Barrier(150)

    async def together(
        one: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await one.next_request(reader)
        await all_here.wait()
        writer.write(NO_CONTENT)
        await reader.read()

    async with receiver(together) as one, AiohttpSender(LOOPBACK) as sender:
        answers = await asyncio.gather(*(sender.send(request(one.url)) for _ in range(150)))
    assert {answer.status for answer in answers} == {204}


async def test_cancelling_an_attempt_closes_its_connection() -> None:
    async with receiver(then_hang(b"")) as one, AiohttpSender(LOOPBACK) as sender:
        attempt = asyncio.create_task(sender.send(request(one.url)))
        await asyncio.wait_for(one.arrived.wait(), 60)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await asyncio.wait_for(one.closed.wait(), 60)


async def test_a_closed_sender_reports_rather_than_raises() -> None:
    async with AiohttpSender(LOOPBACK) as sender:
        pass
    assert (await sender.send(request("http://127.0.0.1:8080/"))).error == "internal"


# -- the guard ------------------------------------------------------------------------------------


async def test_a_literal_address_that_is_not_allowed_is_never_dialled() -> None:
    counting = Counting()
    async with (
        receiver(NO_CONTENT) as one,
        AiohttpSender(AddressPolicy(), open_socket=counting.open_socket) as sender,
    ):
        answer = await sender.send(request(one.url))
    assert answer.error == "address_refused"
    assert "REELHOOK_ALLOW_NETWORKS" in (answer.detail or "")
    assert (counting.sockets, one.connections) == ([], 0)


async def test_the_guard_sees_the_dialled_address_itself() -> None:
    # A resolver that hands out what it did not judge is what the second check is for.
    class Blind(AddressPolicy):
        __slots__ = ()

        def name_refusal(self, *_: object) -> None:
            return None

    for answers in (["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]):
        counting = Counting()
        look_up, _ = resolving([ip_address(answer) for answer in answers])
        async with AiohttpSender(
            Blind(), look_up=look_up, open_socket=counting.open_socket
        ) as sender:
            answer = await sender.send(request("http://hooks.example.com/"))
        assert answer.error == "address_refused"
        assert counting.sockets == []


async def test_a_private_name_reaches_an_allowed_address() -> None:
    look_up, asked = resolving([ip_address("127.0.0.1")])
    async with receiver(NO_CONTENT) as one, AiohttpSender(LOOPBACK, look_up=look_up) as sender:
        assert (await sender.send(request(f"http://app:{one.port}/hook"))).succeeded
    assert asked == ["app"]


async def test_a_private_name_with_an_address_outside_is_not_dialled_at_all() -> None:
    counting = Counting()
    look_up, _ = resolving([ip_address("127.0.0.1"), ip_address("::1")])
    async with AiohttpSender(LOOPBACK, look_up=look_up, open_socket=counting.open_socket) as sender:
        answer = await sender.send(request("http://localhost:3000/"))
    assert answer.error == "address_refused"
    assert "::1/128" in (answer.detail or "")
    assert counting.sockets == []


async def test_a_name_that_turns_private_is_refused_from_then_on() -> None:
    public, private = [ip_address("93.184.215.14")], [ip_address("10.0.0.5")]
    look_up, _ = resolving(public, private)
    async with receiver(then_close(ok(b"", "Connection: close"))) as one:
        board = Switchboard(lambda _: one.port)
        async with AiohttpSender(
            AddressPolicy(), look_up=look_up, open_socket=board.open_socket
        ) as sender:
            assert (await sender.send(request("http://a.example.com/"))).succeeded
            # Another port is another look-up, within the seconds that the first is remembered.
            refused = await sender.send(request("http://a.example.com:8080/"))
    assert refused.error == "address_refused"
    assert board.opened == ["93.184.215.14"]


async def test_an_operators_url_may_go_anywhere() -> None:
    look_up, _ = resolving([ip_address("127.0.0.1")])
    async with (
        receiver(NO_CONTENT) as one,
        AiohttpSender(AddressPolicy(), look_up=look_up) as sender,
    ):
        for url in (one.url, f"http://localhost:{one.port}/", f"http://me:pw@app:{one.port}/"):
            assert (await sender.send(request(url, trusted=True))).succeeded
    assert b"\r\nAuthorization: Basic bWU6cHc=\r\n" in one.requests[2]


@pytest.mark.parametrize("url", ["", "ftp://127.0.0.1/", "http://", "http://a b/"])
async def test_an_operators_url_that_is_none_is_reported(url: str) -> None:
    async with AiohttpSender(AddressPolicy()) as sender:
        answer = await sender.send(request(url, trusted=True))
    assert answer.error == "address_refused"


# -- no connection --------------------------------------------------------------------------------


async def test_a_failed_look_up_is_told() -> None:
    async def look_up(_: str) -> list[IPAddress]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with AiohttpSender(LOOPBACK, look_up=look_up) as sender:
        answer = await sender.send(request("https://hooks.example.com/"))
    assert (answer.status, answer.error) == (None, "dns")
    assert answer.detail == "hooks.example.com could not be looked up: Name or service not known"


async def test_a_refused_connection_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    async with AiohttpSender(LOOPBACK) as sender:
        answer = await sender.send(request(f"http://127.0.0.1:{port}/"))
    assert (answer.status, answer.error) == (None, "connect")
    assert f"127.0.0.1:{port}" in (answer.detail or "")


async def test_an_unreachable_second_address_does_not_hide_the_first() -> None:
    look_up, _ = resolving([ip_address("127.0.0.1"), ip_address("127.0.0.2")])
    policy = AddressPolicy((ip_network("127.0.0.0/8"),))
    async with receiver(NO_CONTENT) as one, AiohttpSender(policy, look_up=look_up) as sender:
        assert (await sender.send(request(f"http://app:{one.port}/"))).succeeded
