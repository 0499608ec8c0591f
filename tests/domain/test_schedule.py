from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.errors import SettingsError
from reelhook.domain.schedule import RetrySchedule

from .samples import seeded


class NoJitter(Random):
    def random(self) -> float:
        return 0.0


def delay(
    attempt: int,
    *,
    schedule: RetrySchedule | None = None,
    progress: bool = False,
    retry_after: float | None = None,
    random: Random | None = None,
) -> float | None:
    return (schedule or RetrySchedule()).delay_after(
        attempt,
        progress=progress,
        retry_after_seconds=retry_after,
        random=random or NoJitter(),
    )


def test_the_default_is_13_attempts_over_75_hours_42_minutes_and_35_seconds() -> None:
    delays = [delay(attempt) for attempt in range(1, 13)]
    minute, hour = 60, 3600
    assert delays == [
        *(5, 30, 2 * minute, 10 * minute, 30 * minute),
        *(1 * hour, 2 * hour, 4 * hour, 8 * hour, 12 * hour, 24 * hour, 24 * hour),
    ]
    assert sum(one for one in delays if one is not None) == 75 * hour + 42 * minute + 35
    assert delay(13) is None


@given(st.integers(1, 12), st.integers())
def test_jitter_only_adds_a_fifth_or_15_minutes_at_most(attempt: int, seed: int) -> None:
    plain, jittered = delay(attempt), delay(attempt, random=seeded(seed))
    assert plain is not None
    assert jittered is not None
    assert plain <= jittered <= plain + min(plain * 0.2, 15 * 60)


def test_jitter_spreads_over_its_whole_range() -> None:
    waits = [delay(6, random=seeded(seed)) or 0.0 for seed in range(200)]
    assert min(waits) < 3600 + 0.1 * 720
    assert max(waits) > 3600 + 0.9 * 720


@given(st.integers(1, 12), st.floats(min_value=0, allow_nan=False), st.integers())
def test_a_receivers_wish_only_lengthens_the_wait_and_counts_up_to_a_day(
    attempt: int, wish: float, seed: int
) -> None:
    usual = delay(attempt, random=seeded(seed))
    wished = delay(attempt, retry_after=wish, random=seeded(seed))
    assert usual is not None
    assert wished == max(usual, min(wish, 24 * 3600))


def test_a_receivers_wish_grants_no_attempt_after_the_last() -> None:
    assert delay(13, retry_after=60) is None


@given(st.integers(1, 50))
def test_an_empty_schedule_means_one_attempt(attempt: int) -> None:
    assert delay(attempt, schedule=RetrySchedule(())) is None


def test_progress_is_tried_twice_at_most() -> None:
    assert delay(1, progress=True) == 5
    assert delay(2, progress=True) is None
    assert delay(1, progress=True, schedule=RetrySchedule(())) is None


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        ("5s,30s,2m,1h", (5, 30, 120, 3600)),
        (" 5s , 30 s ", (5, 30)),
        ("1d", (86_400,)),
        ("250ms", (0.25,)),
        ("1.5m", (90,)),
        ("7", (7,)),
        ("0s,0,0ms", (0, 0, 0)),
        ("30d", (2_592_000,)),
        (",".join(["1s"] * 100), (1,) * 100),
        ("", ()),
        (" , ", ()),
    ],
)
def test_a_schedule_is_read(text: str, waits: tuple[float, ...]) -> None:
    assert RetrySchedule.parse(text) == RetrySchedule(waits)


@pytest.mark.parametrize("text", ["soon", "5x", "-5s", "5s;30s", "1h30m", "5s,,oops", "1e3", "."])
def test_what_is_no_wait_is_named_with_the_setting_and_an_example(text: str) -> None:
    with pytest.raises(
        SettingsError, match=r"REELHOOK_RETRY_SCHEDULE: .* is not a wait; .* 5s,30s"
    ):
        RetrySchedule.parse(text)


@pytest.mark.parametrize(
    "text", ["31d", "2592001", "1s,721h", "9" * 400, "9" * 400 + "d", "1" + "0" * 308 + "d"]
)
def test_a_wait_of_more_than_30_days_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^REELHOOK_RETRY_SCHEDULE has .* 0 to 30 days; "):
        RetrySchedule.parse(text)


def test_more_than_100_waits_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"^REELHOOK_RETRY_SCHEDULE has 101 waits; .* 100$"):
        RetrySchedule.parse(",".join(["1s"] * 101))


@pytest.mark.parametrize("wait", [-1.0, float("nan"), float("inf")])
def test_no_other_way_leads_to_a_wait_that_is_none(wait: float) -> None:
    with pytest.raises(SettingsError):
        RetrySchedule((5.0, wait))
