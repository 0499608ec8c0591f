"""Calls the URLs that came along with creates, as their jobs go on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from reelhook.simulator.job import Phase

LOOK_SECONDS = 0.1
"""How often a job is looked at: its clock may be moved by hand."""
_TIMEOUT = ClientTimeout(total=10)
_ENDED = frozenset({Phase.COMPLETED, Phase.FAILED})

Message = tuple[bytes, Mapping[str, str]]


class CallbackSender:
    """Looks at jobs with a URL, and POSTs once, without repeating it, when something changed."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(
        self, url: str, phase: Callable[[], Phase], message: Callable[[Phase], Message | None]
    ) -> None:
        """Send what `message` makes (body and headers) of each phase that follows the first."""
        task = asyncio.create_task(_watch(url, phase, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def running(self, _app: web.Application) -> AsyncIterator[None]:
        """End with the application (one of its `cleanup_ctx`)."""
        yield
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(
    url: str, phase: Callable[[], Phase], message: Callable[[Phase], Message | None]
) -> None:
    told = Phase.QUEUED
    while told not in _ENDED:
        await asyncio.sleep(LOOK_SECONDS)
        now = phase()
        if now is not told:
            told = now
            if (made := message(now)) is not None:
                await _post(url, *made)


async def _post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    given = {"Content-Type": "application/json", **headers}
    with suppress(ClientError, OSError, TimeoutError, ValueError):
        async with (
            ClientSession(timeout=_TIMEOUT) as session,
            session.post(url, data=body, headers=given, allow_redirects=False),
        ):
            pass
