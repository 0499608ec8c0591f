"""Archive: fetches the files of an account's completed jobs, and keeps them.

Each file is streamed into the spool, hashed on the way, put into the archive, and verified there.
Only then it is recorded. While the store is down, files are still fetched: providers delete theirs.
"""

from contextlib import suppress

import structlog

from reelhook.core.recording import Recording
from reelhook.core.wakeups import Signals
from reelhook.domain.after_end import archive_failed
from reelhook.domain.archive import ArchivedFile, FileState
from reelhook.domain.archive_errors import ObjectStoreError
from reelhook.domain.errors import (
    AccountUnavailableError,
    ContentMissingError,
    JobNotFoundError,
    ProviderError,
    ProviderUnauthorizedError,
)
from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.engine.archive.fetch import Fetch
from reelhook.engine.archive.partial_file import SYNC_BYTES, PartialFile, SpoolBusyError, WholeFile
from reelhook.engine.archive.places import Place
from reelhook.engine.archive.shared import SharedArchive
from reelhook.engine.archive.storing import TargetObject, put_verified, responds, target_of
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.runner import RunningTasks
from reelhook.ports import ArchiveStore, Clock, StoredJob

log = structlog.get_logger()
LOOK_SECONDS = 5.0
"""While files are being fetched, the due ones are read at least this often."""
DISK_SECONDS = 10.0
"""The interval at which a full disk is looked at."""
BUSY_MILLISECONDS = 2_000
STORING_MAX = 48
"""The whole files that may wait for the store; others wait in the spool, without a task."""
YIELD_SECONDS = 0.1
YIELD_MILLISECONDS_MAX = 1_000
"""While many webhooks are sent, new downloads wait for them, so long at a time."""
URGENT_MILLISECONDS = 30_000
"""A file that expires within this time waits for no webhook."""
PENALTY_MILLISECONDS = 30_000
"""The additional wait of a file that the store refused: another one shall be tried first."""


class _StoppedError(Exception):
    """The loop is stopping, or its lease was lost: the file stays as it is."""


class _DiskFullError(Exception):
    """Too little of a disk is free. `own`: because of this file."""

    def __init__(self, shortage: str, *, own: bool) -> None:
        super().__init__(shortage)
        self.shortage = shortage
        self.own = own


class Archive:
    """Archives the files of one account under its lease."""

    name = "archive"

    def __init__(
        self,
        store: ArchiveStore,
        leased: LeasedAccount,
        shared: SharedArchive,
        recording: Recording,
        signals: Signals,
        *,
        clock: Clock,
    ) -> None:
        self._store = store
        self._leased = leased
        self._shared = shared
        self._recording = recording
        self._posters = signals.posters
        self._removals = signals.removals
        self._clock = clock
        self._running: set[str] = set()
        self._storing = 0
        self._yielding_since: Instant | None = None
        self.signal = signals.archive.fork()
        self.tasks = RunningTasks(self.signal, resumable=True)

    async def tick(self) -> float | None:
        """Start fetching what is due; see `Loop`."""
        health, now = self._shared.health, self._clock.now()
        limit = self._shared.places.free(self._leased.id, self.signal) + len(self._running)
        due = await self._store.files_to_archive(self._leased.id, now, limit)
        waiting = [file for file in due if file.job_id not in self._running]
        if waiting or health.disk_is_full:
            health.disk(await self._shared.disks.shortage())
        self._leased.health.archive = health.pause
        if health.disk_is_full:
            return DISK_SECONDS
        if waiting and self._yields(waiting[0], now):
            return YIELD_SECONDS
        for file in waiting:
            self._start(file)
        if self._running or limit == 0:
            return LOOK_SECONDS
        next_at = await self._store.next_archiving_at(self._leased.id, now)
        return None if next_at is None else max(0.0, (next_at - self._clock.now()) / 1000)

    def _yields(self, first: ArchivedFile, now: Instant) -> bool:
        """Return True if new downloads wait, because many webhooks are being sent."""
        urgent = first.expires_at is not None and first.expires_at - now < URGENT_MILLISECONDS
        if urgent or not self._shared.busy():
            self._yielding_since = None
            return False
        if self._yielding_since is None:
            self._yielding_since = now
        if now - self._yielding_since < YIELD_MILLISECONDS_MAX:
            return True
        self._yielding_since = None
        return False

    def _start(self, file: ArchivedFile) -> None:
        place = self._shared.places.take(self._leased.id, self.signal, late=file.late)
        if place is None:
            return
        self._running.add(file.job_id)

        def done() -> None:
            place.leave()
            self._running.discard(file.job_id)

        self.tasks.spawn(self._archive(file, place), done, job=file.job_id)

    async def _archive(self, file: ArchivedFile, place: Place) -> None:
        with suppress(_StoppedError, JobNotFoundError):
            await self._try(file, place)

    async def _try(self, file: ArchivedFile, place: Place) -> None:
        """Archive one file, or record why it has to wait. Raises if its job was deleted."""
        now = self._clock.now
        try:
            job = await self._store.job(file.job_id)
            async with self._shared.spool.open(file.job_id) as spooled:
                await self._fetch_and_store(file, job, spooled, place)
        except SpoolBusyError:
            await self._record(file.postponed(now() + BUSY_MILLISECONDS))
        except ContentMissingError as error:
            await self._record(file.missing(error.message, now()))
        except ProviderUnauthorizedError as error:
            # The file's error is its project's to read; words about the account are not.
            log.warning("archive.account_refused", account=file.account, error=error.message)
            await self._record(file.failed(AccountUnavailableError().message, now()))
        except ProviderError as error:
            await self._record(file.failed(error.message, now()))
        except ObjectStoreError as error:
            self._shared.health.store_failed(error.message)
            until = self._shared.health.store_retry_at() or now()
            await self._record(file.postponed(until + PENALTY_MILLISECONDS))
        except _DiskFullError as error:
            await self._disk_full(file, error)
        except OSError as error:
            self._shared.health.disk(f"{self._shared.spool.folder}: {error.strerror or error}")
            await self._record(file.postponed(now() + BUSY_MILLISECONDS))

    async def _fetch_and_store(
        self, file: ArchivedFile, stored: StoredJob, spooled: PartialFile, place: Place
    ) -> None:
        run = self._shared.spool.run
        whole = await self._fetch(stored.job, spooled)
        place.leave()
        recorded = False
        try:
            recorded = await self._put(file, stored.request.title, whole)
        finally:
            if not recorded:  # the provider may delete its copy before the next try
                await run(spooled.keep_whole)
        if recorded:
            await run(spooled.remove)

    async def _fetch(self, job: Job, spooled: PartialFile) -> WholeFile:
        provider, provider_job_id = self._leased.provider, job.provider_job_id or ""
        looked_at = 0

        async def check(size: int, total: int | None) -> None:
            nonlocal looked_at
            if self.tasks.draining:
                raise _StoppedError
            if size and size - looked_at < SYNC_BYTES:
                return
            looked_at = size
            more = 0 if total is None else total - size
            shortage = await self._shared.disks.shortage(more)
            if shortage is not None:
                if total is None or await self._shared.disks.shortage() is None:
                    await self._shared.spool.run(spooled.remove)
                    raise _DiskFullError(shortage, own=True)
                raise _DiskFullError(shortage, own=False)

        return await Fetch(
            self._shared.spool,
            spooled,
            lambda wanted: provider.content(provider_job_id, job.content_url or "", wanted),
            check,
        ).whole()

    async def _put(self, file: ArchivedFile, title: str, whole: WholeFile) -> bool:
        """Put a whole file into the archive, and record it. Return False if it has to wait."""
        until = self._shared.health.store_retry_at()
        if until is None and self._storing >= STORING_MAX:
            until = self._clock.now() + BUSY_MILLISECONDS
        if until is not None:
            await self._record(file.postponed(until))
            return False
        self._storing += 1
        try:
            async with self._shared.puts:
                return await self._put_now(file, title, whole)
        finally:
            self._storing -= 1

    async def _put_now(self, file: ArchivedFile, title: str, whole: WholeFile) -> bool:
        health = self._shared.health
        until = health.store_retry_at()
        if until is not None:
            await self._record(file.postponed(until))
            return False
        had_failed = health.store_tried()
        try:
            if had_failed:
                await responds(self._shared.objects)
            await self._check_space(whole.size)
            target = await self._noted(file, whole)
            await put_verified(self._shared, target, file.job_id, title, whole)
        except BaseException:
            health.store_untried()
            raise
        health.store_took()
        done = file.stored(
            target.key, whole.size, whole.sha256, target.content_type, self._clock.now()
        )
        if await self._record(done):
            self._posters.publish()
        elif await self._store.archived_file(file.job_id) is None:
            # Its job was deleted meanwhile.
            await self._store.delete_later([target.key], self._clock.now())
            self._removals.publish()
        return True

    async def _noted(self, file: ArchivedFile, whole: WholeFile) -> TargetObject:
        """Return the object for a file, noted before it is written. Raises `_StoppedError`."""
        target = await target_of(self._shared, file.job_id, whole)
        if not await self._record(file.storing(target.key)):
            raise _StoppedError
        return target

    async def _check_space(self, size: int) -> None:
        shortage = await self._shared.disks.archive_shortage(size)
        if shortage is not None:
            raise _DiskFullError(shortage, own=False)

    async def _disk_full(self, file: ArchivedFile, error: _DiskFullError) -> None:
        now = self._clock.now()
        if error.own:
            await self._record(file.failed(error.shortage, now))
            return
        self._shared.health.disk(error.shortage)
        await self._record(file.postponed(now + round(DISK_SECONDS * 1000)))

    async def _record(self, file: ArchivedFile) -> bool:
        lease = self._leased.lease
        if file.state is not FileState.LOST:
            return await self._store.record_file(file, lease)
        reason = file.error or ""
        if file.late:  # nobody waits for it: it completed before there was an archive
            recorded = await self._store.record_file(file, lease)
        else:
            try:
                job = (await self._store.job(file.job_id)).job
            except JobNotFoundError:  # it was deleted meanwhile
                return False
            lost = archive_failed(job, reason, self._clock.now())
            recorded = await self._recording.record_after_end(lost, file, lease)
        if recorded:
            log.warning("archive.lost", job=file.job_id, reason=reason)
            await self._shared.spool.remove(file.job_id)
        return recorded
