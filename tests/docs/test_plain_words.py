"""No text that a reader meets uses a word that CONTRIBUTING.md advises against."""

import ast
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer

from reelhook.cli.app import build

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "reelhook"
PAGES = {
    "README.md": ["README.md"],
    "ARCHITECTURE.md": ["ARCHITECTURE.md"],
    "CONTRIBUTING.md": ["CONTRIBUTING.md"],
    "CHANGELOG.md": ["CHANGELOG.md"],
    "bench/README.md": ["bench/README.md"],
    "docs/cli.md": ["docs/cli.md"],
    "docs/settings.md": ["docs/settings.md"],
    "docs/providers": ["docs/providers/*.md"],
    "docs": ["docs/*.md", "docs/*.svg", "docs/decisions/*.md"],
}
PACKAGES = sorted(path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists())

WORDS = (
    "surely",
    "anew",
    "fares?",
    "whoever",
    "at hand",
    "under[ _]way",
    "is not to be found",
    "goes? by",
    "in the air",
    "all the same",
    "for want of",
    "of our own",
    "films?",
    "pictures?",
    "beside",
    "told",
)
# Parts of a name in code count as words: `_told`, `under_way`.
WORST = re.compile(rf"(?<![a-z])(?:{'|'.join(WORDS)})(?![a-z])", re.IGNORECASE)
HTML_ELEMENT = re.compile(r"</?picture>")
OPENING = re.compile(r"(What|Who|Whose|How|Whether)\b")
WORD_LIST = re.compile(r"^\| instead of \| write \|\n(?:\|.*\n)+", re.MULTILINE)


def words_in(text: str) -> Iterator[str]:
    """Yield each of the words with its line."""
    for number, line in enumerate(text.splitlines(), start=1):
        for match in WORST.finditer(HTML_ELEMENT.sub("", line)):
            yield f"line {number}: {match[0]}"


def openings_in(source: str) -> Iterator[str]:
    """Yield the docstrings that begin with a question word, those of attributes too."""
    for node in ast.walk(ast.parse(source)):
        for inner in ast.iter_child_nodes(node):
            if (
                isinstance(inner, ast.Expr)
                and isinstance(inner.value, ast.Constant)
                and isinstance(inner.value.value, str)
                and (opening := OPENING.match(inner.value.value))
            ):
                yield f"line {inner.lineno}: a docstring begins with {opening[0]}"


def of_pages(patterns: list[str]) -> list[str]:
    files = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    own = {ROOT / name for name in ("docs/cli.md", "docs/settings.md")}
    if "docs/*.md" in patterns:
        files = [path for path in files if path not in own]
    return [
        f"{path.relative_to(ROOT)}, {found}"
        for path in files
        for found in words_in(WORD_LIST.sub("", path.read_text()))
    ]


def of_package(name: str) -> list[str]:
    folder = SOURCE / name
    files = sorted(folder.rglob("*.py")) if name else sorted(SOURCE.glob("*.py"))
    return [
        f"{path.relative_to(ROOT)}, {found}"
        for path in files
        for found in [*words_in(path.read_text()), *openings_in(path.read_text())]
    ]


def of_helps(command: Any, path: str = "reelhook") -> list[str]:
    """Search the texts that `--help` shows, of a command and of those below it."""
    texts = [command.help, command.epilog, command.short_help]
    texts += [getattr(one, "help", None) for one in command.params]
    found = [f"{path} --help, {one}" for text in texts for one in words_in(text or "")]
    for name, inner in getattr(command, "commands", {}).items():
        found += of_helps(inner, f"{path} {name}")
    return found


PARTS: dict[str, Callable[[], list[str]]] = {
    **{name: partial(of_pages, patterns) for name, patterns in PAGES.items()},
    **{f"src/{name}": partial(of_package, name) for name in ("", *PACKAGES)},
    "help": lambda: of_helps(typer.main.get_command(build())),
}


@pytest.mark.parametrize("part", PARTS)
def test_no_part_uses_a_word_that_a_stranger_stumbles_over(part: str) -> None:
    assert PARTS[part]() == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It surely was", 1),
        ("def _told(under_way: int)", 2),
        ("commit_untold", 0),
        ("a toldo, a manewver, filming", 0),
        ("Whoever goes by it", 2),
    ],
)
def test_words_are_found_whole_and_as_parts_of_names(text: str, found: int) -> None:
    assert len(list(words_in(text))) == found


def test_docstrings_that_begin_with_a_question_word_are_found() -> None:
    source = '"""Whose it is."""\nX = 1\n"""How many."""\ndef f() -> None:\n    """Return."""\n'
    assert len(list(openings_in(source))) == 2


def test_the_list_of_words_in_contributing_is_no_use_of_them() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert "| surely | definitely |" in page
    assert "| surely | definitely |" not in WORD_LIST.sub("", page)
