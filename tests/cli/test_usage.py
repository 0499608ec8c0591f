import re
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_programs import reelhook

import reelhook as package
from reelhook.cli.app import build

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


def commands(group: Any, path: str = "") -> dict[str, Any]:
    """Return all commands by their whole name, those of groups too."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = hasattr(command, "commands")
        found |= commands(command, f"{path}{name} ") if inner else {path + name: command}
    return found


COMMANDS = commands(typer.main.get_command(build()))


def section(name: str) -> str:
    match = re.search(rf"^### `reelhook {name}\b.*?(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match, f"docs/cli.md has no section on {name}"
    return match[0]


def options(name: str) -> set[str]:
    return {
        option
        for parameter in COMMANDS[name].params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--") and option != "--help"
    }


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_page_tells_every_option_of_a_command_and_no_other(name: str) -> None:
    told = set(re.findall(r"`(--[a-z-]+)`", section(name)))
    assert told == options(name)


def test_the_page_tells_of_no_other_command() -> None:
    headings = re.findall(r"^### `reelhook ([^`]+)`", PAGE, re.MULTILINE)
    told = [
        name for name in COMMANDS for heading in headings if f"{heading} ".startswith(f"{name} ")
    ]
    assert sorted(told) == sorted(COMMANDS)
    assert len(headings) == len(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself_with_examples(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert f"reelhook {name}" in command.epilog
    for parameter in command.params:
        assert parameter.help, parameter.name


def test_help_and_version_answer(tmp_path: Path) -> None:
    help_ = reelhook("submit", "--help", directory=tmp_path)
    assert (help_.code, help_.err) == (0, "")
    assert "Examples" in help_.out
    version = reelhook("--version", directory=tmp_path)
    assert version.out == f"reelhook {package.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sumbit", "x"], "Did you mean 'submit'"),
        (["submit"], "Missing argument 'SCRIPT'"),
        (["jobs", "--limit", "0"], "'--limit': must be greater than or equal to 1"),
        (["watcher", "stop"], "'ACTION': 'stop' is not one of 'pause'"),
        (["simulate", "--reset", "0.9", "--malformed", "0.9"], "must be at most 1"),
        (["serve", "--prot", "1"], "--prot"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    outcome = reelhook(*arguments, directory=tmp_path)
    assert (outcome.code, outcome.out) == (2, "")
    assert says in outcome.err
    assert outcome.err.count("\n") == 1
    assert "see `reelhook" in outcome.err


def test_no_command_at_all_shows_the_help(tmp_path: Path) -> None:
    outcome = reelhook(directory=tmp_path)
    assert outcome.code == 2
    assert "demo" in outcome.out + outcome.err
