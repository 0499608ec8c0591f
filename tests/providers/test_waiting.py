"""What is understood of `Retry-After`."""

import pytest

from reelhook.providers.http.retry_after import retry_after_seconds

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT
DAY = 24 * 3600.0


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("86400", DAY),
        ("999999999999999999", DAY),
        ("9" * 400, DAY),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:14:20", 60.0),
        ("Tue, 14 Nov 2023 22:12:20 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY),
        *((garbage, None) for garbage in ("", "-5", "+5", "nan", "inf", "1e9", "soon", "7 s")),
        *(
            (garbage, None)
            for garbage in (
                "7,8",
                "\N{ARABIC-INDIC DIGIT SEVEN}",
                "0x10",
                "Tue, 99 Nov 2023 22:14:20 GMT",
            )
        ),
    ],
)
def test_a_number_or_a_date_is_understood_and_nothing_else(
    said: str, seconds: float | None
) -> None:
    assert retry_after_seconds({"Retry-After": said}, NOW) == seconds
