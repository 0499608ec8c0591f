from dataclasses import replace
from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.doubt import Doubt
from reelhook.domain.listing import CLOCK_SLACK_MILLISECONDS
from reelhook.domain.report import Entry
from reelhook.domain.request import VideoRequest

from .doubts import CAT, DOG, NOTHING, Verdict, doubt, entry, ids, look
from .samples import MINUTE, NOW

# -- found -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("proven", [True, False])
def test_an_entry_with_equal_prompt_and_parameters_is_ours(settled: bool, proven: bool) -> None:
    resolution = look([doubt(settled=settled)], [entry()], proven=proven)
    assert resolution == Verdict({"job_1": entry()}, NOTHING, NOTHING)


@pytest.mark.parametrize(
    "shown",
    [
        entry()._replace(model=None),
        entry()._replace(seconds=None),
        entry()._replace(size=None),
        entry()._replace(created_at=None),
    ],
)
def test_what_the_listing_does_not_show_stands_against_nothing(shown: Entry) -> None:
    assert ids(look([doubt()], [shown])) == {"job_1": "video_1"}


@pytest.mark.parametrize("vague", [replace(CAT, seconds=None), replace(CAT, size=None)])
def test_what_was_not_asked_for_stands_against_nothing(vague: VideoRequest) -> None:
    assert ids(look([doubt(request=vague)], [entry()])) == {"job_1": "video_1"}


@pytest.mark.parametrize(
    "shown",
    [entry()._replace(model="x"), entry()._replace(seconds="8"), entry()._replace(size="1x1")],
)
def test_an_entry_with_another_parameter_is_not_ours(shown: Entry) -> None:
    assert look([doubt()], [shown]).found == {}


@pytest.mark.parametrize("prompt", [None, "A dog in the snow", "a cat in the rain", "A cat"])
def test_an_entry_with_another_prompt_is_not_ours(prompt: str | None) -> None:
    assert look([doubt()], [entry()._replace(prompt=prompt)]).found == {}


def test_the_prompt_that_was_sent_is_looked_for_and_not_the_script() -> None:
    directed = replace(CAT, prompt=f"Slowly.\n\n{CAT.prompt}", title=CAT.title)
    assert ids(look([doubt(request=directed)], [entry(request=directed)])) == {"job_1": "video_1"}
    assert look([doubt(request=directed)], [entry()]).found == {}


def test_what_the_provider_was_not_told_makes_no_difference() -> None:
    in_doubt = [
        doubt("job_1", replace(CAT, door_fields={"wallet_address": "a"})),
        doubt("job_2", replace(CAT, prompt="A cat\n\nin the rain", title="in the rain")),
    ]
    entries = [
        entry("video_1"),
        entry("video_2", replace(CAT, prompt="A cat\n\nin the rain")),
    ]
    assert ids(look(in_doubt, entries)) == {"job_1": "video_1", "job_2": "video_2"}


def test_without_an_entry_that_is_known_to_be_older_time_narrows_and_proves_nothing() -> None:
    at_the_edge = entry(created_at=NOW - CLOCK_SLACK_MILLISECONDS)
    too_old = entry(created_at=NOW - CLOCK_SLACK_MILLISECONDS - 1)
    assert CLOCK_SLACK_MILLISECONDS == 2 * MINUTE
    assert ids(look([doubt(after=None)], [at_the_edge])) == {"job_1": "video_1"}
    assert look([doubt(after=None)], [too_old]) == Verdict({}, NOTHING, ("job_1",))


def test_the_more_specific_request_takes_the_entry_that_fits_both() -> None:
    vague = replace(CAT, seconds=None, size=None)
    in_doubt = [doubt("vague", vague, sent_at=NOW - 1), doubt("specific", CAT)]
    assert ids(look(in_doubt, [entry()])) == {"specific": "video_1"}
    other = entry("video_2", replace(CAT, seconds="12"))
    assert ids(look(in_doubt, [other, entry()])) == {"specific": "video_1", "vague": "video_2"}


# -- identical requests ----------------------------------------------------------------------------


def test_of_identical_requests_as_many_are_found_as_there_are_entries() -> None:
    in_doubt = [doubt(f"job_{number}", sent_at=NOW + number) for number in range(5)]
    entries = [entry(f"video_{number}", created_at=NOW) for number in range(3)]
    resolution = look(in_doubt, entries)
    assert sorted(ids(resolution).values()) == ["video_0", "video_1", "video_2"]
    assert len(resolution.absent) == 2


def test_identical_requests_wait_for_the_last_of_them_to_settle() -> None:
    in_doubt = [doubt("job_1"), doubt("job_2", settled=False)]
    assert look(in_doubt, []) == Verdict({}, NOTHING, NOTHING)
    assert look(in_doubt, [], proven=False) == Verdict({}, NOTHING, NOTHING)
    settled = [replace(one, since=doubt().since) for one in in_doubt]
    assert look(settled, []) == Verdict({}, ("job_1", "job_2"), NOTHING)


def test_other_requests_do_not_wait_for_them() -> None:
    in_doubt = [doubt("job_1"), doubt("job_2", DOG, settled=False)]
    assert look(in_doubt, []) == Verdict({}, ("job_1",), NOTHING)


def test_the_settled_one_takes_the_entry_since_the_other_may_still_find_its_own() -> None:
    in_doubt = [doubt("slow", sent_at=NOW - 1, settled=False), doubt("settled")]
    assert look(in_doubt, [entry()]) == Verdict({"settled": entry()}, NOTHING, NOTHING)


def test_an_entry_without_a_time_is_kept_for_the_job_that_no_other_fits() -> None:
    in_doubt = [doubt("early"), doubt("late", sent_at=NOW + 60 * MINUTE)]
    entries = [entry("timeless", created_at=None), entry("old", created_at=NOW)]
    assert ids(look(in_doubt, entries)) == {"early": "old", "late": "timeless"}


times = st.none() | st.sampled_from([NOW + 3 * MINUTE * step for step in range(-1, 5)])
twins = st.lists(
    st.builds(
        doubt,
        st.just(""),
        after=st.none(),
        sent_at=st.sampled_from([NOW + 3 * MINUTE * step for step in range(5)]),
        settled=st.booleans(),
    ),
    max_size=4,
).map(lambda in_doubt: [replace(one, job_id=f"job_{n}") for n, one in enumerate(in_doubt)])
moments = st.lists(times, max_size=4).map(
    lambda chosen: [entry(f"video_{n}", created_at=time) for n, time in enumerate(chosen)]
)


def most(in_doubt: list[Doubt], entries: list[Entry]) -> int:
    """Try every assignment of entries to doubts; return how many can be found at most."""
    padded: list[Entry | None] = [*entries, *([None] * len(in_doubt))]
    return max(
        sum(
            one is not None
            and (
                one.created_at is None or one.created_at >= doubt.sent_at - CLOCK_SLACK_MILLISECONDS
            )
            for doubt, one in zip(in_doubt, chosen, strict=True)
        )
        for chosen in permutations(padded, len(in_doubt))
    )


@given(twins, moments)
def test_no_assignment_of_entries_to_identical_requests_finds_more(
    in_doubt: list[Doubt], entries: list[Entry]
) -> None:
    assert len(look(in_doubt, entries).found) == most(in_doubt, entries)


@given(twins, moments, st.randoms(use_true_random=False))
def test_the_order_of_doubts_and_entries_does_not_change_how_many_are_found(
    in_doubt: list[Doubt], entries: list[Entry], random: Random
) -> None:
    before = look(in_doubt, entries)
    random.shuffle(in_doubt)
    random.shuffle(entries)
    after = look(in_doubt, entries)
    assert len(after.found) == len(before.found)
    assert len(after.absent) == len(before.absent)


# -- requests that differ in what no listing shows -------------------------------------------------

UNSHOWN: list[dict[str, Any]] = [
    {"image": "https://i.example/fox.png"},
    {"seed": 0},
    {"options": {"fps": 24}},
    {"aspect_ratio": "9:16"},
]


@pytest.mark.parametrize("hidden", UNSHOWN)
@pytest.mark.parametrize("entries", [1, 2])
def test_requests_that_differ_in_what_is_not_shown_are_never_mixed_up(
    hidden: dict[str, Any], entries: int
) -> None:
    in_doubt = [doubt("job_1"), doubt("job_2", replace(CAT, **hidden))]
    listed = [entry(f"video_{number}") for number in range(entries)]
    assert look(in_doubt, listed) == Verdict({}, NOTHING, ("job_1", "job_2"))
    assert look(in_doubt, []) == Verdict({}, ("job_1", "job_2"), NOTHING)


def test_options_that_only_python_calls_equal_are_never_mixed_up() -> None:
    one, other = (replace(CAT, options={"loop": loop}) for loop in (1, True))
    assert one == other
    assert look([doubt("job_1", one), doubt("job_2", other)], [entry()]).found == {}


@pytest.mark.parametrize("hidden", UNSHOWN)
def test_one_that_has_settled_waits_for_none_of_another_image(hidden: dict[str, Any]) -> None:
    in_doubt = [doubt("job_1"), doubt("job_2", replace(CAT, **hidden), settled=False)]
    assert look(in_doubt, [entry()]) == Verdict({}, NOTHING, ("job_1",))


@pytest.mark.parametrize("hidden", UNSHOWN)
def test_one_that_asks_for_more_alone_is_found(hidden: dict[str, Any]) -> None:
    request = replace(CAT, **hidden)
    assert ids(look([doubt(request=request)], [entry()])) == {"job_1": "video_1"}


@pytest.mark.parametrize("hidden", UNSHOWN)
def test_a_vaguer_request_with_another_image_is_not_served_first(hidden: dict[str, Any]) -> None:
    vague = replace(CAT, seconds=None, **hidden)
    in_doubt = [doubt("vague", vague), doubt("specific")]
    assert look(in_doubt, [entry()]).found == {}
    eight = entry("video_2", replace(CAT, seconds="8"))
    assert ids(look(in_doubt, [entry(), eight])) == {"vague": "video_2"}


@pytest.mark.parametrize("hidden", UNSHOWN)
def test_what_a_job_left_that_was_given_up_is_not_taken_for_another(hidden: dict[str, Any]) -> None:
    given_up = [replace(CAT, **hidden)]
    assert look([doubt()], [entry()], given_up=given_up) == Verdict({}, NOTHING, ("job_1",))
    assert look([doubt()], [], given_up=given_up) == Verdict({}, ("job_1",), NOTHING)
    assert ids(look([doubt()], [entry()], given_up=[DOG])) == {"job_1": "video_1"}
    # An equal one is as good.
    assert ids(look([doubt()], [entry()], given_up=[CAT])) == {"job_1": "video_1"}


def test_requests_of_different_models_are_told_apart_where_the_model_is_shown() -> None:
    in_doubt = [doubt("job_1"), doubt("job_2", replace(CAT, model="sora-2-pro"))]
    assert ids(look(in_doubt, [entry()])) == {"job_1": "video_1"}
    assert look(in_doubt, [entry()._replace(model=None)]).found == {}


def test_fallbacks_and_the_wallet_were_not_told_and_make_no_difference() -> None:
    in_doubt = [doubt("job_1"), doubt("job_2", replace(CAT, fallbacks=("fal/veo",)))]
    assert len(look(in_doubt, [entry("a"), entry("b")]).found) == 2
