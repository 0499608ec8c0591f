from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.doubt import Doubt
from reelhook.domain.reconciliation import resolve
from reelhook.domain.report import Entry
from reelhook.domain.request import VideoRequest

from .doubts import (
    CAT,
    DOG,
    FACTS,
    LOOKED_AT,
    NOTHING,
    RUNNING,
    SETTLE,
    Verdict,
    doubt,
    entry,
    judge,
    listing,
    look,
    ours,
)
from .samples import MINUTE, NOW

# -- absent ----------------------------------------------------------------------------------------

STRANGER = entry("stranger", DOG)


def test_absence_is_proven_when_all_conditions_hold() -> None:
    assert look([doubt()], []) == Verdict({}, ("job_1",), NOTHING)


def test_before_the_settle_time_nothing_is_proven_and_nothing_given_up() -> None:
    for proven in (True, False):
        resolution = look([doubt(settled=False)], [STRANGER], proven=proven)
        assert resolution == Verdict({}, NOTHING, NOTHING)


def test_a_listing_that_was_never_seen_to_show_our_jobs_proves_nothing() -> None:
    assert look([doubt()], [STRANGER], proven=False) == Verdict({}, NOTHING, ("job_1",))


LONG = replace(CAT, prompt="A very long story about a cat that walks through the rain at night")


@pytest.mark.parametrize(
    ("request_", "left_over"),
    [
        (CAT, STRANGER._replace(prompt=None)),
        (CAT, STRANGER._replace(prompt="")),
        (CAT, STRANGER._replace(prompt=" \n")),
        (CAT, STRANGER._replace(prompt=None, created_at=None)),
        (CAT, entry()._replace(model="sora-2-2026-01-01")),
        (CAT, entry()._replace(seconds="5")),
        (CAT, entry()._replace(size="704x1280")),
        (CAT, entry()._replace(prompt="  A cat\nin the  rain ", seconds="5")),
        (CAT, entry()._replace(prompt=" A cat in the rain")),
        (LONG, entry()._replace(prompt=LONG.prompt[:30])),
        (LONG, entry()._replace(prompt=LONG.prompt[:30] + "...")),
        (LONG, entry()._replace(prompt=LONG.prompt[:30] + "…")),
    ],
    ids=[
        *("no prompt", "empty prompt", "blank prompt", "no prompt, no time"),
        *("other model", "other seconds", "other size", "spaces and seconds", "leading space"),
        *("cut", "cut with dots", "cut with an ellipsis"),
    ],
)
def test_an_entry_that_may_be_ours_in_other_words_proves_nothing(
    request_: VideoRequest, left_over: Entry
) -> None:
    resolution = look([doubt(request=request_)], [STRANGER, left_over])
    assert resolution == Verdict({}, NOTHING, ("job_1",))


@pytest.mark.parametrize(
    ("page", "named"),
    [("https://replicate.com/p/2", "https://replicate.com/p/2"), (None, "video_2")],
)
def test_a_person_is_told_which_entry_may_be_ours(page: str | None, named: str) -> None:
    maybe = entry("video_2")._replace(prompt=None, page=page)
    told = resolve([doubt()], listing([STRANGER, maybe]), now=LOOKED_AT, settle_milliseconds=SETTLE)
    assert named in told.unknown["job_1"]


def test_an_entry_that_another_doubt_claimed_stands_against_no_absence() -> None:
    in_doubt = [doubt("job_1"), doubt("job_2", replace(CAT, seconds="8"))]
    known = {"video_0": ours(DOG, NOW - MINUTE)}
    shown = listing([entry(), entry("video_0", DOG)], known=known)
    assert judge(in_doubt, shown) == Verdict({"job_1": entry()}, ("job_2",), NOTHING)
    # Where no entry of ours shows its length unchanged, four seconds may have been eight.
    assert look(in_doubt, [entry()]) == Verdict({"job_1": entry()}, NOTHING, ("job_2",))


def test_a_request_without_a_model_may_be_of_any() -> None:
    unnamed = replace(CAT, model="")
    models = FACTS.with_model("")
    found = judge([doubt(request=unnamed)], listing([entry()], facts=models))
    assert found == Verdict({"job_1": entry()})
    stranger = entry()._replace(prompt=None)
    assert judge([doubt(request=unnamed)], listing([stranger], facts=models)).unknown == ("job_1",)
    known = {"video_0": ours(replace(DOG, model=""), NOW - MINUTE)}
    shown = listing([stranger, entry("video_0", DOG)], facts=models, known=known)
    assert judge([doubt(request=unnamed)], shown).unknown == ("job_1",)


def test_an_entry_goes_to_the_request_that_has_no_other() -> None:
    """Neither request is the more specific: one names a size, the other a length."""
    size, length = replace(CAT, seconds=None), replace(CAT, seconds="8", size=None)
    in_doubt = [doubt("job_1", size), doubt("job_2", length), doubt("job_3", size)]
    entries = [
        entry("video_3", CAT, NOW + 2 * MINUTE),
        entry("video_2", replace(CAT, seconds="8"), NOW + MINUTE),
        entry("video_1", CAT, NOW),
        entry("video_0", replace(DOG, seconds="8"), NOW - MINUTE),
    ]
    shown = listing(entries, known={"video_0": ours(replace(DOG, seconds="8"), NOW - MINUTE)})
    verdict = judge(in_doubt, shown)
    assert verdict.found.keys() == {"job_1", "job_2", "job_3"}
    assert verdict.found["job_2"].provider_job_id == "video_2"


# -- properties of every look ----------------------------------------------------------------------

requests = st.builds(
    VideoRequest,
    prompt=st.sampled_from(["A cat", "A dog"]),
    model=st.sampled_from(["sora-2", "other"]),
    seconds=st.sampled_from([None, "4", "8"]),
    size=st.sampled_from([None, "720x1280"]),
)
any_doubts = st.lists(
    st.builds(
        doubt,
        st.just(""),
        requests,
        sent_at=st.sampled_from([NOW, NOW + 10 * MINUTE]),
        settled=st.booleans(),
    ),
    max_size=5,
).map(lambda in_doubt: [replace(one, job_id=f"job_{n}") for n, one in enumerate(in_doubt)])
any_entries = st.lists(
    st.builds(
        Entry,
        st.just(""),
        st.just(RUNNING),
        created_at=st.sampled_from([None, NOW - 3 * MINUTE, NOW, NOW + 10 * MINUTE]),
        prompt=st.sampled_from([None, "A cat", "A dog", "A bird"]),
        model=st.sampled_from([None, "sora-2", "other"]),
        seconds=st.sampled_from([None, "4", "8"]),
        size=st.sampled_from([None, "720x1280"]),
        mark=st.sampled_from([None, None, "job_0", "job_1", "job_of_others"]),
    ),
    max_size=5,
).map(lambda entries: [e._replace(provider_job_id=f"video_{n}") for n, e in enumerate(entries)])


@given(any_doubts, any_entries, st.booleans())
def test_found_absent_and_unknown_exclude_each_other_and_only_settled_jobs_are_given_up(
    in_doubt: list[Doubt], entries: list[Entry], proven: bool
) -> None:
    resolution = look(in_doubt, entries, proven=proven)
    told = [*resolution.found, *resolution.absent, *resolution.unknown]
    assert len(told) == len(set(told))
    settled = {one.job_id for one in in_doubt if one.since == doubt().since}
    assert settled >= {*resolution.absent, *resolution.unknown}
    assert proven or not resolution.absent


@given(any_doubts, any_entries)
def test_no_entry_is_found_twice_and_each_fits_its_job(
    in_doubt: list[Doubt], entries: list[Entry]
) -> None:
    found = look(in_doubt, entries).found
    assert len({one.provider_job_id for one in found.values()}) == len(found)
    for one in in_doubt:
        if one.job_id in found:
            request, shown = one.request, found[one.job_id]
            if shown.mark is not None:
                assert shown.mark == one.job_id
                continue
            assert shown.prompt == request.prompt
            assert shown.model in {None, request.model}
            for asked, told in ((request.seconds, shown.seconds), (request.size, shown.size)):
                assert asked is None or told in {None, asked}


@given(any_doubts, any_entries)
def test_no_job_is_absent_while_an_entry_in_its_window_may_still_be_its_own(
    in_doubt: list[Doubt], entries: list[Entry]
) -> None:
    resolution = look(in_doubt, entries)
    claimed = {one.provider_job_id for one in resolution.found.values()}
    for one in in_doubt:
        if one.job_id in resolution.absent:
            for shown in entries:
                another_s = shown.mark not in {None, one.job_id}
                assert another_s or shown.provider_job_id in claimed


@given(any_doubts, any_entries)
def test_identical_settled_jobs_that_are_not_found_share_one_verdict(
    in_doubt: list[Doubt], entries: list[Entry]
) -> None:
    resolution = look(in_doubt, entries)
    for request in {one.request for one in in_doubt}:
        group = {one.job_id for one in in_doubt if one.request == request}
        verdicts = [group & set(ids) for ids in (resolution.absent, resolution.unknown)]
        assert not all(verdicts)
