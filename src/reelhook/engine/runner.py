"""Runs the loops: starts and wakes them, keeps them alive after errors, drains them at the end."""

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
"""The part of `DRAIN_SECONDS` in which a running tick may finish, to carry out a stored intent."""


class Loop(Protocol):
    """One kind of recurring work."""

    name: str
    tasks: "RunningTasks"

    @property
    def signal(self) -> asyncio.Event:
        """The event that wakes the loop."""
        ...

    async def tick(self) -> float | None:
        """Do what is due. Return the seconds until more is due, or None to wait for a signal."""
        ...


class RunningTasks:
    """The running tasks of a loop. An error in a task is logged and affects nothing else.

    `resumable` tasks are canceled at once in the end: they continue later where they stopped.
    """

    def __init__(self, done: asyncio.Event, *, resumable: bool = False) -> None:
        self._resumable = resumable
        self._tasks: set[asyncio.Task[None]] = set()
        self._done = done
        self.draining = False
        """True while the program is stopping: only work with a stored intent may still begin."""

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(
        self,
        work: Coroutine[Any, Any, None],
        done: Callable[[], object] = lambda: None,
        **ids: Any,
    ) -> asyncio.Task[None]:
        """Start a task. When it ends, `done` is called and the loop's signal is set."""
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
            await asyncio.sleep(PAUSE_AFTER_ERROR_SECONDS)  # don't flood a broken store
        finally:
            # Remove the task before setting the signal: the loop that wakes must see the free slot.
            self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))
            done()
            self._done.set()

    async def drain(self, seconds: float) -> None:
        """Wait this long for the tasks, and for tasks that they start. Then cancel the rest."""
        loop = asyncio.get_running_loop()
        end = loop.time() + (0.0 if self._resumable else seconds)
        try:
            while self._tasks and (left := end - loop.time()) > 0:
                await asyncio.wait(self._tasks, timeout=left)
        finally:  # also when the wait itself is canceled
            for task in self._tasks:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Runner:
    """Runs loops until it is stopped.

    With `look_seconds`, each loop ticks at least that often. If a signal from another process is
    lost, its work is delayed by no more than that.
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
        """Start more loops. Each ticks only while `may_tick` returns True."""
        for loop in loops:
            self._loops.append(loop)
            self._running[id(loop)] = asyncio.create_task(self._run(loop, may_tick))

    async def remove(self, loops: Sequence[Loop], seconds: float = DRAIN_SECONDS) -> None:
        """Begin nothing new in these loops, wait this long for running tasks, and cancel the rest.

        The intent of canceled work is in the store, and the next worker takes it up.
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

    def remove_soon(self, loops: Sequence[Loop], seconds: float) -> None:
        """Remove loops in the background; see `remove`."""
        if loops:
            task = asyncio.create_task(self.remove(loops, seconds))
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)

    async def stop(self, seconds: float = DRAIN_SECONDS) -> None:
        """Remove all loops; see `remove`."""
        await self.remove(list(self._loops), seconds)
        for task in self._draining:
            task.cancel()
        await asyncio.gather(*self._draining, return_exceptions=True)

    async def _run(self, loop: Loop, may_tick: Callable[[], bool]) -> None:
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
