"""The syntax of a URL: one way to read it, so that no two parsers can disagree."""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

import idna

from reelhook.domain.errors import ReelhookError
from reelhook.guard.networks import IPAddress

URL_CHARACTERS_MAX = 2048
SIGNED_URL_CHARACTERS_MAX = 8192
"""For files and images: clouds sign their addresses with tokens of a few thousand characters."""
_NAME_OCTETS_MAX = 253
_DEFAULT_PORTS = {"http": 80, "https": 443}

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
"""Controls (C1 too), invisible and direction marks, halves of pairs, line ends and all blanks."""
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(#.*)?",
    re.IGNORECASE | re.DOTALL,
)
_AUTHORITY = re.compile(
    r"((?P<userinfo>[^\[\]]*)@)?(\[(?P<ipv6>[^\[\]@]*)\]|(?P<name>[^:@\[\]]*))(:(?P<port>[0-9]{0,5}))?",
    re.DOTALL,
)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label that makes WHATWG's parser read the host as IPv4: it "ends in a number"."""
_PRINTABLE_ASCII = "".join(map(chr, range(0x21, 0x7F)))


class AddressRefusedError(ReelhookError):
    """No request may go there. The message says what is wrong and the remedy."""

    code = "address_refused"


Origin = tuple[str, str, int]
"""Scheme, host and port, as `Target` has them."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that was understood. `host` is lower-case ASCII, IPv6 without its brackets.

    `address` is None when the host is a name. `request_target` is path and query as they go on
    the wire: the bytes that were given, and only what is not ASCII percent-encoded.
    """

    scheme: str
    userinfo: str | None
    host: str
    address: IPAddress | None
    port: int
    request_target: str

    @property
    def origin(self) -> Origin:
        """Scheme, host and port."""
        return self.scheme, self.host, self.port

    @property
    def name(self) -> str:
        """The host without the dot of an absolute name."""
        return self.host.removesuffix(".")

    @property
    def wire_url(self) -> str:
        """The URL to send to: canonical up to the path, no fragment."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        userinfo = "" if self.userinfo is None else f"{self.userinfo}@"
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{userinfo}{host}{port}{self.request_target}"


def parse_target(url: str, *, characters_max: int = URL_CHARACTERS_MAX) -> Target:
    """Read a URL's syntax; where it may go is not judged. Raises `AddressRefusedError`."""
    parts = _split(url, characters_max)
    authority = _AUTHORITY.fullmatch(parts["authority"])
    if authority is None or "\\" in parts["authority"]:
        raise AddressRefusedError(
            "The URL's host and port can't be read: write https://host/path or "
            "https://host:port/path, with an IPv6 address in brackets"
        )
    host, address = _host(authority["name"], authority["ipv6"])
    scheme = parts["scheme"].lower()
    target = (parts["path"] or "/") + (parts["query"] or "")
    return Target(
        scheme=scheme,
        userinfo=None if authority["userinfo"] is None else _as_ascii(authority["userinfo"]),
        host=host,
        address=address,
        port=_port(authority["port"], scheme),
        request_target=_as_ascii(target),
    )


def _as_ascii(text: str) -> str:
    return text if text.isascii() else quote(text, safe=_PRINTABLE_ASCII)


def _split(url: str, characters_max: int) -> re.Match[str]:
    if len(url) > characters_max:
        raise AddressRefusedError(
            f"The URL has {len(url)} characters: at most {characters_max} are accepted"
        )
    if any(unicodedata.category(one) in _UNSAFE_CATEGORIES for one in url):
        raise AddressRefusedError(
            "The URL contains a space, a control character or an invisible one: percent-encode it"
        )
    parts = _URL.fullmatch(url)
    if parts is None:
        raise AddressRefusedError("The URL must start with https:// or http://")
    return parts


def _port(digits: str | None, scheme: str) -> int:
    if not digits:  # `https://host:/` names no port (RFC 3986, 3.2.3), and is the default one
        return _DEFAULT_PORTS[scheme]
    port = int(digits)
    if str(port) != digits:
        raise AddressRefusedError(f"Port {digits} has a leading zero: write {port}")
    if not 1 <= port <= 65535:
        raise AddressRefusedError(f"Port {port} does not exist: use 1 to 65535")
    return port


# -- hosts ----------------------------------------------------------------------------------------


def _host(name: str | None, ipv6: str | None) -> tuple[str, IPAddress | None]:
    if ipv6 is not None:
        v6 = _ipv6(ipv6)
        return v6.compressed, v6
    if not name:
        raise AddressRefusedError("The URL has no host: write https://host/path")
    if "%" in name:
        raise AddressRefusedError("The URL's host is percent-encoded: write it plainly")
    name = name.lower()
    if _NUMBER.fullmatch(name.removesuffix(".").rpartition(".")[2]):
        v4 = _ipv4(name)
        return v4.compressed, v4
    return _ascii_name(name), None


def _ipv6(text: str) -> IPv6Address:
    try:
        if "%" not in text:
            return IPv6Address(text)
    except ipaddress.AddressValueError:
        pass
    raise AddressRefusedError(f"[{text}] is no IPv6 address: write it without zone or port inside")


def _ipv4(text: str) -> IPv4Address:
    # Resolvers read 0177.0.0.1, 2130706433 and 127.1 as 127.0.0.1, other readers don't.
    try:
        return IPv4Address(text)
    except ipaddress.AddressValueError:
        raise AddressRefusedError(
            f"{text} is no plain IPv4 address: write four decimal numbers without leading zeros"
        ) from None


def _ascii_name(name: str) -> str:
    labels = name.removesuffix(".").split(".")
    ascii_name = ".".join(_ascii_label(label) for label in labels)
    if len(ascii_name) > _NAME_OCTETS_MAX:
        raise AddressRefusedError(
            f"The URL's host is longer than the {_NAME_OCTETS_MAX} octets a name may have"
        )
    return ascii_name + "." if name.endswith(".") else ascii_name


def _ascii_label(label: str) -> str:
    """Return the A-label. IDNA 2008 without mapping: what looks like a dot or digit is refused."""
    try:
        if not label.isascii():
            label = idna.alabel(label).decode("ascii")
        elif label.startswith("xn--"):
            idna.ulabel(label)
    except UnicodeError as error:
        raise AddressRefusedError(
            f"{label!r} in the URL's host is no valid international name ({error})"
        ) from None
    if _LABEL.fullmatch(label) is None:
        problem = "an empty label" if not label else f"the label {label!r}"
        raise AddressRefusedError(
            f"The URL's host has {problem}: labels are 1 to 63 letters, digits and hyphens"
        )
    return label
