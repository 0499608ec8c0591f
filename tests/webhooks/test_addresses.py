import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webhook_receivers import LOOPBACK, resolving

from reelhook.guard.addresses import AddressPolicy, check_registration, judge
from reelhook.guard.networks import IPAddress
from reelhook.guard.target import AddressRefusedError

PUBLIC = AddressPolicy()
COMPOSE = AddressPolicy((ip_network("172.16.0.0/12"),))
SETTING = "REELHOOK_ALLOW_NETWORKS"


def several(*texts: str) -> list[IPAddress]:
    return [ip_address(text) for text in texts]


# -- single addresses -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "edge",
    [
        *("1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0"),
        *("126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255"),
        *("172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.167.255.255"),
        *("192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.114.0", "223.255.255.255"),
        *("168.63.129.15", "168.63.129.17", "2000::", "2001:200::", "2001:db7:ffff::"),
        *("2001:db9::", "2003::", "2620:4f:7fff::", "2620:4f:8001::", "3ffe::", "3fff:1000::"),
    ],
)
def test_the_neighbours_of_special_networks_are_public(edge: str) -> None:
    assert PUBLIC.refusal(ip_address(edge)) is None


@pytest.mark.parametrize(
    "edge",
    [
        *("0.255.255.255", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.0"),
        *("169.254.169.254", "172.31.255.255", "192.0.0.0", "192.0.2.255", "192.31.196.0"),
        *("192.52.193.255", "192.88.99.1", "192.168.255.255", "192.175.48.0", "198.19.255.255"),
        *("203.0.113.0", "224.0.0.0", "239.255.255.255", "240.0.0.0", "168.63.129.16"),
        *("2001::", "2001:1ff:ffff::", "2001:db8:ffff::", "2002:ffff::", "2620:4f:8000:ffff::"),
        *("3fff:fff:ffff::", "1fff::", "4000::", "fe80::1%eth0", "2606:4700::1%eth0"),
    ],
)
def test_the_edges_of_special_networks_are_not(edge: str) -> None:
    assert SETTING in (PUBLIC.refusal(ip_address(edge)) or "")


@given(st.ip_addresses(v=6))
def test_no_ipv6_address_outside_global_unicast_is_permitted(address: IPv6Address) -> None:
    assert address in IPv6Network("2000::/3") or PUBLIC.refusal(address)


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_passes_inside_another_protocol(address: IPv4Address) -> None:
    value = int(address)
    for wrapped in (
        value,
        0xFFFF << 32 | value,
        0x64FF9B << 96 | value,
        0x2002 << 112 | value << 80,
    ):
        assert PUBLIC.refusal(IPv6Address(wrapped))


@given(st.ip_addresses())
def test_an_allowed_network_permits_whatever_is_inside(address: IPAddress) -> None:
    policy = AddressPolicy((ip_network(f"{address}/{address.max_prefixlen}"),))
    assert policy.refusal(address) is None


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["app", "localhost", "db.internal", "x.svc", "a.b.localhost"])
def test_a_private_name_passes_when_all_its_addresses_are_allowed(name: str) -> None:
    assert COMPOSE.name_refusal(name, several("172.18.0.2", "172.19.0.2")) is None
    assert judge(f"http://{name}:3000/hook", ["172.18.0.2"], COMPOSE).allowed


def test_a_private_name_with_a_public_address_is_refused() -> None:
    assert not judge("http://app:3000/hook", ["93.184.215.14"], COMPOSE).allowed


def test_localhost_needs_both_its_addresses_allowed_and_the_refusal_names_the_other() -> None:
    answers = ["127.0.0.1", "::1"]
    verdict = judge("http://localhost:3000/", answers, LOOPBACK)
    assert not verdict.allowed
    assert "::1/128" in (verdict.reason or "")
    assert SETTING in (verdict.reason or "")
    both = AddressPolicy((*LOOPBACK.allow_networks, ip_network("::1/128")))
    assert judge("http://localhost:3000/", answers, both).allowed


def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    refusal = PUBLIC.name_refusal("hooks.example.com", several("93.184.215.14", "10.0.0.5"))
    assert "10.0.0.5" in (refusal or "")
    assert SETTING in (refusal or "")


def test_a_name_may_not_mix_allowed_and_public_addresses() -> None:
    refusal = COMPOSE.name_refusal("hooks.example.com", several("172.18.0.2", "93.184.215.14"))
    assert "93.184.215.14" in (refusal or "")


def test_public_addresses_need_no_allowance_beside_one() -> None:
    wide = AddressPolicy((ip_network("93.184.215.0/24"),))
    assert wide.name_refusal("hooks.example.com", several("93.184.215.14", "8.8.8.8")) is None


def test_an_allowed_network_permits_a_literal_address() -> None:
    assert LOOPBACK.parse("http://127.0.0.1:3000/hook").port == 3000
    with pytest.raises(AddressRefusedError, match=r"169\.254\.169\.254"):
        LOOPBACK.parse("http://169.254.169.254/")


@pytest.mark.parametrize("url", ["http://app/", "http://localhost/", "http://10.0.0.5/"])
def test_a_refusal_of_an_address_names_the_setting(url: str) -> None:
    with pytest.raises(AddressRefusedError, match=SETTING):
        PUBLIC.parse(url)


@pytest.mark.parametrize("url", ["http://127.1/", "http://app:25/", "http://me@app/"])
def test_allowed_networks_lift_no_other_refusal(url: str) -> None:
    everything = AddressPolicy((ip_network("0.0.0.0/0"), ip_network("::/0")))
    assert not judge(url, ["127.0.0.1"], everything).allowed


def test_judging_a_private_name_without_answers_asks_for_them() -> None:
    assert "none were given" in (judge("http://app:3000/", policy=COMPOSE).reason or "")


def test_judging_a_bad_answer_raises() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        judge("https://hooks.example.com/", ["nonsense"])


# -- registration ---------------------------------------------------------------------------------


async def test_registration_looks_a_private_name_up_where_networks_are_allowed() -> None:
    look_up, asked = resolving(several("172.18.0.2"))
    await check_registration("http://app:3000/hook", COMPOSE, look_up)
    assert asked == ["app"]


async def test_registration_looks_no_public_name_up() -> None:
    look_up, asked = resolving(several("10.0.0.5"))
    await check_registration("https://hooks.example.com/", COMPOSE, look_up)
    assert asked == []


async def test_registration_refuses_a_private_name_with_an_address_outside() -> None:
    look_up, _ = resolving(several("172.18.0.2", "10.0.0.5"))
    with pytest.raises(AddressRefusedError, match=r"10\.0\.0\.5"):
        await check_registration("http://app:3000/hook", COMPOSE, look_up)


async def test_registration_refuses_a_private_name_that_does_not_resolve() -> None:
    async def look_up(_: str) -> list[IPAddress]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(AddressRefusedError, match="not known"):
        await check_registration("http://app:3000/hook", COMPOSE, look_up)


async def test_registration_waits_for_a_name_server_only_so_long() -> None:
    async def look_up(_: str) -> list[IPAddress]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(AddressRefusedError, match="in time"):
        await check_registration("http://app/", COMPOSE, look_up, timeout_seconds=0.01)
