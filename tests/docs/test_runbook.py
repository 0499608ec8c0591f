"""The runbook, the sentences and the list of causes agree."""

import re
import shlex
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from typer.main import get_command

from reelhook.cli.app import build
from reelhook.domain.causes.cause import CauseName
from reelhook.doors.cause_sentences import WORDS

PAGE = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()
PROGRAM: Any = get_command(build())
SECTIONS = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_the_runbook_has_a_section_for_each_cause_in_the_order_of_their_harm() -> None:
    webhooks_last = sorted(CauseName, key=lambda name: (name.harm, name.rank))
    assert list(SECTIONS) == [name.value for name in webhooks_last]


@pytest.mark.parametrize("cause", CauseName)
def test_a_section_says_what_happens_by_itself_and_what_to_do(cause: CauseName) -> None:
    assert "- **By itself**: " in SECTIONS[cause]
    assert "- **What to do**: " in SECTIONS[cause]


def test_each_cause_has_sentences_and_no_other_has() -> None:
    assert {name.partition(".")[0] for name in WORDS} == {name.value for name in CauseName}


@pytest.mark.parametrize("name", WORDS)
def test_the_commands_of_a_cause_exist(name: str) -> None:
    words = WORDS[name]
    for command in filter(None, (words.command, words.command_for_many)):
        facts = {fact: "x" for _, fact, _, _ in Formatter().parse(command) if fact}
        if "owner" in facts:
            facts["owner"] = "project"
        program, *parts = shlex.split(command.format(**facts))
        assert program == "reelhook"
        found = PROGRAM
        while hasattr(found, "commands"):
            found = found.commands[parts.pop(0)]
        known = {option for parameter in found.params for option in parameter.opts}
        assert {part for part in parts if part.startswith("--")} <= known
