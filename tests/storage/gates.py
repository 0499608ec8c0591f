"""Gates that block the writer, so that tests decide what happens meanwhile."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reelhook.storage.operation import Operation, Statement
from reelhook.storage.sqlite.driver import SQLite

SECONDS_MAX = 30.0


class Gate:
    """Blocks an operation until it is opened."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._opened = threading.Event()

    def stop(self) -> None:
        """Block, in the operation's own thread."""
        self._reached.set()
        assert self._opened.wait(SECONDS_MAX)

    async def reached(self) -> None:
        """Return once the operation is blocked."""
        assert await asyncio.to_thread(self._reached.wait, SECONDS_MAX)

    def open(self) -> None:
        """Let it go on."""
        self._opened.set()


@asynccontextmanager
async def held(database: SQLite) -> AsyncIterator[None]:
    """Block the writer within a transaction; other writes have to queue meanwhile."""
    gate = Gate()

    def operation() -> Operation[None]:
        gate.stop()
        yield Statement("SELECT 1")

    holding = asyncio.create_task(database.write(operation))
    await gate.reached()
    try:
        yield
        await asyncio.sleep(0)  # tasks begun in the block get to their place in the queue
    finally:
        gate.open()
        await holding
