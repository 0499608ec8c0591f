"""A process that stores jobs forever and prints each one once it is stored."""

import asyncio
import sys
from itertools import count
from pathlib import Path

from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store

from .samples import NOW, RUNNING, change, new

CLIENTS = 16


async def client(store: Store, name: int) -> None:
    for number in count():
        made = new(f"job_{name}_{number}")
        await store.create(made)
        job = made.job.submitting(NOW).accept(f"video_{made.job.id}", NOW)
        await store.record([change(job.apply(RUNNING, NOW))], None)
        sys.stdout.write(f"{made.job.id}\n")
        sys.stdout.flush()


async def main(path: Path) -> None:
    store = Store(SQLite(path))
    async with asyncio.TaskGroup() as group:
        for name in range(CLIENTS):
            group.create_task(client(store, name))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
