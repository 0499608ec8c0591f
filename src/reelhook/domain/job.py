"""A job: the state of one request for a video, and its pure transitions."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, assert_never

from reelhook.domain.caller import DEFAULT_PROJECT
from reelhook.domain.earlier_names import earlier_video_request
from reelhook.domain.event import Event, EventKind, Instant, WireStatus
from reelhook.domain.report import (
    Cost,
    Failed,
    Finished,
    InDoubt,
    Missing,
    Progress,
    Report,
    Unknown,
)
from reelhook.domain.waiting import Waiting

SUBMISSION_UNKNOWN = "submission_unknown"
"""The code of a job that ended while it was unknown whether a provider has it."""
MISSING_TOLERATED_MILLISECONDS = 10 * 60 * 1000
"""The time for which a provider must respond with 404 for a job before it is believed."""


def __getattr__(name: str) -> Any:
    """Return `VideoRequest`. Deprecated: it has moved to `reelhook.domain.request`."""
    if name == "VideoRequest":
        return earlier_video_request()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Status(StrEnum):
    """The status of a job. From `queued` on, the provider has it; the last three are terminal."""

    ACCEPTED = "accepted"
    SUBMITTING = "submitting"
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def terminal(self) -> bool:
        """True if the job has ended. A terminal status never changes."""
        return self in _TERMINAL

    @property
    def watched(self) -> bool:
        """True if the provider has the job and has not ended it."""
        return self in _WATCHED


_TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELED})
_WATCHED = frozenset({Status.QUEUED, Status.PROCESSING})
_WIRE = {
    Status.QUEUED: WireStatus.QUEUED,
    Status.PROCESSING: WireStatus.PROCESSING,
    Status.COMPLETED: WireStatus.COMPLETED,
    Status.FAILED: WireStatus.FAILED,
    Status.CANCELED: WireStatus.FAILED,
}


@dataclass(frozen=True, slots=True)
class Job:
    """The state of a job, without the text of its request.

    `version` counts the writes and guards against lost updates. `sequence` is the last event's.
    `model` is the current one; the job waits for it since `model_since`, or else since its request.
    `fallback` counts the models given up before.
    `pinned`: the request named the account, so no other takes the job.

    `submit_fingerprint` identifies the server and the credential of the last create.
    `submit_marked` is True if that create carried a mark (`domain.model_mark`). `creates_absent`
    counts the model's creates that provably left nothing at the provider. `exchange_ended`: see
    `InDoubt.ended`. `doubt_closed_at` is the time at which a person settled the doubt.

    `last_response` is the provider's last message that did not move the job on; `waiting_since` is
    the time of the first one. `stopped` is True if a cancel ended the render; None: not known, or
    not canceled. `forgotten` counts the resubmissions after a restarted server lost the job.

    `key_id` is the key that created it; None: the operator. `priority` is -1 (low), 0 or 1 (high).
    `external_id` and `metadata` (a JSON object) are the client's own. The estimate is the price of
    the model as known when the job was accepted. `recovered_at` is the time at which the video of a
    failed job turned up at its provider. `unprepared_since` is the time since which its images,
    videos and sounds wait to be fetched; None: they are as its provider gets them.
    """

    id: str
    account: str
    status: Status
    created_at: Instant
    updated_at: Instant
    progress: int = 0
    sequence: int = 0
    version: int = 0
    provider_job_id: str | None = None
    adopted: bool = False
    submit_attempts: int = 0
    submit_due_at: Instant | None = None
    submit_started_at: Instant | None = None
    doubt_since: Instant | None = None
    accepted_at: Instant | None = None
    missing_since: Instant | None = None
    error: str | None = None
    code: str | None = None
    content_url: str | None = field(default=None, repr=False)
    content_expires_at: Instant | None = None
    provider: str = "openai"
    model: str = ""
    model_since: Instant | None = None
    fallback: int = 0
    quoted_amount: float | None = None
    quoted_unit: str | None = None
    charged_amount: float | None = None
    charged_unit: str | None = None
    adopted_from: str | None = None
    doubt_closed_at: Instant | None = None
    pinned: bool = False
    submit_fingerprint: str | None = None
    submit_after: str | None = None
    submit_marked: bool = False
    last_response: str | None = None
    waiting_since: Instant | None = None
    creates_absent: int = 0
    exchange_ended: bool = False
    stopped: bool | None = None
    forgotten: int = 0
    project: str = DEFAULT_PROJECT
    key_id: str | None = None
    priority: int = 0
    external_id: str | None = None
    metadata: str | None = None
    estimated_amount: float | None = None
    estimated_unit: str | None = None
    recovered_at: Instant | None = None
    unprepared_since: Instant | None = None

    @property
    def has_video(self) -> bool:
        """True if it completed, or if its video turned up after it had failed."""
        return self.status is Status.COMPLETED or self.recovered_at is not None

    @property
    def waiting(self) -> Waiting | None:
        """The reason why it waits, as the provider gave it; None if the provider gave none."""
        if self.status.terminal or self.last_response is None or self.waiting_since is None:
            return None
        tries = None if self.status.watched else self.submit_attempts
        return Waiting(self.waiting_since, self.last_response, tries)

    @property
    def older_entries(self) -> tuple[str, ...] | None:
        """The newest listing entries that were known before the create was sent.

        Empty: the listing had no entries. None: not known.
        """
        return None if self.submit_after is None else tuple(self.submit_after.split())

    @property
    def in_doubt_now(self) -> bool:
        """True if it is not known whether a provider has the job, and nobody has settled that."""
        if self.status is Status.SUBMITTING:
            return self.doubt_since is not None
        return self.code == SUBMISSION_UNKNOWN and self.doubt_closed_at is None

    @property
    def beginning(self) -> bool:
        """True if its create is about to be sent, or in flight."""
        return self.status is Status.SUBMITTING and self.doubt_since is None

    # -- submitting ---------------------------------------------------------------------------

    def prepared(self, now: Instant) -> "Job":
        """Record that the files of its request are stored, so that it may be submitted.

        Its wait for the model begins now.
        """
        return replace(self, unprepared_since=None, model_since=now, updated_at=now)

    def submitting(
        self,
        now: Instant,
        *,
        fingerprint: str | None = None,
        after: tuple[str, ...] | None = None,
        marked: bool = False,
    ) -> "Job":
        """Return the intent to submit, which is stored before the provider is called.

        `after` becomes `older_entries`.
        """
        return replace(
            self,
            status=Status.SUBMITTING,
            submit_attempts=self.submit_attempts + 1,
            submit_started_at=now,
            submit_due_at=None,
            submit_fingerprint=fingerprint,
            submit_after=None if after is None else " ".join(after),
            submit_marked=marked,
            doubt_since=None,
            exchange_ended=False,
            updated_at=now,
        )

    def responded(self, message: str, now: Instant) -> "Job":
        """Keep a message of the provider that does not move the job on.

        Return the same job if it has that message already.
        """
        if self.last_response == message:
            return self
        since = now if self.waiting_since is None else self.waiting_since
        return replace(self, last_response=message, waiting_since=since)

    def submit_again(self, due_at: Instant, now: Instant) -> "Job":
        """Wait for a submit at `due_at`, because the provider definitely did not accept the job."""
        return replace(
            self,
            status=Status.ACCEPTED,
            submit_due_at=due_at,
            doubt_since=None,
            updated_at=now,
        )

    def taken_over(self, account: str) -> "Job":
        """Move the job to another account of its provider, which then creates it."""
        return self if account == self.account else replace(self, account=account)

    def in_doubt(self, now: Instant, outcome: InDoubt | None = None) -> "Job":
        """Record that the provider may have the job, so that it is looked up from now on.

        `outcome` is None if it is not known how the create ended.
        """
        job = replace(
            self,
            doubt_since=now,
            exchange_ended=outcome is not None and outcome.ended,
            updated_at=now,
        )
        return job if outcome is None else job.responded(outcome.reason, now)

    def accept(
        self,
        provider_job_id: str,
        now: Instant,
        *,
        adopted: bool = False,
        quote: Cost | None = None,
    ) -> "Job":
        """Record that the provider has the job. Clients get events from now on."""
        return replace(
            self,
            status=Status.QUEUED,
            provider_job_id=provider_job_id,
            adopted=adopted,
            quoted_amount=quote.amount if quote else self.quoted_amount,
            quoted_unit=quote.unit if quote else self.quoted_unit,
            accepted_at=now,
            doubt_since=None,
            submit_due_at=None,
            submit_after=self.submit_after if adopted else None,  # it may be dislodged
            missing_since=None,
            last_response=None,
            waiting_since=None,
            updated_at=now,
        )

    # -- watching -----------------------------------------------------------------------------

    def apply(self, report: Report, now: Instant) -> tuple["Job", tuple[Event, ...]]:
        """Return the job after the report, and the events of the change.

        The same job object comes back if nothing changed; then nothing is written either.
        """
        if not self.status.watched:
            return self, ()
        match report:
            case Progress(running=running, percent=percent):
                status = Status.PROCESSING if running else Status.QUEUED
                return self._moved(status, self.progress if percent is None else percent, now)
            case Finished(url=url, expires_at=expires_at, cost=cost):
                instant = None if expires_at is None else expires_at * 1000
                job = replace(self, content_url=url, content_expires_at=instant)
                return job._charged(cost)._changed(Status.COMPLETED, 100, now)
            case Failed(code=code, message=message, cost=cost):
                return self._charged(cost).fail(code, message, now)
            case Unknown(status=status):
                message = f"The status {status!r} is not known here" if status else "No status"
                job = self if self.missing_since is None else replace(self, missing_since=None)
                return job.responded(message, now), ()
            case Missing():
                return self._absent(now)
            case _:
                assert_never(report)

    def is_unchanged_by(self, report: Report) -> bool:
        """Return True if the report definitely changes nothing. This is faster than `apply`."""
        return (
            type(report) is Progress
            and self.missing_since is None
            and self.last_response is None
            and report.running is (self.status is Status.PROCESSING)
            and (report.percent is None or report.percent == self.progress)
        )

    def fail(self, code: str, message: str, now: Instant) -> tuple["Job", tuple[Event, ...]]:
        """End the job as failed."""
        return self._ended(Status.FAILED, code, message, now)

    def cancel(
        self, now: Instant, *, stopped: bool | None = None
    ) -> tuple["Job", tuple[Event, ...]]:
        """End the job as canceled. `stopped` is True if its render ended."""
        job = self if self.status.terminal else replace(self, stopped=stopped)
        return job._ended(Status.CANCELED, "canceled", "canceled", now)

    def _charged(self, cost: Cost | None) -> "Job":
        if cost is None:
            return self
        return replace(self, charged_amount=cost.amount, charged_unit=cost.unit)

    def _ended(
        self, status: Status, code: str, message: str, now: Instant
    ) -> tuple["Job", tuple[Event, ...]]:
        if self.status.terminal:
            return self, ()
        job = replace(self, error=message, code=code, submit_due_at=None, doubt_since=None)
        return job._changed(status, self.progress, now)

    def _present(self) -> "Job":
        if self.missing_since is None and self.last_response is None:
            return self
        return replace(self, missing_since=None, last_response=None, waiting_since=None)

    def _absent(self, now: Instant) -> tuple["Job", tuple[Event, ...]]:
        if self.missing_since is None:
            return replace(self, missing_since=now), ()
        if now - self.missing_since < MISSING_TOLERATED_MILLISECONDS:
            return self, ()
        message = "The provider has not known this job for 10 minutes (404)."
        ended, events = self.fail("provider_error", message, now)
        # Kept, since nobody knows how the render ended, or whether it was charged.
        return replace(ended, missing_since=self.missing_since), events

    def _moved(
        self, status: Status, progress: int, now: Instant
    ) -> tuple["Job", tuple[Event, ...]]:
        job = self._present()
        if status is self.status and progress == self.progress:
            return job, ()
        return job._changed(status, progress, now)

    def _changed(
        self, status: Status, progress: int, now: Instant
    ) -> tuple["Job", tuple[Event, ...]]:
        kind = (
            EventKind.TERMINAL
            if status.terminal
            else EventKind.PROGRESS
            if status is self.status
            else EventKind.STATUS
        )
        job = replace(
            self,
            status=status,
            progress=progress,
            sequence=self.sequence + 1,
            updated_at=now,
            missing_since=None,
        )
        expires_at = job.content_expires_at
        event = Event(
            job_id=job.id,
            sequence=job.sequence,
            kind=kind,
            status=_WIRE[status],
            progress=progress,
            occurred_at=now,
            provider_job_id=job.provider_job_id,
            error=job.error,
            code=job.code,
            provider_video_url=job.content_url,
            content_expires_at=None if expires_at is None else expires_at // 1000,
        )
        return job, (event,)
