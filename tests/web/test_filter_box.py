"""The grammar of the filter box."""

import pytest

from reelhook.domain.causes.cause import CauseName
from reelhook.domain.job import Status
from reelhook.doors.web.filters import FilterError, parse_filter, with_word
from reelhook.gateway import JobFilter

NOW = 1_800_000_000_000


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", JobFilter()),
        ("status:failed", JobFilter(status=Status.FAILED)),
        ("model:sora-2 account:backup", JobFilter(model="sora-2", account="backup")),
        ("code:quota external:o-1", JobFilter(code="quota", external_id="o-1")),
        ('metadata.customer:"A B"', JobFilter(metadata=(("customer", "A B"),))),
        ("age:>10m", JobFilter(created_before=NOW - 600_000)),
        ("age:<2h", JobFilter(created_after=NOW - 7_200_000)),
        ("endpoint:ep_1", JobFilter(endpoint_id="ep_1")),
        ("a fox", JobFilter(text="a fox")),
        ('"status:failed"', JobFilter(text="status:failed")),
    ],
)
def test_a_filter(text: str, wanted: JobFilter) -> None:
    assert parse_filter(text, NOW).wanted == wanted


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("fox colour:red", "colour:red"),
        ("status:done", "status:done"),
        ("status:", "status:"),
        ("model:a model:b", "model:b"),
        ("age:10m x", "age:10m"),
        ('fox "open', '"open'),
        ("metadata.:x", "metadata.:x"),
    ],
)
def test_a_mistake_has_its_place(text: str, place: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text, NOW)
    assert text[caught.value.start : caught.value.end] == place


def test_a_project_and_the_jobs_in_doubt() -> None:
    assert parse_filter("project:studio", NOW).project == "studio"
    assert parse_filter("status:doubt", NOW).in_doubt
    with pytest.raises(FilterError):
        parse_filter("status:doubt model:a", NOW)


def test_another_status_replaces_the_first_one() -> None:
    assert with_word("fox status:failed", "status", "queued") == "fox status:queued"
    assert with_word("fox status:failed", "status", None) == "fox"


def test_a_cause_is_one_of_those_that_hold_up_jobs() -> None:
    assert parse_filter("cause:provider_slow model:a", NOW).cause is CauseName.PROVIDER_SLOW
    assert parse_filter("cause:retrying", NOW).wanted == JobFilter()
    for text in ("cause:over_budget", "cause:slow", "cause:"):
        with pytest.raises(FilterError) as caught:
            parse_filter(f"a fox {text}", NOW)
        assert (caught.value.start, caught.value.end) == (6, 6 + len(text))
    with pytest.raises(FilterError):
        parse_filter("status:doubt cause:paused", NOW)
