"""Blocking work in a thread, which ends when whoever waits for it is told to stop."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
END_SECONDS = 3.0
"""How long interrupted work may take to end. After that its thread is left alone: it keeps no
process alive, and what it had not committed goes with its connection."""
AGAIN_SECONDS = 0.05


class Interrupt:
    """How work can be told to stop, from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told = False
        self._ways: list[Callable[[], None]] = []

    def by(self, way: Callable[[], None]) -> None:
        """Have this called when the work is to stop, at once if that was told already.

        It may be called several times, since it may come between two steps of the work, and from
        any thread.
        """
        with self._lock:
            self._ways.append(way)
            told = self._told
        if told:
            way()

    def tell(self) -> None:
        """Stop the work."""
        with self._lock:
            self._told = True
            ways = list(self._ways)
        for way in ways:
            with contextlib.suppress(Exception):  # that step has ended meanwhile
                way()


async def interruptible(work: Callable[[Interrupt], T]) -> T:
    """Run blocking work in a thread; where the caller is canceled, interrupt it and wait a little.

    Raises what the work raises.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    interrupt = Interrupt()
    results: list[T] = []

    def end(error: BaseException | None) -> None:
        if error is None:
            future.set_result(results[0])
        else:
            future.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        try:
            results.append(work(interrupt))
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: it was left alone
            loop.call_soon_threadsafe(end, error)

    threading.Thread(target=run, name="reelhook-interruptible", daemon=True).start()
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        end_at = loop.time() + END_SECONDS
        while not future.done() and loop.time() < end_at:
            interrupt.tell()
            await asyncio.wait([future], timeout=AGAIN_SECONDS)
        if future.done() and not future.cancelled():
            future.exception()  # whatever it was, it is of no interest any more
        raise
