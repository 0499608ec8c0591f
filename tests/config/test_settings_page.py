import re
from pathlib import Path

import pytest

from reelhook.config import Settings, environment_name

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
ROW = re.compile(r"\| `(?P<name>[A-Z_]+)` \| (?:`(?P<default>[^`]*)`)? ?\| (?P<words>.+) \|")


def rows() -> dict[str, str | None]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    matches = [ROW.fullmatch(line) for line in lines]
    assert all(matches), "every row has a name, a default and words"
    return {match["name"]: match["default"] for match in matches if match}


def test_the_page_and_the_settings_name_the_same_variables() -> None:
    assert set(rows()) == {environment_name(field) for field in Settings.model_fields}


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
def test_the_page_tells_the_default(field: str) -> None:
    told = rows()[environment_name(field)]
    settings = Settings.of()
    if told is None:
        assert getattr(settings, field) in {None, ()}
        return
    for name in ("host", "port"):
        told = told.replace(f"{{{environment_name(name)}}}", str(getattr(settings, name)))
    assert getattr(Settings.of(**{field: told}), field) == getattr(settings, field)
