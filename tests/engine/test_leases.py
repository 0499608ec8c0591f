"""What a worker may act for, by a clock that counts suspension."""

from hypothesis import given
from hypothesis import strategies as st

from reelhook.engine.leases import LANE_IDS, Leases
from reelhook.ports import Lease

LANE = Lease(LANE_IDS[3], 1)


class Clock:
    def __init__(self) -> None:
        self.seconds = 50.0

    def __call__(self) -> float:
        return self.seconds


def held(*leases: Lease, seconds: float = 2.4) -> tuple[Leases, Clock]:
    clock = Clock()
    found = Leases(clock)
    found.keep(LANE_IDS, leases, clock() + seconds)
    return found, clock


def test_a_lease_is_good_until_its_time_and_no_longer() -> None:
    leases, clock = held(LANE)
    clock.seconds += 2.39
    assert leases.good(LANE)
    assert leases.lanes() == {3: LANE}
    clock.seconds += 0.01
    assert not leases.good(LANE)
    assert leases.lanes() == {}


def test_what_the_store_no_longer_tells_of_is_lost() -> None:
    leases, clock = held(LANE, Lease(LANE_IDS[4], 7))
    assert leases.keep(LANE_IDS, [LANE], clock() + 9) == [Lease(LANE_IDS[4], 7)]
    assert leases.held() == [LANE]


def test_under_another_epoch_a_lease_is_another() -> None:
    leases, clock = held(LANE)
    again = Lease(LANE.id, 3)
    assert leases.keep(LANE_IDS, [again], clock() + 9) == [LANE]
    assert not leases.good(LANE)
    assert leases.good(again)


def test_kinds_that_were_not_asked_for_are_not_lost() -> None:
    leases, clock = held(LANE)
    assert leases.keep(["account:a"], [Lease("account:a", 1)], clock() + 9) == []
    assert leases.good(LANE)


def test_in_a_lane_that_is_left_nothing_begins_and_what_is_under_way_may_end() -> None:
    leases, _ = held(LANE)
    leases.drain(LANE)
    assert leases.lanes() == {}
    assert leases.good(LANE)
    leases.undrain(LANE)
    assert leases.lanes() == {3: LANE}


def test_what_was_given_away_and_came_back_is_not_left() -> None:
    leases, clock = held(LANE)
    leases.drain(LANE)
    leases.drop(LANE)
    assert not leases.good(LANE)
    back = Lease(LANE.id, 2)
    leases.keep(LANE_IDS, [back], clock() + 9)
    leases.drop(LANE)  # a late word about the old one
    assert leases.lanes() == {3: back}


@given(
    st.lists(st.tuples(st.sets(st.integers(0, 15)), st.floats(0, 5), st.booleans()), max_size=12)
)
def test_one_acts_for_nothing_but_what_was_held_a_moment_ago(
    steps: list[tuple[set[int], float, bool]],
) -> None:
    """Against a plain model: lane by lane, until when it is good."""
    clock = Clock()
    leases = Leases(clock)
    model: dict[int, tuple[int, float]] = {}
    epochs = [0] * 16
    for lanes, pause, answers in steps:
        asked_at = clock()
        clock.seconds += pause  # the store takes its time, or the process was suspended
        if answers:
            for lane in range(16):
                if lane in lanes and lane not in model:
                    epochs[lane] += 1
            model = {lane: (epochs[lane], asked_at + 2.4) for lane in lanes}
            held = [Lease(LANE_IDS[lane], epochs[lane]) for lane in lanes]
            leases.keep(LANE_IDS, held, asked_at + 2.4)
        good = {lane: epoch for lane, (epoch, until) in model.items() if clock() < until}
        assert {lane: lease.epoch for lane, lease in leases.lanes().items()} == good
