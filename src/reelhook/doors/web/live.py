"""Live updates: one stream per open page, which sends the parts that have changed.

A part is a piece of the page as the page's own template made it, so there is one way to make it.
Pages that show the same to the same caller share one rendering.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, replace
from typing import Protocol
from weakref import WeakKeyDictionary

from fastapi.responses import HTMLResponse
from starlette.responses import Response

from reelhook.domain.caller import Caller
from reelhook.domain.errors import ReelhookError
from reelhook.doors.event_stream import EventStream
from reelhook.doors.limits import StreamSlots
from reelhook.doors.web.rendering import HEADERS, Part
from reelhook.doors.web.view import View

TICK_SECONDS = 0.5
"""The shortest pause between two updates. Streams look at the same ticks, to share renderings."""
SHARE = 0.2
"""The share of a core that renderings may take: the more they cost, the longer the pause."""


class LivePage(Protocol):
    """A page, as far as its live updates need it."""

    @property
    def idle_seconds(self) -> float:
        """The pause between two looks at a page that nothing is known to have changed."""
        ...

    async def parts(self, view: View) -> list[Part]:
        """Return the parts of the page as they are now."""
        ...


@dataclass
class _Rendering:
    """The parts of one page, as they were at a tick, for the streams that show it."""

    tick: float = -1.0
    task: asyncio.Task[list[Part]] | None = None
    streams: int = 0


class Renderings:
    """The newest rendering of each page that is open somewhere."""

    def __init__(self) -> None:
        self._newest: dict[tuple[Caller, str], _Rendering] = {}
        self.tick_seconds = TICK_SECONDS

    @contextlib.contextmanager
    def of(self, view: View) -> Iterator[_Rendering]:
        """Return the rendering of a page, which is kept until the block ends."""
        key = (replace(view.who, address=None), view.live_address)
        shared = self._newest.setdefault(key, _Rendering())
        shared.streams += 1
        try:
            yield shared
        finally:
            shared.streams -= 1
            if not shared.streams:
                del self._newest[key]

    async def parts(self, shared: _Rendering, view: View, page: LivePage) -> list[Part]:
        """Return the parts of a page at this tick; render it unless another stream did."""
        tick = _now() - _now() % self.tick_seconds
        if shared.task is None or shared.tick < tick:
            shared.tick = tick
            shared.task = asyncio.create_task(self._measured(view, page))
            shared.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(shared.task)

    async def _measured(self, view: View, page: LivePage) -> list[Part]:
        began = _now()
        try:
            return await page.parts(view)
        finally:
            fitting = max(TICK_SECONDS, (_now() - began) * len(self._newest) / SHARE)
            self.tick_seconds = 0.8 * self.tick_seconds + 0.2 * fitting


_RENDERINGS: WeakKeyDictionary[object, Renderings] = WeakKeyDictionary()


def renderings_of(app: object) -> Renderings:
    """Return the renderings of an application."""
    return _RENDERINGS.setdefault(app, Renderings())


async def polled(view: View, page: LivePage) -> Response:
    """Return the page's parts once, for a browser that can't keep a stream open."""
    parts = await page.parts(view)
    return HTMLResponse("".join(map(_replacement, parts)), headers=HEADERS)


async def streamed(view: View, page: LivePage) -> EventStream:
    """Return a stream of the page's parts. Raises `LimitError` if too many are open.

    Raises what the page raises, such as `StoreError`: a stream that stands has been read.
    """
    slots: StreamSlots = view.request.app.state.stream_slots
    slots.check()
    first = await page.parts(replace(view))
    return EventStream(_updates(view, page, first), slots)


async def _updates(view: View, page: LivePage, first: list[Part]) -> AsyncGenerator[bytes, None]:
    """Yield the parts that have changed.

    It ends when the program stops, the session ends, or the page can't be read. The browser opens
    it again, and says since when that fails.
    """
    feed = view.gateway.feed
    renderings = renderings_of(view.request.app)
    ended = asyncio.Event()
    sent: dict[str, int] = {}
    yield b": following\n\n"
    yield _event("".join(map(_replacement, _new(first, sent))))
    with view.context.lifetime(ended.set) as lifetime, renderings.of(view) as shared:
        while not (feed.stopping.is_set() or lifetime.over):
            changed = feed.changed
            try:
                # A copy has the present time.
                parts = await renderings.parts(shared, replace(view), page)
            except ReelhookError:
                return
            if new := _new(parts, sent):
                yield _event("".join(map(_replacement, new)))
            else:
                yield b": still here\n\n"
            await _next_look(changed, ended, page.idle_seconds, renderings)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _new(parts: list[Part], sent: dict[str, int]) -> list[Part]:
    """Return the parts that differ from those that were sent, and remember them."""
    new = []
    for part in parts:
        digest = hash(part.html)
        if sent.get(part.id) != digest:
            sent[part.id] = digest
            new.append(part)
    return new


async def _next_look(
    changed: asyncio.Event, ended: asyncio.Event, idle_seconds: float, renderings: Renderings
) -> None:
    """Wait until a job changes, the session ends or the pause is over, and for the next tick."""
    waits = [asyncio.create_task(event.wait()) for event in (changed, ended)]
    try:
        await asyncio.wait(waits, timeout=idle_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    if not ended.is_set():
        tick = renderings.tick_seconds
        await asyncio.sleep(tick - _now() % tick + 0.001)


def _replacement(part: Part) -> str:
    return f'<hx-partial hx-target="#{part.id}" hx-swap="outerMorph">{part.html}</hx-partial>'


def _event(html: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in html.splitlines())
    return f"{lines}\n".encode()
