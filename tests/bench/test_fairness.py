"""A project with few jobs next to one with many; `make bench-fairness` has the full size."""

from functools import partial
from pathlib import Path

from bench import fairness
from bench.store_databases import open_store
from bench.store_loads import spread
from migrated_database import prepare

from reelhook.storage.store import Store


async def test_a_project_with_few_jobs_waits_for_the_next_slot_and_no_longer(
    tmp_path: Path,
) -> None:
    prepare(tmp_path / "reelhook.db")
    async with open_store(tmp_path / "reelhook.db") as database:
        store = Store(database)
        await spread([partial(store.create, fairness.new("loud", n, 0)) for n in range(300)], 64)
        waits, passed = await fairness.quiet_waits(store, jobs=20)
    # Alone it would not wait at all.
    assert max(waits) <= 1.5 * fairness.RENDER_SECONDS / fairness.SLOTS
    assert passed == 0
