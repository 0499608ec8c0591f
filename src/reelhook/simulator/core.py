"""The simulator without a protocol: its jobs, its faults, its counters."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from random import Random
from types import MappingProxyType

from reelhook.simulator.faults import Faults
from reelhook.simulator.job import Phase, RenderState, SimulatedJob, VideoSpec
from reelhook.simulator.uploads import UploadedFiles

JOBS_MAX = 10_000

_by_number = attrgetter("number")


class UnknownJobError(LookupError):
    """Raised for an unknown job; its only argument is the id."""


@dataclass(frozen=True, slots=True)
class JobsPage:
    """Some jobs in the requested order, and whether more follow."""

    jobs: list[SimulatedJob]
    has_more: bool


class Simulator:
    """Creates jobs and computes their states; everything else is up to the wires.

    `faults` may be replaced at any time. `requests` counts requests by kind (create, get, list,
    content, delete, upload), `injected` the faults that happened, `creations` the jobs ever
    created. Beyond `jobs_max` jobs the oldest ended ones are forgotten.
    """

    def __init__(
        self,
        faults: Faults,
        *,
        random: Random,
        clock: Callable[[], float],
        jobs_max: int = JOBS_MAX,
    ) -> None:
        self.faults = faults
        self.random = random
        self.requests: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()
        self.creations = 0
        self.uploads = UploadedFiles()
        self.newest: SimulatedJob | None = None
        """The last job that was created and not stopped, even if it is forgotten."""
        self._clock = clock
        self._jobs_max = jobs_max
        self._forget_beyond = jobs_max
        self._by_id: dict[str, SimulatedJob] = {}
        self._oldest_first: defaultdict[str, list[SimulatedJob]] = defaultdict(list)
        """Jobs by the prefix of their ids; each wire has its own prefix."""

    @property
    def jobs(self) -> Mapping[str, SimulatedJob]:
        """The remembered jobs by id, oldest first."""
        return MappingProxyType(self._by_id)

    def now(self) -> float:
        """Return the simulator's time in Unix seconds."""
        return self._clock() + self.faults.clock_offset_seconds

    def create(
        self,
        video: VideoSpec,
        *,
        id_prefix: str,
        job_id: str | None = None,
        engine: Mapping[str, object] = MappingProxyType({}),
        shown: Mapping[str, object] = MappingProxyType({}),
    ) -> SimulatedJob:
        """Create a job, and draw its outcome.

        A wire whose ids have no prefix passes a `job_id`, and its own name as `id_prefix`.
        """
        self.creations += 1
        job = SimulatedJob(
            id=job_id or f"{id_prefix}{self.random.getrandbits(128):032x}",
            number=self.creations,
            video=video,
            created_at=self.now(),
            queue_seconds=self.faults.queue_seconds,
            render_seconds=self.faults.render_seconds,
            ending=self.faults.ending(self.random),
            wire=id_prefix,
            foreign_url=self.faults.foreign_url
            if self.faults.names_foreign_file(self.random)
            else None,
            engine=engine,
            shown=shown,
        )
        self.newest = job
        self._by_id[job.id] = job
        self._oldest_first[id_prefix].append(job)
        if len(self._by_id) > self._forget_beyond:
            self._forget_oldest_ended()
        return job

    def get(self, job_id: str) -> SimulatedJob:
        """Return the job. Raises `UnknownJobError`."""
        try:
            return self._by_id[job_id]
        except KeyError:
            raise UnknownJobError(job_id) from None

    def state(self, job: SimulatedJob) -> RenderState:
        """Return the job's state now."""
        return job.state(self.now())

    def page(
        self, *, after: str | None, limit: int, newest_first: bool, id_prefix: str = ""
    ) -> JobsPage:
        """Return up to `limit` jobs that follow the job `after`. Raises `UnknownJobError`.

        Only jobs created with this `id_prefix` are considered.
        """
        listed = self._oldest_first[id_prefix]
        first, end = 0, len(listed)
        if after is not None:
            job = self.get(after)
            if job.wire != id_prefix:
                raise UnknownJobError(after)
            position = self._position(job)
            first, end = (first, position) if newest_first else (position + 1, end)
        has_more = end - first > limit
        if newest_first:
            return JobsPage(listed[max(first, end - limit) : end][::-1], has_more)
        return JobsPage(listed[first : min(end, first + limit)], has_more)

    def listed(self, id_prefix: str) -> Sequence[SimulatedJob]:
        """Return the jobs that were created with this `id_prefix`, oldest first."""
        return tuple(self._oldest_first[id_prefix])

    def restart(self) -> None:
        """Forget every job, like a restarted server that kept them in memory; keep counters."""
        self._by_id.clear()
        self._oldest_first.clear()
        self.newest = None

    def delete(self, job_id: str, *, stops: bool = True) -> None:
        """Cancel the job if it runs, and forget it. Raises `UnknownJobError`.

        Without `stops`, the engine keeps rendering.
        """
        job = self.get(job_id)
        if stops and self.newest is job:
            self.newest = None
        del self._oldest_first[job.wire][self._position(job)]
        del self._by_id[job_id]

    def phases(self) -> Counter[Phase]:
        """Count the remembered jobs by phase."""
        now = self.now()
        return Counter(job.state(now).phase for job in self._by_id.values())

    def _position(self, job: SimulatedJob) -> int:
        return bisect_left(self._oldest_first[job.wire], job.number, key=_by_number)

    def _forget_oldest_ended(self) -> None:
        # Forget a twentieth more than needed. Then the next scan of all jobs is due only after
        # hundreds of creates, even if few jobs have ended.
        slack = self._jobs_max // 20
        excess = len(self._by_id) - self._jobs_max + slack
        ended = [job for job in self._by_id.values() if self.state(job).phase in _ENDED][:excess]
        for job in ended:
            del self._by_id[job.id]
        self._oldest_first.clear()
        for job in self._by_id.values():
            self._oldest_first[job.wire].append(job)
        self._forget_beyond = max(self._jobs_max, len(self._by_id) + slack)


_ENDED = frozenset({Phase.COMPLETED, Phase.FAILED})
