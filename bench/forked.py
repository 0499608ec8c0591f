"""A worker in a forked process, which may be killed at any time, or at a chosen step."""

import asyncio
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any

import structlog

KILL_SECONDS_MAX = 0.005
"""The longest time between the chosen step's beginning and the kill: about that of a commit."""


class Killing:
    """The kill of one worker, at a step that all workers of a round count together."""

    def __init__(self) -> None:
        self._count = multiprocessing.get_context("fork").Value("i", 0)
        self._step = 0
        self._after_seconds = 0.0

    def plan(self, step: int, chance: Random) -> None:
        """Choose the step, from 1; 0: none. The worker dies within a moment of its beginning."""
        self._count.value, self._step = 0, step
        self._after_seconds = chance.uniform(0, KILL_SECONDS_MAX)

    async def during(self, step: Awaitable[None]) -> None:
        """Carry out a step. If it is the chosen one, this process does not survive it."""
        with self._count.get_lock():
            self._count.value += 1
            is_chosen = self._count.value == self._step
        if not is_chosen:
            await step
            return
        begun = asyncio.ensure_future(step)
        await asyncio.sleep(self._after_seconds)
        os.kill(os.getpid(), signal.SIGKILL)
        await begun


def fork(work: Callable[[], Coroutine[Any, Any, None]], *, log: Path, seconds_max: int) -> int:
    """Fork a process that does the work; return its id. The caller has no thread and no loop.

    A sound worker fails in no other way than being killed: its errors are written to `log`.
    """
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(seconds_max)  # whatever happens, it does not outlive this
            _log_errors(log)
            asyncio.run(work())
            code = 0
        except BaseException:
            log.open("a").write(traceback.format_exc())
        finally:
            sys.stdout.flush()
            os._exit(code)
    return pid


def _log_errors(path: Path) -> None:
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger("error"),
        logger_factory=structlog.WriteLoggerFactory(path.open("a", buffering=1)),
    )
