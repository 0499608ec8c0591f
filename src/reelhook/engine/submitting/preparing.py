"""Preparing: stores the files that a request names, before its job may be submitted.

An address is fetched once. The request then refers to the stored file, so no later create depends
on a host that may have lost it. A job whose file can't be had ends, and nothing is paid.
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from functools import partial
from urllib.parse import urlsplit

import structlog

from reelhook.core.recording import Recording
from reelhook.core.wakeups import Signals
from reelhook.domain.errors import CommitUnknownError, JobNotFoundError
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.domain.media import FILES_BYTES_MAX, FORMATS, File, hash_in, judged, reference
from reelhook.domain.media_errors import MediaUnavailableError
from reelhook.domain.request import VideoRequest
from reelhook.domain.request_media import is_url, job_in, kind_of, media_of, with_media
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.runner import RunningTasks
from reelhook.engine.submitting.fetch_slots import FetchSlots
from reelhook.ports import (
    Clock,
    FetchedFile,
    JobMediaFetch,
    MediaFetch,
    PrepareStore,
    StoredJob,
)

log = structlog.get_logger()
JOBS_AT_ONCE = 10_000
"""The most jobs of an account whose files are waited for at once."""
READS_AT_ONCE = 16
LOOK_SECONDS = 5.0
"""The time between two looks at all that wait: one whose database failed is begun again."""
YOUNG_MILLISECONDS = 10_000
"""The time before a look from which on new jobs are read again: other hosts have other clocks."""
WAITS_SECONDS = (2.0, 6.0, 15.0)
"""The waits between the tries of a file."""
_Medium = tuple[str, str]
"""The kind of a file, and the text that stands for it in a request."""
_JOBS = "job:"
"""The host whose slots videos of jobs take."""


class Preparing:
    """Stores the files of the waiting jobs of one account.

    `fetch` None: the provider fetches what is at an address.
    """

    name = "preparing"

    def __init__(
        self,
        store: PrepareStore,
        leased: LeasedAccount,
        recording: Recording,
        signals: Signals,
        fetch: MediaFetch | None,
        of_jobs: JobMediaFetch,
        *,
        clock: Clock,
    ) -> None:
        self._store = store
        self._leased = leased
        self._recording = recording
        self._submit = signals.submit
        self._fetch = fetch
        self._of_jobs = of_jobs
        self._clock = clock
        self._slots = FetchSlots()
        self._storing = asyncio.Lock()
        """Only one file at a time is in memory."""
        self._reading = asyncio.Semaphore(READS_AT_ONCE)
        self._looked_at: Instant = 0
        """The time at which all waiting jobs were read last."""
        self._any_wait = False
        """True if that look, or one since then, has found any."""
        self._running: set[str] = set()
        self.signal = signals.submit.fork()
        # The end of a task leaves nothing to do, unlike its failure. No hand-over of the account
        # waits for a slow host: the next worker fetches again.
        self.tasks = RunningTasks(asyncio.Event(), resumable=True)

    async def tick(self) -> float | None:
        """Begin with the jobs that wait; see `Loop`.

        Every new job sets the signal, so only the young ones are read then.
        """
        now = self._clock.now()
        young = now - self._looked_at in range(round(LOOK_SECONDS * 1000))
        since = self._looked_at - YOUNG_MILLISECONDS if young else 0
        if not young:
            self._looked_at, self._any_wait = now, False
        waiting = await self._store.jobs_to_prepare(self._leased.id, since, JOBS_AT_ONCE)
        self._any_wait = self._any_wait or bool(waiting)
        if not self._any_wait:
            self._leased.health.files_work()
        for job_id in waiting:
            if job_id not in self._running:
                self._running.add(job_id)
                done = partial(self._running.discard, job_id)
                self.tasks.spawn(self._prepare(job_id), done, job=job_id)
        return LOOK_SECONDS if self._any_wait else None

    async def _prepare(self, job_id: str) -> None:
        references: dict[_Medium, str] = {}
        project = ""
        while (stored := await self._unprepared(job_id)) is not None:
            job, missing = stored.job, self._missing(stored.request, references)
            project = job.project
            if not missing:
                await self._record(stored, references)
                return
            del stored  # its texts may be long, and a file may take minutes
            try:
                await self._store_files(job, missing, references)
            except MediaUnavailableError as error:
                if error.ours:
                    await self._wait_for_us(error)
                    continue
                failed = job.fail(error.code, error.message, self._clock.now())
                await self._recording.record([failed], self._leased.lease)
                return
        if references:  # the job was canceled or deleted meanwhile: its files go with it
            hashes = [found for text in references.values() if (found := hash_in(text))]
            await self._store.remove_unused_files(project, hashes, self._clock.now())

    async def _wait_for_us(self, error: MediaUnavailableError) -> None:
        """Wait while this machine can't fetch or keep any file. The job's age limits that."""
        health, before = self._leased.health, self._leased.health.account_status.files
        if before is None or before.last_response != error.message:
            log.warning("preparing.deferred", account=self._leased.id, error=error.message)
        health.files_refused(error.message, self._clock.now())
        await self._clock.wait(asyncio.Event(), WAITS_SECONDS[-1])

    async def _record(self, stored: StoredJob, references: dict[_Medium, str]) -> None:
        """Let a job be submitted. If that is not written, the next look begins again."""
        request = with_media(stored.request, partial(_referred, references))
        prepared = stored.job.prepared(self._clock.now())
        try:
            written = await self._store.record_prepared(prepared, request, self._leased.lease)
        except CommitUnknownError:
            self._submit.publish()  # it may have been written
            raise
        if written:
            self._leased.health.files_work()
            self._submit.publish()

    async def _unprepared(self, job_id: str) -> StoredJob | None:
        """Return the job; None if it no longer waits for its files here."""
        async with self._reading:
            try:
                stored = await self._store.job(job_id)
            except JobNotFoundError:
                return None
        job = stored.job
        waits = job.status is Status.ACCEPTED and job.unprepared_since is not None
        return stored if waits and job.account == self._leased.id else None

    def _missing(self, request: VideoRequest, references: dict[_Medium, str]) -> list[_Medium]:
        media = ((kind_of(name), text) for name, text in media_of(request))
        return [
            medium
            for medium in dict.fromkeys(media)
            if medium not in references
            and (job_in(medium[1]) is not None or self._fetches(*medium))
        ]

    async def _store_files(
        self, job: Job, missing: list[_Medium], references: dict[_Medium, str]
    ) -> None:
        """Store files, and add the references to them. Raises `MediaUnavailableError`."""
        size = 0
        for kind, text in missing:
            references[kind, text], more = await self._kept(job, text, kind)
            size += more
            if size > FILES_BYTES_MAX:
                limit = FILES_BYTES_MAX // 1024**2
                raise MediaUnavailableError(f"The files of a request may have {limit} MiB together")

    def _fetches(self, kind: str, text: str) -> bool:
        """Return True for an address, unless the provider takes such files by addresses only."""
        by_address_only = self._leased.provider.traits.inline_bytes_max.get(kind) == 0
        return self._fetch is not None and is_url(text) and not by_address_only

    async def _kept(self, job: Job, text: str, kind: str) -> tuple[str, int]:
        """Store a file; return the reference to it and its size."""
        host = _host(text, kind)
        tries = len(WAITS_SECONDS) + 1
        for wait_seconds in (*WAITS_SECONDS, None):
            try:
                return await self._fetched(job, text, kind, host)
            except MediaUnavailableError as error:
                if error.ours or not error.passing:
                    raise
                if wait_seconds is None:
                    message = f"{error.message} ({tries} tries)"
                    raise MediaUnavailableError(message) from None
            await self._clock.wait(asyncio.Event(), wait_seconds)
        raise AssertionError("the last try returns or raises")

    async def _fetched(self, job: Job, text: str, kind: str, host: str) -> tuple[str, int]:
        async with (
            self._slots.take(job.project, host),
            self._open(job.project, text, kind) as fetched,
            self._storing,
        ):
            return await self._keep(job, await fetched.read(), kind)

    def _open(self, project: str, text: str, kind: str) -> AbstractAsyncContextManager[FetchedFile]:
        job_id = job_in(text)
        if job_id is not None:
            return self._of_jobs.fetch(project, job_id, kind)
        assert self._fetch is not None  # noqa: S101 - else addresses are left to the provider
        return self._fetch.fetch(text, kind)

    async def _keep(self, job: Job, file: File, kind: str) -> tuple[str, int]:
        found = judged(file, kind)
        if found is None:
            shown = f"is {file.content_type}, and must be {FORMATS[kind]}"
            raise MediaUnavailableError(f"A file of the request {shown}")
        await self._store.keep_files(job.project, [found], self._clock.now())
        return reference(found.hash), len(found.body)


def _referred(references: dict[_Medium, str], name: str, text: str) -> str:
    return references.get((kind_of(name), text), text)


def _host(text: str, kind: str) -> str:
    """Return the host whose slots a fetch takes. Raises `MediaUnavailableError`."""
    if job_in(text) is not None:
        return _JOBS
    try:
        return urlsplit(text).netloc.rpartition("@")[2].lower()
    except ValueError:
        raise MediaUnavailableError(f"The address of the {kind} is not a URL") from None
