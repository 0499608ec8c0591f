"""Guarded connections to receivers, with limits on unread data."""

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
    """Create the socket for an address. Its small buffer limits the data that waits unread."""
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
    """Create a connection pool. It never connects to an address that the policy refuses."""
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
        protocol: type[ResponseHandler] = ResponseProtocol
        self._factory = functools.partial(protocol, loop=self._loop)
