"""Caches an account's pending jobs, those that its provider has, between rounds.

Reading 100,000 whole rows for every round took longer than the requests of the round. So each
round reads ids and versions only, and then the rows that others have changed. The store is
authoritative: writes based on these copies are fenced by their versions.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from reelhook.core.offload import run_in_thread_if_large
from reelhook.domain.job import Job
from reelhook.ports import WatchStore

READ_ALL_SHARE = 4
"""If more than one in this many jobs has changed, all are read with one statement."""


class PendingJobsCache:
    """The jobs to watch, as the store has them."""

    def __init__(self, store: WatchStore, account: str) -> None:
        self._store = store
        self._account = account
        self._versions: str | None = None
        """The store's versions when the cache was last known to equal it."""
        self._jobs: dict[str, Job] = {}
        """The jobs by `id:version`, as the store returns them."""
        self._by_provider_id: dict[str, Job] = {}
        self._written: list[Job] = []

    @property
    def by_provider_id(self) -> Mapping[str, Job]:
        """The jobs by their provider's ids, newest first."""
        return self._by_provider_id

    async def refresh(self) -> Mapping[str, Job]:
        """Return the jobs as the store has them now.

        Mappings returned earlier keep their keys, but may get the newer state of a job.
        """
        self._replace_written()
        versions = await self._store.versions_to_watch(self._account)
        if versions == self._versions:
            return self.by_provider_id
        count = versions.count(",") + 1
        wanted, stale = await run_in_thread_if_large(count, partial(self._compared, versions))
        if not stale and len(wanted) == len(self._jobs):
            self._versions = versions
        elif len(stale) * READ_ALL_SHARE > len(wanted):
            await self._keep(await self._store.jobs_to_watch(self._account), [])
        else:
            ids = [version.partition(":")[0] for version in stale]
            await self._keep(await self._store.watched_jobs(ids) if ids else [], wanted)
        return self.by_provider_id

    def update(self, written: Iterable[Job]) -> None:
        """Take over jobs as they were just written, so that `refresh` need not read them."""
        self._written += written

    def _replace_written(self) -> None:
        """Replace written jobs in their places. Those that have ended are left to `refresh`."""
        for job in self._written:
            before = f"{job.id}:{job.version - 1}"
            if job.status.watched and job.provider_job_id and before in self._jobs:
                del self._jobs[before]
                self._jobs[f"{job.id}:{job.version}"] = job
                self._by_provider_id[job.provider_job_id] = job
                self._versions = None
        self._written = []

    def _compared(self, versions: str) -> tuple[list[str], list[str]]:
        """Return the versions one by one, and those that are not cached."""
        wanted = versions.split(",") if versions else []
        return wanted, [version for version in wanted if version not in self._jobs]

    async def _keep(self, fresh: Sequence[Job], wanted: Sequence[str]) -> None:
        """Cache the fresh jobs, and those of the wanted versions that are cached already."""
        self._versions = None  # more may have been written between the two reads
        self._jobs, self._by_provider_id = await run_in_thread_if_large(
            len(fresh) + len(wanted), partial(_merged, self._jobs, fresh, wanted)
        )


def _merged(
    known: Mapping[str, Job], fresh: Sequence[Job], wanted: Sequence[str]
) -> tuple[dict[str, Job], dict[str, Job]]:
    """Return the jobs by version and by provider's id, in the order of the wanted versions."""
    by_id = {job.id: job for job in fresh}
    jobs = [
        job
        for version in wanted
        if (job := known.get(version) or by_id.pop(version.partition(":")[0], None)) is not None
    ]
    jobs += by_id.values()
    return (
        {f"{job.id}:{job.version}": job for job in jobs},
        {job.provider_job_id: job for job in jobs if job.provider_job_id is not None},
    )
