"""Connections, with the guard at the very address that is dialled."""

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
from reelhook.guard.resolver import JudgingResolver
from reelhook.guard.target import AddressRefusedError

OpenSocket = Callable[[AddrInfoType], socket.socket]


def open_socket(info: AddrInfoType) -> socket.socket:
    """Make the socket for an address."""
    return socket.socket(info[0], info[1], info[2])


@dataclass(slots=True)
class Dial:
    """What happened at the socket factory during one try."""

    opened: bool = False
    """A fresh connection was made, not one of the pool taken."""
    refusal: AddressRefusedError | None = None


_current_dial: ContextVar[Dial] = ContextVar("current_dial")
"""aiohttp tells neither of both to its caller, so the try is found through its context."""


@contextlib.contextmanager
def dialling() -> Iterator[Dial]:
    """Watch one try. Raises `AddressRefusedError` in place of what aiohttp makes of a refusal."""
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
    """A pool of connections that dials no address which the policy refuses.

    Without a policy it dials any. Its users bound how many requests are under way.
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
            resolver=JudgingResolver(look_up, policy),
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
