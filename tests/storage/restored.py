"""One job in each state that a restore has to handle, and the state it is in afterwards."""

from reelhook.domain.job import Job, Status
from reelhook.storage.store import Store

from .samples import FINISHED, NOW, moved, new, queued, stored, submitting, telling

FLOOR_MIN = 10_000_000
"""Less than what sequences go on from after a restore, and more than any job has events."""


async def furnish(store: Store) -> None:
    """Store jobs that wait, are being created, are rendered, and have ended."""
    await stored(store, new("waiting"))
    await submitting(store, new("creating"))
    await queued(store, new("queued"), "video_queued")
    await telling(store, "rendering")
    ended = await telling(store, "ended")
    await moved(store, ended.apply(FINISHED, NOW))


async def states(store: Store) -> dict[str, Job]:
    """Return the jobs by their ids."""
    names = ("waiting", "creating", "queued", "rendering", "ended")
    return {job.id: job for job in await store.jobs_now(names)}


async def check_untouched(store: Store, before: dict[str, Job]) -> None:
    """Everything is as it was."""
    assert await states(store) == before


async def check_raised(store: Store, before: dict[str, Job]) -> dict[str, Job]:
    """What has not ended goes on with higher sequences, and all else is as it was."""
    after = await states(store)
    assert after["ended"] == before["ended"]
    for name in before.keys() - {"ended"}:
        assert FLOOR_MIN < after[name].sequence < 2**31 - 1, name
        assert after[name].version > before[name].version, name
    return after


async def check_restored(store: Store, before: dict[str, Job]) -> None:
    """Beside the sequences: what waited may have been created, so it is in doubt."""
    after = await check_raised(store, before)
    waiting = after["waiting"]
    assert (waiting.status, waiting.submit_attempts) == (Status.SUBMITTING, 1)
    assert waiting.in_doubt_now
    assert waiting.submit_started_at == waiting.created_at
    for name in ("creating", "queued", "rendering"):
        assert after[name].status is before[name].status
    assert after["creating"].submit_started_at == before["creating"].submit_started_at
