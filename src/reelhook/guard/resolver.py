"""Name look-ups in their own threads, and a resolver that checks the addresses."""

import asyncio
import contextlib
import socket
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from threading import Thread

from aiohttp.abc import AbstractResolver, ResolveResult

from reelhook.guard.addresses import AddressPolicy, LookUp, LookUpsBusyError
from reelhook.guard.networks import IPAddress
from reelhook.guard.target import AddressRefusedError

PENDING_MAX = 1024
"""This many waiting threads took 25 MiB."""
PENDING_PER_DOMAIN_MAX = 8
"""The most look-ups that a domain with hanging name servers can occupy."""
RESERVED = 64
"""Look-ups beyond `PENDING_MAX` for domains that were resolved before."""
RESOLVED_MAX = 4096
"""The number of resolved domains to remember."""
SLOT_SECONDS_MAX = 1.0
"""The longest wait for other look-ups of the domain, far longer than a healthy look-up."""

_SECOND_LEVELS = frozenset(
    (
        *("ac", "co", "com", "edu", "go", "gob", "gouv", "gov", "ltd", "me", "mil", "ne", "net"),
        *("nom", "or", "org", "plc", "sch"),
    )
)
"""Labels that registries place before a country code; domains of many owners are below them."""


def system_addresses(name: str) -> list[IPAddress]:
    """Call `getaddrinfo`, which blocks. Raises OSError."""
    # Bytes, because Python encodes text by IDNA 2003.
    entries = socket.getaddrinfo(
        name.encode("ascii"), None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    return [ip_address(entry[4][0]) for entry in entries]


def domain_of(name: str) -> str:
    """Return the part of a name that has one owner, and so one set of name servers."""
    labels = name.rstrip(".").lower().split(".")
    shared = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS
    return ".".join(labels[-3 if shared else -2 :])


@dataclass(slots=True, eq=False)
class _LookUp:
    """A look-up in flight. Its thread may end long after its caller has given up."""

    domain: str
    started_at: float


@dataclass(slots=True)
class _Domain:
    in_flight: dict[_LookUp, None] = field(default_factory=dict)
    """In the order in which they began."""
    waiting: deque[asyncio.Future[_LookUp]] = field(default_factory=deque)

    def hangs(self, now: float, seconds: float) -> bool:
        """Return True if even the newest look-up has been in flight for `seconds`."""
        newest = next(reversed(self.in_flight), None)
        return newest is not None and now - newest.started_at >= seconds


class SystemLookUp:
    """`getaddrinfo`, each call in a daemon thread; the number of calls in flight is limited.

    The loop's executor has only a few threads. As many names with dead name servers would block it
    for half a minute, and delay the end of the program. Threads can't be stopped, so each domain
    gets only a few: hanging name servers delay only their own names. Raises `LookUpsBusyError` if a
    limit was reached.
    """

    def __init__(
        self,
        pending_max: int = PENDING_MAX,
        addresses_of: Callable[[str], list[IPAddress]] = system_addresses,
        *,
        per_domain_max: int = PENDING_PER_DOMAIN_MAX,
        slot_seconds: float = SLOT_SECONDS_MAX,
    ) -> None:
        self._pending_max = pending_max
        self._per_domain_max = per_domain_max
        self._slot_seconds = slot_seconds
        self._addresses_of = addresses_of
        self._pending = 0
        self._domains: dict[str, _Domain] = {}
        self._resolved: OrderedDict[str, None] = OrderedDict()

    async def __call__(self, name: str) -> list[IPAddress]:
        """Return a name's addresses in the system's order. Raises OSError."""
        loop = asyncio.get_running_loop()
        slot = await self._slot(domain_of(name), loop)
        addresses: asyncio.Future[list[IPAddress]] = loop.create_future()
        thread = Thread(target=self._look_up, args=(name, slot, loop, addresses), daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads
            self._end(slot)
            raise LookUpsBusyError(f"no look-up can be started ({error})") from None
        return await addresses

    # -- the limits --------------------------------------------------------------------------

    async def _slot(self, name: str, loop: asyncio.AbstractEventLoop) -> _LookUp:
        reserved = RESERVED if name in self._resolved else 0
        if self._pending >= self._pending_max + reserved:
            raise LookUpsBusyError(f"{self._pending} look-ups are waiting for their name servers")
        domain = self._domains.setdefault(name, _Domain())
        if len(domain.in_flight) < self._per_domain_max:
            return self._begin(name, domain, loop.time())
        if domain.hangs(loop.time(), self._slot_seconds):
            raise LookUpsBusyError(_hanging(name, domain))
        waiting: asyncio.Future[_LookUp] = loop.create_future()
        domain.waiting.append(waiting)
        try:
            async with asyncio.timeout(self._slot_seconds):
                return await waiting
        except BaseException as error:
            if waiting in domain.waiting:
                domain.waiting.remove(waiting)
            elif not waiting.cancelled():
                self._end(waiting.result())  # it got a slot at the same instant
            if isinstance(error, TimeoutError):
                raise LookUpsBusyError(_hanging(name, domain)) from None
            raise

    def _begin(self, name: str, domain: _Domain, now: float) -> _LookUp:
        look_up = _LookUp(name, now)
        domain.in_flight[look_up] = None
        self._pending += 1
        return look_up

    def _end(self, ended: _LookUp) -> None:
        """Pass the slot on to the call that has waited longest for this domain."""
        self._pending -= 1
        domain = self._domains[ended.domain]
        del domain.in_flight[ended]
        for waiting in _drain(domain.waiting):
            if not waiting.done():
                loop = waiting.get_loop()
                waiting.set_result(self._begin(ended.domain, domain, loop.time()))
                return
        if not domain.in_flight:
            del self._domains[ended.domain]

    # -- the look-up itself -------------------------------------------------------------------

    def _look_up(
        self,
        name: str,
        slot: _LookUp,
        loop: asyncio.AbstractEventLoop,
        addresses: "asyncio.Future[list[IPAddress]]",
    ) -> None:
        try:
            outcome: list[IPAddress] | OSError = self._addresses_of(name)
        except OSError as error:
            outcome = error
        # The loop may have been closed while this thread waited for the name server.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._settle, slot, addresses, outcome)

    def _settle(
        self,
        slot: _LookUp,
        addresses: "asyncio.Future[list[IPAddress]]",
        outcome: list[IPAddress] | OSError,
    ) -> None:
        self._end(slot)
        if not isinstance(outcome, OSError):
            self._remember(slot.domain)
        if addresses.done():
            return
        if isinstance(outcome, OSError):
            addresses.set_exception(outcome)
        else:
            addresses.set_result(outcome)

    def _remember(self, domain: str) -> None:
        self._resolved[domain] = None
        self._resolved.move_to_end(domain)
        if len(self._resolved) > RESOLVED_MAX:
            self._resolved.popitem(last=False)


def _hanging(name: str, domain: _Domain) -> str:
    return f"{len(domain.in_flight)} look-ups of {name} are waiting for its name servers"


def _drain(waiting: deque[asyncio.Future[_LookUp]]) -> Iterator[asyncio.Future[_LookUp]]:
    while waiting:
        yield waiting.popleft()


class GuardedResolver(AbstractResolver):
    """A resolver for aiohttp that returns no address of a name that the policy refuses.

    Without a policy, for URLs that the operator chose, every address passes.
    """

    def __init__(self, look_up: LookUp, policy: AddressPolicy | None) -> None:
        self._look_up = look_up
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return a host's addresses. Raises OSError, or `AddressRefusedError` by the policy."""
        addresses = await self._look_up(host)
        if not addresses:
            raise OSError("the name has no address")
        refusal = self._policy and self._policy.name_refusal(host.removesuffix("."), addresses)
        if refusal:
            raise AddressRefusedError(refusal)
        return [_result(host, port, address) for address in addresses]

    async def close(self) -> None:
        """Do nothing, since the threads that are still waiting are daemons."""


def _result(host: str, port: int, address: IPAddress) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=str(address),
        port=port,
        family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST,
    )
