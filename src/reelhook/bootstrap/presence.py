"""The presence of this process in a database that others use too, and the end of it.

A change of the schema waits until no process is present that could not use it. If one slips
through, because it was frozen or cut off, it ends here as soon as it sees the new schema.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from reelhook.domain.errors import DATABASE_FAILURES, SettingsError
from reelhook.ports import SEEN_MILLISECONDS_MAX, PresenceStore

log = structlog.get_logger()
ANNOUNCE_SECONDS = 1.0
LEAVE_SECONDS = 0.8


async def announce(store: PresenceStore, process: str, schema: str) -> None:
    """Record that the process is present. Raises `SettingsError` if it can't use the schema."""
    found = await store.announce(process, schema, SEEN_MILLISECONDS_MAX)
    if found is not None:
        raise SettingsError(
            f"The database's schema was changed from {schema} to {found} while this process ran, "
            "so it stopped; start the version of reelhook that belongs to the new schema",
            problem="schema_moved",
            facts={"schema": found, "own": schema},
        )


@contextlib.asynccontextmanager
async def present(store: PresenceStore, process: str, schema: str) -> AsyncIterator[None]:
    """Stay present until the block ends.

    If the schema moves on, the block is canceled, and `SettingsError` is raised at its end.
    """
    block = asyncio.current_task()
    ended: list[SettingsError] = []

    async def stay() -> None:
        while True:
            await asyncio.sleep(ANNOUNCE_SECONDS)
            try:
                await announce(store, process, schema)
            except DATABASE_FAILURES as error:
                log.debug("process.unannounced", error=error.message)
            except SettingsError as error:
                ended.append(error)
                if block is not None:
                    block.cancel()
                return

    staying = asyncio.create_task(stay())
    try:
        yield
    except asyncio.CancelledError:
        if not ended:
            raise
        if block is not None:
            block.uncancel()
        raise ended[0] from None
    finally:
        staying.cancel()
        await asyncio.gather(staying, return_exceptions=True)
        with contextlib.suppress(*DATABASE_FAILURES, TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await store.leave(process)
