"""The jobs of an account that its provider has, kept in memory between rounds.

Reading 100,000 whole rows for every round took longer than the round's requests did. So each round
asks for ids and versions alone, and reads anew what has changed. The store stays the truth:
whatever is written by these copies is fenced by their versions.
"""

from collections.abc import Mapping

from reelhook.domain.job import Job
from reelhook.ports import WatchStore

READ_ALL_SHARE = 4
"""Where more than one job of so many has changed, all are read with one statement."""


class WatchedJobs:
    """The jobs to watch, by their provider's ids, newest first."""

    def __init__(self, store: WatchStore, account: str) -> None:
        self._store = store
        self._account = account
        self._jobs: dict[str, Job] = {}
        self.by_provider_id: Mapping[str, Job] = {}

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    async def refresh(self) -> Mapping[str, Job]:
        """Return them as the store has them now. What was returned before stays as it was."""
        versions = await self._store.versions_to_watch(self._account)
        known = self._jobs
        stale = [
            job_id
            for job_id, version in versions
            if (job := known.get(job_id)) is None or job.version != version
        ]
        if not stale and len(versions) == len(known):
            return self.by_provider_id
        if len(stale) * READ_ALL_SHARE > len(versions):
            jobs = {job.id: job for job in await self._store.jobs_to_watch(self._account)}
        else:
            fresh = {job.id: job for job in await self._store.watched_jobs(stale)}
            gone = set(stale) - fresh.keys()
            jobs = {
                job_id: fresh.get(job_id) or known[job_id]
                for job_id, _ in versions
                if job_id not in gone
            }
        self._jobs = jobs
        self.by_provider_id = {
            job.provider_job_id: job for job in jobs.values() if job.provider_job_id is not None
        }
        return self.by_provider_id
