"""`reelhook budgets`: limits of projects and keys."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_programs import Outcome, reelhook, serve, simulator


@dataclass(frozen=True, slots=True)
class House:
    """A server, and a directory to run commands in."""

    url: str
    directory: Path

    def run(self, *arguments: str) -> Outcome:
        return reelhook("budgets", *arguments, directory=self.directory, REELHOOK_URL=self.url)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("house")
    with simulator(directory) as provider, serve(directory, provider) as server:
        yield House(server.url, directory)


def test_limits_are_set_one_by_one_and_removed_by_none(house: House) -> None:
    first = house.run(
        *("set", "--money-per-day", "USD=10", "--money-per-day", "EUR=9"),
        *("--unknown-price", "USD=0.5", "--json"),
    )
    assert (first.code, first.err) == (0, "")
    assert first.json["moneyPerDay"] == {"USD": 10, "EUR": 9}
    assert first.json["unknownPrice"] == {"USD": 0.5}
    second = house.run("set", "--jobs-in-flight", "3", "--money-per-day", "EUR=none", "--json").json
    assert (second["moneyPerDay"], second["jobsInFlight"]) == ({"USD": 10}, 3)
    assert house.run("set", "--jobs-in-flight", "none", "--json").json["jobsInFlight"] is None


def test_a_budget_is_shown_with_what_is_reserved_and_spent(house: House) -> None:
    house.run("set", "--money-per-month", "USD=200", "--unknown-price", "USD=0.5")
    shown = house.run("show")
    assert (shown.code, shown.err) == (0, "")
    lines = [line.split("\t") for line in shown.out.splitlines()]
    assert ["money per month", "USD", "200", "0", "0"] in [line[:5] for line in lines]
    assert "Unknown price: 0.5 USD" in shown.out.splitlines()


def test_a_raise_has_an_end(house: House) -> None:
    house.run("set", "--jobs-per-day", "5")
    raised = house.run("raise", "--jobs-per-day", "9", "--for", "2h", "--json")
    assert (raised.code, raised.err) == (0, "")
    assert raised.json["raised"]["jobsPerDay"] == 9
    until = house.run("raise", "--jobs-per-day", "9", "--until", "2100-01-01T00:00Z", "--json")
    assert until.json["raised"]["until"] == "2100-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("set",), "give a limit to set"),
        (("set", "--money-per-day", "10"), "write UNIT=AMOUNT, like USD=10"),
        (("set", "--jobs-per-day", "few"), "write a whole number, or none"),
        (("raise", "--for", "2h"), "give a limit to raise"),
        (("raise", "--jobs-per-day", "9"), "give either --for or --until"),
        (("raise", "--jobs-per-day", "9", "--for", "soon"), "write 30m, 2h or 3d"),
        (("raise", "--jobs-per-day", "9", "--until", "2100-01-01"), "with its time zone"),
    ],
)
def test_wrong_usage_names_the_remedy(
    house: House, arguments: tuple[str, ...], sentence: str
) -> None:
    outcome = house.run(*arguments)
    assert outcome.code == 2
    assert sentence in outcome.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("set", "--money-per-day", "dollars=1"), "dollars is neither a currency such as USD"),
        (("show", "--project", "nobody"), "Project not found"),
        (("show", "--key", "key_none"), "Key not found"),
        (
            ("raise", "--jobs-per-day", "1", "--for", "1h"),
            "A raise of jobs per day must be higher than its limit",
        ),
    ],
)
def test_refusals_are_one_sentence(house: House, arguments: tuple[str, ...], sentence: str) -> None:
    house.run("set", "--jobs-per-day", "5")
    outcome = house.run(*arguments)
    assert outcome.code == 1
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1
