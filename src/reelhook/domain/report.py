"""The responses of providers: to a submit (`SubmitOutcome`) and about a job (`Report`)."""

from dataclasses import dataclass, field
from typing import NamedTuple

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Instant
from reelhook.domain.problem import Problem


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a job, as its provider reports it: 0 or more of a unit.

    The unit is `USD` if the provider reports money, else its own: `tokens`, `credits`, `units`.
    """

    amount: float
    unit: str


@dataclass(frozen=True, slots=True)
class Progress:
    """The job waits (`running` false) or renders; `percent` is 0..100, None if not reported."""

    running: bool
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The video is ready at `url`; `expires_at` is in Unix seconds, None if not reported.

    `cost` is the provider's charge, None if not reported.
    """

    url: str = field(repr=False)
    expires_at: int | None = None
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The provider ended the job: our stable code and the provider's own message.

    Codes: `moderation`, `quota`, `invalid_request`, `provider_error`, `expired`,
    `content_missing` (done, but there is no file) and `canceled` (by someone at the provider).
    """

    code: str
    message: str
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """An unknown status. The job counts as running, so it never ends early."""

    status: str


@dataclass(frozen=True, slots=True)
class Missing:
    """The provider responded with 404 for this job. For a young job that means "not yet".

    `own`: the response has the provider's own form, so it does not come from a proxy in between.
    """

    own: bool = True


Report = Progress | Finished | Failed | Unknown | Missing


@dataclass(frozen=True, slots=True)
class Unread:
    """A read of a job that returned nothing about it.

    `message` is the provider's; empty if it is not about this job, for example if the
    provider could not be reached.
    """

    message: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A job's report, and the pause that the provider asks for before the next read."""

    report: Report
    poll_after_seconds: float = 0.0


class Entry(NamedTuple):
    """An entry of a provider's listing. Values that the provider does not show are None.

    `also_called` are other names of the model that a request may have used. `mark` is the id of the
    job whose create made the entry, if the create carried it (`domain.model_mark`). `page` is a web
    page about the job for a person. `remix_of` is the id of the video that it remixes; empty: shown
    as no remix.

    A tuple, because a round over 100,000 jobs makes as many, and a frozen dataclass takes three
    times as long to make.
    """

    provider_job_id: str
    report: Report
    created_at: Instant | None = None
    prompt: str | None = None
    model: str | None = None
    seconds: str | None = None
    size: str | None = None
    also_called: tuple[str, ...] = ()
    mark: str | None = None
    page: str | None = None
    remix_of: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing, newest first; `more`: older entries follow.

    `unreadable` counts entries without a usable id. They may belong to any job, so they prevent
    every proof of absence.
    """

    entries: tuple[Entry, ...]
    more: bool
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has the job, and will charge for it; `quote` is its announced charge."""

    provider_job_id: str
    report: Report = Progress(running=False)
    quote: Cost | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """No connection was made: definitely not accepted. `ours`: one of our limits stopped it."""

    reason: str
    ours: bool = False


@dataclass(frozen=True, slots=True)
class RateLimited:
    """Refused for now (429): definitely not accepted."""

    retry_after_seconds: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Refused permanently: definitely not accepted. Our code and the provider's message.

    `ours`: refused here, before anything was sent, so no other model would take it either.
    """

    code: str
    message: str
    unauthorized: bool = False
    ours: bool = False


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The job may have been accepted, and charged. It is looked up, never simply sent again.

    `reason` is the provider's message, or the failure of the connection. `ended`: the server itself
    refused it, so the request is no longer in flight.
    """

    reason: str
    ended: bool = False


SubmitOutcome = Accepted | NotSent | RateLimited | Refused | InDoubt


@dataclass(frozen=True, slots=True)
class Notice:
    """A provider's verified webhook: this job has changed. Its state is read from the provider."""

    provider_job_id: str


def vouched_report(status: str, progress: int | None) -> Report:
    """Return the report of a status that a program vouches for. Raises `InvalidRequestError`."""
    reports: dict[str, Report] = {
        "queued": Progress(running=False, percent=progress),
        "processing": Progress(running=True, percent=progress),
        "completed": Finished(url=""),
        "failed": Failed("provider_error", "The job was reported as failed."),
    }
    if status not in reports:
        problem, allowed = Problem.NOT_ONE_OF, tuple(reports)
        raise InvalidRequestError("status", problem, allowed=allowed, value=status)
    if progress is not None and not 0 <= progress <= 100:
        raise InvalidRequestError("progress", Problem.RANGE, least=0, most=100)
    return reports[status]
