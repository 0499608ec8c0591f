"""The requests of one connection: limits for everything that arrives before the key is checked.

httptools limits neither the size of a head nor the number of pipelined requests.
"""

from typing import Any

import httptools

from reelhook.bootstrap.connection_limits import HEAD_BYTES_FREE, HEADS_BYTES_MAX, NEVER
from reelhook.bootstrap.refusals import (
    NOT_READ,
    LastingTransport,
    RefusingConnection,
    RequestPhase,
    busy,
)
from reelhook.doors.limits import LimitError

PIECE_BYTES = 16 * 1024
"""The most bytes that the parser is given at once, which bounds its output."""
HEADERS_MAX = 100
PIPELINED_MAX = 16


class Connection(RefusingConnection):
    """A connection that enforces the limits of its requests."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._requests = 0
        self._head_bytes = 0
        self._blank_bytes = 0
        self._url_complete = False
        self._body_bytes = 0
        self._framing_bytes = 0

    # -- reading ------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse received bytes, piece by piece."""
        for start in range(0, len(data), PIECE_BYTES):
            if self._refusal is not None:
                self._discard(len(data) - start)
                return
            if self.transport.is_closing():
                return
            self._feed(data[start : start + PIECE_BYTES])

    def _feed(self, piece: bytes) -> None:
        if self._reading is RequestPhase.NOTHING:
            if not piece.strip(b"\r\n"):  # RFC 9112, section 2.2: it may precede a request
                self._skip_blank(len(piece))
                return
            self._begin_head()
        reading, request, body_bytes = self._reading, self._requests, self._body_bytes
        try:
            self._parse(piece)
        except httptools.HttpParserError:
            message = "The request is not valid HTTP/1.1 (RFC 9112); correct it"
            self._refuse(self._refusal or LimitError(400, "malformed_request", message))
            return
        if self._reading is RequestPhase.HEAD:
            begun_in_piece = reading is not RequestPhase.HEAD or request != self._requests
            self._count_fed(len(piece) + (0 if begun_in_piece else self._head_bytes_fed))
            self._check_fed()
        elif self._reading is reading is RequestPhase.BODY and request == self._requests:
            self._framing_bytes += len(piece) - (self._body_bytes - body_bytes)
            self._check_framing()

    def _parse(self, piece: bytes) -> None:
        while piece:
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade as upgrade:
                # No other protocol is offered, so the client continues in this one.
                piece = piece[upgrade.args[0] :]
            else:
                return

    def _skip_blank(self, blank_bytes: int) -> None:
        self._blank_bytes += blank_bytes
        if self._blank_bytes > self._limits.head_bytes:
            self.transport.abort()

    def _begin_head(self) -> None:
        self._reading = RequestPhase.HEAD
        self._head_bytes = 0
        if self._newest is not None and self._all_responded:
            self._wait(self._limits.head_seconds)  # a new connection already has its deadline

    def _check_fed(self) -> None:
        if self._head_bytes_fed > self._limits.head_bytes:
            self._refuse(self._head_too_large())
        elif (
            self._head_bytes_fed > HEAD_BYTES_FREE
            and self._connections.heads_bytes > HEADS_BYTES_MAX
        ):
            message = (
                "Too many clients send large request heads at once; "
                "send a smaller head, or try again"
            )
            self._refuse(busy("too_many_heads", message))

    def _check_framing(self) -> None:
        if self._framing_bytes > self._limits.head_bytes + 8 * self._body_bytes:
            message = (
                "The body's chunks carry more framing than content; "
                "send it in larger chunks, or with Content-Length"
            )
            self._refuse(LimitError(400, "malformed_request", message))

    def _head_too_large(self) -> LimitError:
        kib = self._limits.head_bytes // 1024
        part = "headers make" if self._url_complete else "URL makes"
        status, code = (431, "head_too_large") if self._url_complete else (414, "url_too_long")
        message = (
            f"The request's {part} its head larger than {kib} KiB; "
            "send less, or raise REELHOOK_REQUEST_HEAD_KIB"
        )
        return LimitError(status, code, message)

    # -- callbacks of the parser --------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._reading = RequestPhase.HEAD
        self._requests += 1
        self._head_bytes = 0
        self._url_complete = False
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Receive a piece of the URL."""
        self._add(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Receive a header. Trailers after a body are discarded."""
        if self._reading is RequestPhase.BODY:
            return
        self._url_complete = True
        self._add(len(name) + len(value) + len(": \r\n"))
        if len(self.headers) >= HEADERS_MAX:
            message = f"The request has more than {HEADERS_MAX} headers; send fewer"
            self._stop(LimitError(431, "too_many_headers", message))
        super().on_header(name, value)

    def _add(self, count: int) -> None:
        self._head_bytes += count
        if self._head_bytes > self._limits.head_bytes:
            self._stop(self._head_too_large())

    def _stop(self, refusal: LimitError) -> None:
        """Make the parser stop; `_feed` then sends the refusal."""
        self._refusal = refusal
        raise refusal

    def on_headers_complete(self) -> None:
        """Start the response, unless too many requests wait already."""
        if len(self.pipeline) >= PIPELINED_MAX:
            message = (
                f"More than {PIPELINED_MAX} requests are waiting on this connection; "
                "wait for responses before sending more"
            )
            self._stop(LimitError(429, "too_many_pipelined_requests", message))
        super().on_headers_complete()
        # The response's task begins later, so it uses this transport from its first byte.
        self.cycle.transport = LastingTransport(self)  # type: ignore[assignment] # has what is used
        self._reading = RequestPhase.BODY
        self._body_bytes = self._framing_bytes = self._blank_bytes = 0
        self._count_fed(0)
        self.deadline = NEVER

    def on_body(self, body: bytes) -> None:
        """Receive a piece of the body."""
        self._body_bytes += len(body)
        if self._all_responded and self._body_bytes > 2 * self._limits.body_bytes:
            self._stop(NOT_READ)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request; if its response is complete already, wait for the next request."""
        self._reading = RequestPhase.NOTHING
        super().on_message_complete()
        if self._all_responded:
            self._wait(self._limits.keep_alive_seconds)
