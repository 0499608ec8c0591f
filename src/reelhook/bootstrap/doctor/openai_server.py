"""What lies before REELHOOK_PUBLIC_URL: does it let in anyone, hold streams back, or hang up?"""

import asyncio
import time
from types import SimpleNamespace
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector
from aiohttp import TraceConfig as Trace
from aiohttp import TraceConnectionCreateEndParams as Created

from reelhook.bootstrap.doctor.finding import Finding, failed, ok, warning
from reelhook.config import Settings
from reelhook.doors.live.sse import HEARTBEAT_SECONDS
from reelhook.guard.hosts import is_loopback

FIRST_SECONDS_MAX = 3.0
"""When the beginning of a stream must be here; without a buffer on the way it is at once."""
SLACK_SECONDS = 5.0
BUSY_SECONDS_MAX = 60.0
"""How long a silence is waited for while the followed job changes."""
IDLE_SECONDS = 6.0
"""How long a connection is idle before it is used again: longer than clients that poll wait."""
IDLE_SECONDS_USUAL = 60.0
_TIMEOUT = ClientTimeout(total=10.0)
_FAILURES = (ClientError, TimeoutError, OSError, ValueError)
_STREAMS = "live streams"
_IDLE = "idle connections"


async def proxies(settings: Settings, http: ClientSession) -> list[Finding]:
    """Judge the way from REELHOOK_PUBLIC_URL to the server, where others can go it."""
    host = urlsplit(settings.public_url).hostname or ""
    if is_loopback(host) or not await _leads_to_one(settings, http):
        return []  # said of the server
    found = await asyncio.gather(
        _key(settings, http), _streams(settings, http), _idle_connections(settings)
    )
    return [*(one for one in found if one is not None), _clients(settings)]


async def _leads_to_one(settings: Settings, http: ClientSession) -> bool:
    try:
        async with http.get(f"{settings.public_url}/healthz", timeout=_TIMEOUT) as response:
            return response.status == 200
    except _FAILURES:
        return False


async def _key(settings: Settings, http: ClientSession) -> Finding | None:
    """Ask without a key, as a stranger would."""
    subject = "REELHOOK_API_KEY"
    try:
        async with http.get(f"{settings.public_url}/api/jobs?limit=1", timeout=_TIMEOUT) as answer:
            status = answer.status
    except _FAILURES:
        return None
    if status != 200:
        return ok(subject, f"strangers are refused at {settings.public_url} (HTTP {status})")
    words = "anyone who reaches it can read the jobs there and spend money; set REELHOOK_API_KEY"
    return failed(subject, f"{settings.public_url} asks for no key: {words}, and start serve anew")


def _clients(settings: Settings) -> Finding:
    subject = "REELHOOK_TRUSTED_PROXIES"
    if settings.trusted_proxies:
        return ok(subject, f"of {', '.join(map(str, settings.trusted_proxies))} is believed")
    return warning(
        subject,
        "is not set, so the log names the proxy in place of clients that were refused; set it to "
        "the proxy's address, such as 127.0.0.1",
    )


def _bearer(settings: Settings) -> dict[str, str]:
    return {} if settings.api_key is None else {"Authorization": f"Bearer {settings.api_key}"}


async def _streams(settings: Settings, http: ClientSession) -> Finding | None:
    """Follow a job until the first sign of life."""
    bearer = _bearer(settings)
    try:
        async with http.get(
            f"{settings.public_url}/api/jobs?limit=1", headers=bearer, timeout=_TIMEOUT
        ) as answer:
            jobs = (await answer.json())["jobs"] if answer.status == 200 else None
    except (*_FAILURES, KeyError):
        return None
    if not jobs:
        return ok(_STREAMS, "were not tried: there is no job yet that could be followed")
    url = f"{settings.public_url}/api/jobs/events?jobIds={jobs[0]['jobId']}"
    started = time.monotonic()
    try:
        async with asyncio.timeout(FIRST_SECONDS_MAX) as limit:
            async with http.get(url, headers=bearer, timeout=ClientTimeout(total=None)) as stream:
                return await _followed(stream, started, limit)
    except TimeoutError:
        return warning(
            _STREAMS,
            f"are held back: nothing came within {time.monotonic() - started:.0f} s; have the "
            "proxy pass text/event-stream on unbuffered (docs/production.md)",
        )
    except _FAILURES:
        return _cut(time.monotonic() - started)


async def _followed(stream: ClientResponse, started: float, limit: asyncio.Timeout) -> Finding:
    """Read on to the first sign of life; each line puts `limit` off by as long as one may take."""
    if stream.status != 200:
        return warning(_STREAMS, f"can't be followed there (HTTP {stream.status})")
    await stream.content.readuntil(b"\n\n")
    while time.monotonic() < started + BUSY_SECONDS_MAX:
        limit.reschedule(asyncio.get_running_loop().time() + HEARTBEAT_SECONDS + SLACK_SECONDS)
        line = await stream.content.readline()
        if not line:
            return _cut(time.monotonic() - started)
        if b": still here" in line:
            return ok(_STREAMS, f"pass at once, and last over {HEARTBEAT_SECONDS:g} s of silence")
    return ok(_STREAMS, "pass at once, but the followed job changes too often to try a silence")


def _cut(seconds: float) -> Finding:
    return warning(
        _STREAMS,
        f"are cut off after {seconds:.0f} s; let the proxy wait longer than "
        f"{HEARTBEAT_SECONDS:g} s for a response to go on (docs/production.md)",
    )


async def _idle_connections(settings: Settings) -> Finding | None:
    """Use a connection again after a pause."""
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
            f"are closed there within {IDLE_SECONDS:g} s, so that clients which ask every few "
            "seconds lose requests; let the proxy keep them for 60 s or more",
        )
    if settings.keep_alive_seconds <= IDLE_SECONDS_USUAL:
        return warning(
            _IDLE,
            f"are closed here after {settings.keep_alive_seconds:g} s, and proxies keep theirs for "
            "60 s: requests meet closed connections; raise REELHOOK_KEEP_ALIVE_SECONDS",
        )
    return ok(_IDLE, f"last longer than {IDLE_SECONDS:g} s")
