"""Sends webhooks to the URLs named in creates, as their jobs progress."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from reelhook.simulator.job import Phase

POLL_SECONDS = 0.1
"""The interval at which a job's phase is read: tests may move the clock by hand."""
_TIMEOUT = ClientTimeout(total=10)
_ENDED = frozenset({Phase.COMPLETED, Phase.FAILED})

Message = tuple[bytes, Mapping[str, str]]


class CallbackSender:
    """Polls jobs that have a URL, and POSTs each change once, without retries."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(
        self, url: str, phase: Callable[[], Phase], message: Callable[[Phase], Message | None]
    ) -> None:
        """Send the body and headers that `message` returns for each phase after the first."""
        task = asyncio.create_task(_watch(url, phase, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def running(self, _app: web.Application) -> AsyncIterator[None]:
        """Stop with the application, as one of its `cleanup_ctx`."""
        yield
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(
    url: str, phase: Callable[[], Phase], message: Callable[[Phase], Message | None]
) -> None:
    reported = Phase.QUEUED
    while reported not in _ENDED:
        await asyncio.sleep(POLL_SECONDS)
        now = phase()
        if now is not reported:
            reported = now
            if (made := message(now)) is not None:
                await _post(url, *made)


async def _post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    all_headers = {"Content-Type": "application/json", **headers}
    with suppress(ClientError, OSError, TimeoutError, ValueError):
        async with (
            ClientSession(timeout=_TIMEOUT) as session,
            session.post(url, data=body, headers=all_headers, allow_redirects=False),
        ):
            pass
