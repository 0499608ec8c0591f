from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cli_programs import Outcome, Program, at_once, on_terminal, reelhook, serve, simulator
from cli_receivers import Answering, answering

SECRET = "whsec_b2xkIGFuZCBuZXcgc2VjcmV0cyE="


@dataclass(frozen=True, slots=True)
class House:
    """A server, its directory, and a receiver on this machine, which only the operator may name."""

    server: Program
    directory: Path
    receiver: Answering

    def run(self, *arguments: str, stdin: str = "", **variables: str) -> Outcome:
        given = {"REELHOOK_URL": self.server.url} | variables
        return reelhook(*arguments, directory=self.directory, stdin=stdin, **given)

    def elsewhere(self, *arguments: str, directory: Path) -> Outcome:
        """Run a command from where the database is not at hand."""
        return reelhook(*arguments, directory=directory, REELHOOK_URL=self.server.url)

    def added(self, *arguments: str) -> Any:
        outcome = self.run("endpoints", "add", self.receiver.url, *arguments, "--json")
        assert (outcome.code, outcome.err) == (0, "")
        return outcome.json

    def on_terminal(self, *arguments: str, until: str | None = None) -> tuple[int, str]:
        return on_terminal(
            *arguments, directory=self.directory, until=until, REELHOOK_URL=self.server.url
        )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("house")
    quick = ("--render-seconds", "0.2", "--queue-seconds", "0")
    with (
        answering() as receiver,
        simulator(directory, *quick) as provider,
        serve(directory, provider, "--allow-networks", "") as server,
    ):
        yield House(server, directory, receiver)


def test_an_endpoint_is_added_with_all_that_can_be_chosen(house: House) -> None:
    (house.directory / "headers.txt").write_text("Authorization: Bearer abc\n\nX-Plan: a: b\n")
    made = house.added(
        *("--description", "Our app", "--event", "completed", "--event", "failed"),
        *("--header", "X-Tenant: 7", "--header", "@headers.txt", "--concurrency", "2"),
        *("--broadcast", "--format", "openai"),
    )
    chosen = {
        "description": "Our app",
        "events": ["completed", "failed"],
        "headers": dict.fromkeys(("X-Tenant", "Authorization", "X-Plan"), "********"),
        "concurrency": 2,
        "broadcast": True,
        "format": "openai",
    }
    assert made | chosen == made
    assert house.run("endpoints", "list").out.split().count("openai") == 1
    changed = house.run("endpoints", "update", made["id"], "--format", "reelhook", "--json")
    assert changed.json["format"] == "reelhook"
    assert made["secret"].startswith("whsec_")
    house.run("endpoints", "remove", made["id"], "--yes")


def test_the_secret_is_shown_once_with_what_to_do(house: House) -> None:
    code, shown = house.on_terminal("endpoints", "add", house.receiver.url)
    assert code == 0
    assert "whsec_" in shown
    assert "shown only now" in shown
    assert "reelhook endpoints test ep_" in shown
    listed = house.run("endpoints", "list", "--json")
    assert "whsec_" not in listed.out
    endpoint_id = listed.json["endpoints"][-1]["id"]
    assert "whsec_" not in house.run("endpoints", "show", endpoint_id).out


def test_what_the_operator_names_here_is_trusted_but_not_elsewhere(
    house: House, tmp_path: Path
) -> None:
    made = house.added()
    assert made["trusted"] is True
    refused = house.elsewhere("endpoints", "add", house.receiver.url, directory=tmp_path)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "REELHOOK_ALLOW_NETWORKS" in refused.err
    other = f"{house.receiver.url}/other"
    arguments = ("endpoints", "update", made["id"], "--webhook-url", other)
    assert house.elsewhere(*arguments, directory=tmp_path).code == 1
    assert house.run(*arguments, "--json").json["trusted"] is True
    # A database that is not the server's proves nothing, and one that can't be read stops nobody.
    (tmp_path / "reelhook-data").mkdir()
    (tmp_path / "reelhook-data" / "reelhook.db").mkdir()
    refused = house.elsewhere("endpoints", "add", house.receiver.url, directory=tmp_path)
    assert "REELHOOK_ALLOW_NETWORKS" in refused.err


def test_a_secret_is_read_from_stdin_and_never_a_flag(house: House) -> None:
    outcome = house.run(
        *("endpoints", "add", house.receiver.url, "--secret", "--json"), stdin=f"{SECRET}\n"
    )
    assert outcome.json["secret"] == SECRET
    endpoint_id = outcome.json["id"]
    plain = house.run(
        "endpoints", "rotate", endpoint_id, "--secret", stdin="a-plain-secret-of-mine"
    )
    lines = plain.out.splitlines()
    assert "Secret: a-plain-secret-of-mine" in lines
    assert "For Standard Webhooks: whsec_YS1wbGFpbi1zZWNyZXQtb2YtbWluZQ==" in lines
    short = house.run("endpoints", "rotate", endpoint_id, "--secret", stdin="short\n")
    assert (short.code, short.err) == (1, "reelhook: secret must have at least 16 characters\n")


def test_endpoints_are_listed_and_shown(house: House) -> None:
    made = house.added("--description", "Listed")
    lines = house.run("endpoints", "list").out.splitlines()
    assert lines[0].split("\t") == ["ENDPOINT", "STATE", "URL", "DESCRIPTION"]
    assert f"{made['id']}\tok\t{house.receiver.url}\tListed" in lines
    shown = house.run("endpoints", "show", made["id"]).out.splitlines()
    assert {"State: ok", f"URL: {house.receiver.url}", "Description: Listed"} <= {*shown}
    code, table = house.on_terminal("endpoints", "list")
    assert code == 0
    assert made["id"] in table
    assert "\t" not in table


def test_an_endpoint_is_updated_and_what_is_not_named_stays(house: House) -> None:
    made = house.added("--description", "Before", "--header", "X-Tenant: 7", "--concurrency", "2")
    path = ("endpoints", "update", made["id"], "--json")
    changed = house.run(*path, "--event", "completed", "--broadcast").json
    assert (changed["events"], changed["broadcast"]) == (["completed"], True)
    assert (changed["description"], changed["concurrency"]) == ("Before", 2)
    usual = house.run(
        *path,
        "--no-headers",
        "--description",
        "",
        "--concurrency",
        "0",
        "--event",
        "all",
        "--no-broadcast",
    ).json
    assert (usual["headers"], usual["description"], usual["concurrency"]) == ({}, None, None)
    assert (len(usual["events"]), usual["broadcast"]) == (5, False)


def test_an_endpoint_is_disabled_and_enabled(house: House) -> None:
    made = house.added()
    off = house.run("endpoints", "disable", made["id"])
    [state] = [line for line in off.out.splitlines() if line.startswith("State: ")]
    assert state.startswith("State: disabled (by the operator, ")
    failing = house.run("endpoints", "list", "--failing", "--json").json["endpoints"]
    assert made["id"] in [one["id"] for one in failing]
    assert "Endpoints disabled: 1" in house.run("stats").out.splitlines()
    assert house.run("endpoints", "enable", made["id"], "--json").json["enabled"] is True


def test_a_rotation_shows_the_new_secret_and_until_when_the_old_one_holds(house: House) -> None:
    made = house.added()
    rotated = house.run("endpoints", "rotate", made["id"], "--overlap-hours", "2")
    fields = dict(line.split(": ", 1) for line in rotated.out.splitlines())
    assert fields["Secret"] not in {made["secret"], ""}
    assert fields["Old secret until"].endswith("Z")


def test_a_test_event_exits_with_0_only_if_it_was_taken(house: House) -> None:
    made = house.added()
    good = house.run("endpoints", "test", made["id"])
    assert (good.code, good.err) == (0, "")
    assert {"Delivered: yes", "Status: 200"} <= {*good.out.splitlines()}
    house.receiver.status, house.receiver.answer = 500, "On fire"
    try:
        bad, as_json = at_once(
            house.run,
            ("endpoints", "test", made["id"]),
            ("endpoints", "test", made["id"], "--json"),
        )
    finally:
        house.receiver.status = 200
    assert bad.code == as_json.code == 1
    assert {"Delivered: no", "Status: 500", "Response: On fire"} <= {*bad.out.splitlines()}
    assert bad.err.count("\n") == 1
    assert as_json.json["delivered"] is False


def test_what_an_answer_says_can_not_move_the_cursor(house: House) -> None:
    made = house.added()
    house.receiver.answer = "\x1b[2Jgone"
    try:
        code, shown = house.on_terminal("endpoints", "test", made["id"])
    finally:
        house.receiver.answer = "ok"
    assert code == 0
    assert "\\x1b[2Jgone" in shown


def test_a_removal_asks_first(house: House) -> None:
    made = house.added()
    unasked = house.run("endpoints", "remove", made["id"])
    assert (unasked.code, unasked.out) == (2, "")
    assert "--yes" in unasked.err
    code, shown = answered(house, "n\n", "endpoints", "remove", made["id"])
    assert code == 1
    assert house.receiver.url in shown
    assert house.run("endpoints", "show", made["id"]).code == 0
    code, shown = answered(house, "y\n", "endpoints", "remove", made["id"])
    assert code == 0
    assert f"Removed {made['id']}." in shown
    gone = house.run("endpoints", "remove", made["id"], "--yes")
    assert (gone.code, gone.err) == (
        1,
        "reelhook: Endpoint not found; `reelhook endpoints list` lists them\n",
    )


def answered(house: House, answer: str, *arguments: str) -> tuple[int, str]:
    """Run a command on a terminal where someone types this."""
    return on_terminal(
        *arguments, directory=house.directory, typed=answer, REELHOOK_URL=house.server.url
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["update", "ep_1"], "give at least one option to change"),
        (["update", "ep_1", "--header", "X: 1", "--no-headers"], "either --header or --no-headers"),
        (["add", "https://example.com", "--header", "no colon"], 'written "Name: value"'),
        (["add", "https://example.com", "--header", "@nowhere.txt"], "can't be read"),
        (["add"], "Missing argument 'URL'"),
        (["rotate", "ep_1", "--overlap-hours", "-1"], "--overlap-hours"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    outcome = reelhook("endpoints", *arguments, directory=tmp_path)
    assert (outcome.code, outcome.out) == (2, "")
    assert says in outcome.err
    assert outcome.err.count("\n") == 1


def test_what_the_server_refuses_is_told_in_its_words(house: House) -> None:
    for outcome, says in zip(
        at_once(
            house.run,
            ("endpoints", "add", "ftp://example.com"),
            ("endpoints", "add", house.receiver.url, "--event", "done"),
            ("endpoints", "add", house.receiver.url, "--header", "Host: x"),
            ("endpoints", "show", "no/such?endpoint"),
        ),
        ("https://", "must be one of", "not have Host: reelhook sets", "`reelhook endpoints list`"),
        strict=True,
    ):
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
        assert says in outcome.err
