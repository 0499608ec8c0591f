"""Runs blocking work in a thread, and interrupts it when its caller is canceled."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
END_SECONDS = 3.0
"""The time interrupted work may take to end. After that its thread is abandoned: it does not keep
the process alive, and its uncommitted changes are lost with its connection."""
INTERRUPT_AGAIN_SECONDS = 0.05


class Interrupt:
    """Stops work from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = False
        self._callbacks: list[Callable[[], None]] = []

    def by(self, callback: Callable[[], None]) -> None:
        """Call `callback` to stop the work; at once, if that has already been requested.

        It may be called from any thread, and several times, because a call may fall between two
        steps of the work.
        """
        with self._lock:
            self._callbacks.append(callback)
            requested = self._requested
        if requested:
            callback()

    def stop(self) -> None:
        """Stop the work."""
        with self._lock:
            self._requested = True
            callbacks = list(self._callbacks)
        for callback in callbacks:
            with contextlib.suppress(Exception):  # that step has already ended
                callback()


async def interruptible(work: Callable[[Interrupt], T]) -> T:
    """Run blocking work in a thread. If the caller is canceled, interrupt it and wait briefly.

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
        with contextlib.suppress(RuntimeError):  # the loop is closed: the thread was abandoned
            loop.call_soon_threadsafe(end, error)

    threading.Thread(target=run, name="reelhook-interruptible", daemon=True).start()
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        end_at = loop.time() + END_SECONDS
        while not future.done() and loop.time() < end_at:
            interrupt.stop()
            await asyncio.wait([future], timeout=INTERRUPT_AGAIN_SECONDS)
        if future.done() and not future.cancelled():
            future.exception()  # marks the error as retrieved
        raise
