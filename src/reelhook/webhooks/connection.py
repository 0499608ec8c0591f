"""Connections to receivers: guarded, with bounds on what an answer can send ahead."""

import functools
import socket
import ssl
from typing import Any

from aiohttp import AddrInfoType
from aiohttp.client_proto import ResponseHandler

from reelhook.guard.addresses import AddressPolicy, LookUp
from reelhook.guard.connection import GuardedConnector, OpenSocket
from reelhook.webhooks.protocol import ResponseProtocol

RECEIVE_BUFFER_BYTES = 32 * 1024
KEEPALIVE_SECONDS = 4.0
"""Below the 5 s after which common servers close an idle connection themselves."""


def open_socket(info: AddrInfoType) -> socket.socket:
    """Make the socket for an address. Its small buffer bounds how much an answer can send ahead."""
    opened = socket.socket(info[0], info[1], info[2])
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    return opened


def connector(
    policy: AddressPolicy | None,
    *,
    look_up: LookUp,
    open_socket: OpenSocket,
    tls: ssl.SSLContext | None,
) -> GuardedConnector:
    """Make a pool of connections. With a policy, no address that it refuses is ever dialled."""
    return _Connector(
        policy,
        look_up=look_up,
        open_socket=open_socket,
        keepalive_timeout=KEEPALIVE_SECONDS,
        ssl=tls or True,
    )


class _Connector(GuardedConnector):
    def __init__(self, policy: AddressPolicy | None, **options: Any) -> None:
        super().__init__(policy, **options)
        # A hack: aiohttp has no public way to set the protocol of its connections.
        made: type[ResponseHandler] = ResponseProtocol
        self._factory = functools.partial(made, loop=self._loop)
