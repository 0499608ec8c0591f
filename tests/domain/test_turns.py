"""Turns: shares by weight, priority and age among equals, and places that come true."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.turns import STEP, Head, Line, QueueKey, Turns, merged


def keys(project: str, count: int, *, at: int = 0, urgency: int = 0) -> list[QueueKey]:
    return [QueueKey(urgency, at + number, f"{project}{number}") for number in range(count)]


def order(turns: Turns, waiting: dict[str, list[QueueKey]]) -> list[str]:
    return [key.job_id for key in first(turns, waiting)]


def first(turns: Turns, waiting: dict[str, list[QueueKey]], limit: int = 999) -> list[QueueKey]:
    """Return the first jobs, from heads that have all of them."""
    keys, unclear = turns.first({project: Head(one) for project, one in waiting.items()}, limit)
    assert not unclear
    return keys


def test_projects_take_turns_however_many_jobs_one_has() -> None:
    turns = Turns([Line("a"), Line("b")], 0)
    waiting = {"a": keys("a", 5), "b": keys("b", 2, at=100)}
    assert order(turns, waiting) == ["a0", "b0", "a1", "b1", "a2", "a3", "a4"]


def test_a_project_that_comes_back_is_next_and_has_saved_up_nothing() -> None:
    turns = Turns([Line("a", 70 * STEP), Line("b", 3 * STEP)], 70 * STEP)
    waiting = {"a": keys("a", 3), "b": keys("b", 3, at=100)}
    assert order(turns, waiting) == ["b0", "a0", "b1", "a1", "b2", "a2"]


def test_a_weight_is_a_share() -> None:
    turns = Turns([Line("a"), Line("b", weight=3)], 0)
    begun = first(turns, {"a": keys("a", 100), "b": keys("b", 100)}, 80)
    assert Counter(key.job_id[0] for key in begun) == {"a": 20, "b": 60}


def test_of_one_round_the_urgent_is_first_then_the_oldest() -> None:
    turns = Turns([Line("a"), Line("b"), Line("c")], 0)
    waiting = {
        "a": keys("a", 1, at=2),
        "b": keys("b", 1, at=1),
        "c": keys("c", 1, at=3, urgency=-1),
    }
    assert order(turns, waiting) == ["c0", "b0", "a0"]


COUNTS = st.dictionaries(
    st.sampled_from("abcd"),
    st.tuples(st.integers(1, 6), st.integers(1, 3), st.none() | st.integers(0, 9 * STEP)),
    min_size=1,
)


@given(COUNTS, st.integers(0, 9 * STEP))
def test_jobs_that_are_taken_one_by_one_come_in_the_order_that_was_foretold(
    projects: dict[str, tuple[int, int, int | None]], latest: int
) -> None:
    lines = [Line(name, turn, weight) for name, (_, weight, turn) in projects.items()]
    latest = max(latest, *(line.turn or 0 for line in lines))
    turns = Turns(lines, latest)
    waiting = {name: keys(name, count) for name, (count, _, _) in projects.items()}
    foretold = order(turns, waiting)
    for place, job_id in enumerate(foretold):
        name = job_id[0]
        number = int(job_id[1:])
        before = 0
        for other, theirs in waiting.items():
            if other != name:
                count, tie = turns.count_before(other, turns.place(name, number))
                before += min(count, len(theirs))
                before += tie and count < len(theirs) and theirs[count] < waiting[name][number]
        assert number + before == place
    for job_id in foretold:
        assert order(turns, waiting)[0] == job_id
        turns.take(job_id[0])
        waiting[job_id[0]].pop(0)


KEYS = st.lists(
    st.builds(QueueKey, st.integers(-1, 1), st.integers(0, 3), st.sampled_from("uvwxyz")),
    max_size=9,
    unique=True,
).map(sorted)


@given(
    st.dictionaries(
        st.sampled_from("abcd"),
        st.tuples(KEYS, KEYS, st.integers(1, 3), st.none() | st.integers(0, 3 * STEP)),
        min_size=1,
    ),
    st.integers(1, 12),
    st.data(),
)
def test_heads_that_leave_nothing_unclear_give_the_order_of_all_jobs(
    projects: dict[str, tuple[list[QueueKey], list[QueueKey], int, int | None]],
    limit: int,
    data: st.DataObject,
) -> None:
    lines = [Line(name, turn, weight) for name, (_, _, weight, turn) in projects.items()]
    turns = Turns(lines, max(line.turn or 0 for line in lines))
    everything = {name: sorted([*here, *there]) for name, (here, there, *_) in projects.items()}
    expected = sorted(
        (turns.place(name, number), key)
        for name, waiting in everything.items()
        for number, key in enumerate(waiting)
    )[:limit]
    sizes = {name: data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9))) for name in projects}
    heads = {
        name: merged(
            [
                Head(waiting[:size], len(waiting) >= size)
                for waiting, size in zip(projects[name][:2], sizes[name], strict=True)
            ]
        )
        for name in projects
    }
    found, unclear = turns.first(heads, limit)
    assert unclear or found == [key for _, key in expected]
    assert set(unclear) <= {name for name, head in heads.items() if head.more}
    for name in unclear:  # so reading more of it can't read much more than `limit` in all
        assert set(heads[name].keys) <= set(found)
