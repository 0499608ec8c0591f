"""Facts: the events of the program, for subscribers that report or count them.

A fact is emitted after it has happened, and changes nothing. Log lines are made from facts.
Instants and durations are in milliseconds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from reelhook.domain.delivery import Attempt, Delivery
from reelhook.domain.endpoint import Endpoint
from reelhook.domain.job import Job
from reelhook.domain.report import SubmitOutcome
from reelhook.ports import Lease

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class JobCreated:
    """A provider has created the job, and the job is watched from now on."""

    job: Job
    webhook_url: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class JobEnded:
    """The end of a job was recorded."""

    job: Job


@dataclass(frozen=True, slots=True)
class JobFellBack:
    """The job moves to `model`: the provider of the previous model definitely did not accept it."""

    job: Job
    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class JobPolled:
    """The status of one job is being read from its provider."""

    provider_job_id: str


@dataclass(frozen=True, slots=True)
class JobProgressed:
    """A provider reported something new about a job. It is recorded next."""

    before: Job
    after: Job


@dataclass(frozen=True, slots=True)
class SubmitDecided:
    """A paid call has ended with this outcome. It is recorded next."""

    job: Job
    outcome: SubmitOutcome


@dataclass(frozen=True, slots=True)
class RoundStarted:
    """A round over an account's jobs has begun. `jobs` is the number of jobs that it reads."""

    account: str
    jobs: int


@dataclass(frozen=True, slots=True)
class RoundFinished:
    """A round over an account's jobs has ended."""

    account: str
    jobs: int
    duration_milliseconds: int


@dataclass(frozen=True, slots=True)
class WatchingChanged:
    """Watching was paused or resumed, by an operator, for all processes."""

    paused: bool


@dataclass(frozen=True, slots=True)
class WebhookAttempted:
    """An attempt to deliver a webhook was made and recorded.

    `delivery` is the delivery before the attempt, `after` the delivery after it.
    """

    endpoint: Endpoint
    delivery: Delivery
    attempt: Attempt
    after: Delivery


@dataclass(frozen=True, slots=True)
class WebhookDeferred:
    """An attempt was not made because this process lacks resources. It does not count as one."""

    endpoint: Endpoint
    delivery: Delivery
    reason: str | None


@dataclass(frozen=True, slots=True)
class EndpointChanged:
    """The response of a receiver has opened or closed its breaker, or disabled the endpoint."""

    before: Endpoint
    after: Endpoint


@dataclass(frozen=True, slots=True)
class EndpointLocked:
    """Webhooks wait for this endpoint, because this process can't decrypt its secrets."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class LeaseTaken:
    """This worker holds a lease that it did not hold before."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """Another worker has, or may have, a lease that this one held."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class LeaseReleased:
    """This worker has given a lease back."""

    lease: Lease


Fact = (
    JobCreated
    | JobEnded
    | JobFellBack
    | JobPolled
    | JobProgressed
    | SubmitDecided
    | RoundStarted
    | RoundFinished
    | WatchingChanged
    | WebhookAttempted
    | WebhookDeferred
    | EndpointChanged
    | EndpointLocked
    | LeaseTaken
    | LeaseLost
    | LeaseReleased
)
Emit = Callable[[Fact], None]
"""Reports a fact. Never raises and never blocks."""


def emitter(*subscribers: Emit) -> Emit:
    """Return a function that passes each fact to the subscribers, immediately and in order.

    The failure of a subscriber is logged. It stops neither the other subscribers nor the emitter.
    """

    def emit(fact: Fact) -> None:
        for subscriber in subscribers:
            try:
                subscriber(fact)
            except Exception:
                log.exception("fact.unreported", kind=type(fact).__name__)

    return emit
