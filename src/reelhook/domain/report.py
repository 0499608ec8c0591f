"""What a provider says: of a submit (`SubmitOutcome`) and of a job now (`Report`)."""

from dataclasses import dataclass
from typing import NamedTuple

from reelhook.domain.event import Instant


@dataclass(frozen=True, slots=True)
class Cost:
    """What a job costs, as its provider says it: 0 or more of a unit.

    The unit is `USD` where the provider tells money, else its own: `tokens`, `credits`, `units`.
    """

    amount: float
    unit: str


@dataclass(frozen=True, slots=True)
class Progress:
    """The job waits (`running` false) or renders; `percent` is 0..100, None where none is told."""

    running: bool
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The video is ready at `url`; `expires_at` is in Unix seconds, None where none is told.

    `cost` is what the provider charged, None where it does not say.
    """

    url: str
    expires_at: int | None = None
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The provider ended the job: our stable code and the provider's own words.

    Codes: `moderation`, `quota`, `invalid_request`, `provider_error`, `expired`,
    `content_missing` (done, but there is no file) and `canceled` (by someone at the provider).
    """

    code: str
    message: str
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """A status we don't know. It means "still running": never a crash, never an early end."""

    status: str


@dataclass(frozen=True, slots=True)
class Missing:
    """The provider answers 404 for this job. For a young job that means "not yet".

    `own`: the response has the form of the provider's own, so that no proxy in between gave it.
    """

    own: bool = True


Report = Progress | Finished | Failed | Unknown | Missing


@dataclass(frozen=True, slots=True)
class Unread:
    """A read of a job that told nothing about it.

    `words`: what the provider answered instead; empty where that says nothing about this job, as
    where the provider could not be reached.
    """

    words: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One job's report, and how long the provider asks us to wait before the next look."""

    report: Report
    poll_after_seconds: float = 0.0


class Entry(NamedTuple):
    """One line of a provider's listing. What the provider does not show is None.

    `also_called`: other names by which a request may have asked for this model. `mark`: the id of
    the job whose create made it, where that was sent along (`domain.mark`). `page`: where a person
    can look at the job.

    A tuple, since a round over 100,000 jobs makes as many: a frozen dataclass takes three times
    as long to make.
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


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing, newest first; `more` tells that older entries follow.

    `unreadable` counts entries without a usable id: they may be anything, so they bar every proof
    of absence.
    """

    entries: tuple[Entry, ...]
    more: bool
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has the job, and will charge for it; `quote` is what it says it will charge."""

    provider_job_id: str
    report: Report = Progress(running=False)
    quote: Cost | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """No connection was made: definitely not accepted. `ours`: it was we who gave up."""

    reason: str
    ours: bool = False


@dataclass(frozen=True, slots=True)
class RateLimited:
    """Refused for now (429): definitely not accepted."""

    retry_after_seconds: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Refused for good: our code and the provider's words."""

    code: str
    message: str
    unauthorized: bool = False


@dataclass(frozen=True, slots=True)
class InDoubt:
    """It may have been accepted, and charged. Looked up, never simply repeated.

    `reason`: what the provider said, or what happened to the connection. `ended`: the server itself
    has refused it, with a response of its own, so nothing of the exchange is under way any more.
    """

    reason: str
    ended: bool = False


SubmitOutcome = Accepted | NotSent | RateLimited | Refused | InDoubt


@dataclass(frozen=True, slots=True)
class Notice:
    """A provider's webhook, verified: something happened to this job. What, is read back."""

    provider_job_id: str
