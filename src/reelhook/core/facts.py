"""Facts: the things that happen in the program, for those who report or count them.

A fact is emitted after it has happened, and changes nothing. Log lines are made from facts.
Instants and durations are in milliseconds.
"""

from collections.abc import Callable
from dataclasses import dataclass

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
    webhook_url: str | None


@dataclass(frozen=True, slots=True)
class JobEnded:
    """The end of a job was recorded."""

    job: Job


@dataclass(frozen=True, slots=True)
class JobFellBack:
    """The job goes on with `model`; the provider of the model before definitely has no job."""

    job: Job
    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class JobPolled:
    """A provider is asked for the status of one job."""

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
    """A round over the jobs of an account has begun. `jobs` counts those that it reads."""

    account: str
    jobs: int


@dataclass(frozen=True, slots=True)
class RoundFinished:
    """A round over the jobs of an account has read them all."""

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

    `delivery` is as it was before the attempt, `after` as it was left by it.
    """

    endpoint: Endpoint
    delivery: Delivery
    attempt: Attempt
    after: Delivery


@dataclass(frozen=True, slots=True)
class WebhookDeferred:
    """An attempt was not made because this process lacks resources. It costs the delivery none."""

    endpoint: Endpoint
    delivery: Delivery
    reason: str | None


@dataclass(frozen=True, slots=True)
class EndpointChanged:
    """The response of a receiver has opened or closed its breaker, or disabled the endpoint."""

    before: Endpoint
    after: Endpoint


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
    | LeaseTaken
    | LeaseLost
    | LeaseReleased
)
Emit = Callable[[Fact], None]
"""Reports a fact. Never raises and never blocks."""


def emitter(*subscribers: Emit) -> Emit:
    """Return a function that passes each fact to the subscribers, in order, at once.

    A subscriber that fails is logged, and stops neither the others nor the work that it watches.
    """

    def emit(fact: Fact) -> None:
        for subscriber in subscribers:
            try:
                subscriber(fact)
            except Exception:
                log.exception("fact.unreported", kind=type(fact).__name__)

    return emit
