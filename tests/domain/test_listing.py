"""What a listing proves: its order, its window, its completeness, how soon it shows a video."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from reelhook.domain.doubt import Known
from reelhook.domain.listing import EXPECTED_MILLISECONDS, ListingFacts
from reelhook.domain.reconciliation import SETTLES_MAX, Others, deadline
from reelhook.domain.report import Entry
from reelhook.domain.request import VideoRequest

from .doubts import (
    CAT,
    DOG,
    FACTS,
    LOOKED_AT,
    NOTHING,
    SETTLE,
    Verdict,
    doubt,
    entry,
    ids,
    judge,
    listing,
    ours,
)
from .samples import MINUTE, NOW

ABSENT = Verdict({}, ("job_1",), NOTHING)
UNKNOWN = Verdict({}, NOTHING, ("job_1",))
WAITS = Verdict()
EARLIER, EARLIEST = NOW - 10 * MINUTE, NOW - 20 * MINUTE
HEN = replace(CAT, prompt="A hen on the roof")
BEFORE = [entry("b", HEN, EARLIER), entry("a", HEN, EARLIEST)]
"""Two entries of ours that are older than the doubt, newest first."""
KNOWN: Mapping[str, Known] = {"b": ours(HEN, EARLIER), "a": ours(HEN, EARLIEST)}
STRANGER = entry("stranger", DOG)
LOST = doubt(after=("a", "b"))


def shown(*entries: Entry, known: Mapping[str, Known] = KNOWN, **more: Any) -> Any:
    return listing([*entries, *BEFORE], known=known, **more)


# -- the window ------------------------------------------------------------------------------------


def test_nothing_above_an_entry_that_is_known_to_be_older_proves_absence() -> None:
    assert judge([LOST], shown()) == ABSENT


def test_what_is_below_it_is_older_whoever_made_it() -> None:
    below = [entry("old", DOG, EARLIEST - 1), entry("older", CAT, EARLIEST - 2)]
    assert judge([LOST], listing([*BEFORE, *below], known=KNOWN, ended=False)) == ABSENT


@pytest.mark.parametrize("prompt", [CAT.prompt, None])
def test_what_shows_the_time_of_that_entry_may_be_newer_though_it_is_below(
    prompt: str | None,
) -> None:
    """SGLang, vLLM-Omni and others sort by whole seconds, those of one second oldest first."""
    lost = entry("lost", CAT, EARLIER)._replace(prompt=prompt)
    entries = [BEFORE[0], lost, BEFORE[1]]
    found = Verdict({"job_1": lost}, NOTHING, NOTHING)
    assert judge([LOST], listing(entries, known=KNOWN)) == (UNKNOWN if prompt is None else found)


def test_entries_of_one_time_to_the_end_of_what_was_read_prove_no_absence() -> None:
    entries = [BEFORE[0], entry("c", HEN, EARLIER)]
    known = {"b": KNOWN["b"], "c": ours(HEN, EARLIER)}
    assert judge([doubt(after=("b",))], listing(entries, known=known, ended=False)) == UNKNOWN


@pytest.mark.parametrize("minutes", [-60, -5, 5, 60])
def test_the_clock_of_the_provider_makes_no_difference(minutes: int) -> None:
    def skewed(*entries: Entry) -> list[Entry]:
        return [
            one._replace(created_at=(one.created_at or 0) + minutes * MINUTE) for one in entries
        ]

    found = judge([LOST], listing(skewed(entry(), *BEFORE), known=KNOWN))
    assert ids(found) == {"job_1": "video_1"}
    assert judge([LOST], listing(skewed(*BEFORE), known=KNOWN)) == ABSENT
    older = skewed(*BEFORE, entry("old", CAT, EARLIEST - 1))
    assert judge([LOST], listing(older, known=KNOWN)) == ABSENT


@pytest.mark.parametrize("prompt", [None, "", "A dog", "***", "A CAT IN THE RAIN", "Un chat"])
def test_an_entry_in_the_window_prevents_the_proof_whatever_prompt_it_shows(
    prompt: str | None,
) -> None:
    assert judge([LOST], shown(STRANGER._replace(prompt=prompt))) == UNKNOWN


def test_below_the_window_only_the_same_prompt_without_a_time_prevents_it() -> None:
    timeless = entry("timeless", CAT, None)
    assert judge([LOST], listing([*BEFORE, timeless], known=KNOWN)) == UNKNOWN
    assert judge([LOST], listing([*BEFORE, timeless._replace(prompt="x")], known=KNOWN)) == ABSENT
    older = timeless._replace(created_at=EARLIEST)
    assert judge([LOST], listing([*BEFORE, older], known=KNOWN)) == ABSENT


@pytest.mark.parametrize("prompt", ["A cat ", "A CAT IN THE RAIN!", "***", None])
def test_below_the_window_an_altered_prompt_without_a_time_prevents_it_as_well(
    prompt: str | None,
) -> None:
    # The order of ours may be an accident, and the listing shows no prompt of ours unchanged.
    altered = [one._replace(prompt=(one.prompt or "")[:6], created_at=None) for one in BEFORE]
    timeless = entry("timeless", CAT, None)._replace(prompt=prompt)
    assert judge([LOST], listing([*altered, timeless], known=KNOWN)) == UNKNOWN


def test_below_the_window_a_prompt_in_another_form_without_a_time_prevents_it_as_well() -> None:
    escaped = entry("timeless", CAT, None)._replace(prompt="A cat in the rain!")
    assert judge([LOST], listing([*BEFORE, escaped], known=KNOWN)) == UNKNOWN


def test_in_another_order_the_whole_listing_is_the_window_and_read_to_its_end() -> None:
    backwards = [*reversed(BEFORE), entry("new", DOG, NOW)]
    assert judge([LOST], listing(backwards, known=KNOWN)) == UNKNOWN
    assert judge([LOST], listing(backwards[:2], known=KNOWN)) == ABSENT
    assert judge([LOST], listing(backwards[:2], known=KNOWN, ended=False)) == UNKNOWN


def test_by_the_time_of_a_change_is_no_order() -> None:
    # The older of ours was changed last, and the lost one has ended long ago.
    by_change = [BEFORE[1], BEFORE[0], entry("ended", DOG, NOW)]
    assert judge([LOST], listing(by_change, known=KNOWN)) == UNKNOWN


def test_one_entry_of_ours_alone_shows_no_order() -> None:
    below = entry("below", DOG, None)
    one = listing([BEFORE[0]._replace(created_at=None), below], known={"b": KNOWN["b"]})
    assert judge([doubt(after=("b",))], one) == UNKNOWN


def test_times_that_rise_further_down_show_that_there_is_no_order() -> None:
    later = entry("later", DOG, EARLIER + MINUTE)
    assert judge([LOST], listing([*BEFORE, later], known=KNOWN)) == UNKNOWN


def test_what_was_there_when_the_listing_was_first_read_is_older_than_all_of_ours() -> None:
    facts = replace(FACTS, first_id="theirs", first_read_at=EARLIEST - MINUTE)
    history = [entry("theirs", CAT, EARLIEST - 2 * MINUTE), entry("first", DOG, 0)]
    lost = doubt(after=("theirs",))
    mine = {"a": KNOWN["a"]}
    assert judge([lost], listing([BEFORE[1], *history], known=mine, facts=facts)) == ABSENT
    # Ours below what was there before: this is no order.
    mixed = [history[0], BEFORE[1], history[1]]
    assert judge([lost], listing(mixed, known=mine, facts=facts)) == UNKNOWN


def test_a_listing_that_was_empty_has_only_what_came_later() -> None:
    facts = replace(FACTS, first_id="")
    lost = doubt(after=())
    long_ago = entry(created_at=NOW - 1000 * MINUTE)  # by a clock that is off
    assert ids(judge([lost], listing([long_ago], facts=facts))) == {"job_1": "video_1"}
    assert judge([lost], listing([], facts=facts)) == ABSENT


# -- which entries ---------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"model": "sora-2-pro"}, {"seconds": "8"}, {"size": "1x1"}])
def test_a_difference_counts_where_ours_show_the_same_value_unchanged(change: Any) -> None:
    assert judge([LOST], shown(STRANGER._replace(**change))) == ABSENT
    # The same value of ours is shown as another one, so it may be anything.
    altered = [one._replace(**change) for one in BEFORE]
    mine = listing([STRANGER._replace(**change), *altered], known=KNOWN)
    assert judge([LOST], mine) == UNKNOWN
    # Ours asked for another value, or did not care.
    for asked in (
        {"model": "other", "seconds": "12", "size": "9x9"},
        {"seconds": None, "size": None},
    ):
        request = replace(HEN, **asked)
        known = {"b": ours(request, EARLIER), "a": ours(request, EARLIEST)}
        entries = [
            STRANGER._replace(**change),
            *(entry(one, request, at) for one, at in (("b", EARLIER), ("a", EARLIEST))),
        ]
        if asked["seconds"] is None and "model" in change:
            continue  # they asked for the same model, and it is shown
        assert judge([LOST], listing(entries, known=known)) == UNKNOWN


def test_a_prompt_that_equals_another_one_cut_off_is_the_others_and_proves_nothing() -> None:
    short, long = replace(CAT, prompt="A cat"), replace(CAT, prompt="A cat and a dog on the roof")
    in_doubt = [replace(LOST, request=long), replace(LOST, job_id="short", request=short)]
    there = entry("there", short)
    both = judge(in_doubt, shown(there))  # "A hen on the roof" is shown in full, and longer
    assert both == Verdict({"short": there}, ("job_1",), NOTHING)
    brief = replace(CAT, prompt="Hen")
    known = {"b": ours(brief, EARLIER), "a": ours(brief, EARLIEST)}
    entries = [there, entry("b", brief, EARLIER), entry("a", brief, EARLIEST)]
    both = judge(in_doubt, listing(entries, known=known))
    assert both == Verdict({"short": there}, NOTHING, ("job_1",))


def test_a_prompt_that_was_adopted_before_counts_as_well() -> None:
    long = replace(CAT, prompt="A cat and a dog on the roof")
    adopted = {"there": ours(replace(CAT, prompt="A cat"), NOW, created=False)}
    brief = replace(CAT, prompt="Hen")
    known = {"b": ours(brief, EARLIER), "a": ours(brief, EARLIEST), **adopted}
    entries = [
        entry("there", replace(CAT, prompt="A cat")),
        *(entry(one, brief, at) for one, at in (("b", EARLIER), ("a", EARLIEST))),
    ]
    assert judge([replace(LOST, request=long)], listing(entries, known=known)) == UNKNOWN


@pytest.mark.parametrize(
    "script", ["Un cafe\u0301", "Un caf\u00e9", "Un  caf\u00e9!", "Un caf&eacute;"]
)
def test_prompts_that_differ_only_in_form_are_never_told_apart(script: str) -> None:
    other = replace(CAT, prompt="Un café.")
    request = replace(CAT, prompt=script)
    in_doubt = [replace(LOST, request=request), replace(LOST, job_id="other", request=other)]
    told = judge(in_doubt, shown(entry("there", other)))
    assert told == Verdict({"other": entry("there", other)}, NOTHING, ("job_1",))


# -- completeness ----------------------------------------------------------------------------------


def test_an_entry_of_ours_that_is_missing_shows_that_others_may_be() -> None:
    newer = {"c": NOW - MINUTE}
    assert judge([LOST], shown(expected=newer)) == UNKNOWN
    later = {**KNOWN, "c": ours(HEN, NOW - MINUTE)}
    assert judge([LOST], shown(entry("c", HEN, NOW), known=later, expected=newer)) == ABSENT


def test_what_is_older_than_the_oldest_of_ours_in_it_need_not_be_there() -> None:
    # A server that was restarted has forgotten what it had before.
    long_ago = {"z": EARLIEST - MINUTE}
    assert judge([LOST], shown(expected=long_ago, ended=False)) == ABSENT
    assert judge([LOST], shown(expected=long_ago)) == ABSENT
    assert EXPECTED_MILLISECONDS == 24 * 60 * MINUTE


def test_without_an_entry_that_is_older_all_of_ours_must_be_there() -> None:
    forgotten = replace(LOST, after=("y", "z"))
    newer = {"a": KNOWN["a"], "b": KNOWN["b"]}
    assert judge([forgotten], shown(known=newer, expected={"z": EARLIEST - MINUTE})) == UNKNOWN
    assert judge([forgotten], shown(known=newer)) == ABSENT


def test_the_newest_entries_alone_prove_nothing() -> None:
    newer = [entry(f"n{number}", HEN, LOOKED_AT - number) for number in range(10)]
    known = {one.provider_job_id: ours(HEN, one.created_at or 0) for one in newer}
    assert judge([LOST], listing(newer, known=known)) == UNKNOWN


@pytest.mark.parametrize(
    "facts",
    [
        replace(FACTS, models=frozenset()),
        replace(FACTS, models=frozenset({"other"})),
        replace(FACTS, delay_max=None),
        ListingFacts("here"),
    ],
)
def test_a_listing_that_was_not_measured_proves_nothing(facts: ListingFacts) -> None:
    patient = replace(LOST, since=LOOKED_AT - 2 * SETTLE)
    assert judge([patient], shown(facts=facts)) == UNKNOWN


def test_a_proof_needs_the_whole_listing_which_is_read_again_until_then() -> None:
    since = LOOKED_AT - round(SETTLES_MAX * SETTLE)
    assert judge([replace(LOST, since=since)], shown(readable=False)) == UNKNOWN
    later = replace(LOST, since=since + 1)
    assert judge([later], shown(readable=False)) == WAITS
    assert judge([later], shown()) == ABSENT


def test_a_partial_listing_is_read_again_once_a_slow_one_would_have_proven_absence() -> None:
    facts, shortest = replace(FACTS, delay_max=MINUTE), 305_000
    for waited, verdict in ((shortest + SETTLE - 1, WAITS), (shortest + SETTLE, UNKNOWN)):
        lost = replace(LOST, since=LOOKED_AT - waited)
        assert judge([lost], shown(readable=False, facts=facts)) == verdict


def test_a_proof_needs_the_listing_of_the_right_server() -> None:
    lost = replace(LOST, same_server=False)
    assert judge([lost], shown()) == UNKNOWN
    assert ids(judge([lost], shown(entry()))) == {"job_1": "video_1"}  # found all the same


# -- how soon it shows a video ---------------------------------------------------------------------


@pytest.mark.parametrize(("delay", "seconds"), [(0, 60), (10_000, 60), (12_000, 65), (60_000, 305)])
def test_absence_waits_well_beyond_the_longest_delay(delay: int, seconds: int) -> None:
    facts = replace(FACTS, delay_max=delay)
    due = LOOKED_AT - seconds * 1000
    assert judge([replace(LOST, since=due + 1)], shown(facts=facts)) == WAITS
    assert judge([replace(LOST, since=due)], shown(facts=facts)) == ABSENT
    assert deadline(replace(LOST, since=due), delay, SETTLE) == LOOKED_AT


def test_a_later_entry_of_ours_shortens_the_wait_but_not_below_twice_the_delay() -> None:
    facts = replace(FACTS, delay_max=MINUTE)
    for waited, verdict in ((2 * MINUTE - 1, WAITS), (2 * MINUTE, ABSENT)):
        since = LOOKED_AT - waited
        later = {**KNOWN, "c": ours(HEN, since + 1)}
        entries = shown(entry("c", HEN, since + 1), known=later, facts=facts)
        assert judge([replace(LOST, since=since)], entries) == verdict


def test_a_later_entry_shows_it_too_where_no_delay_was_measured() -> None:
    facts = replace(FACTS, delay_max=None)
    since = LOOKED_AT - 2 * SETTLE
    later = {**KNOWN, "c": ours(HEN, since + 1)}
    entries = shown(entry("c", HEN, since + 1), known=later, facts=facts)
    assert judge([replace(LOST, since=since)], entries) == ABSENT


# -- whose -----------------------------------------------------------------------------------------


def test_an_identical_create_of_another_account_prevents_adoption_and_proof() -> None:
    others = Others(elsewhere=[CAT], open=True)
    assert judge([LOST], shown(entry()), others) == WAITS
    assert judge([LOST], shown(), others) == WAITS
    for_long = replace(LOST, since=LOOKED_AT - 2 * SETTLE)
    assert judge([for_long], shown(entry()), others) == UNKNOWN
    assert judge([for_long], shown(), others) == UNKNOWN
    assert judge([LOST], shown(), Others(elsewhere=[DOG], open=True)) == ABSENT


def test_an_entry_that_another_open_create_may_own_is_waited_for() -> None:
    assert judge([LOST], shown(STRANGER), Others(open=True)) == WAITS
    for_long = replace(LOST, since=LOOKED_AT - 2 * SETTLE)
    assert judge([for_long], shown(STRANGER), Others(open=True)) == UNKNOWN


def test_an_entry_that_a_job_without_an_answer_left_prevents_nothing() -> None:
    assert judge([LOST], shown(STRANGER), Others(ended=[DOG])) == ABSENT
    assert judge([LOST], shown(STRANGER, entry("second", DOG)), Others(ended=[DOG])) == UNKNOWN


def test_images_are_compared_by_what_stands_for_them() -> None:
    first = VideoRequest("A cat", "sora-2", image="hash 1")
    in_doubt = [replace(LOST, request=first)]
    other = Others(ended=[replace(first, image="hash 2")])
    there = entry("there", first)
    assert judge(in_doubt, shown(there), other) == UNKNOWN
    assert ids(judge(in_doubt, shown(there), Others(ended=[first]))) == {"job_1": "there"}
