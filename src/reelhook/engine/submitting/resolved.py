"""Records what a listing has proven about creates in doubt, or that it can't prove anything.

An entry that was found is adopted. A create that provably left nothing is sent again, a few times.
After that the next model is tried, or the job fails. If nothing can be proven, the job ends as
`submission_unknown`, and a person decides.
"""

from dataclasses import dataclass

import structlog

from reelhook.core.recording import Recording
from reelhook.core.wakeups import Signals
from reelhook.domain.lost_create import found_absent
from reelhook.domain.reconciliation import Resolution
from reelhook.domain.report import Entry
from reelhook.domain.waiting import with_last_response
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.submitting.fallback import Fallback
from reelhook.ports import Acceptance, AcceptanceStore, Clock, StoredJob

log = structlog.get_logger()
AGAIN_SHARE = 6
AGAIN_MILLISECONDS_MIN = 1000
AGAIN_DOUBLINGS_MAX = 5
"""The first wait before another create is a sixth of the settle time. It then doubles: by default
10 s, 20 s, 40 s, and 320 s at most."""


@dataclass(frozen=True, slots=True)
class Retrying:
    """The retries of creates that provably left nothing.

    They are sent again `retries` times, with waits that grow from a share of `settle_seconds`.
    After that the next model is tried.
    """

    fallback: Fallback
    retries: int
    settle_seconds: float

    def wait_milliseconds(self, times: int) -> int:
        """Return the wait between a create and the next one, after `times` earlier creates."""
        first = max(AGAIN_MILLISECONDS_MIN, round(self.settle_seconds * 1000 / AGAIN_SHARE))
        return first << min(times, AGAIN_DOUBLINGS_MAX)


class ResolvedCreates:
    """Records how the creates of one account were resolved."""

    def __init__(
        self,
        store: AcceptanceStore,
        leased: LeasedAccount,
        recording: Recording,
        signals: Signals,
        retrying: Retrying,
        clock: Clock,
    ) -> None:
        self._store = store
        self._leased = leased
        self._recording = recording
        self._signals = signals
        self._retrying = retrying
        self._clock = clock

    async def record(self, jobs: dict[str, StoredJob], resolution: Resolution) -> None:
        """Record what a listing has proven about these jobs."""
        for job_id, entry in resolution.found.items():
            await self._adopt(jobs[job_id], entry)
        absent = [jobs[job_id] for job_id in resolution.absent]
        await self._send_again([stored for stored in absent if not self._was_last(stored)])
        for stored in absent:
            if self._was_last(stored):
                await self._end_absent(stored)
        await self.give_up({job_id: jobs[job_id] for job_id in resolution.unknown}, resolution)

    async def give_up(self, jobs: dict[str, StoredJob], resolution: Resolution) -> None:
        """End these jobs as unresolved: it is not known whether the provider has them."""
        now = self._clock.now()
        lost = [
            stored.job.fail("submission_unknown", _unknown(stored, resolution.unknown[job_id]), now)
            for job_id, stored in jobs.items()
        ]
        await self._recording.record(lost, self._leased.lease)

    def _was_last(self, stored: StoredJob) -> bool:
        return stored.job.creates_absent >= self._retrying.retries

    async def _send_again(self, absent: list[StoredJob]) -> None:
        now = self._clock.now()
        again = []
        for job in (stored.job for stored in absent):
            wait = self._retrying.wait_milliseconds(job.creates_absent)
            due_at = max(now, (job.doubt_since or now) + wait)
            again.append((found_absent(job, due_at, now), ()))
        for job in await self._recording.record(again, self._leased.lease):
            log.info(
                "resolve.absent",
                job=job.id,
                account=self._leased.id,
                tries=job.submit_attempts,
                response=job.last_response,
            )
        self._signals.submit.set()

    async def _end_absent(self, stored: StoredJob) -> None:
        """Move to the next model, or fail: all tries at the provider have left nothing there."""
        tries = stored.job.creates_absent + 1
        times = "once" if tries == 1 else f"{tries} times"
        message = f"{stored.job.last_response or 'The provider did not respond'} (tried {times})"
        lease = self._leased.lease
        if not await self._retrying.fallback.next_model(stored, "provider_error", message, lease):
            failed = stored.job.fail("provider_error", message, self._clock.now())
            await self._recording.record([failed], lease)

    async def _adopt(self, stored: StoredJob, entry: Entry) -> None:
        now = self._clock.now()
        adopted = stored.job.accept(entry.provider_job_id, now, adopted=True)
        transition = adopted.apply(entry.report, now)
        acceptance = await self._recording.accept(
            self._store, transition, self._leased.lease, self._leased.sharing
        )
        if acceptance is Acceptance.RECORDED:
            self._recording.created(adopted, stored.webhook_url)


def _unknown(stored: StoredJob, reason: str) -> str:
    message = (
        "The provider may or may not have accepted this job, and its listing does not show which "
        f"({reason}); look it up there, then adopt or abandon it"
    )
    return with_last_response(message, stored.job.last_response)
