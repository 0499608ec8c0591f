"""Connections that the guard checks at the address of the socket."""

import contextlib
import functools
import socket
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from aiohttp import AddrInfoType, TCPConnector

from reelhook.guard.addresses import AddressPolicy, LookUp
from reelhook.guard.resolver import GuardedResolver
from reelhook.guard.target import AddressRefusedError

OpenSocket = Callable[[AddrInfoType], socket.socket]


def open_socket(info: AddrInfoType) -> socket.socket:
    """Create the socket for an address."""
    return socket.socket(info[0], info[1], info[2])


@dataclass(slots=True)
class Dial:
    """The events in the socket factory during one try of a request."""

    opened: bool = False
    """A new connection was opened; none was reused from the pool."""
    refusal: AddressRefusedError | None = None


_current_dial: ContextVar[Dial] = ContextVar("current_dial")
"""aiohttp reports neither event to its caller, so a context variable passes them on."""


@contextlib.contextmanager
def dialling() -> Iterator[Dial]:
    """Record one try. Raises `AddressRefusedError` in place of aiohttp's error for it."""
    dial = Dial()
    token = _current_dial.set(dial)
    try:
        yield dial
    except Exception as error:
        if dial.refusal is not None:
            raise dial.refusal from error
        raise
    finally:
        _current_dial.reset(token)


class GuardedConnector(TCPConnector):
    """A connection pool that never connects to an address that the policy refuses.

    Without a policy it connects to any address. Its users limit the requests in flight.
    """

    def __init__(
        self,
        policy: AddressPolicy | None,
        *,
        look_up: LookUp,
        open_socket: OpenSocket = open_socket,
        **options: Any,
    ) -> None:
        super().__init__(
            limit=0,
            resolver=GuardedResolver(look_up, policy),
            socket_factory=functools.partial(_dial, policy, open_socket),
            **options,
        )


def _dial(
    policy: AddressPolicy | None, open_socket: OpenSocket, info: AddrInfoType
) -> socket.socket:
    dial = _current_dial.get(None) or Dial()
    refusal = policy and policy.refusal(ip_address(info[4][0]))
    if refusal:
        dial.refusal = AddressRefusedError(refusal)
        raise dial.refusal
    dial.opened = True
    return open_socket(info)
