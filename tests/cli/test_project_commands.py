"""The commands of `reelhook projects`, and the secret of a project."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_programs import Outcome, Program, on_terminal, reelhook, serve, simulator

from reelhook.domain.signature import standard_secret


@dataclass(frozen=True, slots=True)
class House:
    """A server and its directory."""

    server: Program
    directory: Path

    def run(self, *arguments: str, stdin: str = "") -> Outcome:
        return reelhook(
            *arguments, directory=self.directory, stdin=stdin, REELHOOK_URL=self.server.url
        )

    def created(self, name: str) -> str:
        outcome = self.run("projects", "create", name, "--json")
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.json == {"id": outcome.json["id"], "name": name}
        return str(outcome.json["id"])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("house")
    with simulator(directory) as provider, serve(directory, provider) as server:
        yield House(server, directory)


def test_a_project_is_created_listed_changed_and_shown(house: House) -> None:
    project = house.created("shop")
    listed = house.run("projects", "list", "--json").json["projects"]
    assert [one["name"] for one in listed][:1] == ["default"]
    assert project in [one["id"] for one in listed]
    changed = house.run(
        *("projects", "update", "shop", "--name", "store", "--weight", "3"),
        *("--webhook-url", "http://127.0.0.1:9/hook", "--model", "openai/sora-2"),
        *("--priority-max", "normal", "--json"),
    ).json
    assert (changed["name"], changed["weight"], changed["priorityMax"]) == ("store", 3, "normal")
    assert changed["models"] == ["openai/sora-2"]
    assert house.run("projects", "show", project, "--json").json == changed
    lines = house.run("projects", "show", "store").out.splitlines()
    assert "Webhook URL: http://127.0.0.1:9/hook" in lines
    assert "Models: openai/sora-2" in lines
    table = house.run("endpoints", "list").out.splitlines()
    assert table[0].split("\t")[-1] == "PROJECT"
    assert [line.split("\t")[-1] for line in table if f"default_{project}" in line] == [project]
    anything = house.run("projects", "update", "store", "--model", "all", "--webhook-url", "")
    assert "Models: all" in anything.out.splitlines()
    assert "Webhook URL" not in anything.out


def test_the_secret_of_a_project_is_its_own_and_can_be_rotated(house: House) -> None:
    house.created("signed")
    house.created("other")
    secret, other, default = (
        house.run("secret", *project, "--json").json
        for project in (("--project", "signed"), ("--project", "other"), ())
    )
    assert len({one["secret"] for one in (secret, other, default)}) == 3
    assert secret["standardWebhooks"] == standard_secret(secret["secret"])
    assert house.run("secret", "--project", "default", "--json").json == default
    given = house.run("projects", "rotate", "signed", "--secret", stdin="a-secret-of-ours-1\n")
    assert "Secret: a-secret-of-ours-1" in given.out.splitlines()
    assert house.run("secret", "--project", "signed", "--json").json["secret"] == (
        "a-secret-of-ours-1"
    )


def test_a_project_is_closed_without_a_question_elsewhere_than_on_a_terminal(
    house: House,
) -> None:
    house.created("closing")
    closed = house.run("projects", "close", "closing", "--delete-data", "--json")
    assert (closed.code, closed.json["deleteData"]) == (0, True)
    assert closed.json["closedAt"]


def test_on_a_terminal_closing_asks(house: House) -> None:
    house.created("asked")
    code, shown = on_terminal(
        *("projects", "close", "asked"),
        directory=house.directory,
        typed="n\n",
        REELHOOK_URL=house.server.url,
    )
    assert (code, "Close the project asked?" in shown) == (1, True)
    assert house.run("projects", "show", "asked", "--json").json["closedAt"] is None


@pytest.mark.parametrize(
    "command",
    [
        ("projects", "show", "unknown"),
        ("projects", "show", "no/such"),
        ("projects", "close", "unknown"),
        ("secret", "--project", "unknown"),
    ],
)
def test_an_unknown_project_is_refused_with_the_way_to_the_list(
    house: House, command: tuple[str, ...]
) -> None:
    outcome = house.run(*command)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == "reelhook: Project not found; `reelhook projects list` lists them\n"


def test_a_taken_name_and_a_default_project_are_refused_in_one_line(house: House) -> None:
    house.created("taken")
    taken = house.run("projects", "create", "taken")
    assert taken.err == "reelhook: Another project has the name taken; choose another name\n"
    default = house.run("projects", "close", "default")
    assert "can't be renamed or closed" in default.err
    nothing = house.run("projects", "update", "taken")
    assert (nothing.code, "at least one option" in nothing.err) == (2, True)


def test_json_of_a_new_project_is_the_servers(house: House) -> None:
    outcome = house.run("projects", "create", "raw", "--json")
    assert set(json.loads(outcome.out)) == {"id", "name"}
