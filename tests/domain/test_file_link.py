"""Signed links: what opens a job's files, and until when."""

from urllib.parse import parse_qs

import pytest

from reelhook.domain.file_link import FileLinks, LinkState

NOW = 1_700_000_000_000
FOREVER, HOUR = FileLinks("a key"), FileLinks("a key", 3600)
"""Links that don't expire, and those that do."""
RELEASED = "?signature=6b8d11674b90f779c5f8cb6a5b415ebd26953c0f009d5cbf24c547f987668da8"
"""The form of links before they could expire, which must stay the same."""


def state(links: FileLinks, query: str, job_id: str = "job_1", now: int = NOW) -> LinkState:
    values = {name: value for name, [value] in parse_qs(query.removeprefix("?")).items()}
    return links.state(job_id, values["signature"], values.get("expires"), now)


def test_a_link_without_an_end_opens_one_job() -> None:
    query = FOREVER.query("job_1", NOW)
    assert query == RELEASED
    assert state(FOREVER, query, now=NOW * 2) is LinkState.VALID
    assert state(FOREVER, query, "job_2") is LinkState.FORGED
    assert state(FileLinks("another key"), query) is LinkState.FORGED


def test_a_link_with_an_end_opens_it_until_then() -> None:
    query = HOUR.query("job_1", NOW)
    assert query.startswith("?expires=1700003600&signature=")
    assert state(HOUR, query) is LinkState.VALID
    assert state(HOUR, query, now=NOW + 3_599_999) is LinkState.VALID
    assert state(HOUR, query, now=NOW + 3_600_000) is LinkState.EXPIRED
    assert state(HOUR, query, "job_2") is LinkState.FORGED
    # It names its end itself, whatever the setting is later.
    assert state(FOREVER, query, now=NOW + 3_600_000) is LinkState.EXPIRED


def test_links_without_an_end_are_expired_while_links_expire() -> None:
    assert state(HOUR, FOREVER.query("job_1", NOW)) is LinkState.EXPIRED
    assert state(HOUR, FOREVER.query("job_1", NOW), "job_2") is LinkState.FORGED


@pytest.mark.parametrize("expires", ["1700007200", "", "-1", "1e9", "\u0661", "9" * 5000])
def test_the_end_of_a_link_can_not_be_changed(expires: str) -> None:
    signature = HOUR.query("job_1", NOW).partition("signature=")[2]
    assert HOUR.state("job_1", signature, expires, NOW) is LinkState.FORGED
    plain = FOREVER.query("job_1", NOW).partition("signature=")[2]
    assert FOREVER.state("job_1", plain, expires, NOW) is LinkState.FORGED


def test_the_same_job_and_time_have_the_same_link() -> None:
    assert HOUR.query("job_1", NOW) == HOUR.query("job_1", NOW)
