"""Reasons why an attempt got no complete response: a stable class, and a readable message."""

import errno
from dataclasses import dataclass
from enum import StrEnum

import aiohttp
from aiohttp.http_exceptions import LineTooLong

from reelhook.guard.addresses import LookUpsBusyError
from reelhook.guard.target import AddressRefusedError
from reelhook.webhooks.protocol import (
    HEAD_BYTES_MAX,
    INTERIM_RESPONSES_MAX,
    BodyTooLargeError,
    GarbledBodyError,
    HeadTooLargeError,
    NoStatusError,
    OnlyHttp2Error,
)

_DETAIL_CHARACTERS_MAX = 300
_ONLY_HTTP2 = (
    "The receiver speaks only HTTP/2, and webhooks are sent over HTTP/1.1; enable HTTP/1.1 at the "
    "receiver, or at the proxy in front of it"
)
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class ErrorClass(StrEnum):
    """The class of a fault. The values are stored and shown, so none may change."""

    ADDRESS_REFUSED = "address_refused"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    RESET = "reset"
    CLOSED_EARLY = "closed_early"
    PROTOCOL = "protocol"
    HEADERS_TOO_LARGE = "headers_too_large"
    BODY_TOO_LARGE = "body_too_large"
    REDIRECT = "redirect"
    INTERNAL = "internal"
    LOCAL_LIMIT = "local_limit"
    """Nothing was sent, because of a limit of this process, not because of the receiver."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A class and a message."""

    error: ErrorClass
    detail: str


def diagnose(error: Exception, *, connect_seconds: float, timeout_seconds: float) -> Fault:
    """Return the fault for an exception of the HTTP client."""
    match error:
        case AddressRefusedError():
            return Fault(ErrorClass.ADDRESS_REFUSED, error.message)
        case BodyTooLargeError():
            return Fault(
                ErrorClass.BODY_TOO_LARGE, "Only the first 64 KiB of the response were read"
            )
        case aiohttp.ConnectionTimeoutError():
            return Fault(
                ErrorClass.TIMEOUT, f"No connection (DNS, TCP, TLS) within {connect_seconds:g} s"
            )
        case TimeoutError():
            return Fault(ErrorClass.TIMEOUT, f"No complete response within {timeout_seconds:g} s")
        case aiohttp.ClientConnectorError():
            return _no_connection(error)
        case aiohttp.ClientError():
            return _broken_response(error)
        case _:
            return Fault(ErrorClass.INTERNAL, legible(f"{type(error).__name__}: {error}"))


def _no_connection(error: aiohttp.ClientConnectorError) -> Fault:
    cause = error.os_error
    match error:
        case _ if isinstance(cause, LookUpsBusyError) or cause.errno in _OUT_OF_RESOURCES:
            reason = legible(cause.strerror or str(cause))
            return Fault(
                ErrorClass.LOCAL_LIMIT, f"Not sent, because this server lacks resources: {reason}"
            )
        case aiohttp.ClientConnectorDNSError():
            reason = legible(cause.strerror or str(cause))
            return Fault(ErrorClass.DNS, f"{error.host} could not be looked up: {reason}")
        case aiohttp.ClientSSLError():
            reason = legible(_tls_reason(cause))
            return Fault(ErrorClass.TLS, f"No trusted TLS connection to {error.host}: {reason}")
        case _ if not str(cause):
            # asyncio has no message for a connection that ended during the TLS handshake.
            return Fault(
                ErrorClass.TLS,
                f"{error.host} closed the connection during the TLS handshake: it may require "
                "a client certificate or a TLS version before 1.2",
            )
        case _:
            reason = legible(cause.strerror or str(cause))
            return Fault(
                ErrorClass.CONNECT, f"No connection to {error.host}:{error.port}: {reason}"
            )


def _tls_reason(error: OSError) -> str:
    """Return OpenSSL's message without file names and capitals."""
    reason = str(getattr(error, "reason", None) or error)
    if reason == "WRONG_VERSION_NUMBER":
        return "the server there does not speak TLS"
    if "NO_APPLICATION_PROTOCOL" in reason.upper().replace(" ", "_"):
        return _ONLY_HTTP2
    return getattr(error, "verify_message", None) or reason.replace("_", " ").lower()


def _broken_response(error: aiohttp.ClientError) -> Fault:
    match error:
        case aiohttp.ClientResponseError():
            return _bad_head(error)
        case aiohttp.ServerDisconnectedError():
            return Fault(ErrorClass.CLOSED_EARLY, "The connection was closed before a response")
        case NoStatusError():
            return Fault(ErrorClass.PROTOCOL, "The response is not HTTP: its status is below 100")
        case OnlyHttp2Error():
            return Fault(ErrorClass.PROTOCOL, _ONLY_HTTP2)
        case GarbledBodyError():
            return Fault(ErrorClass.PROTOCOL, "The body of the response is not HTTP")
        case aiohttp.ClientPayloadError():
            return Fault(ErrorClass.CLOSED_EARLY, "The connection was closed during the response")
        case aiohttp.ClientOSError() | aiohttp.ClientConnectionResetError():
            return Fault(ErrorClass.RESET, legible(f"The connection broke: {error.strerror}"))
        case aiohttp.InvalidURL():
            return Fault(ErrorClass.ADDRESS_REFUSED, "The HTTP client can't parse the URL")
        case _:
            return Fault(ErrorClass.INTERNAL, legible(f"{type(error).__name__}: {error}"))


def _bad_head(error: aiohttp.ClientResponseError) -> Fault:
    cause = error.__cause__
    if (
        isinstance(cause, HeadTooLargeError)
        or (cause is not None and isinstance(cause.__cause__, LineTooLong))
        or error.message == "Too many headers received"
    ):
        return Fault(
            ErrorClass.HEADERS_TOO_LARGE,
            f"The head of the response is too large: the limits are {HEAD_BYTES_MAX // 1024} KiB, "
            f"8 KiB per line, 128 lines and {INTERIM_RESPONSES_MAX} interim responses",
        )
    return Fault(ErrorClass.PROTOCOL, legible(f"The response is not HTTP: {error.message}"))


def legible(text: str) -> str:
    """Return a text from outside in storable form: one line, not too long, encodable."""
    line = " ".join(text.split())[:_DETAIL_CHARACTERS_MAX]
    return line.encode(errors="replace").decode()
