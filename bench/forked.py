"""A worker in a forked process, which may be killed at any time."""

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog


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
