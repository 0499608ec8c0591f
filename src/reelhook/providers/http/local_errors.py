"""Own trouble: what kept a request from going out was no fault of its provider."""

import errno
import socket

from aiohttp import ClientConnectorError, ClientError

_NUMBERS = frozenset(
    {
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS),  # no descriptors, no memory
        *(errno.EADDRNOTAVAIL, errno.EAGAIN),  # no port left
        *(errno.ENETDOWN, errno.ENETUNREACH, errno.EACCES, errno.EPERM),  # no network, a firewall
    }
)
_LOOK_UPS = frozenset({socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_MEMORY, socket.EAI_SYSTEM})
"""What a look-up fails with where no name server answers, or none can be asked."""


def is_own_trouble(error: BaseException) -> bool:
    """Whether a connection could not be made for a reason that lies with us.

    Such a request would fare no better at any other provider.
    """
    cause = error.os_error if isinstance(error, ClientConnectorError) else error
    if isinstance(cause, socket.gaierror):
        return cause.errno in _LOOK_UPS or not _may_open_a_socket()
    if isinstance(cause, OSError) and not isinstance(cause, ConnectionError | TimeoutError):
        return cause.errno in _NUMBERS
    # Neither the network's nor aiohttp's: an error of this program or its machine.
    return not isinstance(error, ClientError | OSError)


def _may_open_a_socket() -> bool:
    """Whether there are descriptors left: without them names seem not to exist."""
    try:
        socket.socket().close()
    except OSError:
        return False
    return True
