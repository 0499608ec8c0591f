"""Marks: which listing entries they settle, and that a listing can't make them say too much."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.doubt import Doubt, Known
from reelhook.domain.listing import Listing
from reelhook.domain.model_mark import marked, unmarked
from reelhook.domain.reconciliation import resolve
from reelhook.domain.report import Entry
from reelhook.domain.request import VideoRequest

from .doubts import CAT, FACTS, LOOKED_AT, NONE, NOTHING, RUNNING, SETTLE, Verdict, doubt, judge
from .doubts import listing as listing_of
from .samples import MINUTE, NOW

JOB = "job_01kc3v9q2f0123456789abcdef"


# -- the name -------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["m", "Wan-AI/Wan2.1-T2V", "a#b", "a#", "#", "job_1", " ", "é\n"])
def test_a_mark_is_read_as_it_was_written(model: str) -> None:
    assert unmarked(marked(model, JOB)) == (model, JOB)


@pytest.mark.parametrize(
    "name", ["", "m", "a#b", "m#job_1", f"#{JOB}", f"m#{JOB}x", f"m#{JOB.upper()}", f"m{JOB}"]
)
def test_a_name_without_a_mark_stays_as_it_is(name: str) -> None:
    assert unmarked(name) == (name, None)


# -- a look ---------------------------------------------------------------------------------------


def shown(number: int, mark: str | None, model: str = CAT.model) -> Entry:
    """Return an entry of a listing that shows no prompt."""
    return Entry(f"video_{number}", RUNNING, created_at=NOW, model=model, mark=mark)


def made(job_id: str, *, bears_mark: bool = True, request: VideoRequest = CAT) -> Known:
    at = NOW - MINUTE
    return Known(True, at, at, request, job_id, bears_mark)


def sent(job_id: str, request: VideoRequest = CAT) -> Doubt:
    return replace(doubt(job_id, request), marked=True)


def test_an_entry_with_its_mark_is_the_doubt_s_own() -> None:
    entries = [shown(3, "job_2"), shown(2, None), shown(1, "job_1")]
    told = judge([sent("job_1"), sent("job_2")], listing_of(entries))
    assert told == Verdict({"job_1": entries[2], "job_2": entries[0]})


def test_it_is_found_at_once_and_wherever_it_stands() -> None:
    young = replace(doubt("job_1", settled=False), marked=True, after=("video_2",))
    entries = [shown(2, None), shown(1, "job_1")]
    assert judge([young], listing_of(entries)).found == {"job_1": entries[1]}


def test_an_entry_with_another_mark_stands_against_no_absence() -> None:
    assert judge([doubt("job_1")], listing_of([shown(1, "job_of_others")])).absent == ("job_1",)


def test_an_entry_without_a_mark_stands_against_it_until_marks_are_known_to_be_shown() -> None:
    stranger = shown(1, None)
    assert judge([sent("job_1")], listing_of([stranger])).unknown == ("job_1",)
    entries, known = [stranger, shown(0, "job_0")], {"video_0": made("job_0")}
    assert judge([sent("job_1")], listing_of(entries, known=known)).absent == ("job_1",)
    # Its own create bore none: the entry may be its.
    assert judge([doubt("job_1")], listing_of(entries, known=known)).unknown == ("job_1",)


@pytest.mark.parametrize(
    "before",
    [
        {"video_0": (made("job_0"), None)},  # dropped
        {"video_0": (made("job_0"), "job_x")},  # another
        {"video_0": (made("job_0", bears_mark=False), None)},  # none was sent
        {"video_0": (made("job_0"), "job_0"), "video_9": (made("job_9"), None)},
        {"video_0": (made("job_0", request=replace(CAT, model="m")), "job_0")},  # a shorter name
    ],
)
def test_where_a_listing_may_drop_marks_an_entry_without_one_may_be_ours(
    before: dict[str, tuple[Known, str | None]],
) -> None:
    entries = [shown(1, None)]
    entries += [Entry(one, RUNNING, created_at=NOW, mark=mark) for one, (_, mark) in before.items()]
    known = {one: what for one, (what, _) in before.items()}
    assert judge([sent("job_1")], listing_of(entries, known=known)).unknown == ("job_1",)


# -- listings without prompts, honest and not ------------------------------------------------------


@dataclass(frozen=True)
class Create:
    """A create; `ours` is answered or in doubt, a stranger's is neither."""

    number: int
    ours: bool
    made: bool
    answered: bool
    bears_mark: bool

    @property
    def job_id(self) -> str:
        return f"job_{self.number}"


fates = st.sampled_from(  # ours, made, answered
    [(True, True, True), (True, True, False), (True, False, False), (False, True, False)]
)
histories = st.lists(st.tuples(fates, st.booleans()), max_size=8).map(
    lambda drawn: [Create(n, *fate, bears) for n, (fate, bears) in enumerate(drawn)]
)
Show = Callable[[list[Entry]], list[Entry]]
shows: list[Show] = [
    list,
    lambda entries: [one._replace(mark=None) for one in entries],
    lambda entries: [one._replace(model="sora-2#job_01", mark=None) for one in entries],
    lambda entries: entries[::-1],
    lambda entries: [one._replace(model="sora-2", mark=None) for one in entries],
]


@given(histories, st.sampled_from(shows))
def test_no_create_that_was_carried_out_is_called_absent(history: list[Create], show: Show) -> None:
    entries = show(
        [
            shown(one.number, one.job_id if one.ours and one.bears_mark else None)
            for one in reversed(history)
            if one.made
        ]
    )
    answered = {f"video_{one.number}": one for one in history if one.ours and one.answered}
    known = {name: made(one.job_id, bears_mark=one.bears_mark) for name, one in answered.items()}
    in_doubt = [
        replace(doubt(one.job_id), marked=one.bears_mark)
        for one in history
        if one.ours and not one.answered
    ]
    told = resolve(
        in_doubt,
        Listing(
            tuple(entries),
            ended=True,
            readable=True,
            read_at=LOOKED_AT,
            facts=FACTS,
            known=known,
        ),
        now=LOOKED_AT,
        settle_milliseconds=SETTLE,
        others=NONE,
    )
    carried_out = {one.job_id for one in history if one.made}
    assert carried_out.isdisjoint(told.absent)
    if show is shows[0]:
        bearing = {one.job_id for one in history if one.ours and one.made and one.bears_mark}
        assert bearing & {one.job_id for one in in_doubt} <= told.found.keys()
    for job_id, entry in told.found.items():
        assert entry.provider_job_id == f"video_{job_id.removeprefix('job_')}"


def test_what_is_not_there_is_absent_among_many_that_bear_marks() -> None:
    entries = [shown(n, f"job_{n}" if n % 2 else None) for n in range(9, 0, -1)]
    known = {"video_1": made("job_1")}
    told = judge([sent("job_10"), sent("job_5")], listing_of(entries, known=known))
    assert told.absent == ("job_10",)
    assert set(told.found) == {"job_5"}
    assert told.unknown == NOTHING
