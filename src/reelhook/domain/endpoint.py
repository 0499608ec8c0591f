"""Endpoint: where events go, what it wants, how it is signed for, and how it answers."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from urllib.parse import urlsplit
from zlib import crc32

from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.delivery import WebhookResponse
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Event, EventKind, Instant

DEFAULT_ENDPOINT = "default"
"""The id of the endpoint that WEBHOOK_URL names."""
LANES = 16
"""Shares of the endpoints; the unit that workers lease. Changing it needs a migration."""
ALL_LANES = frozenset(range(LANES))
CONCURRENCY_MAX = 25
"""A tenth of all slots: what one endpoint may have under way, however much waits for it."""

MASK = "********"
"""What is shown of a header's value, which may be a password."""
OVERLAP_HOURS_MAX = 720
"""How long, at most, a secret that was replaced signs along."""


class EndpointKind(StrEnum):
    """How an endpoint came to be."""

    REGISTERED = "registered"
    DEFAULT = "default"
    URL = "url"
    """A job brought its URL along. Told apart from others without the query, see `url_id`."""


class EventName(StrEnum):
    """What an endpoint may ask to be told of."""

    QUEUED = "queued"
    PROCESSING = "processing"
    PROGRESS = "progress"
    COMPLETED = "completed"
    FAILED = "failed"


ALL_EVENTS = frozenset(EventName)


class Disabled(StrEnum):
    """Why nothing is sent. What waits is kept, and goes out once the endpoint is enabled again."""

    OPERATOR = "operator"
    FAILING = "failing"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where events go. `secret` None: the installation's own signs.

    `trusted`: the operator named the URL, so no address is refused. `previous_secret` signs along
    until `previous_until`. `concurrency` None: the setting's. `health_version` counts how often the
    health was reset: an attempt that began before has nothing to say about it.
    """

    id: str
    kind: EndpointKind
    url: str
    trusted: bool
    created_at: Instant
    description: str | None = None
    events: frozenset[EventName] = ALL_EVENTS
    headers: tuple[tuple[str, str], ...] = ()
    concurrency: int | None = None
    broadcast: bool = False
    secret: str | None = None
    previous_secret: str | None = None
    previous_until: Instant | None = None
    disabled: Disabled | None = None
    disabled_at: Instant | None = None
    health_version: int = 0
    health: CircuitBreaker = field(default_factory=CircuitBreaker)

    @property
    def held_back(self) -> bool:
        """Whether nothing, or nothing but probes, goes out."""
        return self.health.open or self.disabled is not None

    def wants(self, event: Event) -> bool:
        """Whether the endpoint asked to be told of this."""
        return name_of(event) in self.events

    def with_masked_kept(self, headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """Return headers with our values in place of masks. Raises `InvalidRequestError`.

        So what was read can be sent back with a change.
        """
        values = {name.lower(): value for name, value in self.headers}
        return tuple(
            (name, _unmasked(name, value, values.get(name.lower()))) for name, value in headers
        )

    def honoured_previous(self, now: Instant) -> str | None:
        """Return the previous secret while it still signs along."""
        until = self.previous_until
        return self.previous_secret if until is not None and now < until else None

    def rotated(self, secret: str, now: Instant, overlap_milliseconds: int) -> "Endpoint":
        """Sign with a new secret, and for a while with the one so far as well."""
        return replace(
            self,
            secret=secret,
            previous_secret=self.secret,
            previous_until=now + overlap_milliseconds,
        )

    def answered(self, answer: WebhookResponse, now: Instant, *, probe: bool) -> "Endpoint":
        """Take how the receiver answered an attempt.

        A 410 shows that it is alive; it ends the endpoint, or where a job brought the URL that
        job's delivery alone.
        """
        if answer.gone:
            alive = replace(self, health=self.health.succeeded(now))
            return alive if self.kind is EndpointKind.URL else alive._stopped(Disabled.GONE, now)
        if answer.succeeded:
            return replace(self, health=self.health.succeeded(now))
        failing = replace(self, health=self.health.failed(now, probe=probe))
        return (
            failing._stopped(Disabled.FAILING, now)
            if failing.health.failing_too_long(now)
            else failing
        )

    def same_health_as(self, other: "Endpoint") -> bool:
        """Whether there is nothing new to keep about how it fares."""
        return self.health.kept == other.health.kept and self.disabled == other.disabled

    def disable(self, now: Instant) -> "Endpoint":
        """Stop sending, by the operator's will."""
        return self if self.disabled else self._stopped(Disabled.OPERATOR, now)

    def enable(self) -> "Endpoint":
        """Send again, what waits first. The endpoint is trusted anew."""
        return self if self.disabled is None else self._reset(CircuitBreaker())

    def moved(self, url: str) -> "Endpoint":
        """Send to another address, of which nothing is known yet."""
        return replace(self._reset(CircuitBreaker()), url=url)

    def asked_again(self, now: Instant) -> "Endpoint":
        """Probe a job's own URL again that was given up as failing, since something new is for it.

        Nobody registered it, so nobody may be there to enable it. It is given up again when it has
        failed for as long once more.
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
            "headers", f"headers must give {name} its value: {MASK} keeps one that is there"
        )
    return known


def name_of(event: Event) -> EventName:
    """Return what an endpoint's filter calls an event."""
    if event.kind is EventKind.PROGRESS:
        return EventName.PROGRESS
    return EventName(event.status.value)


def url_id(url: str) -> str:
    """Return the id of the endpoint behind a job's own URL.

    Endpoints are told apart by scheme, host, port and path: a per-job query makes no new one.
    """
    return "url_" + sha256(origin_of(url).encode()).hexdigest()[:32]


def origin_of(url: str) -> str:
    """Return a URL's scheme, host, port and path: what tells endpoints apart."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = (parts.hostname or "").lower()
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}{parts.path or '/'}"


def shown_url(url: str) -> str:
    """Return a URL as logs show it: where path or query may be the receiver's secret, a mark of
    them that tells one URL from another.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{host}{'' if parts.port is None else f':{parts.port}'}"
    rest = parts.path + (f"?{parts.query}" if parts.query else "")
    if rest in {"", "/"}:
        return origin + rest
    return f"{origin}/...{sha256(rest.encode()).hexdigest()[:8]}"


def lane_of(endpoint_id: str) -> int:
    """Return the lane, 0..LANES-1, that an endpoint belongs to."""
    return crc32(endpoint_id.encode()) % LANES
