"""Renders videos one after the other, and keeps the last few."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import structlog

from reelhook.simulator.job import Variant, VideoSpec
from reelhook.simulator.render_process import Renderer, RenderError

log = structlog.get_logger()
VIDEOS_MAX = 16
IDLE_SECONDS = 20.0
"""The time for which an idle renderer process is kept."""


@dataclass(frozen=True, slots=True)
class _Order:
    video: VideoSpec
    variant: Variant
    content: asyncio.Future[bytes]


class RenderQueue:
    """Renders each video once, for all requests that arrive while it is rendered or kept.

    With `render_ahead`, a video is started when its job is created, unless another is in progress:
    a user with one job gets the video at once, and a thousand jobs cost nothing until download.
    """

    def __init__(
        self,
        *,
        render_ahead: bool = False,
        idle_seconds: float = IDLE_SECONDS,
        renderer: Callable[[], Renderer] = Renderer,
    ) -> None:
        self._render_ahead = render_ahead
        self._renderer = renderer
        self._idle_seconds = idle_seconds
        self._ordered = lru_cache(maxsize=VIDEOS_MAX)(self._order)
        self._orders: asyncio.Queue[_Order] = asyncio.Queue()
        self._unfinished: set[asyncio.Future[bytes]] = set()
        self._work: asyncio.Task[None] | None = None

    @property
    def resting(self) -> bool:
        """Return True if there is no renderer process."""
        return self._work is None or self._work.done()

    def video_created(self, video: VideoSpec) -> None:
        """Start the video if it is to be rendered ahead."""
        if self._render_ahead and not self._unfinished:
            self._ordered(video, Variant.VIDEO)

    async def content(self, video: VideoSpec, variant: Variant) -> bytes:
        """Return the video's bytes. Raises `RenderError`."""
        # Shielded: others may be waiting for the same video.
        return await asyncio.shield(self._ordered(video, variant))

    async def close(self) -> None:
        """Stop the process, and give up unfinished videos."""
        for content in list(self._unfinished):
            content.cancel()
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    def _order(self, video: VideoSpec, variant: Variant) -> asyncio.Future[bytes]:
        content: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        content.add_done_callback(self._order_ended)
        self._unfinished.add(content)
        self._orders.put_nowait(_Order(video, variant, content))
        if self.resting:
            self._work = asyncio.create_task(self._render_orders())
        return content

    def _order_ended(self, content: asyncio.Future[bytes]) -> None:
        self._unfinished.discard(content)
        if content.cancelled() or content.exception() is not None:
            # A failure must not be kept; lru_cache can't drop a single entry.
            self._ordered.cache_clear()

    async def _render_orders(self) -> None:
        while not self._orders.empty():
            renderer = self._renderer()
            try:
                await self._render_until_idle(renderer)
            finally:
                # New orders may arrive while this is awaited, hence the loop around it.
                await renderer.stop()

    async def _render_until_idle(self, renderer: Renderer) -> None:
        while True:
            try:
                async with asyncio.timeout(self._idle_seconds):
                    order = await self._orders.get()
            except TimeoutError:
                return
            if order.content.cancelled():
                continue
            try:
                order.content.set_result(await renderer.render(order.video, order.variant))
            except RenderError as error:
                log.warning("The simulator could not render a video", error=str(error))
                order.content.set_exception(error)
