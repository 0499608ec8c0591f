"""No way of writing, resolving or redirecting leads a webhook to an address that is denied."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webhook_receivers import (
    LOOPBACK,
    NO_CONTENT,
    Counting,
    Switchboard,
    client_tls,
    ok,
    receiver,
    request,
    resolving,
    server_tls,
    then_close,
)

from reelhook.guard.addresses import AddressPolicy, judge
from reelhook.guard.networks import IPAddress, special_purpose
from reelhook.webhooks.sender import AiohttpSender

PUBLIC = AddressPolicy()
METADATA = ip_address("169.254.169.254")


# -- spellings of an address ----------------------------------------------------------------------


def spellings(address: IPv4Address) -> list[str]:
    """Return what some parser or resolver takes for this address."""
    value = int(address)
    a, b, c, d = address.packed
    wide = str(address).translate({ord(str(n)): 0xFF10 + n for n in range(10)})
    v6 = [
        *(f"::ffff:{address}", f"::ffff:{value >> 16:x}:{value & 0xFFFF:x}", f"::{address}"),
        *(f"::ffff:0:{address}", f"64:ff9b::{address}", f"64:ff9b:1::{address}"),
        *(f"2002:{value >> 16:x}:{value & 0xFFFF:x}::", f"0:0:0:0:0:FFFF:{address}"),
        *(f"fe80::5efe:{address}", f"2001:0:{value >> 16:x}:{value & 0xFFFF:x}::"),
        f"2001:0:4136:e378:8000:63bf:{~value >> 16 & 0xFFFF:x}:{~value & 0xFFFF:x}",
    ]
    return [
        *(str(address), f"{address}.", str(value), f"{value:#x}", f"{value:#o}", f"0{value:o}"),
        *(f"{a}.{b}.{value & 0xFFFF}", f"{a}.{value & 0xFFFFFF}", f"{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        *(f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"{a:#x}.{value & 0xFFFFFF:#x}", f"00{a}.{b}.{c}.{d}"),
        *(f"{a + 256}.{b}.{c}.{d}", f"{value + 2**32}", f"{a}.{b}.{c}.{d:#X}", wide),
        *(str(address).replace(".", sign) for sign in "\u3002\uff0e\uff61"),
        *(f"%{ord(str(address)[0]):x}{str(address)[1:]}", f"{address}%00", f"{address}\t"),
        *(f"[{text}]" for text in v6),
        *(f"[{text}%25lo]" for text in v6[:1]),
    ]


DENIED_V4 = st.ip_addresses(v=4).filter(lambda address: special_purpose(address) is not None)


@given(DENIED_V4)
def test_no_spelling_of_a_denied_ipv4_address_passes(address: IPv4Address) -> None:
    for host in spellings(address):
        for url in (f"http://{host}/", f"http://{host}:8080/hook"):
            verdict = judge(url, [str(address)])
            assert not verdict.allowed, url
            assert verdict.reason


@given(st.ip_addresses(v=6).filter(lambda address: special_purpose(address) is not None))
def test_no_spelling_of_a_denied_ipv6_address_passes(address: IPv6Address) -> None:
    for text in (address.compressed, address.exploded, address.exploded.upper()):
        assert not judge(f"http://[{text}]/").allowed
        assert not judge("http://hooks.example.com/", [text]).allowed


@given(st.text(max_size=80), st.lists(st.ip_addresses().map(str), max_size=3))
def test_any_text_at_all_is_judged(text: str, answers: list[str]) -> None:
    for url in (text, f"http://{text}", f"https://{text}.example.com/{text}"):
        verdict = judge(url, answers)
        assert verdict.allowed == (verdict.reason is None)


@pytest.mark.parametrize(
    "address", [METADATA, ip_address("127.0.0.1")], ids=["metadata", "loopback"]
)
async def test_the_sender_opens_no_socket_for_any_spelling(address: IPv4Address) -> None:
    counting = Counting()
    look_up, _ = resolving([address])
    async with AiohttpSender(PUBLIC, look_up=look_up, open_socket=counting.open_socket) as sender:
        for host in spellings(address):
            for scheme in ("http", "https"):
                answer = await sender.send(request(f"{scheme}://{host}/"))
                assert (answer.status, answer.error) == (None, "address_refused"), host
    assert counting.sockets == []


async def test_an_allowed_ipv4_network_lets_no_ipv6_form_of_it_pass() -> None:
    counting = Counting()
    look_up, _ = resolving([ip_address("::ffff:127.0.0.1")])
    async with (
        receiver(NO_CONTENT) as one,
        AiohttpSender(LOOPBACK, look_up=look_up, open_socket=counting.open_socket) as sender,
    ):
        for host in ("[::ffff:127.0.0.1]", "[::1]", "[::127.0.0.1]", "app"):
            answer = await sender.send(request(f"http://{host}:{one.port}/"))
            assert answer.error == "address_refused"
        assert (counting.sockets, one.connections) == ([], 0)


# -- names whose answers change -------------------------------------------------------------------


def addresses(*texts: str) -> list[IPAddress]:
    return [ip_address(text) for text in texts]


@pytest.mark.parametrize(
    "second",
    [
        *(["169.254.169.254"], ["127.0.0.1"], ["::1"], ["::ffff:10.0.0.5"], ["fd00:ec2::254"]),
        *(["93.184.215.14", "10.0.0.5"], ["64:ff9b::a00:5"], ["2002:a00:5::1"]),
    ],
    ids=" ".join,
)
async def test_only_what_was_judged_is_dialled_however_the_answers_change(
    second: list[str],
) -> None:
    look_up, asked = resolving(addresses("93.184.215.14"), addresses(*second))
    async with receiver(then_close(ok(b"", "Connection: close"))) as one:
        board = Switchboard(lambda _: one.port)
        async with AiohttpSender(PUBLIC, look_up=look_up, open_socket=board.open_socket) as sender:
            answers = [
                # The port makes it another look-up; the name is the same.
                await sender.send(request(f"http://rebind.example.com:{port}/"))
                for port in (8080, 8081, 8082)
            ]
    assert [answer.error for answer in answers] == [None, "address_refused", "address_refused"]
    assert board.opened == ["93.184.215.14"]
    assert len(asked) == 3


async def test_a_look_up_behind_the_guard_can_not_swap_the_dialled_address() -> None:
    # The judging look-up answers well; the list that it handed out is changed afterwards.
    found = addresses("93.184.215.14")

    async def look_up(_: str) -> list[IPAddress]:
        return found

    async with receiver(ok(b"")) as one:
        board = Switchboard(lambda _: one.port)
        async with AiohttpSender(PUBLIC, look_up=look_up, open_socket=board.open_socket) as sender:
            await sender.send(request("http://rebind.example.com/"))
            found[:] = [METADATA]
            await sender.send(request("http://rebind.example.com/"))
            refused = await sender.send(request("http://rebind.example.com:8080/"))
    assert refused.error == "address_refused"
    assert set(board.opened) == {"93.184.215.14"}


# -- redirects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "from the API"])
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
async def test_a_redirects_target_gets_no_connection(status: int, trusted: bool) -> None:
    async with receiver(NO_CONTENT) as target:
        moved = ok(b"moved", f"Location: {target.url}", status=f"{status} Moved")
        if status == 304:  # has no body
            moved = f"HTTP/1.1 304 Moved\r\nLocation: {target.url}\r\n\r\n".encode()
        counting = Counting()
        async with (
            receiver(moved) as one,
            AiohttpSender(LOOPBACK, open_socket=counting.open_socket) as sender,
        ):
            answer = await sender.send(request(one.url, trusted=trusted))
        assert (answer.status, answer.error, answer.succeeded) == (status, "redirect", False)
        assert target.url in (answer.detail or "")
        assert (len(one.requests), target.connections, len(counting.sockets)) == (1, 0, 1)


@pytest.mark.parametrize(
    "headers", [("Refresh: 0; url={}",), ("Location: {}",), ("Alt-Svc: h2={}",), ("Link: <{}>",)]
)
async def test_nor_does_any_other_header_lead_elsewhere(headers: tuple[str, ...]) -> None:
    async with receiver(NO_CONTENT) as target:
        answered = ok(b"", *(header.format(target.url) for header in headers))
        async with receiver(answered) as one, AiohttpSender(LOOPBACK) as sender:
            for _ in range(2):
                assert (await sender.send(request(one.url))).succeeded
        assert (len(one.requests), target.connections) == (2, 0)


async def test_a_denied_https_name_gets_no_hello_of_tls() -> None:
    look_up, _ = resolving(addresses("127.0.0.1"))
    counting = Counting()
    async with (
        receiver(ok(b""), server_tls("receiver")) as one,
        AiohttpSender(
            PUBLIC, look_up=look_up, open_socket=counting.open_socket, tls=client_tls()
        ) as sender,
    ):
        answer = await sender.send(request(f"https://hooks.example.com:{one.port}/"))
        assert (answer.error, one.connections, counting.sockets) == ("address_refused", 0, [])


async def test_what_is_allowed_beside_a_denied_address_is_not_dialled_either() -> None:
    policy = AddressPolicy((ip_network("127.0.0.1/32"),))
    counting = Counting()
    for second in ("127.0.0.2", "::1", "10.0.0.5", "93.184.215.14"):
        look_up, _ = resolving(addresses("127.0.0.1", second))
        async with (
            receiver(NO_CONTENT) as one,
            AiohttpSender(policy, look_up=look_up, open_socket=counting.open_socket) as sender,
        ):
            answer = await sender.send(request(f"http://app:{one.port}/"))
            assert (answer.error, one.connections) == ("address_refused", 0)
    assert counting.sockets == []
