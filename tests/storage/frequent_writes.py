"""The frequent writes with generated arguments, and the database that they run on.

Jobs, endpoints and ids are few, so that two writes often meet. A write is a plain value: the same
one can be made for every run.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from reelhook.domain.api_key import ApiKey
from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.budget import BudgetLimits, project_owner
from reelhook.domain.caller import DEFAULT_PROJECT, Caller
from reelhook.domain.client_call import ClientCall
from reelhook.domain.delivery import Attempt, Delivery
from reelhook.domain.endpoint import Disabled, Endpoint, url_id
from reelhook.domain.job import SUBMISSION_UNKNOWN, Job
from reelhook.domain.media import File, reference
from reelhook.domain.price import Price
from reelhook.domain.report import Progress, Report
from reelhook.domain.reservation import bill_of
from reelhook.domain.schedule import RetrySchedule
from reelhook.ports import SOLE_HOLDER, Change, ClientTry, IdempotencyKey, NewJob, Settlement
from reelhook.storage.operation import ConflictKeys, Operation, Statement
from reelhook.storage.operations import (
    api_keys,
    budgets,
    conflict_keys,
    delivery_writes,
    endpoint_writes,
    files,
    in_doubt,
    job_writes,
)
from reelhook.storage.operations import client_calls as calls_of_clients
from reelhook.storage.operations.rows import (
    DELIVERY,
    ENDPOINT,
    STATE,
    delivery_of,
    endpoint_of,
    job_of,
)

from .samples import CAT, FAILED, FINISHED, GONE, NOW, OK, REFUSED, change, new
from .samples import ENDPOINT as REGISTERED

SHARED_URL, OWN_URL, BROKEN_URL = (f"https://{name}.example/" for name in ("all", "own", "broken"))
PENDING, SUBMITTING, UNRESOLVED = ("job_a", "job_b", "job_c"), ("job_s", "job_t"), ("job_u",)
UNPREPARED, WAITING = ("job_p", "job_q"), ("job_v", "job_w")
FOX = File("image/png", b"\x89PNG fox")
KEYS = tuple(ApiKey(f"key_{n}", "default", f"{n}", "rh", frozenset(), None, (), NOW) for n in "12")
VIDEOS = ("video_a", "video_x", "video_y")
BUDGET = project_owner("default")
COUNTING = BudgetLimits(money_per_day={"USD": 1_000_000_000})
REPORTS: tuple[Report, ...] = (Progress(running=True, percent=70), FINISHED, FAILED)
SCHEDULE = RetrySchedule((600,))
PRICE = Price(0.5, "USD")
ANSWERED = ClientTry("default", ClientCall("videos", "body_1", 0), "call_1", NOW)
"""The try that got the first pending job."""
CALL_WRITES: dict[str, tuple[Callable[..., Operation[Any]], Callable[..., ConflictKeys]]] = {
    "use": (calls_of_clients.use, conflict_keys.of_use),
    "lose": (calls_of_clients.lose, conflict_keys.of_lost_response),
    "refuse": (calls_of_clients.refuse, conflict_keys.of_refused_call),
}


@dataclass(frozen=True)
class Write:
    """An operation, and the conflict keys that it declares."""

    name: str
    arguments: tuple[Any, ...]
    operation: Callable[..., Operation[Any]]
    declared: Callable[..., ConflictKeys]

    @property
    def keys(self) -> ConflictKeys:
        return self.declared(*self.arguments)

    def make(self) -> Operation[Any]:
        return self.operation(*self.arguments)

    def __repr__(self) -> str:
        return f"{self.name}{self.arguments}"


@dataclass(frozen=True)
class Snapshot:
    """The jobs, deliveries and endpoints as workers have read them."""

    jobs: dict[str, Job]
    deliveries: tuple[Delivery, ...]
    endpoints: dict[str, Endpoint]


# -- the prepared database -------------------------------------------------------------------------


def prepared() -> Operation[Snapshot]:
    """Fill an empty database, with a budget of `default`."""
    yield from endpoint_writes.create(REGISTERED)
    yield from budgets.set_limits(BUDGET, COUNTING, NOW, bill_of)
    for job_id, url in zip(PENDING, (OWN_URL, BROKEN_URL, BROKEN_URL), strict=True):
        job = yield from _submitting(new(job_id, urls=(SHARED_URL, url), endpoints=("ep_1",)))
        video = job_id.replace("job", "video")
        job = yield from _recorded((job.accept(video, NOW), ()))
        yield from _recorded(job.apply(Progress(running=True, percent=40), NOW))
    for job_id in SUBMITTING:
        yield from _submitting(new(job_id, urls=(SHARED_URL,)))
    yield from files.keep(DEFAULT_PROJECT, [FOX], NOW)
    for job_id in (*WAITING, *UNPREPARED):
        since = NOW if job_id in UNPREPARED else None
        made = new(job_id, urls=(SHARED_URL,))
        made = replace(made, job=replace(made.job, unprepared_since=since), prices=(PRICE,))
        yield from job_writes.create(made)
    for key in KEYS:
        yield from api_keys.create(key, f"hash of {key.id}")
    for job_id in UNRESOLVED:
        job = yield from _submitting(new(job_id, urls=(SHARED_URL,)))
        yield from _recorded(job.fail(SUBMISSION_UNKNOWN, "No one knows", NOW))
    yield from calls_of_clients.keep(ANSWERED, None, PENDING[0])
    yield from calls_of_clients.refuse(replace(ANSWERED, call_id="call_2"))
    found = yield from _snapshot()
    for delivery in found.deliveries:  # each is retried later
        if delivery.status_sequence is not None:
            yield from delivery_writes.settle(_settlement(delivery, REFUSED, None, NOW))
    yield from endpoint_writes.change(url_id(BROKEN_URL), _gave_up)
    return (yield from _snapshot())


def _submitting(made: NewJob) -> Operation[Job]:
    yield from job_writes.create(replace(made, prices=(PRICE,)))
    return (yield from _recorded((made.job.submitting(NOW), ())))


def _recorded(transition: Any) -> Operation[Job]:
    job: Job = transition[0]
    assert (yield from job_writes.record([change(transition)], None)) == [job.id]
    return replace(job, version=job.version + 1)


def _gave_up(endpoint: Endpoint) -> Endpoint:
    broken = CircuitBreaker(20, NOW, NOW, 300_000)
    return replace(endpoint, health=broken, disabled=Disabled.FAILING, disabled_at=NOW)


def _snapshot() -> Operation[Snapshot]:
    jobs = yield Statement(f"SELECT {STATE} FROM jobs")  # noqa: S608 - columns of ours
    deliveries = yield Statement(f"SELECT {DELIVERY} FROM deliveries d ORDER BY d.id")  # noqa: S608 - as above
    endpoints = yield Statement(f"SELECT {ENDPOINT} FROM endpoints e")  # noqa: S608 - as above
    return Snapshot(
        {row[0]: job_of(row) for row in jobs},
        tuple(delivery_of(row) for row in deliveries),
        {row[0]: endpoint_of(row) for row in endpoints},
    )


# -- the writes ------------------------------------------------------------------------------------


def writes(known: Snapshot) -> st.SearchStrategy[Write]:
    """Any frequent write."""
    return st.one_of(*by_method(known).values())


def by_method(known: Snapshot) -> dict[str, st.SearchStrategy[Write]]:
    """Return the frequent writes by the methods of the store that make them."""
    return {
        "_create": creates(),
        "record": records(known) | beginnings(known),
        "accept": acceptances(known),
        "settle": settlements(known),
        "use_job": client_calls("use"),
        "lose_response": client_calls("lose"),
        "refuse_call": client_calls("refuse"),
        "record_check": st.builds(_check, st.sampled_from((*PENDING, *SUBMITTING)), times()),
        "close_doubt": st.builds(_closing, st.sampled_from((*UNRESOLVED, "job_a")), times()),
        "record_prepared": st.builds(
            _preparing, st.just(known), st.sampled_from((*UNPREPARED, *WAITING)), times()
        ),
        "record_api_key_use": st.builds(_using, st.sampled_from([key.id for key in KEYS]), times()),
    }


def times() -> st.SearchStrategy[int]:
    return st.sampled_from((NOW + 1000, NOW + 2000))


@st.composite
def creates(draw: st.DrawFn) -> Write:
    urls = draw(st.sampled_from([(SHARED_URL,), (BROKEN_URL,), ("https://new.example/",)]))
    endpoints = draw(st.sampled_from([(), ("ep_1",), ("ep_missing",)]))
    holders, keys = st.sampled_from((SOLE_HOLDER, "h1", "h2")), st.sampled_from(("k1", "k2"))
    key = draw(st.none() | st.builds(IdempotencyKey, holders, keys, st.just("f")))
    job_id = draw(st.sampled_from(("job_1", "job_2", "job_a")))
    caller = Caller(draw(st.sampled_from((DEFAULT_PROJECT, "prj_1"))), frozenset())
    key = key and key.of(caller)
    made = new(job_id, at=draw(times()), urls=urls, endpoints=endpoints, key=key)
    made = replace(made, prices=draw(st.sampled_from([None, (PRICE,)])))
    made = replace(made, job=replace(made.job, project=caller.project), sharing=("acme_2",))
    made = replace(made, sees=draw(st.sampled_from((None, caller.sees))))
    if key is None:
        made = replace(made, client_try=draw(st.none() | client_tries(f"call_of_{job_id}")))
    video = draw(st.none() | st.sampled_from(VIDEOS))
    if video is not None:
        made = replace(made, job=made.job.accept(video, made.job.created_at))
        if draw(st.booleans()):
            made = replace(made, job=replace(made.job, adopted_from=UNRESOLVED[0]))
    return Write("create", (made,), job_writes.create, conflict_keys.of_new)


def client_tries(call_id: str) -> st.SearchStrategy[ClientTry]:
    """Tries of calls with one of two bodies, some of which were answered before."""
    counts = st.sampled_from((0, 1, 2, None))
    bodies = st.sampled_from(("body_1", "body_2"))
    calls = st.builds(ClientCall, st.just("videos"), bodies, counts)
    return st.builds(
        ClientTry, st.just("default"), calls, st.just(call_id), times(), waits=st.booleans()
    )


@st.composite
def client_calls(draw: st.DrawFn, name: str) -> Write:
    one = draw(client_tries("call_3"))
    arguments = {
        "use": (one.hash, PENDING[0]),
        "lose": (one, PENDING[0]),
        "refuse": (replace(one, call=replace(one.call, count=one.call.count or 0)),),
    }
    operation, keys = CALL_WRITES[name]
    return Write(name, arguments[name], operation, keys)


@st.composite
def records(draw: st.DrawFn, known: Snapshot) -> Write:
    job_ids = draw(st.lists(st.sampled_from(PENDING), min_size=1, max_size=2, unique=True))
    reports = [draw(st.none() | st.sampled_from(REPORTS)) for _ in job_ids]
    pairs = zip((known.jobs[job_id] for job_id in job_ids), reports, strict=True)
    now = draw(times())
    return _recording(
        [
            change(
                job.fail("expired", "Too old", now) if report is None else job.apply(report, now)
            )
            for job, report in pairs
        ]
    )


@st.composite
def beginnings(draw: st.DrawFn, known: Snapshot) -> Write:
    """Intents to submit, and the end of jobs that wait for their files."""
    job_ids = draw(st.lists(st.sampled_from(WAITING), max_size=2, unique=True))
    now = draw(times())
    changes = [change((known.jobs[job_id].submitting(now), ())) for job_id in job_ids]
    gone = draw(st.sampled_from([(), *[(job_id,) for job_id in UNPREPARED]]))
    changes += [change(known.jobs[one].fail("image_unavailable", "404", now)) for one in gone]
    return _recording(changes or [change((known.jobs[WAITING[0]].submitting(now), ()))])


def recording(known: Snapshot, job_id: str) -> Write:
    return _recording([change(known.jobs[job_id].apply(FINISHED, NOW + 1000))])


def _recording(changes: list[Change]) -> Write:
    return Write("record", (changes, None), job_writes.record, conflict_keys.of_record)


@st.composite
def acceptances(draw: st.DrawFn, known: Snapshot) -> Write:
    job_id, video = draw(st.sampled_from(SUBMITTING)), draw(st.sampled_from(VIDEOS))
    return accepting(known, job_id, video, draw(times()), adopted=draw(st.booleans()))


def accepting(
    known: Snapshot, job_id: str, video: str, now: int = NOW + 1000, *, adopted: bool = False
) -> Write:
    accepted = known.jobs[job_id].accept(video, now, adopted=adopted)
    arguments = (change((accepted, ())), None, ("acme_2",))
    return Write("accept", arguments, job_writes.accept, conflict_keys.of_acceptance)


@st.composite
def settlements(draw: st.DrawFn, known: Snapshot) -> Write:
    waiting = [one for one in known.deliveries if one.next_sequence is not None]
    delivery = draw(st.sampled_from(waiting))
    answer, now = draw(st.sampled_from((OK, REFUSED, GONE))), draw(times())
    endpoint = known.endpoints[delivery.endpoint_id].responded(answer, now, probe=False)
    changed = endpoint if draw(st.booleans()) else None
    reopened = changed is not None and draw(st.integers(0, 4)) == 0
    return _settling(replace(_settlement(delivery, answer, changed, now), reopened=reopened))


def settling(known: Snapshot) -> Write:
    delivery = next(one for one in known.deliveries if one.next_sequence is not None)
    endpoint = known.endpoints[delivery.endpoint_id].responded(REFUSED, NOW + 1000, probe=False)
    return _settling(_settlement(delivery, REFUSED, endpoint, NOW + 1000))


def _settling(made: Settlement) -> Write:
    return Write("settle", (made,), delivery_writes.settle, conflict_keys.of_settlement)


def _settlement(delivery: Delivery, answer: Any, endpoint: Endpoint | None, now: int) -> Settlement:
    sequence = delivery.next_sequence
    assert sequence is not None
    event_id = f"evt_{delivery.job_id}_{sequence}"

    def decide(current: Delivery) -> Delivery:
        return current.settle(
            sequence, answer, now, probe=False, schedule=SCHEDULE, random=Random(1)
        )

    attempt = Attempt(delivery.id, event_id, sequence, delivery.attempts + 1, now, answer)
    return Settlement(attempt, decide, endpoint)


def _check(job_id: str, now: int) -> Write:
    return Write("record_check", (job_id, now), job_writes.record_check, conflict_keys.of_job)


def _closing(job_id: str, now: int) -> Write:
    return Write("close_doubt", (job_id, now), in_doubt.abandon, conflict_keys.of_doubt)


def _preparing(known: Snapshot, job_id: str, now: int) -> Write:
    request = replace(CAT, image=reference(FOX.hash))
    arguments = (known.jobs[job_id].prepared(now), request, None)
    return Write("record_prepared", arguments, files.prepared, conflict_keys.of_prepared)


def _using(key_id: str, now: int) -> Write:
    use, keys = api_keys.record_use, api_keys.conflict_keys_of_use
    return Write("record_api_key_use", (key_id, now), use, keys)
