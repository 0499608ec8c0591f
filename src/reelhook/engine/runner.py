"""The runner: starts every loop, wakes it, lets none die, and drains them all at the end."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, cast

import structlog

from reelhook.domain.errors import DATABASE_FAILURES
from reelhook.ports import Clock

log = structlog.get_logger()
PAUSE_AFTER_ERROR_SECONDS = 1.0
DRAIN_SECONDS = 4.5
TICK_SECONDS = 1.0
"""How much of that a tick may take to end: one that has stored an intent carries it out."""


class Loop(Protocol):
    """One kind of work."""

    name: str
    tasks: "RunningTasks"

    @property
    def signal(self) -> asyncio.Event:
        """What wakes it."""
        ...

    async def tick(self) -> float | None:
        """Do what is due; return the seconds until more is due, or None: only when signaled."""
        ...


class RunningTasks:
    """What a loop has under way. No task's error goes further than the log."""

    def __init__(self, done: asyncio.Event) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._done = done
        self.draining = False
        """Whether the program stops: only what is in the store as begun may still be begun."""

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(
        self,
        work: Coroutine[Any, Any, None],
        done: Callable[[], object] = lambda: None,
        **ids: Any,
    ) -> asyncio.Task[None]:
        """Start a task; at its end `done` is called and the loop's signal set."""
        task = asyncio.create_task(self._guard(work, done, ids))
        self._tasks.add(task)
        return task

    async def _guard(
        self, work: Coroutine[Any, Any, None], done: Callable[[], object], ids: dict[str, Any]
    ) -> None:
        try:
            await work
        except DATABASE_FAILURES as error:
            log.warning("task.failed", error=error.message, **ids)
            await asyncio.sleep(PAUSE_AFTER_ERROR_SECONDS)
        except Exception:
            log.exception("task.failed", **ids)
            await asyncio.sleep(PAUSE_AFTER_ERROR_SECONDS)  # so that a broken store is not stormed
        finally:
            # First out of the count, then the signal: the loop that wakes must see the free slot.
            self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))
            done()
            self._done.set()

    async def drain(self, seconds: float) -> None:
        """Wait for the tasks and for those that they start, at most that long; cancel the rest."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        try:
            while self._tasks and (left := end - loop.time()) > 0:
                await asyncio.wait(self._tasks, timeout=left)
        finally:  # also where whoever waits for them is told to wait no longer
            for task in self._tasks:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Runner:
    """Turns loops until it is stopped.

    With `look_seconds` each loop looks at the store that often at least: where other processes
    write to it too, a signal that got lost costs no more.
    """

    def __init__(
        self, loops: Sequence[Loop], clock: Clock, *, look_seconds: float | None = None
    ) -> None:
        self._loops = list(loops)
        self._clock = clock
        self._look_seconds = look_seconds
        self._running: dict[int, asyncio.Task[None]] = {}
        self._draining: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start every loop."""
        loops, self._loops = self._loops, []
        self.add(loops)

    def add(self, loops: Sequence[Loop], may_tick: Callable[[], bool] = lambda: True) -> None:
        """Start more loops, each of which ticks only while it may."""
        for loop in loops:
            self._loops.append(loop)
            self._running[id(loop)] = asyncio.create_task(self._turn(loop, may_tick))

    async def remove(self, loops: Sequence[Loop], seconds: float = DRAIN_SECONDS) -> None:
        """Begin nothing new in these, give what is under way that long, and cut off the rest.

        What is cut off has its intent in the store, and is taken up by whoever comes next.
        """
        end = asyncio.get_running_loop().time() + seconds
        for loop in loops:
            loop.tasks.draining = True
            loop.signal.set()
        running = [self._running.pop(id(loop)) for loop in loops if id(loop) in self._running]
        self._loops = [loop for loop in self._loops if loop not in loops]
        try:
            if running:
                await asyncio.wait(running, timeout=max(0.0, min(seconds, TICK_SECONDS)))
        finally:
            for task in running:
                task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        left = end - asyncio.get_running_loop().time()
        await asyncio.gather(*(loop.tasks.drain(left) for loop in loops))

    def forget(self, loops: Sequence[Loop], seconds: float) -> None:
        """Do as `remove` does, and don't wait for it."""
        if loops:
            task = asyncio.create_task(self.remove(loops, seconds))
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)

    async def stop(self, seconds: float = DRAIN_SECONDS) -> None:
        """Remove all loops, see `remove`."""
        await self.remove(list(self._loops), seconds)
        for task in self._draining:
            task.cancel()
        await asyncio.gather(*self._draining, return_exceptions=True)

    async def _turn(self, loop: Loop, may_tick: Callable[[], bool]) -> None:
        while not loop.tasks.draining:
            loop.signal.clear()
            try:
                seconds = await loop.tick() if may_tick() else PAUSE_AFTER_ERROR_SECONDS
            except DATABASE_FAILURES as error:
                log.warning("loop.failed", loop=loop.name, error=error.message)
                seconds = PAUSE_AFTER_ERROR_SECONDS
            except Exception:
                log.exception("loop.failed", loop=loop.name)
                seconds = PAUSE_AFTER_ERROR_SECONDS
            if self._look_seconds is not None:
                seconds = (
                    self._look_seconds if seconds is None else min(self._look_seconds, seconds)
                )
            await self._clock.wait(loop.signal, seconds)
