"""Local errors: reasons on this machine that kept a request from reaching its provider."""

import errno
import socket

from aiohttp import ClientConnectorDNSError, ClientConnectorError, ClientError

_NUMBERS = frozenset(
    {
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS),  # no descriptors, no memory
        *(errno.EADDRNOTAVAIL, errno.EAGAIN),  # no port left
        *(errno.ENETDOWN, errno.ENETUNREACH, errno.EACCES, errno.EPERM),  # no network, a firewall
    }
)
_LOOK_UPS = frozenset({socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_MEMORY})
"""Errors of a name look-up when no name server responds or can be reached."""


def is_local_error(error: BaseException) -> bool:
    """Return True if a connection failed for a reason on this machine.

    Such a request would fail at every other provider as well.
    """
    cause = error.os_error if isinstance(error, ClientConnectorError) else error
    if isinstance(cause, socket.gaierror):
        return cause.errno in _LOOK_UPS or not _can_open_a_socket()
    if isinstance(error, ClientConnectorDNSError) and error.os_error.errno is not None:
        # EAI_SYSTEM, with the number of any earlier error (CPython: socketmodule.c, set_gaierror).
        return True
    if isinstance(cause, OSError) and not isinstance(cause, ConnectionError | TimeoutError):
        return cause.errno in _NUMBERS
    # Neither a network error nor one of aiohttp's: a fault of this program or its machine.
    return not isinstance(error, ClientError | OSError)


def _can_open_a_socket() -> bool:
    """Return True if descriptors are left. Without any, look-ups fail as if no name existed."""
    try:
        socket.socket().close()
    except OSError:
        return False
    return True
