"""The causes that hold up one job, its webhooks and its file: the most telling one first."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reelhook.domain.age_limits import Age
from reelhook.domain.archive import ArchivedFile, FileState
from reelhook.domain.archive_pause import ArchivePause
from reelhook.domain.causes.accounts import (
    AccountState,
    Installation,
    causes_of_all,
    causes_of_waiting,
    causes_of_watched,
)
from reelhook.domain.causes.cause import Cause, CauseName, Remedy
from reelhook.domain.causes.webhooks import HeldWebhook, cause_of_webhook
from reelhook.domain.event import Instant
from reelhook.domain.job import MISSING_TOLERATED_MILLISECONDS, Job, Status
from reelhook.domain.reconciliation import SETTLES_MAX

NEAR_SHARE = 0.1
"""The last share of a job's greatest age, in which it is near its end."""
OVERDUE_MILLISECONDS = 60 * 1000
"""The time that a file may wait to be fetched, or be fetched, before it counts as held up."""
FETCH_MILLISECONDS = 10_000
"""The time that the files of a request may take to be fetched before they hold up its job."""
EXPIRING_MILLISECONDS = 2 * 3600 * 1000
"""The time before a provider deletes a file in which a file that is not archived is in danger."""
SLOW_MILLISECONDS_MIN = 60_000
SLOW_MILLISECONDS_UNKNOWN = 30 * 60_000
"""The time without a change after which a provider is slow, if its model's times aren't known."""
RENDERS_MIN = 20
"""The least number of renders from which the times of a model are known."""
SLOW_PERCENT = 95


@dataclass(frozen=True, slots=True)
class JobState:
    """A job with all that may hold it up. `ahead` is its place in its account's queue, from 0."""

    job: Job
    account: AccountState
    ahead: int | None = None
    webhooks: tuple[HeldWebhook, ...] = ()
    file: ArchivedFile | None = None


def causes_of_job(
    installation: Installation, state: JobState, without: frozenset[CauseName] = frozenset()
) -> tuple[Cause, ...]:
    """Return the causes that hold up a job, the most telling one first. None: all is well.

    Causes in `without` are left out.
    """
    causes = _all_causes(installation, state)
    job_id = state.job.id
    return tuple(replace(cause, job_id=job_id) for cause in causes if cause.name not in without)


def slow_after(renders: list[int]) -> int:
    """Return the milliseconds without a change after which a model's provider counts as slow.

    `renders` are the times that its latest videos took.
    """
    if len(renders) < RENDERS_MIN:
        return SLOW_MILLISECONDS_UNKNOWN
    place = min(len(renders) - 1, len(renders) * SLOW_PERCENT // 100)
    return max(SLOW_MILLISECONDS_MIN, sorted(renders)[place])


def _all_causes(installation: Installation, state: JobState) -> Iterator[Cause]:
    job = state.job
    if job.in_doubt_now:
        yield _in_doubt(installation, job)
    if job.status is Status.ACCEPTED:
        yield from _waiting(installation, state)
    elif job.status is Status.SUBMITTING:
        yield from causes_of_all(installation, state.account)
    elif job.status.watched:
        yield from _watched(installation, state)
    if not job.status.terminal and not job.in_doubt_now:
        yield from _near_max_age(installation, job)
    for webhook in state.webhooks:
        cause = cause_of_webhook(webhook, installation.attempts_max)
        if cause is not None:
            yield cause
    if state.file is not None and installation.archiving:
        yield from causes_of_file(installation, state.file)


def _in_doubt(installation: Installation, job: Job) -> Cause:
    facts = {"account": job.account, "model": job.model, "response": job.last_response}
    if job.status.terminal:
        return Cause(
            CauseName.IN_DOUBT,
            Remedy.SETTLE,
            since=job.updated_at,
            about=job.account,
            facts=facts,
        )
    since = job.doubt_since or job.updated_at
    until = since + round(SETTLES_MAX * installation.settle_milliseconds)
    return Cause(
        CauseName.IN_DOUBT_LOOKING,
        Remedy.WAIT,
        since=since,
        next_at=until if until > installation.now else None,
        about=job.account,
        facts=facts,
    )


def _waiting(installation: Installation, state: JobState) -> Iterator[Cause]:
    job, account = state.job, state.account
    if job.unprepared_since is not None:
        yield from causes_of_all(installation, account)
        yield from _files_awaited(installation, account, job.unprepared_since)
        return
    limited = False
    for cause in causes_of_waiting(installation, account):
        limited = limited or cause.name in {CauseName.RATE_LIMITED, CauseName.ACCOUNT_REFUSED}
        later = max(cause.since, job.created_at) if cause.since is not None else None
        yield replace(cause, since=later, next_at=cause.next_at or _due(job, cause))
    waiting = job.waiting
    if waiting is not None and not limited:
        yield Cause(
            CauseName.PROVIDER_DOWN,
            Remedy.WAIT,
            since=waiting.since,
            next_at=job.submit_due_at,
            about=account.id,
            variant="creates",
            facts={
                "account": account.id,
                "response": waiting.last_response,
                "tries": job.submit_attempts,
            },
        )
    elif account.full and not limited:
        yield Cause(
            CauseName.ACCOUNT_FULL,
            Remedy.RAISE_LIMIT,
            since=job.created_at,
            about=account.id,
            variant=None if state.ahead is None else "place",
            facts={"account": account.id, "jobs_max": account.jobs_max, "ahead": state.ahead},
            private=frozenset({"jobs_max"}),
        )


def _files_awaited(
    installation: Installation, account: AccountState, since: Instant
) -> Iterator[Cause]:
    refused = account.status.files
    if refused is None and installation.now - since < FETCH_MILLISECONDS:
        return
    facts = {"account": account.id}
    yield Cause(
        CauseName.FILES_AWAITED,
        Remedy.WAIT if refused is None else Remedy.FIX_MACHINE,
        since=since if refused is None else max(since, refused.since),
        about=account.id,
        variant=None if refused is None else "kept_back",
        facts=facts if refused is None else facts | {"response": refused.last_response},
        private=frozenset({"response"}),
    )


def _due(job: Job, cause: Cause) -> Instant | None:
    return job.submit_due_at if cause.name is CauseName.RATE_LIMITED else None


def _watched(installation: Installation, state: JobState) -> Iterator[Cause]:
    job, account, found = state.job, state.account, False
    for cause in causes_of_watched(installation, account):
        found = True
        later = max(cause.since, job.accepted_at or 0) if cause.since is not None else None
        yield replace(cause, since=later)
    if found:
        return
    waiting = job.waiting
    if job.missing_since is not None:
        yield Cause(
            CauseName.PROVIDER_DOWN,
            Remedy.CHECK_NOW,
            since=job.missing_since,
            next_at=job.missing_since + MISSING_TOLERATED_MILLISECONDS,
            about=account.id,
            variant="missing",
            facts={"account": account.id},
        )
    elif waiting is not None:
        yield Cause(
            CauseName.PROVIDER_DOWN,
            Remedy.CHECK_NOW,
            since=waiting.since,
            about=account.id,
            variant="job",
            facts={"account": account.id, "response": waiting.last_response},
        )
    else:
        yield from _slow(installation, job, account)


def _slow(installation: Installation, job: Job, account: AccountState) -> Iterator[Cause]:
    after = account.slow_after.get(job.model, SLOW_MILLISECONDS_UNKNOWN)
    if installation.now - job.updated_at > after:
        yield Cause(
            CauseName.PROVIDER_SLOW,
            Remedy.CHECK_NOW,
            since=job.updated_at,
            about=f"{account.id}/{job.model}",
            facts={"account": account.id, "model": job.model, "minutes": round(after / 60_000, 1)},
        )


def _near_max_age(installation: Installation, job: Job) -> Iterator[Cause]:
    age = Age(installation.hours_max)
    ends_at = age.deadline(job) if job.status.watched else job.created_at + age.milliseconds
    if ends_at - installation.now < NEAR_SHARE * age.milliseconds:
        yield Cause(
            CauseName.NEAR_MAX_AGE,
            Remedy.CHECK_NOW if job.status.watched else Remedy.WAIT,
            since=job.accepted_at if job.status.watched else job.created_at,
            next_at=ends_at,
            about=job.account,
            variant="watched" if job.status.watched else None,
            facts={"account": job.account, "hours": installation.hours_max},
        )


def causes_of_file(installation: Installation, file: ArchivedFile) -> Iterator[Cause]:
    """Yield the causes that hold up a file that is still to be stored in the archive."""
    if file.state is not FileState.WAITING:
        return
    expires_at, now = file.expires_at, installation.now
    overdue = file.error is not None or now - (file.due_at or now) >= OVERDUE_MILLISECONDS
    if overdue and expires_at is not None and expires_at - now < EXPIRING_MILLISECONDS:
        yield Cause(
            CauseName.EXPIRING,
            Remedy.SAVE_FILE,
            next_at=expires_at,
            about=file.account,
            variant="failing" if file.error else None,
            facts={"account": file.account, "response": file.error},
            job_id=file.job_id,
        )
    if installation.archive_pause is not None:
        yield archive_paused(installation.archive_pause)


def archive_paused(pause: ArchivePause) -> Cause:
    """Return the cause of an archive that takes no files."""
    return Cause(
        CauseName.ARCHIVE_PAUSED,
        Remedy.FIX_ARCHIVE,
        since=pause.since,
        variant=pause.cause.value,
        facts={"response": pause.message},
        private=frozenset({"response"}),
    )
