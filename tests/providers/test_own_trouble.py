"""Which connections could not be made because of us, and which because of the provider."""

import errno
import socket
from collections.abc import Iterator
from resource import RLIMIT_NOFILE, getrlimit, setrlimit

import pytest
from aiohttp import ClientConnectionError, ClientConnectorDNSError, ClientConnectorError
from aiohttp.client_reqrep import ConnectionKey

from reelhook.domain.report import NotSent
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.local_errors import is_local_error
from reelhook.providers.http.response import error_description
from reelhook.providers.openai.provider import OpenAI

KEY = ConnectionKey("provider.example", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files"),
        OSError(errno.ENFILE, "Too many open files in system"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        ClientConnectorDNSError(KEY, OSError(errno.EINVAL, "Invalid argument")),
        MemoryError(),
        RuntimeError("can't start new thread"),
    ],
    ids=repr,
)
def test_what_lies_with_us(error: Exception) -> None:
    assert is_local_error(error)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        OSError(errno.EHOSTUNREACH, "No route to host"),
        TimeoutError(),
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        ClientConnectionError(),
    ],
    ids=repr,
)
def test_what_lies_with_the_provider(error: Exception) -> None:
    assert not is_local_error(error)


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (OSError(errno.ECONNREFUSED, "Connect call failed ('192.0.2.1', 443)"), "Connection ref"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not"),
    ],
    ids=repr,
)
def test_a_server_that_nothing_connects_to_is_named_with_the_reason(
    cause: OSError, reason: str
) -> None:
    description = error_description(ClientConnectorError(KEY, cause))
    assert description.startswith(f"provider.example:443: {reason}")


@pytest.fixture
def no_descriptors() -> Iterator[None]:
    before = getrlimit(RLIMIT_NOFILE)
    lowest = socket.socket()
    setrlimit(RLIMIT_NOFILE, (lowest.fileno(), before[1]))
    lowest.close()
    try:
        yield
    finally:
        setrlimit(RLIMIT_NOFILE, before)


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-name.invalid"])
async def test_without_descriptors_no_provider_is_to_blame(
    host: str, request: pytest.FixtureRequest
) -> None:
    async with OpenAI(f"http://{host}:9/v1") as wire:
        request.getfixturevalue("no_descriptors")
        outcome = await wire.submit(VideoRequest("a fox", "sora-2"))

    assert isinstance(outcome, NotSent)
    assert outcome.ours
