"""Name look-ups: in threads of their own, and judged before anything is dialled."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from ipaddress import ip_address
from threading import Thread

from aiohttp.abc import AbstractResolver, ResolveResult

from reelhook.webhooks.addresses import AddressPolicy, LookUp
from reelhook.webhooks.networks import IPAddress
from reelhook.webhooks.target import AddressRefusedError

PENDING_MAX = 256


def system_addresses(name: str) -> list[IPAddress]:
    """Ask `getaddrinfo`, and wait for it. Raises OSError."""
    # Bytes, because text goes through Python's own IDNA of 2003.
    found = socket.getaddrinfo(
        name.encode("ascii"), None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    return [ip_address(entry[4][0]) for entry in found]


class SystemLookUp:
    """`getaddrinfo`, each call in a daemon thread.

    The loop's executor has a handful of threads, which as many names with a dead server would
    hold for half a minute while all others wait; and it would hold up the end of the program.
    """

    def __init__(
        self,
        pending_max: int = PENDING_MAX,
        addresses_of: Callable[[str], list[IPAddress]] = system_addresses,
    ) -> None:
        self._pending = 0
        self._pending_max = pending_max
        self._addresses_of = addresses_of

    async def __call__(self, name: str) -> list[IPAddress]:
        """Return a name's addresses, as the system orders them. Raises OSError."""
        if self._pending >= self._pending_max:
            raise OSError(f"{self._pending} look-ups are waiting for their name servers")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[IPAddress]] = loop.create_future()
        Thread(target=self._look_up, args=(name, loop, answer), daemon=True).start()
        self._pending += 1
        return await answer

    def _look_up(
        self,
        name: str,
        loop: asyncio.AbstractEventLoop,
        answer: "asyncio.Future[list[IPAddress]]",
    ) -> None:
        try:
            outcome: list[IPAddress] | OSError = self._addresses_of(name)
        except OSError as error:
            outcome = error
        # The loop may have been closed while the name server kept us waiting.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._settle, answer, outcome)

    def _settle(
        self, answer: "asyncio.Future[list[IPAddress]]", outcome: list[IPAddress] | OSError
    ) -> None:
        self._pending -= 1
        if answer.done():
            return
        if isinstance(outcome, OSError):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)


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
