"""What providers really answer, replayed: a user reads each in its own words, rightly coded."""

import asyncio
from pathlib import Path

import pytest

from recorded.recordings import HOW, Recording, recordings, table
from recorded.replaying import Outcome, differs, replay

ALL = recordings()


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    folder: Path = tmp_path_factory.mktemp("recorded")
    return asyncio.run(replay(ALL, folder))


@pytest.mark.parametrize(
    "one",
    [pytest.param(one, id=f"{one.account}: {one.name}") for one in ALL],
)
def test_a_recorded_response_is_told_as_it_was_said(
    one: Recording, outcomes: dict[str, Outcome]
) -> None:
    assert differs(one, outcomes[one.account]) == ""


def test_each_recording_says_where_it_comes_from() -> None:
    assert all(one.source.strip() and one.how in HOW for one in ALL)
    assert len({one.account for one in ALL}) == len(ALL)


def test_the_table_of_all_recordings() -> None:
    """Shown by `pytest tests/recorded -s -k table`."""
    told = table(ALL)
    print(f"\n{told}")  # noqa: T201 - it is what this test is for
    assert told.endswith(f"| {len(ALL)} |")
