"""Connections to receivers, with the guard at the very address that is dialled."""

import functools
import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from aiohttp import AddrInfoType, TCPConnector
from aiohttp.client_proto import ResponseHandler

from reelhook.webhooks.addresses import AddressPolicy, LookUp
from reelhook.webhooks.protocol import AnswerProtocol
from reelhook.webhooks.resolver import JudgingResolver
from reelhook.webhooks.target import AddressRefusedError

RECEIVE_BUFFER_BYTES = 32 * 1024
KEEPALIVE_SECONDS = 4.0
"""Below the 5 s after which common servers close an idle connection themselves."""

OpenSocket = Callable[[AddrInfoType], socket.socket]


def open_socket(info: AddrInfoType) -> socket.socket:
    """Make the socket for an address. Its small buffer bounds how much an answer can send ahead."""
    opened = socket.socket(info[0], info[1], info[2])
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    return opened


@dataclass(slots=True)
class Dial:
    """What happened at the socket factory during one try."""

    opened: bool = False
    """A fresh connection was made, not one of the pool taken."""
    refusal: AddressRefusedError | None = None


current_dial: ContextVar[Dial] = ContextVar("current_dial")
"""aiohttp tells neither of both to its caller, so the try is found through its context."""


def connector(
    policy: AddressPolicy | None,
    *,
    look_up: LookUp,
    open_socket: OpenSocket,
    tls: ssl.SSLContext | None,
) -> TCPConnector:
    """Make a pool of connections. With a policy, no address that it refuses is ever dialled."""
    return _Connector(
        # The engine bounds how many requests are under way.
        limit=0,
        keepalive_timeout=KEEPALIVE_SECONDS,
        ssl=tls or True,
        resolver=JudgingResolver(look_up, policy),
        socket_factory=functools.partial(_dial, policy, open_socket),
    )


def _dial(
    policy: AddressPolicy | None, open_socket: OpenSocket, info: AddrInfoType
) -> socket.socket:
    dial = current_dial.get()
    refusal = policy and policy.refusal(ip_address(info[4][0]))
    if refusal:
        dial.refusal = AddressRefusedError(refusal)
        raise dial.refusal
    dial.opened = True
    return open_socket(info)


class _Connector(TCPConnector):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # A hack: aiohttp has no public way to set the protocol of its connections.
        made: type[ResponseHandler] = AnswerProtocol
        self._factory = functools.partial(made, loop=self._loop)
