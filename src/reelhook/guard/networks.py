"""Lists of addresses that are not public, because `ipaddress.is_global` is wrong on several.

IANA IPv4 and IPv6 Special-Purpose Address Registries, https://www.iana.org/assignments/
iana-ipv4-special-registry and iana-ipv6-special-registry; multicast from RFC 5771.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_SPECIAL_V4 = tuple(
    (IPv4Network(network), purpose)
    for network, purpose in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private use"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local, where clouds keep their metadata"),
        ("172.16.0.0/12", "private use"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112"),
        ("192.52.193.0/24", "AMT relays"),
        ("192.88.99.0/24", "6to4 relays"),
        ("192.168.0.0/16", "private use"),
        ("192.175.48.0/24", "AS112"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        # A public address, but inside virtual machines at Azure, Azure itself responds at it:
        # https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
        ("168.63.129.16/32", "Azure's own services"),
    )
)
_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    (IPv6Network(network), purpose)
    for network, purpose in (
        # The first seven are outside 2000::/3 anyway; they are listed for their names.
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("64:ff9b::/96", "NAT64"),
        ("fc00::/7", "unique local"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "protocol assignments, Teredo"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "AS112"),
        ("3fff::/20", "documentation"),
    )
)


def special_purpose(address: IPAddress) -> str | None:
    """Return the purpose of an address that is not public; None for a public address."""
    if isinstance(address, IPv4Address):
        return next((purpose for network, purpose in _SPECIAL_V4 if address in network), None)
    if address.scope_id is not None:
        return "bound to one interface"
    purpose = next((purpose for network, purpose in _SPECIAL_V6 if address in network), None)
    if purpose is None and address not in _GLOBAL_UNICAST_V6:
        return "outside 2000::/3, the public part of IPv6"
    return purpose
