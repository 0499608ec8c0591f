"""Name look-ups: in threads of their own, and judged before anything is dialled."""

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
"""As many threads that wait took 25 MiB."""
PENDING_PER_DOMAIN_MAX = 8
"""A domain's name servers may hang with that many look-ups, and take no more of all."""
RESERVED = 64
"""Look-ups beyond `PENDING_MAX` for domains that answered before."""
ANSWERED_MAX = 4096
"""How many domains that answered are remembered."""
TURN_SECONDS = 1.0
"""How long a look-up waits for others of its domain: far longer than a healthy one takes."""

_SECOND_LEVELS = frozenset(
    (
        *("ac", "co", "com", "edu", "go", "gob", "gouv", "gov", "ltd", "me", "mil", "ne", "net"),
        *("nom", "or", "org", "plc", "sch"),
    )
)
"""What registries put before a country's two letters: below it lie the domains of many owners."""


def system_addresses(name: str) -> list[IPAddress]:
    """Ask `getaddrinfo`, and wait for it. Raises OSError."""
    # Bytes, because text goes through Python's own IDNA of 2003.
    found = socket.getaddrinfo(
        name.encode("ascii"), None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    return [ip_address(entry[4][0]) for entry in found]


def domain_of(name: str) -> str:
    """Return the part of a name that has one owner, and with it one set of name servers."""
    labels = name.rstrip(".").lower().split(".")
    shared = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS
    return ".".join(labels[-3 if shared else -2 :])


@dataclass(slots=True, eq=False)
class _LookUp:
    """One that is under way, until its thread ends: longer than anybody may wait for it."""

    domain: str
    started_at: float


@dataclass(slots=True)
class _Domain:
    under_way: dict[_LookUp, None] = field(default_factory=dict)
    """In the order in which they began."""
    waiting: deque[asyncio.Future[_LookUp]] = field(default_factory=deque)

    def hangs(self, now: float, seconds: float) -> bool:
        """Whether even the youngest look-up has been under way for that long."""
        youngest = next(reversed(self.under_way), None)
        return youngest is not None and now - youngest.started_at >= seconds


class SystemLookUp:
    """`getaddrinfo`, each call in a daemon thread; how many are under way is bounded.

    The loop's executor has a handful of threads, which as many names with a dead server would
    hold for half a minute while all others wait; and it would hold up the end of the program.
    Threads can't be ended, so each domain has few of them: one whose name servers hang keeps only
    its own names waiting. Raises `LookUpsBusyError` where that limit, not the name, is the reason.
    """

    def __init__(
        self,
        pending_max: int = PENDING_MAX,
        addresses_of: Callable[[str], list[IPAddress]] = system_addresses,
        *,
        per_domain_max: int = PENDING_PER_DOMAIN_MAX,
        turn_seconds: float = TURN_SECONDS,
    ) -> None:
        self._pending_max = pending_max
        self._per_domain_max = per_domain_max
        self._turn_seconds = turn_seconds
        self._addresses_of = addresses_of
        self._pending = 0
        self._domains: dict[str, _Domain] = {}
        self._answered: OrderedDict[str, None] = OrderedDict()

    async def __call__(self, name: str) -> list[IPAddress]:
        """Return a name's addresses, as the system orders them. Raises OSError."""
        loop = asyncio.get_running_loop()
        turn = await self._turn(domain_of(name), loop)
        answer: asyncio.Future[list[IPAddress]] = loop.create_future()
        thread = Thread(target=self._look_up, args=(name, turn, loop, answer), daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads
            self._end(turn)
            raise LookUpsBusyError(f"no look-up can be started ({error})") from None
        return await answer

    # -- who may begin ------------------------------------------------------------------------

    async def _turn(self, name: str, loop: asyncio.AbstractEventLoop) -> _LookUp:
        reserved = RESERVED if name in self._answered else 0
        if self._pending >= self._pending_max + reserved:
            raise LookUpsBusyError(f"{self._pending} look-ups are waiting for their name servers")
        domain = self._domains.setdefault(name, _Domain())
        if len(domain.under_way) < self._per_domain_max:
            return self._begin(name, domain, loop.time())
        if domain.hangs(loop.time(), self._turn_seconds):
            raise LookUpsBusyError(_hanging(name, domain))
        waiting: asyncio.Future[_LookUp] = loop.create_future()
        domain.waiting.append(waiting)
        try:
            async with asyncio.timeout(self._turn_seconds):
                return await waiting
        except BaseException as error:
            if waiting in domain.waiting:
                domain.waiting.remove(waiting)
            elif not waiting.cancelled():
                self._end(waiting.result())  # its turn came at the same moment
            if isinstance(error, TimeoutError):
                raise LookUpsBusyError(_hanging(name, domain)) from None
            raise

    def _begin(self, name: str, domain: _Domain, now: float) -> _LookUp:
        one = _LookUp(name, now)
        domain.under_way[one] = None
        self._pending += 1
        return one

    def _end(self, ended: _LookUp) -> None:
        """Give the place to whoever waits longest for this domain."""
        self._pending -= 1
        domain = self._domains[ended.domain]
        del domain.under_way[ended]
        for waiting in _drain(domain.waiting):
            if not waiting.done():
                loop = waiting.get_loop()
                waiting.set_result(self._begin(ended.domain, domain, loop.time()))
                return
        if not domain.under_way:
            del self._domains[ended.domain]

    # -- the look-up itself -------------------------------------------------------------------

    def _look_up(
        self,
        name: str,
        turn: _LookUp,
        loop: asyncio.AbstractEventLoop,
        answer: "asyncio.Future[list[IPAddress]]",
    ) -> None:
        try:
            outcome: list[IPAddress] | OSError = self._addresses_of(name)
        except OSError as error:
            outcome = error
        # The loop may have been closed while the name server kept us waiting.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._settle, turn, answer, outcome)

    def _settle(
        self,
        turn: _LookUp,
        answer: "asyncio.Future[list[IPAddress]]",
        outcome: list[IPAddress] | OSError,
    ) -> None:
        self._end(turn)
        if not isinstance(outcome, OSError):
            self._remember(turn.domain)
        if answer.done():
            return
        if isinstance(outcome, OSError):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    def _remember(self, domain: str) -> None:
        self._answered[domain] = None
        self._answered.move_to_end(domain)
        if len(self._answered) > ANSWERED_MAX:
            self._answered.popitem(last=False)


def _hanging(name: str, domain: _Domain) -> str:
    return f"{len(domain.under_way)} look-ups of {name} are waiting for its name servers"


def _drain(waiting: deque[asyncio.Future[_LookUp]]) -> Iterator[asyncio.Future[_LookUp]]:
    while waiting:
        yield waiting.popleft()


class JudgingResolver(AbstractResolver):
    """aiohttp's resolver: hands on no address of a name that the policy refuses.

    Without a policy (the operator named the URL) everything passes.
    """

    def __init__(self, look_up: LookUp, policy: AddressPolicy | None) -> None:
        self._look_up = look_up
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raise OSError when the look-up fails, `AddressRefusedError` when the policy refuses."""
        addresses = await self._look_up(host)
        if not addresses:
            raise OSError("the name has no address")
        refusal = self._policy and self._policy.name_refusal(host.removesuffix("."), addresses)
        if refusal:
            raise AddressRefusedError(refusal)
        return [_result(host, port, address) for address in addresses]

    async def close(self) -> None:
        """Do nothing: threads that still wait are daemons."""


def _result(host: str, port: int, address: IPAddress) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=str(address),
        port=port,
        family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST,
    )
