"""Connections to receivers: the guard at the dialled address, and bounds on what they may send."""

import functools
import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import ip_address
from typing import Any

from aiohttp import AddrInfoType, TCPConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from reelhook.webhooks.addresses import AddressPolicy, LookUp
from reelhook.webhooks.resolver import JudgingResolver
from reelhook.webhooks.target import AddressRefusedError

HEAD_BYTES_MAX = 64 * 1024
"""Status line and headers, 1xx answers before them included."""
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
        made: type[ResponseHandler] = _AnswerProtocol
        self._factory = functools.partial(made, loop=self._loop)


class HeadTooLargeError(HttpProcessingError):
    """Status line and headers did not end within `HEAD_BYTES_MAX`."""


class _Stage(Enum):
    FRESH = auto()
    ASKED = auto()
    ANSWERED = auto()


class _AnswerProtocol(ResponseHandler):
    """Bounds what aiohttp leaves unbounded: the head as a whole, and what comes unasked.

    Measured: a receiver that floods a pooled connection with answers that nobody asked for made
    aiohttp 3.14 keep 60 MB a second of them.
    """

    _stage = _Stage.FRESH
    _head_bytes = 0

    def set_response_params(self, **params: Any) -> None:
        """Start on an answer. (Overrides aiohttp's.)"""
        self._stage = _Stage.ASKED
        self._head_bytes = 0
        super().set_response_params(**params)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take a parsed head; answers behind the first one are dropped. (Overrides aiohttp's.)"""
        if self._stage is _Stage.ANSWERED:
            self.force_close()
            return
        message, _ = data
        if message.code >= 200 or message.code == 101:
            self._stage = _Stage.ANSWERED
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the wire. (Overrides aiohttp's.)"""
        # aiohttp itself hands in b"" when it resumes reading.
        if data and self._stage is _Stage.ANSWERED and self._idle:
            self.abort()
            return
        super().data_received(data)
        if self._stage is _Stage.ASKED:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse_head()

    @property
    def _idle(self) -> bool:
        return self._payload is None or self._payload.is_eof()

    def _refuse_head(self) -> None:
        if self._exception is None:
            self.set_exception(HeadTooLargeError(message="head too large"))
        if self.transport is not None:
            self.transport.abort()

    def close(self) -> None:
        """Close at once: a receiver that doesn't answer TLS's farewell would hold the socket."""
        self.abort()
