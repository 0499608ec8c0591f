"""Stored files for the tests of what removes them."""

from reelhook.storage.store import Store

from .samples import FINISHED, NOW, moved, new, queued


async def archived(
    store: Store,
    job_id: str = "job_1",
    *,
    at: int = NOW,
    size: int = 100,
    project: str = "default",
) -> str:
    """Store a completed job whose file is in the archive. Return the file's key."""
    job = await queued(store, new(job_id, urls=(), project=project), f"video_{job_id}")
    await moved(store, job.apply(FINISHED, at))
    file = await store.archived_file(job_id)
    assert file is not None
    key = f"videos/{job_id}.mp4"
    assert await store.record_file(file.stored(key, size, "ab", "video/mp4", at))
    return key
