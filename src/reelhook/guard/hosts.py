"""Hosts of listeners: loopback, wildcards, and the URL that reaches a listener."""

from ipaddress import IPv4Address, IPv6Address, ip_address

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def local_url(host: str, port: int) -> str:
    """Return the URL at which this machine reaches a listener on `host`.

    `::` becomes `::1`: not every system lets an IPv6 wildcard take IPv4 connections too.
    """
    host = _WILDCARDS.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(host: str) -> bool:
    """Return True if a name or address always means this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def plain_address(text: str) -> IPv4Address | IPv6Address:
    """Return an address; `::ffff:192.0.2.1`, as dual-stack sockets report it, becomes IPv4.

    Raises `ValueError`.
    """
    address = ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
