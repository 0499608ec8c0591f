"""Health of an endpoint: a breaker that opens on failures, probes, and lets traffic back slowly.

What an open breaker holds back burns no attempts: it simply stays due.
"""

from dataclasses import dataclass, replace

from reelhook.domain.event import Instant

FAILURES_IN_A_ROW_MAX = 5
WINDOW_MILLISECONDS = 60_000
WINDOW_ANSWERS_MIN = 20
WINDOW_FAILED_SHARE = 0.5
PROBE_MILLISECONDS_MIN = 5_000
PROBE_MILLISECONDS_MAX = 5 * 60 * 1000
RAMP_MAX = 4
FAILING_MILLISECONDS_MAX = 120 * 3600 * 1000
FAILURES_BEFORE_DISABLED = 10
_BUCKET_MILLISECONDS = 10_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """The answers of some seconds, counted."""

    started_at: Instant
    answers: int
    failures: int


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """How one endpoint answers; a fresh one is trusted.

    `failures` counts since the last success, `failing_since` is the first of them. While
    `probe_due_at` is set the breaker is open: one request at a time, each `probe_milliseconds`
    after the last. `ramp` is how many requests may be under way on the way back, None when the
    endpoint's own limit holds. `window` is not kept over a restart.
    """

    failures: int = 0
    failing_since: Instant | None = None
    probe_due_at: Instant | None = None
    probe_milliseconds: int = PROBE_MILLISECONDS_MIN
    ramp: int | None = None
    window: tuple[Bucket, ...] = ()

    @property
    def open(self) -> bool:
        """Whether only probes go out."""
        return self.probe_due_at is not None

    @property
    def kept(self) -> tuple[int | None, ...]:
        """What outlives a restart."""
        return (
            self.failures,
            self.failing_since,
            self.probe_due_at,
            self.probe_milliseconds,
            self.ramp,
        )

    def allowed(self, limit: int) -> int:
        """Return how many requests may be under way at once, at most `limit`."""
        if self.open:
            return 1
        return limit if self.ramp is None else min(self.ramp, limit)

    def failing_too_long(self, now: Instant) -> bool:
        """Whether it has failed for so long that nothing more is sent until a person looks."""
        return (
            self.failing_since is not None
            and self.failures >= FAILURES_BEFORE_DISABLED
            and now - self.failing_since >= FAILING_MILLISECONDS_MAX
        )

    def succeeded(self, now: Instant) -> "CircuitBreaker":
        """Take a success: it closes an open breaker; on the way back each one doubles the ramp."""
        if self.open:
            return CircuitBreaker(ramp=1)
        ramp = None if self.ramp is None or self.ramp * 2 > RAMP_MAX else self.ramp * 2
        return CircuitBreaker(ramp=ramp, window=self._counted(now, failures=0))

    def failed(self, now: Instant, *, probe: bool) -> "CircuitBreaker":
        """Take a failure: enough of them open the breaker; after a probe's the wait doubles."""
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
        """Probe at once, as rarely as before, and count the time of failing from now on."""
        return replace(self, failing_since=now, probe_due_at=now, ramp=None, window=())

    def _probed(self, now: Instant) -> "CircuitBreaker":
        wait = min(self.probe_milliseconds * 2, PROBE_MILLISECONDS_MAX)
        return replace(self, probe_due_at=now + wait, probe_milliseconds=wait)

    def _opened(self, now: Instant) -> "CircuitBreaker":
        wait = PROBE_MILLISECONDS_MIN
        return replace(self, probe_due_at=now + wait, probe_milliseconds=wait, ramp=None, window=())

    def _counted(self, now: Instant, *, failures: int) -> tuple[Bucket, ...]:
        fresh = [one for one in self.window if now - one.started_at < WINDOW_MILLISECONDS]
        last = fresh[-1] if fresh else None
        if last is None or now - last.started_at >= _BUCKET_MILLISECONDS:
            return (*fresh, Bucket(now, 1, failures))
        grown = Bucket(last.started_at, last.answers + 1, last.failures + failures)
        return (*fresh[:-1], grown)

    def _too_many(self) -> bool:
        answers = sum(one.answers for one in self.window)
        failures = sum(one.failures for one in self.window)
        return self.failures >= FAILURES_IN_A_ROW_MAX or (
            answers >= WINDOW_ANSWERS_MIN and failures >= answers * WINDOW_FAILED_SHARE
        )
