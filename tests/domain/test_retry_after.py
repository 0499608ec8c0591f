import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.retry_after import parse_retry_after

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the time of RFC 9110's examples
SECONDS_MAX = 366 * 24 * 3600.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 400, SECONDS_MAX),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 08:50:37 -0000", 60.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ("Sun, 06 Nov 2994 08:00:00 GMT", SECONDS_MAX),
    ],
)
def test_seconds_and_dates_are_read(value: str, seconds: float) -> None:
    assert parse_retry_after(value, NOW, seconds_max=SECONDS_MAX) == seconds


@pytest.mark.parametrize(
    "value", [None, "", "soon", "-5", "1.5", "\u0661", "Sun, 99 Nov 1994 08:00:00 GMT", "6 Nov"]
)
def test_what_is_neither_is_no_wish(value: str | None) -> None:
    assert parse_retry_after(value, NOW, seconds_max=SECONDS_MAX) is None


@given(st.text() | st.from_regex(r"\A\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ [-+\w]+\Z"))
def test_whatever_comes_is_a_wait_in_range_or_none(value: str) -> None:
    seconds = parse_retry_after(value, NOW, seconds_max=SECONDS_MAX)
    assert seconds is None or 0 <= seconds <= SECONDS_MAX
