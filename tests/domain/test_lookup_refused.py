"""Creates that were refused: when a listing is believed that does not show them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.doubt import Doubt, Known
from reelhook.domain.listing import Listing, ListingFacts
from reelhook.domain.reconciliation import deadline, given_up_at, resolve, settled_at
from reelhook.domain.report import Entry
from reelhook.domain.request import VideoRequest

from .doubts import CAT, FACTS, SETTLE, Verdict, doubt, entry, judge, listing, ours
from .samples import NOW
from .test_listing_model import SECOND, Create, History, entries, histories, paid_twice

STEP = 7 * SECOND


def asked_again(one: Create, refused: bool) -> Doubt:
    return Doubt(one.id, one.request, one.at, one.at + SECOND, (), ended=refused)


def latest_appearance(one: Doubt, delay: int) -> int:
    """Return until when an entry may appear that the listing shows as late as it ever did."""
    return max(settled_at(one, SETTLE), one.since + 2 * delay)


def shown_at(now: int, history: History, in_doubt: dict[str, Doubt], delay: int) -> list[Entry]:
    late = {one: latest_appearance(in_doubt[one], delay) - 1 for one in in_doubt}
    visible = [one for one in history if late.get(one.id, one.at) <= now]
    return entries(visible)


@given(
    histories(strangers=False),
    st.sampled_from([0, 2 * SECOND, 40 * SECOND]),
    st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_at_no_moment_is_a_create_called_absent_whose_entry_still_appears(
    history: History, delay: int, refused: list[bool]
) -> None:
    answered = [one for one in history if one.ours and one.answered]
    in_doubt = {
        one.id: asked_again(one, ended)
        for one, ended in zip(history, refused, strict=False)
        if one.ours and not one.answered
    }
    known = {one.id: Known(True, one.at, one.at + SECOND, one.request) for one in answered}
    left, absent = dict(in_doubt), set[str]()
    for now in range(history[-1].at, history[-1].at + 4 * SETTLE + 15 * delay, STEP):
        shown = Listing(
            tuple(shown_at(now, history, in_doubt, delay)),
            ended=True,
            readable=True,
            read_at=now,
            facts=ListingFacts("here", first_id="", delay_max=delay, models=frozenset({"sora-2"})),
            known=known,
        )
        told = resolve(list(left.values()), shown, now=now, settle_milliseconds=SETTLE)
        for job_id, found in told.found.items():
            one = left.pop(job_id)
            known[found.provider_job_id] = Known(False, one.sent_at, now, one.request)
        for job_id in (*told.absent, *told.unknown):
            del left[job_id]
        absent.update(told.absent)
        assert not paid_twice(history, absent)
    assert not left


def test_an_entry_that_another_job_adopted_may_be_the_doubt_s_own() -> None:
    # The other job asked for a size, this one for a length. The entry that is left fits the other.
    long, wide = replace(CAT, seconds="8", size=None), replace(CAT, seconds=None)
    shown = [
        entry("video_3", replace(CAT, seconds="4"), NOW + 2 * SECOND),
        entry("video_2", replace(CAT, seconds="8"), NOW + SECOND),
        entry("video_1", replace(CAT, seconds="8"), NOW - SECOND),
    ]
    known = {"video_1": ours(long, NOW - SECOND), "video_2": ours(wide, NOW, created=False)}
    lost = Doubt("long", long, NOW, NOW, ())
    assert judge([lost], listing(shown, known=known)) == Verdict(unknown=("long",))
    assert judge([lost], listing(shown[1:], known=known)) == Verdict(absent=("long",))


@pytest.mark.parametrize("ended", [True, False])
def test_a_server_s_own_refusal_is_decided_sooner_than_a_gateway_s(ended: bool) -> None:
    one = Doubt("job_1", doubt().request, NOW, NOW, (), ended=ended)
    wait = SETTLE // 4 if ended else SETTLE
    for now, absent in ((NOW + wait - 1, ()), (NOW + wait, ("job_1",))):
        told = resolve([one], listing(), now=now, settle_milliseconds=SETTLE)
        assert told.absent == absent


def test_a_measured_delay_counts_for_it_all_the_same() -> None:
    one = Doubt("job_1", doubt().request, NOW, NOW, (), ended=True)
    assert deadline(one, 20 * SECOND, SETTLE) == NOW + 105 * SECOND


def test_a_doubt_that_nothing_can_resolve_is_given_up_in_time() -> None:
    facts = ListingFacts("here", first_id="", delay_max=10 * 60 * SECOND)  # never showed ours
    one = doubt()
    due = given_up_at(one, SETTLE)
    for now, unknown in ((due - 1, []), (due, ["job_1"])):
        told = resolve([one], listing(facts=facts), now=now, settle_milliseconds=SETTLE)
        assert list(told.unknown) == unknown


def test_a_proof_that_lacks_time_alone_is_waited_for() -> None:
    one = doubt()
    facts = ListingFacts("here", "", 0, 60 * SECOND, FACTS.models)
    for now, absent in (
        (given_up_at(one, SETTLE), ()),
        (deadline(one, 60 * SECOND, SETTLE), ("job_1",)),
    ):
        told = resolve([one], listing(facts=facts), now=now, settle_milliseconds=SETTLE)
        assert (told.absent, told.unknown) == (absent, {})


def test_younger_ones_of_the_same_request_keep_nobody_waiting_for_ever() -> None:
    request = VideoRequest("A fox", "sora-2")
    since = NOW - given_up_at(doubt(request=request), SETTLE) + doubt().since
    old, young = (Doubt(name, request, at, at, ()) for name, at in (("old", since), ("new", NOW)))
    told = resolve([old, young], listing(), now=NOW, settle_milliseconds=SETTLE)
    assert told.absent == ("old",)
