"""Jobs in the forms that the store accepts and returns."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

from reelhook.domain.audit import AuditEntry
from reelhook.domain.caller import DEFAULT_PROJECT, Caller
from reelhook.domain.causes.cause import Thing
from reelhook.domain.endpoint import url_id
from reelhook.domain.event import Event, Instant
from reelhook.domain.job import Job, Status
from reelhook.domain.media import File
from reelhook.domain.price import Price
from reelhook.domain.request import VideoRequest
from reelhook.domain.reservation import Bill
from reelhook.ports.client_calls import ClientTry

ANY_BYTES = 2**62


@dataclass(frozen=True, slots=True)
class Change:
    """A job's new state and the events that report it. `version` is still the one that was read.

    `bodies` are the events' webhook bodies, in the same order. `audit` is the entry of the change,
    if a caller made it. `bill` is what a job's end means for its budgets; None: the job has not
    ended. `other_body` returns an event's body in the format of a name, or None if that format does
    not report it. It must be pure: it may be called more than once, and in another thread.
    """

    job: Job
    events: tuple[Event, ...] = ()
    bodies: tuple[bytes, ...] = ()
    audit: AuditEntry | None = None
    bill: Bill | None = None
    other_body: Callable[[str, Event], bytes | None] = field(
        default=lambda _, __: None, compare=False, repr=False
    )


@dataclass(frozen=True, slots=True)
class Destination:
    """A destination of a job's events: a known endpoint, or the job's own `url`.

    `secret` and `format` belong to this job's deliveries at its own URL. None: the endpoint's
    apply.
    """

    endpoint_id: str
    url: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    format: str | None = None

    @classmethod
    def to(
        cls,
        url: str,
        project: str = DEFAULT_PROJECT,
        secret: str | None = None,
        body_format: str | None = None,
    ) -> "Destination":
        """Return the destination of the own URL of a project's job."""
        return cls(url_id(url, project), url, secret, body_format)


SOLE_HOLDER = "default"
_PROJECT_HOLDER = "project:"


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key, and the fingerprint of the body that it came with.

    `holder` distinguishes clients of the project `default`, and all other projects. `SOLE_HOLDER`
    is the holder if `default` has only one client. It matches the keys of all clients of
    `default`, and its keys match for every client that is distinguished later.
    """

    holder: str
    key: str
    fingerprint: str

    def of(self, caller: Caller) -> "IdempotencyKey":
        """Return the key as its project holds it, whichever of the project's API keys was used."""
        if caller.project != DEFAULT_PROJECT:
            return replace(self, holder=f"{_PROJECT_HOLDER}{caller.project}")
        return self if caller.key_id is None else replace(self, holder=SOLE_HOLDER)

    def matches(self, holder: str) -> bool:
        """Return True if a key that `holder` has stored counts as this holder's."""
        if holder == self.holder:
            return True
        in_default = not any(one.startswith(_PROJECT_HOLDER) for one in (holder, self.holder))
        return in_default and SOLE_HOLDER in {holder, self.holder}


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to store, in one transaction with its deliveries and its key.

    Endpoints that get every job's events are added to the destinations when it is stored. `sees` is
    the only project that its creator sees; None: all. `sharing` has the other accounts of the
    account's server, where the provider's id of a job means the same job.

    `prices` are those that it may cost, one for its model and one for each fallback; its budgets
    reserve the highest. A price that is None is not known. None: the job reserves nothing.

    `files` are those to which the request refers. Stored ones need not be given again.

    `client_try` is the client's try that asks for it; an idempotency key decides without it.
    """

    job: Job
    request: VideoRequest
    webhook_url: str | None = field(repr=False)
    destinations: tuple[Destination, ...]
    idempotency: IdempotencyKey | None = None
    audit: AuditEntry | None = None
    sees: str | None = None
    sharing: tuple[str, ...] = ()
    prices: tuple[Price | None, ...] | None = None
    files: tuple[File, ...] = ()
    client_try: ClientTry | None = None

    def shows(self, project: str) -> bool:
        """Return True if its creator sees the jobs of this project."""
        return self.sees in {None, project}


@dataclass(frozen=True, slots=True)
class Created:
    """The stored job. `replayed`: the key, the client's call or the provider's id was known.

    `announced`: notices of a budget were stored with it. `stored` is the job as it was stored; None
    if it was replayed, since it may have changed.
    """

    job_id: str
    replayed: bool = False
    announced: bool = False
    stored: "StoredJob | None" = None


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A job as lists show it, without the fields that may be large: text, image and options."""

    job: Job
    title: str
    seconds: str | None
    size: str | None
    aspect_ratio: str | None
    seed: int | None
    fallbacks: tuple[str, ...]
    webhook_url: str | None = field(repr=False)
    checked_at: Instant | None
    resolution: str | None = None
    audio: bool | None = None
    reference_images: int = 0
    reference_videos: int = 0
    reference_audios: int = 0
    """These three are numbers: the references themselves may be large."""
    negative_prompt: str | None = None
    """It may be large too, so only a single read has it."""


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A single job with its state and its request."""

    job: Job
    request: VideoRequest
    webhook_url: str | None = field(repr=False)
    checked_at: Instant | None
    size: int = 0
    """The bytes of its media and options, where they are read to be sent to the provider."""
    webhooks_held: bool = True
    """False: none of its webhooks waits or has failed. Only `JobReads.job` determines this."""

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """The models to try if the previous ones definitely did not accept."""
        return self.request.fallbacks

    @property
    def listed(self) -> ListedJob:
        """The job as lists show it."""
        request = self.request
        return ListedJob(
            self.job,
            request.title,
            request.seconds,
            request.size,
            request.aspect_ratio,
            request.seed,
            request.fallbacks,
            self.webhook_url,
            self.checked_at,
            request.resolution,
            request.audio,
            len(request.reference_images),
            len(request.reference_videos),
            len(request.reference_audios),
            request.negative_prompt,
        )


class Acceptance(Enum):
    """The result of recording that a provider has a job."""

    RECORDED = "recorded"
    TAKEN = "taken"
    """Another job of ours holds this provider's job: read again."""
    DUPLICATE = "duplicate"
    """The provider returned the same id for two creates, or for a create and a registration."""
    STALE = "stale"
    """The job has changed since it was read, or the lease was lost."""


SCANNED_MAX = 10_000
"""The most jobs that a page looks at for a filter that no index has."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """A filter for jobs; a field that is None lets all pass.

    `created_after` and `created_before` exclude the time itself. `metadata` has the pairs that a
    job must have. `oldest_first` is the order of the list.

    No index has `account`, `endpoint_id` and `text`, which is the beginning of an id or a part of a
    title: a page of these looks at `SCANNED_MAX` jobs at most, and the next one goes on there. So
    does one of `waits`: the jobs with a webhook or a file that waits, or a webhook that failed.
    """

    project: str | None = None
    status: Status | None = None
    model: str | None = None
    code: str | None = None
    external_id: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    created_after: Instant | None = None
    created_before: Instant | None = None
    account: str | None = None
    endpoint_id: str | None = None
    text: str | None = None
    waits: Thing | None = None
    oldest_first: bool = False


ALL_JOBS = JobFilter()


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs in the order of its filter, and the cursor of the next one."""

    jobs: tuple[ListedJob, ...]
    next_cursor: str | None
