"""`reelhook keys`: on the server's own machine, with the operator's key, and with a project's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_programs import Outcome, Program, on_terminal, reelhook, serve, simulator

from reelhook.domain.api_key import is_token


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[Program]:
    with simulator(directory) as provider, serve(directory, provider) as program:
        yield program


@pytest.fixture
def run(server: Program, directory: Path) -> Any:
    def command(*arguments: str, **variables: str) -> Outcome:
        return reelhook(*arguments, directory=directory, REELHOOK_URL=server.url, **variables)

    return command


def test_the_first_key_is_made_here_and_then_one_is_needed(
    run: Any, server: Program, tmp_path: Path
) -> None:
    made = run("keys", "create", "app", "--scope", "read,submit", "--expires", "90d", "--json").json
    assert is_token(made["key"])
    assert made["scopes"] == ["read", "submit"]
    assert made["expiresAt"] is not None

    submitted = run("submit", "A fox", "--json", REELHOOK_API_KEY=made["key"])
    assert submitted.code == 0, submitted.err
    refused = run("watcher", "pause", REELHOOK_API_KEY=made["key"])
    assert (refused.code, refused.out) == (1, "")
    assert "Only the operator may do this" in refused.err

    elsewhere = reelhook("jobs", directory=tmp_path, REELHOOK_URL=server.url)
    assert elsewhere.code == 1
    assert "requires a key; set REELHOOK_API_KEY" in elsewhere.err
    unknown = run("jobs", REELHOOK_API_KEY="rhk_other")
    assert unknown.code == 1
    assert "does not know the key in REELHOOK_API_KEY" in unknown.err
    here = run("jobs", "--json")  # whoever reads the database is the operator
    assert here.code == 0, here.err


def test_a_key_is_listed_shown_rotated_and_revoked(run: Any) -> None:
    made = run("keys", "create", "web", "--rate", "60/m", "--rate", "9/s", "--json").json
    assert made["scopes"] == ["submit"]
    assert made["rates"]["requestsPerMinute"] == 60
    listed = run("keys", "list")
    assert made["id"] in listed.out
    assert made["key"] not in listed.out
    shown = run("keys", "show", made["id"])
    assert "Rates: 9/s, 60/m" in shown.out
    assert made["key"] not in shown.out
    rotated = run("keys", "rotate", made["id"], "--overlap", "0s", "--json").json
    expired = run("jobs", REELHOOK_API_KEY=made["key"])
    assert "The key in REELHOOK_API_KEY has expired; set another one" in expired.err
    assert run("jobs", REELHOOK_API_KEY=rotated["key"]).code == 0
    revoked = run("keys", "revoke", made["id"])
    assert "Revoked: " in revoked.out
    refused = run("jobs", REELHOOK_API_KEY=rotated["key"])
    assert "The key in REELHOOK_API_KEY was revoked; set another one" in refused.err
    ended = run("keys", "rotate", made["id"])
    assert "`reelhook keys create` makes a new one" in ended.err


def test_an_admin_makes_keys_of_its_project_with_no_more_than_its_own(run: Any) -> None:
    admin = run("keys", "create", "admin", "--scope", "admin", "--expires", "1d", "--json").json
    key = {"REELHOOK_API_KEY": admin["key"]}
    less = run("keys", "create", "less", "--expires", "2h", "--json", **key)
    assert less.json["createdBy"] == admin["id"]
    more = run("keys", "create", "more", "--expires", "30d", **key)
    assert "can't last longer than the text of the key that makes or rotates it" in more.err
    reader = run("keys", "create", "reader", "--scope", "read", "--json").json
    refused = run("keys", "list", REELHOOK_API_KEY=reader["key"])
    assert "This needs a key with the scope admin" in refused.err


def test_a_wrong_option_is_named(run: Any) -> None:
    for options, expected in (
        (("--rate", "60"), "write it like 60/m"),
        (("--expires", "90"), "expires must be a number of s, m, h or d"),
        (
            ("--scope", "everything"),
            "scopes.0 must be one of read, submit, operate or admin",
        ),
        (("--project", "nowhere"), "Project not found"),
    ):
        refused = run("keys", "create", "app", *options)
        assert refused.code != 0
        assert expected in refused.err
    assert "Key not found; `reelhook keys list`" in run("keys", "show", "key_unknown").err


def test_on_a_terminal_the_next_step_is_shown(server: Program, directory: Path) -> None:
    code, shown = on_terminal(
        *("keys", "create", "app"), directory=directory, REELHOOK_URL=server.url
    )
    assert code == 0
    assert "The key is shown only now" in shown
