"""Pure rules about the addresses to which requests may be sent.

A URL that the operator did not choose may lead only to public addresses, and to networks that the
operator allows: for webhooks in REELHOOK_ALLOW_NETWORKS, for finished files in the provider's
account. The same rules are applied again to the address of every connection.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from reelhook.guard.networks import IPAddress, IPNetwork, special_purpose
from reelhook.guard.target import URL_CHARACTERS_MAX, AddressRefusedError, Target, parse_target

ALLOW_SETTING = "REELHOOK_ALLOW_NETWORKS"

LookUp = Callable[[str], Awaitable[Sequence[IPAddress]]]
"""Resolves an ASCII name. Raises OSError (`LookUpsBusyError` is one) if that fails."""

_SPECIAL_NAMES = (
    # RFC 6761, 6762 (with its appendix G), 7686, 8375, 9476 and ICANN's `internal`. `example` is
    # left out, because it is reserved for documentation and never resolves.
    *("alt", "arpa", "invalid", "local", "localhost", "onion", "test"),
    *("corp", "home", "internal", "intranet", "lan", "mail", "private"),
    # Kubernetes, Consul, and what /etc/hosts calls loopback.
    *("svc", "consul", "localdomain"),
)
_BLOCKED_PORTS = frozenset(
    # https://fetch.spec.whatwg.org/#port-blocking: servers of other protocols may misread HTTP.
    (
        *(0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95),
        *(101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161),
        *(179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563),
        *(587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060),
        *(5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080),
    )
)


class LookUpsBusyError(OSError):
    """The limit of concurrent look-ups is reached, which says nothing about the name."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """The rules for addresses, given the networks that are allowed in addition to public ones.

    `setting` is the name of the setting with these networks, for the messages of refusals.
    """

    allow_networks: tuple[IPNetwork, ...] = ()
    setting: str = ALLOW_SETTING

    def parse(self, url: str, *, characters_max: int = URL_CHARACTERS_MAX) -> Target:
        """Parse and check a URL without a look-up. Raises `AddressRefusedError`.

        A private name passes if any networks are allowed: `name_refusal` then decides by its
        addresses.
        """
        target = parse_target(url, characters_max=characters_max)
        if target.userinfo is not None:
            raise AddressRefusedError(
                "The URL contains a user name or password: remove them (the receiver of a webhook "
                "checks its signature instead)"
            )
        if target.port in _BLOCKED_PORTS:
            raise AddressRefusedError(
                f"Port {target.port} belongs to another protocol: use 443, 80 or another port"
            )
        reason = self._host_refusal(target)
        if reason is not None:
            raise AddressRefusedError(reason)
        return target

    def _host_refusal(self, target: Target) -> str | None:
        if target.address is not None:
            return self.refusal(target.address)
        problem = None if self.allow_networks else private_name(target.name)
        return problem and (
            f"{problem}: use a public name, or ask the operator to add its network to "
            f"{self.setting}"
        )

    def refusal(self, address: IPAddress) -> str | None:
        """Return the reason why no connection may be made to this address, or None."""
        purpose = special_purpose(address)
        if purpose is None or self._allows(address):
            return None
        return (
            f"{address} is not public ({purpose}): use a public address, or {self._remedy(address)}"
        )

    def name_refusal(self, name: str, addresses: Sequence[IPAddress]) -> str | None:
        """Return the reason why no request may be sent to a name with these addresses, or None.

        Either all addresses must be public, or all must be in allowed networks. The reason names
        an address that is not.
        """
        if not addresses:
            return f"{name} has no address: check its DNS records"
        outside = [address for address in addresses if not self._allows(address)]
        if not outside:
            return None
        problem = private_name(name)
        if problem is not None:
            return f"{problem}, and resolves to {outside[0]}: {self._remedy(outside[0])}"
        if not any(special_purpose(address) for address in addresses):
            return None
        for address in outside:
            purpose = special_purpose(address)
            if purpose is not None:
                return (
                    f"{name} resolves to {address}, not public ({purpose}): {self._remedy(address)}"
                )
        return f"{name} resolves to allowed addresses and {outside[0]}: {self._remedy(outside[0])}"

    def _allows(self, address: IPAddress) -> bool:
        return any(address in network for network in self.allow_networks)

    def _remedy(self, address: IPAddress) -> str:
        return (
            f"ask the operator to add {address}/{address.max_prefixlen} or its network to "
            f"{self.setting}"
        )


def private_name(name: str) -> str | None:
    """Return the reason why a name can't be public, whatever its addresses, or None."""
    name = name.removesuffix(".")
    if "." not in name and name not in _SPECIAL_NAMES:
        return f"{name} is a single-label name, which means another host on every network"
    for special in _SPECIAL_NAMES:
        if name == special or name.endswith(f".{special}"):
            return f"{name} is a name for private use (.{special})"
    return None


# -- checking without sending ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UrlVerdict:
    """The result of checking a URL; `reason` says why it is refused."""

    url: str
    allowed: bool
    reason: str | None = None


def judge(
    url: str, answers: Sequence[str] | None = None, policy: AddressPolicy | None = None
) -> UrlVerdict:
    """Check a URL offline, as the sender would if its name resolved to `answers`.

    Without answers (None), a name that looks public passes, as it does at the API. Raises
    ValueError for an answer that is not an IP address.
    """
    policy = policy or AddressPolicy()
    addresses = None if answers is None else [ip_address(answer) for answer in answers]
    try:
        target = policy.parse(url)
    except AddressRefusedError as error:
        return UrlVerdict(url, allowed=False, reason=error.message)
    reason = None
    if target.address is None and addresses is not None:
        reason = policy.name_refusal(target.name, addresses)
    elif target.address is None and (problem := private_name(target.name)):
        reason = f"{problem}: it depends on its addresses, and none were given"
    return UrlVerdict(url, allowed=reason is None, reason=reason)


async def check_registration(
    url: str,
    policy: AddressPolicy,
    look_up: LookUp,
    *,
    characters_max: int = URL_CHARACTERS_MAX,
    timeout_seconds: float = 5.0,
) -> None:
    """Check a URL from the API. Raises `AddressRefusedError`.

    Only a private name is looked up, because its addresses may be in allowed networks. The
    addresses of any other name are checked at every attempt.
    """
    target = policy.parse(url, characters_max=characters_max)
    if target.address is not None or private_name(target.name) is None:
        return
    try:
        async with asyncio.timeout(timeout_seconds):
            addresses = await look_up(target.host)
    except LookUpsBusyError:
        return  # its addresses are checked at every attempt anyway
    except OSError as error:  # TimeoutError is one
        raise AddressRefusedError(
            f"{target.name} could not be looked up ({str(error) or 'no response in time'}): "
            f"it must resolve to an address in {policy.setting}"
        ) from None
    reason = policy.name_refusal(target.name, addresses)
    if reason is not None:
        raise AddressRefusedError(reason)
