"""The fair queue as a unit: limits hold, no slot idles, and endpoints take turns."""

from collections import Counter
from dataclasses import replace
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.delivery import Delivery
from reelhook.domain.endpoint import Endpoint, EndpointKind
from reelhook.engine.delivering.fair_queue import (
    READY_MILLISECONDS,
    RETRY_SLOTS,
    SLOTS,
    FairQueue,
    is_retry,
)
from reelhook.ports import DueDelivery, StoredEvent

CONCURRENCY = 4
numbers = count(1)


def endpoint(name: str, concurrency: int | None = None, *, ramp: int | None = None) -> Endpoint:
    url = f"https://{name}.example/"
    return Endpoint(
        name,
        EndpointKind.URL,
        url,
        trusted=False,
        created_at=0,
        concurrency=concurrency,
        health=CircuitBreaker(ramp=ramp),
    )


def due(endpoint_id: str, *, attempts: int = 0, resend_of: int | None = None) -> DueDelivery:
    number = next(numbers)
    delivery = Delivery(number, f"job_{number}", endpoint_id, None, 1, attempts=attempts, due_at=0)
    event = StoredEvent(f"evt_{number}", f"job_{number}", 1, b"{}")
    return DueDelivery(replace(delivery, resend_of=resend_of), event)


def taken(queue: FairQueue, now: int = 0) -> list[DueDelivery]:
    found = []
    while one := queue.take(now):
        found.append(one)
    return found


def probes_taken(queue: FairQueue) -> list[DueDelivery]:
    found = []
    while one := queue.take_probe(0):
        found.append(one)
    return found


@given(st.lists(st.integers(1, 12), min_size=1, max_size=20))
def test_endpoints_take_turns(waiting: list[int]) -> None:
    queue = FairQueue(CONCURRENCY)
    for number, size in enumerate(waiting):
        name = f"e{number}"
        queue.fill(endpoint(name), [due(name) for _ in range(size)], 0)
    rounds: Counter[str] = Counter()
    for one in taken(queue):
        rounds[one.delivery.endpoint_id] += 1
        behind = [
            name
            for name, size in ((f"e{number}", size) for number, size in enumerate(waiting))
            if rounds[name] < min(size, CONCURRENCY, max(rounds.values()) - 1)
        ]
        assert behind == []
    assert rounds == {f"e{number}": min(size, CONCURRENCY) for number, size in enumerate(waiting)}


@given(st.integers(1, 25), st.integers(1, 40))
def test_an_endpoint_s_own_limit_holds(concurrency: int, waiting: int) -> None:
    queue = FairQueue(CONCURRENCY)
    queue.fill(endpoint("e", concurrency), [due("e") for _ in range(waiting)], 0)
    assert len(taken(queue)) == min(concurrency, waiting)


@given(st.sampled_from([1, 2, 4]))
def test_on_the_way_back_the_ramp_holds(ramp: int) -> None:
    queue = FairQueue(25)
    queue.fill(endpoint("e", ramp=ramp), [due("e") for _ in range(30)], 0)
    assert len(taken(queue)) == ramp


def test_half_of_the_slots_are_kept_for_first_attempts() -> None:
    queue = FairQueue(25)
    for number in range(20):
        name = f"e{number}"
        again = [due(name, attempts=1) for _ in range(12)]
        again += [due(name, resend_of=1) for _ in range(12)]
        queue.fill(endpoint(name), again, 0)
    assert len(taken(queue)) == RETRY_SLOTS
    for number in range(20, 40):
        queue.fill(endpoint(f"e{number}"), [due(f"e{number}") for _ in range(25)], 0)
    firsts = taken(queue)
    assert len(firsts) == SLOTS - RETRY_SLOTS
    assert not any(is_retry(one.delivery) for one in firsts)
    assert queue.release(firsts[0]) is False
    assert not is_retry(taken(queue)[0].delivery)


def test_probes_share_the_slots_of_retries() -> None:
    queue = FairQueue(25)
    opened = CircuitBreaker(failures=5, failing_since=0, probe_due_at=0)
    for number in range(SLOTS):
        queue.fill(replace(endpoint(f"e{number}"), health=opened), [due(f"e{number}")], 0)
    assert taken(queue) == []
    probes = probes_taken(queue)
    assert len(probes) == RETRY_SLOTS
    queue.fill(endpoint("well"), [due("well")], 0)
    assert [one.delivery.endpoint_id for one in taken(queue)] == ["well"]
    queue.queue(probes[0].delivery.endpoint_id).endpoint = endpoint("e0")  # the probe closed it
    queue.release(probes[0])
    assert len(probes_taken(queue)) == 1


def test_a_first_attempt_never_waits_for_the_probes_that_were_read_before_it() -> None:
    queue = FairQueue(25)
    opened = CircuitBreaker(failures=5, failing_since=0, probe_due_at=0)
    for number in range(10):
        queue.fill(replace(endpoint(f"e{number}"), health=opened), [due(f"e{number}")], 0)
    assert queue.take_probe(0) is not None
    queue.fill(endpoint("well"), [due("well")], 0)
    assert [one.delivery.endpoint_id for one in taken(queue)] == ["well"]
    assert len(probes_taken(queue)) == 9
    assert not queue.has_probes


def test_a_first_attempt_goes_past_the_retries_of_its_endpoint_while_those_have_no_slot() -> None:
    queue = FairQueue(25)
    for number in range(6):
        name = f"e{number}"
        queue.fill(endpoint(name), [due(name, attempts=1) for _ in range(25)], 0)
    retries = taken(queue)
    assert len(retries) == RETRY_SLOTS
    assert queue.busy == frozenset()  # the store is asked whether a first attempt waits there
    queue.fill(endpoint("e5"), [due("e5", attempts=1), due("e5")], 0)
    (first,) = taken(queue)
    assert not is_retry(first.delivery)
    queue.release(retries[0])
    assert is_retry(taken(queue)[0].delivery)


def test_what_was_read_a_while_ago_is_read_anew() -> None:
    queue = FairQueue(1)
    queue.fill(endpoint("e"), [due("e") for _ in range(5)], 0)
    (one,) = taken(queue)
    queue.release(one)
    assert taken(queue, READY_MILLISECONDS + 1) == []
    assert queue.expired
    queue.expire(READY_MILLISECONDS + 1)
    assert not queue.expired
    assert queue.busy == frozenset()


class TurnsMachine(RuleBasedStateMachine):
    """Any order of reading, taking and ending."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = FairQueue(CONCURRENCY)
        self.limits: dict[str, int] = {}
        self.ready: dict[str, list[DueDelivery]] = {}
        self.in_flight: list[DueDelivery] = []

    def at(self, name: str) -> int:
        return sum(one.delivery.endpoint_id == name for one in self.in_flight)

    @rule(number=st.integers(0, 80), firsts=st.integers(0, 12), retries=st.integers(0, 12))
    def read(self, number: int, firsts: int, retries: int) -> None:
        name = f"e{number}"
        limit = 1 + number % 9
        if name in self.queue.busy:
            return
        self.limits[name] = limit
        self.ready[name] = [due(name, attempts=1) for _ in range(retries)]
        self.ready[name] += [due(name) for _ in range(firsts)]
        self.queue.fill(endpoint(name, limit), self.ready[name], 0)

    @rule(times=st.integers(1, 60))
    def take(self, times: int) -> None:
        for _ in range(times):
            one = self.queue.take(0)
            if one is None:
                self.check_nothing_could_go()
                return
            self.ready[one.delivery.endpoint_id].remove(one)
            self.in_flight.append(one)

    def check_nothing_could_go(self) -> None:
        retries = sum(is_retry(one.delivery) for one in self.in_flight)
        if len(self.in_flight) == SLOTS:
            return
        for name, ready in self.ready.items():
            if self.at(name) < self.limits[name]:
                assert all(is_retry(one.delivery) for one in ready)
                assert not ready or retries == RETRY_SLOTS

    @precondition(lambda self: bool(self.in_flight))
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        one = self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))
        assert self.queue.release(one) == (not self.ready[one.delivery.endpoint_id])

    @rule()
    def tick(self) -> None:
        self.queue.expire(0)

    @invariant()
    def limits_hold(self) -> None:
        assert len(self.in_flight) <= SLOTS
        assert sum(is_retry(one.delivery) for one in self.in_flight) <= RETRY_SLOTS
        for name, number in Counter(one.delivery.endpoint_id for one in self.in_flight).items():
            assert number <= self.limits[name]


TestTurns = TurnsMachine.TestCase
TestTurns.settings = settings(stateful_step_count=40)


def test_a_health_that_was_reset_holds_over_what_was_found_before() -> None:
    queue = FairQueue(CONCURRENCY)
    queue.expire(0)
    opened = replace(
        endpoint("e"), health=CircuitBreaker(failures=5, failing_since=0, probe_due_at=0)
    )
    queue.fill(opened, [due("e")], 0)
    assert queue.take_probe(0) is not None
    queue.fill(replace(endpoint("e"), health_version=1), [due("e")], 0)
    assert queue.queue("e").endpoint.health == CircuitBreaker()
    assert queue.take(0) is not None


def test_a_look_that_began_before_the_breaker_opened_lets_nothing_more_out() -> None:
    queue = FairQueue(CONCURRENCY)
    queue.expire(0)
    queue.fill(endpoint("e"), [due("e")], 0)
    one = queue.take(0)
    assert one is not None
    queue.expire(0)  # the next look begins, and meanwhile the last attempt fails
    opened = replace(
        endpoint("e"), health=CircuitBreaker(failures=5, failing_since=0, probe_due_at=5000)
    )
    queue.queue("e").endpoint = opened
    queue.release(one)
    before = replace(endpoint("e"), health=CircuitBreaker(failures=4, failing_since=0))
    queue.fill(before, [due("e") for _ in range(4)], 0)
    assert queue.take(0) is queue.take_probe(0) is None
    queue.expire(0)  # the look after that sees it
    queue.fill(opened, [due("e")], 0)
    assert queue.take_probe(0) is not None
    assert queue.take(0) is queue.take_probe(0) is None
