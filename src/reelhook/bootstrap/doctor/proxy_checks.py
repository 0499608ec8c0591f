"""Checks of proxies in front of the server: access without a key, buffering, idle timeouts."""

import asyncio
import time
from types import SimpleNamespace
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector
from aiohttp import TraceConfig as Trace
from aiohttp import TraceConnectionCreateEndParams as Created

from reelhook.bootstrap.doctor.finding import Finding, failed, ok, warning
from reelhook.config import Settings
from reelhook.doors.event_stream import HEARTBEAT_SECONDS
from reelhook.guard.hosts import is_loopback

FIRST_SECONDS_MAX = 3.0
"""The time limit for the beginning of a stream, which arrives at once unless it is buffered."""
SLACK_SECONDS = 5.0
BUSY_SECONDS_MAX = 60.0
"""The time limit for a silence while the followed job changes."""
IDLE_SECONDS = 6.0
"""The pause before a connection is used again: longer than polling clients wait."""
IDLE_SECONDS_USUAL = 60.0
_TIMEOUT = ClientTimeout(total=10.0)
_FAILURES = (ClientError, TimeoutError, OSError, ValueError)
_STREAMS = "live streams"
_IDLE = "idle connections"


async def proxies(settings: Settings, http: ClientSession) -> list[Finding]:
    """Check the path from REELHOOK_PUBLIC_URL to the server, if others can use it."""
    host = urlsplit(settings.public_url).hostname or ""
    if is_loopback(host) or not await _leads_to_a_server(settings, http):
        return []  # the check of the server reports it
    found = await asyncio.gather(
        _key(settings, http), _streams(settings, http), _idle_connections(settings)
    )
    return [*(finding for finding in found if finding is not None), _clients(settings)]


async def _leads_to_a_server(settings: Settings, http: ClientSession) -> bool:
    try:
        async with http.get(f"{settings.public_url}/healthz", timeout=_TIMEOUT) as response:
            return response.status == 200
    except _FAILURES:
        return False


async def _key(settings: Settings, http: ClientSession) -> Finding | None:
    """Check that a request without a key is refused."""
    subject = "REELHOOK_API_KEY"
    try:
        async with http.get(
            f"{settings.public_url}/api/jobs?limit=1", timeout=_TIMEOUT
        ) as response:
            status = response.status
    except _FAILURES:
        return None
    if status != 200:
        return ok(
            subject, f"requests without a key are refused at {settings.public_url} (HTTP {status})"
        )
    return failed(
        subject,
        f"{settings.public_url} needs no key, so anyone can read its jobs and spend money; set "
        "REELHOOK_API_KEY, and restart `serve`",
    )


def _clients(settings: Settings) -> Finding:
    subject = "REELHOOK_TRUSTED_PROXIES"
    if settings.trusted_proxies:
        return ok(subject, f"are {', '.join(map(str, settings.trusted_proxies))}")
    return warning(
        subject,
        "is not set, so the log shows the proxy's address for clients that were refused; set it to "
        "that address, such as 127.0.0.1",
    )


def _bearer(settings: Settings) -> dict[str, str]:
    return {} if settings.api_key is None else {"Authorization": f"Bearer {settings.api_key}"}


async def _streams(settings: Settings, http: ClientSession) -> Finding | None:
    """Follow a job until the first heartbeat."""
    bearer = _bearer(settings)
    try:
        async with http.get(
            f"{settings.public_url}/api/jobs?limit=1", headers=bearer, timeout=_TIMEOUT
        ) as response:
            jobs = (await response.json())["jobs"] if response.status == 200 else None
    except (*_FAILURES, KeyError):
        return None
    if not jobs:
        return ok(_STREAMS, "were not checked: there is no job yet to follow")
    url = f"{settings.public_url}/api/jobs/events?jobIds={jobs[0]['jobId']}"
    started = time.monotonic()
    try:
        async with asyncio.timeout(FIRST_SECONDS_MAX) as limit:
            async with http.get(url, headers=bearer, timeout=ClientTimeout(total=None)) as stream:
                return await _followed(stream, started, limit)
    except TimeoutError:
        return warning(
            _STREAMS,
            f"are buffered: nothing arrived within {time.monotonic() - started:.0f} s; turn off "
            "the proxy's buffering of text/event-stream (docs/production.md)",
        )
    except _FAILURES:
        return _cut(time.monotonic() - started)


async def _followed(stream: ClientResponse, started: float, limit: asyncio.Timeout) -> Finding:
    """Read to the first heartbeat; each line extends `limit` until the next one must come."""
    if stream.status != 200:
        return warning(_STREAMS, f"can't be followed at REELHOOK_PUBLIC_URL (HTTP {stream.status})")
    await stream.content.readuntil(b"\n\n")
    while time.monotonic() < started + BUSY_SECONDS_MAX:
        limit.reschedule(asyncio.get_running_loop().time() + HEARTBEAT_SECONDS + SLACK_SECONDS)
        line = await stream.content.readline()
        if not line:
            return _cut(time.monotonic() - started)
        if b": still here" in line:
            return ok(_STREAMS, f"arrive at once, and survive {HEARTBEAT_SECONDS:g} s of silence")
    return ok(
        _STREAMS,
        "arrive at once; a silence was not checked, because the followed job changes too often",
    )


def _cut(seconds: float) -> Finding:
    return warning(
        _STREAMS,
        f"are cut off after {seconds:.0f} s; raise the proxy's read timeout above "
        f"{HEARTBEAT_SECONDS:g} s (docs/production.md)",
    )


async def _idle_connections(settings: Settings) -> Finding | None:
    """Check that a connection can be used again after a pause."""
    opened = 0

    async def count(_: ClientSession, __: SimpleNamespace, ___: Created) -> None:
        nonlocal opened
        opened += 1

    trace = Trace()
    trace.on_connection_create_end.append(count)
    connector = TCPConnector(limit=1, keepalive_timeout=2 * IDLE_SECONDS)
    async with ClientSession(
        connector=connector, trace_configs=[trace], timeout=_TIMEOUT
    ) as session:
        try:
            for number in range(2):
                if number:
                    await asyncio.sleep(IDLE_SECONDS)
                async with session.get(f"{settings.public_url}/healthz") as response:
                    await response.read()
        except _FAILURES:
            opened = 2
    if opened > 1:
        return warning(
            _IDLE,
            f"are closed at REELHOOK_PUBLIC_URL within {IDLE_SECONDS:g} s, so polling clients lose "
            "requests; raise the proxy's idle timeout to 60 s or more",
        )
    if settings.keep_alive_seconds <= IDLE_SECONDS_USUAL:
        return warning(
            _IDLE,
            f"are closed by this server after {settings.keep_alive_seconds:g} s, but proxies keep "
            "theirs for 60 s and lose requests; raise REELHOOK_KEEP_ALIVE_SECONDS",
        )
    return ok(_IDLE, f"last longer than {IDLE_SECONDS:g} s")
