"""Why an attempt brought no whole answer: a stable class, and words that a person understands."""

import errno
from dataclasses import dataclass
from enum import StrEnum

import aiohttp
from aiohttp.http_exceptions import LineTooLong

from reelhook.guard.addresses import LookUpsBusyError
from reelhook.guard.target import AddressRefusedError
from reelhook.webhooks.protocol import (
    HEAD_BYTES_MAX,
    INTERIM_ANSWERS_MAX,
    BodyTooLargeError,
    GarbledBodyError,
    HeadTooLargeError,
    NoStatusError,
    OnlyHttp2Error,
)

_DETAIL_CHARACTERS_MAX = 300
_ONLY_HTTP2 = (
    "The receiver speaks HTTP/2 alone; webhooks are sent by HTTP/1.1, so let it, "
    "or the proxy before it, take that too"
)
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class ErrorClass(StrEnum):
    """What went wrong in an attempt. The values are kept and shown: none may change."""

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
    """Nothing was sent: a limit of this process, which is no fault of the receiver's."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A class and its words."""

    error: ErrorClass
    detail: str


def diagnose(error: Exception, *, connect_seconds: float, timeout_seconds: float) -> Fault:
    """Tell what an exception of the client means."""
    match error:
        case AddressRefusedError():
            return Fault(ErrorClass.ADDRESS_REFUSED, error.message)
        case BodyTooLargeError():
            return Fault(ErrorClass.BODY_TOO_LARGE, "Only the answer's first 64 KiB were read")
        case aiohttp.ConnectionTimeoutError():
            return Fault(
                ErrorClass.TIMEOUT, f"No connection (DNS, TCP, TLS) within {connect_seconds:g} s"
            )
        case TimeoutError():
            return Fault(ErrorClass.TIMEOUT, f"No complete answer within {timeout_seconds:g} s")
        case aiohttp.ClientConnectorError():
            return _no_connection(error)
        case aiohttp.ClientError():
            return _broken_answer(error)
        case _:
            return Fault(ErrorClass.INTERNAL, legible(f"{type(error).__name__}: {error}"))


def _no_connection(error: aiohttp.ClientConnectorError) -> Fault:
    cause = error.os_error
    match error:
        case _ if isinstance(cause, LookUpsBusyError) or cause.errno in _OUT_OF_RESOURCES:
            words = legible(cause.strerror or str(cause))
            return Fault(ErrorClass.LOCAL_LIMIT, f"Not sent for want of resources here: {words}")
        case aiohttp.ClientConnectorDNSError():
            words = legible(cause.strerror or str(cause))
            return Fault(ErrorClass.DNS, f"{error.host} could not be looked up: {words}")
        case aiohttp.ClientSSLError():
            words = legible(_tls_words(cause))
            return Fault(ErrorClass.TLS, f"No trusted TLS connection to {error.host}: {words}")
        case _ if not str(cause):
            # asyncio has no words for the end of a connection that it was still encrypting.
            return Fault(
                ErrorClass.TLS,
                f"{error.host} closed the connection within the TLS handshake: it may want "
                "a client's certificate or an older TLS than 1.2",
            )
        case _:
            words = legible(cause.strerror or str(cause))
            return Fault(ErrorClass.CONNECT, f"No connection to {error.host}:{error.port}: {words}")


def _tls_words(error: OSError) -> str:
    """Return OpenSSL's words without its file names and capitals."""
    reason = str(getattr(error, "reason", None) or error)
    if reason == "WRONG_VERSION_NUMBER":
        return "what answers there does not speak TLS"
    if "NO_APPLICATION_PROTOCOL" in reason.upper().replace(" ", "_"):
        return _ONLY_HTTP2
    return getattr(error, "verify_message", None) or reason.replace("_", " ").lower()


def _broken_answer(error: aiohttp.ClientError) -> Fault:
    match error:
        case aiohttp.ClientResponseError():
            return _bad_head(error)
        case aiohttp.ServerDisconnectedError():
            return Fault(ErrorClass.CLOSED_EARLY, "The connection was closed before an answer")
        case NoStatusError():
            return Fault(ErrorClass.PROTOCOL, "The answer is not HTTP: its status is below 100")
        case OnlyHttp2Error():
            return Fault(ErrorClass.PROTOCOL, _ONLY_HTTP2)
        case GarbledBodyError():
            return Fault(ErrorClass.PROTOCOL, "The answer's body is not HTTP")
        case aiohttp.ClientPayloadError():
            return Fault(ErrorClass.CLOSED_EARLY, "The connection was closed within the answer")
        case aiohttp.ClientOSError() | aiohttp.ClientConnectionResetError():
            return Fault(ErrorClass.RESET, legible(f"The connection broke: {error.strerror}"))
        case aiohttp.InvalidURL():
            return Fault(ErrorClass.ADDRESS_REFUSED, "The client can't read the URL")
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
            f"The answer's head is too large: {HEAD_BYTES_MAX // 1024} KiB in all, 8 KiB a line, "
            f"128 lines and {INTERIM_ANSWERS_MAX} interim answers are accepted",
        )
    return Fault(ErrorClass.PROTOCOL, legible(f"The answer is not HTTP: {error.message}"))


def legible(words: str) -> str:
    """Make foreign words fit for keeping: one line, not too long, encodable."""
    line = " ".join(words.split())[:_DETAIL_CHARACTERS_MAX]
    return line.encode(errors="replace").decode()
