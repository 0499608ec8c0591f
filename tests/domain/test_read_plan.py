from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.read_plan import PageRead, Read, SingleRead, merge_order, plan_reads

IDS = "abcdefgh"


@st.composite
def listings(draw: st.DrawFn) -> tuple[list[str], set[str], int]:
    order = draw(st.permutations(IDS[: draw(st.integers(0, len(IDS)))]))
    wanted = draw(st.sets(st.sampled_from(order))) if order else set()
    return list(order), wanted, draw(st.integers(1, 5))


def covered(read: Read) -> tuple[str, ...]:
    return read.expected if isinstance(read, PageRead) else (read.provider_job_id,)


def fewest(order: list[str], wanted: set[str], page_size: int) -> int:
    """Try every choice of windows, smallest first."""
    windows = [set(order[start : start + page_size]) for start in range(len(order))]
    for count in range(len(windows) + 1):
        if any(wanted <= set().union(*chosen) for chosen in combinations(windows, count)):
            return count
    raise AssertionError(wanted)


@given(listings())
def test_every_wanted_id_is_covered_exactly_once_and_nothing_else(
    listing: tuple[list[str], set[str], int],
) -> None:
    order, wanted, page_size = listing
    ids = [one for read in plan_reads(order, wanted, page_size) for one in covered(read)]
    assert sorted(ids) == sorted(wanted)


@given(listings())
def test_the_reads_are_the_fewest_that_there_are(
    listing: tuple[list[str], set[str], int],
) -> None:
    order, wanted, page_size = listing
    assert len(plan_reads(order, wanted, page_size)) == fewest(order, wanted, page_size)


@given(listings())
def test_a_page_is_read_only_for_two_ids_or_more(listing: tuple[list[str], set[str], int]) -> None:
    for read in plan_reads(*listing):
        assert isinstance(read, SingleRead) or len(read.expected) >= 2


@given(listings())
def test_a_page_starts_behind_a_known_id_and_holds_what_is_expected_of_it(
    listing: tuple[list[str], set[str], int],
) -> None:
    order, wanted, page_size = listing
    for read in plan_reads(order, wanted, page_size):
        if isinstance(read, PageRead):
            start = 0 if read.cursor is None else order.index(read.cursor) + 1
            assert set(read.expected) <= set(order[start : start + page_size])


def test_a_full_listing_is_tiled_by_pages_without_overlap() -> None:
    order = [f"v{number}" for number in range(1000)]
    reads = plan_reads(order, order, 100)
    assert [read.cursor for read in reads if isinstance(read, PageRead)] == [
        None,
        *(f"v{number}" for number in range(99, 999, 100)),
    ]


def test_stretches_without_wanted_ids_are_skipped() -> None:
    order = [f"v{number}" for number in range(1000)]
    assert plan_reads(order, ["v0", "v1", "v700", "v710", "v900"], 100) == [
        PageRead(None, ("v0", "v1")),
        PageRead("v699", ("v700", "v710")),
        SingleRead("v900"),
    ]


def test_nothing_wanted_means_nothing_read() -> None:
    assert plan_reads(["a", "b"], [], 2) == []


# -- learning the order ----------------------------------------------------------------------------


@st.composite
def looks(draw: st.DrawFn) -> tuple[list[str], list[str], dict[str | None, list[str]]]:
    """A true listing, what is known of its order, and pages of it behind known ids."""
    true = list(IDS)
    known = draw(st.sets(st.sampled_from(true)))
    order = [one for one in true if one in known]
    pages: dict[str | None, list[str]] = {}
    for cursor in draw(st.sets(st.sampled_from([None, *order]))):
        start = 0 if cursor is None else true.index(cursor) + 1
        pages[cursor] = true[start : start + draw(st.integers(0, 4))]
    return true, order, pages


@given(looks())
def test_what_is_learnt_is_in_the_listings_true_order(
    look: tuple[list[str], list[str], dict[str | None, list[str]]],
) -> None:
    true, order, pages = look
    learnt = merge_order(order, pages)
    assert learnt == [one for one in true if one in learnt]
    assert set(learnt) == set(order).union(*pages.values())


@given(
    st.permutations(IDS),
    st.dictionaries(st.none() | st.sampled_from(IDS), st.lists(st.sampled_from(IDS)), max_size=5),
)
def test_pages_that_contradict_each_other_lose_and_double_no_id(
    order: list[str], pages: dict[str | None, list[str]]
) -> None:
    learnt = merge_order(order[:4], pages)
    assert sorted(learnt) == sorted(set(order[:4]).union(*pages.values()))


def test_an_id_that_was_not_behind_its_cursor_stands_behind_the_page() -> None:
    assert merge_order(["a", "z"], {"a": ["b", "c"]}) == ["a", "b", "c", "z"]


def test_a_page_behind_an_id_stands_before_what_another_page_showed_there() -> None:
    assert merge_order([], {None: ["a", "x"], "a": ["b", "c"]}) == ["a", "b", "c", "x"]


def test_new_ids_stand_before_the_known_ones() -> None:
    assert merge_order(["c", "d"], {None: ["a", "b", "c"]}) == ["a", "b", "c", "d"]
