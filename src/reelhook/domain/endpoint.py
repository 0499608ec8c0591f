"""An endpoint: its address, its filter of events, its secrets and its health."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from urllib.parse import urlsplit
from zlib import crc32

from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.caller import DEFAULT_PROJECT
from reelhook.domain.delivery import WebhookResponse
from reelhook.domain.encryption import is_encrypted
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Event, EventKind, Instant
from reelhook.domain.project import SigningSecrets

DEFAULT_ENDPOINT = "default"
"""The id of the endpoint for WEBHOOK_URL; see `default_id` for those of other projects."""
DEFAULT_FORMAT = "reelhook"
"""The name of the format of bodies for which no other was chosen."""
LANES = 16
"""The number of shards of the endpoints, which workers lease. A change needs a migration."""
ALL_LANES = frozenset(range(LANES))
CONCURRENCY_MAX = 25
"""The most requests in flight to one endpoint: a tenth of all slots."""

MASK = "********"
"""Shown in place of a header's value, which may be a password."""
OVERLAP_HOURS_MAX = 720
"""The longest time for which a replaced secret also signs."""


class EndpointKind(StrEnum):
    """The origin of an endpoint."""

    REGISTERED = "registered"
    DEFAULT = "default"
    URL = "url"
    """The URL came with a job. URLs that differ in the query share an endpoint; see `url_id`."""


class EventName(StrEnum):
    """An event that an endpoint may subscribe to."""

    QUEUED = "queued"
    PROCESSING = "processing"
    PROGRESS = "progress"
    COMPLETED = "completed"
    FAILED = "failed"
    BUDGET_WARNING = "budget.warning"
    BUDGET_REACHED = "budget.reached"
    JOB_RECOVERED = "job.recovered"
    ARCHIVE_FAILED = "archive.failed"


BUDGET_EVENTS = frozenset({EventName.BUDGET_WARNING, EventName.BUDGET_REACHED})
"""Events of no job, which an endpoint gets only if it names them."""
AFTER_END_EVENTS = frozenset({EventName.JOB_RECOVERED, EventName.ARCHIVE_FAILED})
"""Events of jobs that have ended already, which an endpoint gets only if it names them."""
ALL_EVENTS = frozenset(EventName) - BUDGET_EVENTS - AFTER_END_EVENTS
"""The events of a job until it ends."""
_NAMES = {
    EventKind.PROGRESS: EventName.PROGRESS,
    EventKind.RECOVERED: EventName.JOB_RECOVERED,
    EventKind.ARCHIVE_FAILED: EventName.ARCHIVE_FAILED,
}


class Disabled(StrEnum):
    """The reason why nothing is sent. Waiting events are kept until the endpoint is enabled."""

    OPERATOR = "operator"
    FAILING = "failing"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver of events. `secret` None: its project's secret signs, or else the installation's.

    `trusted`: the operator named the URL, so no address is refused. `previous_secret` also signs
    until `previous_until`. `concurrency` None: the setting applies. `health_version` counts the
    resets of the health: attempts that began before a reset don't affect it. `project_secrets` are
    read with the endpoint and never stored with it. `format` names the format of its bodies; events
    that were written before a change keep theirs.
    """

    id: str
    kind: EndpointKind
    url: str = field(repr=False)
    trusted: bool
    created_at: Instant
    description: str | None = None
    events: frozenset[EventName] = ALL_EVENTS
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    concurrency: int | None = None
    broadcast: bool = False
    secret: str | None = field(default=None, repr=False)
    previous_secret: str | None = field(default=None, repr=False)
    previous_until: Instant | None = None
    disabled: Disabled | None = None
    disabled_at: Instant | None = None
    health_version: int = 0
    project: str = DEFAULT_PROJECT
    format: str = DEFAULT_FORMAT
    project_secrets: SigningSecrets | None = None
    health: CircuitBreaker = field(default_factory=CircuitBreaker)

    @property
    def held_back(self) -> bool:
        """True if nothing is sent, or only probes."""
        return self.health.open or self.disabled is not None

    @property
    def locked(self) -> bool:
        """True if its secrets are still encrypted: this process lacks their key."""
        return any(text is not None and is_encrypted(text) for text in self._secrets)

    def same_secrets_as(self, other: "Endpoint") -> bool:
        """Return True if the secrets and the headers of both are the same."""
        return self._secrets == other._secrets and self.headers == other.headers

    @property
    def _secrets(self) -> tuple[str | None, ...]:
        own = (self.secret, self.previous_secret, *(value for _, value in self.headers))
        if self.secret is not None or self.project_secrets is None:
            return own
        return (*own, self.project_secrets.secret, self.project_secrets.previous)

    def wants(self, event: Event) -> bool:
        """Return True if the endpoint subscribes to this event."""
        return name_of(event) in self.events

    def with_masked_kept(self, headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """Return headers with the stored values in place of masks.

        So a client can send back the headers that it has read. Raises `InvalidRequestError`.
        """
        values = {name.lower(): value for name, value in self.headers}
        return tuple(
            (name, _unmasked(name, value, values.get(name.lower()))) for name, value in headers
        )

    def check_headers_stay(self, url: str, headers: Sequence[tuple[str, str]] | None) -> None:
        """Raise `InvalidRequestError` if another server would get the stored values of headers.

        `headers` are those of the change; None: the stored ones are kept.
        """
        given = [(name, MASK) for name, _ in self.headers] if headers is None else headers
        kept = any(value == MASK for _, value in given)
        if kept and _server_of(url) != _server_of(self.url):
            raise InvalidRequestError(
                "headers",
                f"The values of the headers of {self.id} were given for another server: give them "
                "again, or remove the headers",
            )

    def honoured_previous(self, now: Instant) -> str | None:
        """Return the previous secret while it also signs."""
        until = self.previous_until
        return self.previous_secret if until is not None and now < until else None

    def rotated(self, secret: str, now: Instant, overlap_milliseconds: int) -> "Endpoint":
        """Sign with a new secret, and for a while with the current one as well."""
        return replace(
            self,
            secret=secret,
            previous_secret=self.secret,
            previous_until=now + overlap_milliseconds,
        )

    def responded(self, response: WebhookResponse, now: Instant, *, probe: bool) -> "Endpoint":
        """Record the receiver's response to an attempt.

        A 410 counts as healthy. It disables the endpoint, except that for a job's own URL it only
        ends that job's delivery.
        """
        if response.gone:
            alive = replace(self, health=self.health.succeeded(now))
            return alive if self.kind is EndpointKind.URL else alive._stopped(Disabled.GONE, now)
        if response.succeeded:
            return replace(self, health=self.health.succeeded(now))
        failing = replace(self, health=self.health.failed(now, probe=probe))
        return (
            failing._stopped(Disabled.FAILING, now)
            if failing.health.failing_too_long(now)
            else failing
        )

    def same_health_as(self, other: "Endpoint") -> bool:
        """Return True if the stored health of both is the same."""
        return self.health.kept == other.health.kept and self.disabled == other.disabled

    def disable(self, now: Instant) -> "Endpoint":
        """Stop sending, at the operator's request."""
        return self if self.disabled else self._stopped(Disabled.OPERATOR, now)

    def enable(self) -> "Endpoint":
        """Send again, waiting events first, with a new circuit breaker."""
        return self if self.disabled is None else self._reset(CircuitBreaker())

    def moved(self, url: str) -> "Endpoint":
        """Send to another address, with a new circuit breaker."""
        return replace(self._reset(CircuitBreaker()), url=url)

    def retry_for_new_event(self, now: Instant) -> "Endpoint":
        """Probe a job's own URL that was disabled as failing, because there is a new event for it.

        No one registered the URL, so no one may be there to enable it. If it keeps failing for as
        long again, it is disabled again.
        """
        if self.kind is not EndpointKind.URL or self.disabled is not Disabled.FAILING:
            return self
        return self._reset(self.health.opened_again(now))

    def _reset(self, health: CircuitBreaker) -> "Endpoint":
        version = self.health_version + 1
        return replace(self, disabled=None, disabled_at=None, health=health, health_version=version)

    def _stopped(self, why: Disabled, now: Instant) -> "Endpoint":
        return self if self.disabled else replace(self, disabled=why, disabled_at=now)


def _unmasked(name: str, value: str, known: str | None) -> str:
    if value != MASK:
        return value
    if known is None:
        raise InvalidRequestError(
            "headers", f"headers must give the value of {name}: {MASK} only keeps a stored one"
        )
    return known


def name_of(event: Event) -> EventName:
    """Return an event's name in the filters of endpoints."""
    return _NAMES.get(event.kind) or EventName(event.status.value)


def url_id(url: str, project: str = DEFAULT_PROJECT) -> str:
    """Return the id of the endpoint for a job's own URL.

    Project, scheme, host, port and path identify an endpoint. A different query makes no new one.
    """
    named = origin_of(url) if project == DEFAULT_PROJECT else f"{project} {origin_of(url)}"
    return "url_" + sha256(named.encode()).hexdigest()[:32]


def default_id(project: str) -> str:
    """Return the id of a project's default endpoint."""
    return DEFAULT_ENDPOINT if project == DEFAULT_PROJECT else f"{DEFAULT_ENDPOINT}_{project}"


def origin_of(url: str) -> str:
    """Return a URL's scheme, host, port and path, which identify an endpoint."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = (parts.hostname or "").lower()
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}{parts.path or '/'}"


def _server_of(url: str) -> list[str]:
    # With the scheme: the values must not go out in plain text either.
    return origin_of(url).split("/", 3)[:3]


def shown_url(url: str) -> str:
    """Return a URL as logs show it: its origin only.

    Path and query may be the receiver's secret, and even a hash of them would confirm a guess.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{'' if parts.port is None else f':{parts.port}'}"


def lane_of(endpoint_id: str) -> int:
    """Return the lane, 0..LANES-1, that an endpoint belongs to."""
    return crc32(endpoint_id.encode()) % LANES
