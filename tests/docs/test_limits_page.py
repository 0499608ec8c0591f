"""Every code of a limit is where its users look."""

import re
from pathlib import Path

from reelhook.doors.app import DESCRIPTION
from reelhook.doors.limits import REFUSALS

ROOT = Path(__file__).parents[2]
CODES = re.compile(r'(?:LimitError|busy)\(\s*(?:\d{3},\s*)?"([a-z_]+)"')
PAIR = re.compile(r'\(\d{3}, "([a-z_]+)"\)')


def codes_in_the_source() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "src" / "reelhook").rglob("*.py"):
        text = path.read_text()
        found.update(CODES.findall(text))
        if "LimitError" in text:
            found.update(PAIR.findall(text))
    return found


def test_every_limit_that_refuses_is_told() -> None:
    assert codes_in_the_source() == set(REFUSALS)


def test_the_pages_name_every_code() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    for code in REFUSALS:
        assert f"`{code}`" in page
        assert f"`{code}`" in DESCRIPTION


def test_a_code_names_the_setting_that_the_page_of_settings_has() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    named = {name for words in REFUSALS.values() for name in re.findall(r"REELHOOK_\w+", words)}
    assert len(named) == 7
    for name in named:
        assert f"| `{name}` |" in page
