"""The circuit breaker of an endpoint: it opens on failures, probes, and closes gradually.

A delivery that an open breaker holds back uses up no attempt: it stays due.
"""

from dataclasses import dataclass, replace

from reelhook.domain.event import Instant

FAILURES_IN_A_ROW_MAX = 5
WINDOW_MILLISECONDS = 60_000
WINDOW_RESPONSES_MIN = 20
WINDOW_FAILED_SHARE = 0.5
PROBE_MILLISECONDS_MIN = 5_000
PROBE_MILLISECONDS_MAX = 5 * 60 * 1000
RAMP_MAX = 4
FAILING_MILLISECONDS_MAX = 120 * 3600 * 1000
FAILURES_BEFORE_DISABLED = 10
_BUCKET_MILLISECONDS = 10_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """The counts of responses and failures within a few seconds."""

    started_at: Instant
    responses: int
    failures: int


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """The health of one endpoint; a new breaker is closed.

    `failures` counts the failures since the last success, and `failing_since` is the first one's
    time. The breaker is open while `probe_due_at` is set. It then allows one request at a time, at
    intervals of `probe_milliseconds`. `ramp` limits the requests in flight after it closes; None:
    the endpoint's own limit applies. `window` does not survive a restart.
    """

    failures: int = 0
    failing_since: Instant | None = None
    probe_due_at: Instant | None = None
    probe_milliseconds: int = PROBE_MILLISECONDS_MIN
    ramp: int | None = None
    window: tuple[Bucket, ...] = ()

    @property
    def open(self) -> bool:
        """True if only probes are sent."""
        return self.probe_due_at is not None

    @property
    def kept(self) -> tuple[int | None, ...]:
        """The values that survive a restart."""
        return (
            self.failures,
            self.failing_since,
            self.probe_due_at,
            self.probe_milliseconds,
            self.ramp,
        )

    def allowed(self, limit: int) -> int:
        """Return how many requests may be in flight at once, at most `limit`."""
        if self.open:
            return 1
        return limit if self.ramp is None else min(self.ramp, limit)

    def failing_too_long(self, now: Instant) -> bool:
        """Return True if it failed for so long that sending stops until a person intervenes."""
        return (
            self.failing_since is not None
            and self.failures >= FAILURES_BEFORE_DISABLED
            and now - self.failing_since >= FAILING_MILLISECONDS_MAX
        )

    def succeeded(self, now: Instant) -> "CircuitBreaker":
        """Record a success. It closes an open breaker; each later success doubles the ramp."""
        if self.open:
            return CircuitBreaker(ramp=1)
        ramp = None if self.ramp is None or self.ramp * 2 > RAMP_MAX else self.ramp * 2
        return CircuitBreaker(ramp=ramp, window=self._counted(now, failures=0))

    def failed(self, now: Instant, *, probe: bool) -> "CircuitBreaker":
        """Record a failure. Enough failures open the breaker; a failed probe doubles the wait."""
        failing = replace(
            self,
            failures=self.failures + 1,
            failing_since=now if self.failing_since is None else self.failing_since,
            window=self._counted(now, failures=1),
        )
        if self.open:
            return failing._probed(now) if probe else failing
        return failing._opened(now) if failing._too_many() else failing

    def opened_again(self, now: Instant) -> "CircuitBreaker":
        """Probe at once, then at the earlier interval; count the failing time from now on."""
        return replace(self, failing_since=now, probe_due_at=now, ramp=None, window=())

    def _probed(self, now: Instant) -> "CircuitBreaker":
        wait = min(self.probe_milliseconds * 2, PROBE_MILLISECONDS_MAX)
        return replace(self, probe_due_at=now + wait, probe_milliseconds=wait)

    def _opened(self, now: Instant) -> "CircuitBreaker":
        wait = PROBE_MILLISECONDS_MIN
        return replace(self, probe_due_at=now + wait, probe_milliseconds=wait, ramp=None, window=())

    def _counted(self, now: Instant, *, failures: int) -> tuple[Bucket, ...]:
        fresh = [bucket for bucket in self.window if now - bucket.started_at < WINDOW_MILLISECONDS]
        last = fresh[-1] if fresh else None
        if last is None or now - last.started_at >= _BUCKET_MILLISECONDS:
            return (*fresh, Bucket(now, 1, failures))
        grown = Bucket(last.started_at, last.responses + 1, last.failures + failures)
        return (*fresh[:-1], grown)

    def _too_many(self) -> bool:
        responses = sum(bucket.responses for bucket in self.window)
        failures = sum(bucket.failures for bucket in self.window)
        return self.failures >= FAILURES_IN_A_ROW_MAX or (
            responses >= WINDOW_RESPONSES_MIN and failures >= responses * WINDOW_FAILED_SHARE
        )
