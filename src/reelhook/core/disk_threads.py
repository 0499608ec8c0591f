"""Threads for work on a disk that may hang, such as one of another machine.

The threads of `ThreadPoolExecutor` are waited for when a process ends, so a disk that hangs would
keep it from ending. These are not.
"""

import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from threading import Lock, Semaphore, Thread
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_Queue = SimpleQueue[Callable[[], None] | None]


class DiskThreads(Executor):
    """At most `count` threads, each started when it is first needed."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._queue: _Queue = SimpleQueue()
        self._idle = Semaphore(0)
        self._lock = Lock()
        self._started = 0
        self._end = weakref.finalize(self, _end_all, self._queue, count)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `Executor.submit`. Raises RuntimeError after `shutdown`."""
        if not self._end.alive:
            raise RuntimeError(f"the threads {self._name} have ended")
        future: Future[T] = Future()
        self._queue.put(lambda: _carry_out(future, lambda: fn(*args, **kwargs)))
        with self._lock:
            if not self._idle.acquire(blocking=False) and self._started < self._count:
                self._started += 1
                name = f"{self._name}_{self._started}"
                arguments = (self._queue, self._idle)
                Thread(target=_work, args=arguments, name=name, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads once the work that was submitted is done. Nothing is waited for."""
        self._end()


def _work(queue: _Queue, idle: Semaphore) -> None:
    while (work := queue.get()) is not None:
        work()
        del work  # its result may be large
        idle.release()


def _carry_out(future: Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def _end_all(queue: _Queue, count: int) -> None:
    for _ in range(count):
        queue.put(None)
