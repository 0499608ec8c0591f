"""The protocol of connections to receivers: bounds on what aiohttp leaves unbounded."""

from enum import Enum, auto
from typing import Any

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

HEAD_BYTES_MAX = 64 * 1024
"""Status line and headers, 1xx answers before them included."""
INTERIM_ANSWERS_MAX = 32
"""1xx answers: parsed they take many times their bytes."""
BODY_READ_BYTES_MAX = 64 * 1024
BODY_WIRE_BYTES_MAX = 2 * BODY_READ_BYTES_MAX
"""The body as it comes, with the chunks' sizes and extensions, which may be endless."""
_SLICE_BYTES = 8 * 1024


class HeadTooLargeError(HttpProcessingError):
    """Status line and headers went on behind `HEAD_BYTES_MAX` or `INTERIM_ANSWERS_MAX`."""


class NoStatusError(ClientPayloadError):
    """The status is three digits, but none of HTTP's, which begin with 100."""


class GarbledBodyError(ClientPayloadError):
    """The body's chunks can't be told apart."""


class OnlyHttp2Error(ClientPayloadError):
    """The receiver began with HTTP/2 before it was asked anything."""


class BodyTooLargeError(Exception):
    """The answer's body went on behind what is read of one."""


class _Stage(Enum):
    FRESH = auto()
    ASKED = auto()
    ANSWERED = auto()


class ResponseProtocol(ResponseHandler):
    """One answer per request: bounds head and body as they come, and what comes unasked.

    Measured with aiohttp 3.14: a receiver that floods a pooled connection with answers that nobody
    asked for made the client keep 60 MB of them a second; one MiB of headers cost two; behind a
    garbled chunk it waited for the time limit; of an endless chunk extension it read 200 MB a
    second until then.
    """

    _stage = _Stage.FRESH
    _head_bytes = 0
    _interim_answers = 0
    _body_bytes = 0
    _begins_with_http2 = False
    _begun = False

    def set_exception(self, exc: Any, *cause: BaseException) -> None:
        """Tell why nothing comes. (Overrides aiohttp's.)

        A receiver that speaks HTTP/2 alone says so, and then closes the connection in many ways.
        """
        super().set_exception(OnlyHttp2Error() if self._begins_with_http2 else exc, *cause)

    def set_response_params(self, **params: Any) -> None:
        """Start on an answer. (Overrides aiohttp's.)"""
        self._stage = _Stage.ASKED
        self._head_bytes = self._interim_answers = self._body_bytes = 0
        super().set_response_params(**params)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take a parsed head. (Overrides aiohttp's.)"""
        message, _ = data
        if message.code >= 200 or message.code == 101:
            self._stage = _Stage.ANSWERED
        else:
            self._interim_answers += 1
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the wire, a few at a time. (Overrides aiohttp's.)

        aiohttp parses all that came at once before it hands on the first answer.
        """
        if len(data) <= _SLICE_BYTES:  # b"" too, which aiohttp hands in when it resumes reading
            self._take(data)
            return
        for start in range(0, len(data), _SLICE_BYTES):
            if not self.is_connected():
                return
            self._take(data[start : start + _SLICE_BYTES])

    def _take(self, data: bytes) -> None:
        if data and not self._begun:
            self._begun = True
            # RFC 9113, sections 3.4 and 4.1: a frame of SETTINGS on stream 0 comes first.
            self._begins_with_http2 = data[:1] == b"\0" and data[3:9] == b"\4\0\0\0\0\0"
        if self._begins_with_http2:
            if self._stage is _Stage.ASKED:
                self._refuse_head()  # else it closes by itself when it is asked by HTTP/1.1
            return
        if data and self._stage is _Stage.ANSWERED and self._idle:
            self.abort()
            return
        super().data_received(data)
        if self._stage is _Stage.ASKED:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX or self._interim_answers > INTERIM_ANSWERS_MAX:
                self._refuse_head()
        elif isinstance(self._exception, HttpProcessingError):
            self._fail_body(GarbledBodyError())
        else:
            self._body_bytes += len(data)
            if self._body_bytes > BODY_WIRE_BYTES_MAX:
                self._fail_body(BodyTooLargeError())

    @property
    def _idle(self) -> bool:
        return self._payload is None or self._payload.is_eof()

    def _refuse_head(self) -> None:
        if self._exception is None:
            self.set_exception(HeadTooLargeError(message="head too large"))
        if self.transport is not None:
            self.transport.abort()

    def _fail_body(self, error: Exception) -> None:
        # aiohttp tells only those who wait for a head, and forgets who reads the body.
        if self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(error)
            self._payload = None  # the first error counts
        if self.transport is not None:
            self.transport.abort()

    def close(self) -> None:
        """Close at once: a receiver that doesn't answer TLS's farewell would hold the socket."""
        self.abort()
