"""Items that share no conflict key may run concurrently; the others keep their order."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.storage.operation import (
    ConflictKeys,
    Operation,
    Statement,
    StatementBatch,
    concurrently,
    conflict_free_batches,
    query,
)

Work = tuple[str, ConflictKeys]


def arranged(works: Iterable[Work]) -> list[str]:
    found = conflict_free_batches(list(works), lambda work: work[1])
    return ["".join(name for name, _ in batch) for batch in found]


def test_items_without_a_common_key_share_a_batch() -> None:
    assert arranged([("a", "1"), ("b", "2"), ("c", "34")]) == ["abc"]


def test_a_work_waits_for_those_before_it_that_touch_the_same() -> None:
    works = [("a", "1"), ("b", "12"), ("c", "3"), ("d", "2"), ("e", "1")]
    assert arranged(works) == ["ac", "b", "de"]


def test_a_work_that_may_touch_anything_is_alone_and_passed_by_none() -> None:
    works = [("a", "1"), ("b", None), ("c", "2"), ("d", None), ("e", "1")]
    assert arranged(works) == list("abcde")


TOUCHES = st.none() | st.sets(st.integers(0, 3), max_size=3)


@given(st.lists(TOUCHES, max_size=12))
def test_every_work_has_one_place_and_conflicts_keep_their_order(
    touched: list[ConflictKeys],
) -> None:
    found = conflict_free_batches(list(enumerate(touched)), lambda work: work[1])
    place = {number: batch for batch, works in enumerate(found) for number, _ in works}
    assert sorted(place) == list(range(len(touched)))
    for later, mine in enumerate(touched):
        for earlier, others in enumerate(touched[:later]):
            if mine is None or others is None or set(mine) & set(others):
                assert place[earlier] < place[later]


# -- side by side ----------------------------------------------------------------------------------


def asking(*questions: str) -> Operation[list[str]]:
    answers = []
    for question in questions:
        rows = yield Statement(question)
        answers.append(rows[0][0])
    return answers


def both(*questions: str) -> Operation[list[str]]:
    found = yield from concurrently([query(question) for question in questions])
    return [rows[0][0] for rows in found]


def run(operation: Operation[list[list[str]]]) -> tuple[list[list[str]], list[list[str]]]:
    """Answer each question in capitals; return the result and what was asked together."""
    asked: list[list[str]] = []
    answer: object = None
    while True:
        try:
            step = operation.send(answer)  # type: ignore[arg-type] # whatever was asked for
        except StopIteration as stop:
            return stop.value, asked
        assert isinstance(step, StatementBatch)
        asked.append([one.sql for one in step.statements])
        answer = [[(one.sql.upper(),)] for one in step.statements]


def test_the_next_statements_of_all_go_together_until_the_longest_ends() -> None:
    result, asked = run(concurrently([asking("a", "b", "c"), asking(), asking("d", "e")]))
    assert result == [["A", "B", "C"], [], ["D", "E"]]
    assert asked == [["a", "d"], ["b", "e"], ["c"]]


def test_a_batch_within_an_operation_joins_those_of_the_others() -> None:
    result, asked = run(concurrently([both("a", "b"), asking("c", "d"), both()]))
    assert result == [["A", "B"], ["C", "D"], []]
    assert asked == [["a", "b", "c"], ["d"]]


def test_nothing_at_all_is_done_at_once() -> None:
    assert run(concurrently([])) == ([], [])


def test_a_failure_ends_all() -> None:
    def failing() -> Operation[list[str]]:
        yield Statement("a")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(concurrently([asking("b", "c"), failing()]))
