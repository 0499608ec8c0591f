"""The protocol of connections to receivers, with the limits that aiohttp lacks."""

from enum import Enum, auto
from typing import Any

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

HEAD_BYTES_MAX = 64 * 1024
"""Status line and headers, including earlier 1xx responses."""
INTERIM_RESPONSES_MAX = 32
"""1xx responses take many times their size once they are parsed."""
BODY_READ_BYTES_MAX = 64 * 1024
BODY_WIRE_BYTES_MAX = 2 * BODY_READ_BYTES_MAX
"""The body as received. It includes the sizes and extensions of chunks, which may be endless."""
_SLICE_BYTES = 8 * 1024


class HeadTooLargeError(HttpProcessingError):
    """Status line and headers exceeded `HEAD_BYTES_MAX` or `INTERIM_RESPONSES_MAX`."""


class NoStatusError(ClientPayloadError):
    """The status is below 100, the lowest one in HTTP."""


class GarbledBodyError(ClientPayloadError):
    """The chunks of the body are malformed."""


class OnlyHttp2Error(ClientPayloadError):
    """The receiver sent HTTP/2 before any request."""


class BodyTooLargeError(Exception):
    """The body of the response exceeded the limit."""


class _Phase(Enum):
    NEW = auto()
    REQUESTED = auto()
    RESPONDED = auto()


class ResponseProtocol(ResponseHandler):
    """Reads one response per request, with limits on head, body and unrequested data.

    Measured with aiohttp 3.14: a receiver that floods a pooled connection with unrequested
    responses makes the client store 60 MB of them per second. One MiB of headers takes two MiB.
    After a malformed chunk the client waits for the time limit. It reads an endless chunk extension
    at 200 MB per second until then.
    """

    _phase = _Phase.NEW
    _head_bytes = 0
    _interim_responses = 0
    _body_bytes = 0
    _begins_with_http2 = False
    _begun = False

    def set_exception(self, exc: Any, *cause: BaseException) -> None:
        """Fail the response. (Overrides aiohttp's method.)

        A receiver that speaks only HTTP/2 says so, and then closes the connection in one of
        several ways.
        """
        super().set_exception(OnlyHttp2Error() if self._begins_with_http2 else exc, *cause)

    def set_response_params(self, **params: Any) -> None:
        """Begin to read a response. (Overrides aiohttp's method.)"""
        self._phase = _Phase.REQUESTED
        self._head_bytes = self._interim_responses = self._body_bytes = 0
        super().set_response_params(**params)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Receive a parsed head. (Overrides aiohttp's method.)"""
        message, _ = data
        if message.code >= 200 or message.code == 101:
            self._phase = _Phase.RESPONDED
        else:
            self._interim_responses += 1
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Receive bytes from the network, in slices. (Overrides aiohttp's method.)

        aiohttp parses everything that arrived at once before it returns the first response.
        """
        if len(data) <= _SLICE_BYTES:  # also b"", which aiohttp passes when it resumes reading
            self._receive(data)
            return
        for start in range(0, len(data), _SLICE_BYTES):
            if not self.is_connected():
                return
            self._receive(data[start : start + _SLICE_BYTES])

    def _receive(self, data: bytes) -> None:
        if data and not self._begun:
            self._begun = True
            # RFC 9113, sections 3.4 and 4.1: a frame of SETTINGS on stream 0 comes first.
            self._begins_with_http2 = data[:1] == b"\0" and data[3:9] == b"\4\0\0\0\0\0"
        if self._begins_with_http2:
            if self._phase is _Phase.REQUESTED:
                self._refuse_head()  # otherwise the receiver closes after an HTTP/1.1 request
            return
        if data and self._phase is _Phase.RESPONDED and self._idle:
            self.abort()
            return
        super().data_received(data)
        if self._phase is _Phase.REQUESTED:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX or self._interim_responses > INTERIM_RESPONSES_MAX:
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
        # aiohttp reports the error only to waiters for a head, not to the reader of the body.
        if self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(error)
            self._payload = None  # the first error counts
        if self.transport is not None:
            self.transport.abort()

    def close(self) -> None:
        """Close at once, since a receiver that ignores TLS's close_notify would hold the socket."""
        self.abort()
