"""ARCHITECTURE.md is short, and the tests and modules that it and the decisions name exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
INVARIANT = re.compile(r"\| (\d+) \| [^|]+ \| (?P<enforced>[^|]+) \| (?P<tests>[^|]+) \|")
MODULE = re.compile(r"`((?:[a-z_]+/)+[a-z_]+\.py)`")
FOLDERS = [ROOT, ROOT / "src" / "reelhook", ROOT / "src" / "reelhook" / "engine", ROOT / "tests"]


def test_the_page_has_at_most_90_lines() -> None:
    assert len(PAGE.splitlines()) <= 90


def test_every_invariant_names_a_module_and_a_test_that_exist() -> None:
    invariants = list(INVARIANT.finditer(PAGE))
    assert [int(one[1]) for one in invariants] == list(range(1, len(invariants) + 1))
    assert len(invariants) >= 12
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    defined = set(re.findall(r"def (test_\w+)\(", sources))
    for invariant in invariants:
        assert MODULE.search(invariant["enforced"]), invariant[0]
        named = re.findall(r"`(\w+)`", invariant["tests"])
        assert named, invariant[0]
        assert set(named) <= defined, set(named) - defined


@pytest.mark.parametrize("page", [ROOT / "ARCHITECTURE.md", *DECISIONS], ids=lambda one: one.stem)
def test_the_modules_that_a_page_names_exist(page: Path) -> None:
    for name in set(MODULE.findall(page.read_text())):
        assert any((folder / name).exists() for folder in FOLDERS), name


@pytest.mark.parametrize("page", DECISIONS, ids=lambda one: one.stem)
def test_a_decision_has_a_number_and_the_same_three_parts(page: Path) -> None:
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+", page.stem)
    headings = re.findall(r"^## (.*)$", page.read_text(), re.MULTILINE)
    assert [one for one in headings if one != "Rejected"] == [
        "Context",
        "Decision",
        "Consequences",
    ]
    assert f"docs/decisions/{page.name})" in PAGE


def test_the_numbers_of_decisions_have_no_gap() -> None:
    numbers = [int(page.stem[:4]) for page in DECISIONS]
    assert numbers == list(range(1, len(DECISIONS) + 1))


def test_the_terms_of_the_glossary_are_in_alphabetical_order_and_there_once() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text()
    terms = re.findall(r"^\| \*\*([^*]+)\*\* \|", page, re.MULTILINE)
    assert terms == sorted(set(terms))
    assert len(terms) >= 35
