import re
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.ids import new_id

from .samples import seeded

moments = st.integers(0, 2**50 - 1)
chances = st.integers().map(seeded)


@given(moments, moments, chances)
def test_ids_of_different_moments_sort_by_age(one: int, other: int, random: Random) -> None:
    older, newer = sorted((one, other))
    if older != newer:
        assert new_id("job", older, random) < new_id("job", newer, random)


@given(moments, chances)
def test_an_id_is_its_prefix_and_26_plain_characters(now: int, random: Random) -> None:
    assert re.fullmatch("job_[0-9a-hjkmnp-tv-z]{26}", new_id("job", now, random))


def test_ids_of_one_moment_differ_by_chance() -> None:
    random = seeded(1)
    assert len({new_id("job", 5, random) for _ in range(1000)}) == 1000


def test_time_and_chance_alone_make_the_id() -> None:
    assert new_id("job", 5, seeded(7)) == new_id("job", 5, seeded(7))
