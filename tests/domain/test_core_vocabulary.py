"""The core names no route and no command: doors and the command line make these sentences.

No two public classes share a name.
"""

import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "reelhook"
CORE = ("domain", "service", "engine", "storage", "core", "ports")
ROUTE_OR_COMMAND = re.compile(r"/api/|`reelhook |\breelhook (jobs|endpoints|serve|status)\b")


@pytest.mark.parametrize("package", CORE)
def test_the_core_names_no_route_and_no_command(package: str) -> None:
    files = set((SOURCE / package).rglob("*.py"))
    assert files
    named = [
        f"{path.relative_to(SOURCE)}: {match[0]}"
        for path in files
        if (match := ROUTE_OR_COMMAND.search(path.read_text()))
    ]
    assert named == []


def test_no_two_public_classes_share_a_name() -> None:
    files = [(path.relative_to(SOURCE), path.read_text()) for path in SOURCE.rglob("*.py")]
    places: dict[str, list[str]] = {}
    for path, text in files:
        for name in re.findall(r"^\s*class ([A-Z]\w*)\b", text, re.MULTILINE):
            places.setdefault(name, []).append(str(path))
    assert len(places) > 100
    assert {name: there for name, there in places.items() if len(there) > 1} == {}
