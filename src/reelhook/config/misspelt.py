"""Variables that look like settings and are none: a misspelt one would go unnoticed."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from pydantic_settings import DotEnvSettingsSource

from reelhook.config.env_file import sought
from reelhook.config.settings import Settings
from reelhook.config.validators import environment_name

PREFIX = "REELHOOK_"
_OF_RECEIVERS = frozenset({"REELHOOK_RECEIVER_SECRET"})
"""Not the server's: receivers read it, see docs/receivers.md."""
_LIKENESS = 0.7


def unknown_variables(
    env_file: Path | None = Path(".env"), environment: Mapping[str, str] = os.environ
) -> dict[str, str | None]:
    """Return the set variables with our prefix that nothing reads, each with what may be meant."""
    known = {environment_name(field) for field in Settings.model_fields} | _OF_RECEIVERS
    given = {*environment, *_in_file(env_file)}
    return {
        name: _meant(name, known)
        for name in sorted(given)
        if name.upper().startswith(PREFIX) and name not in known
    }


def _in_file(env_file: Path | None) -> set[str]:
    env_file = sought(env_file)
    if env_file is None or not env_file.is_file():
        return set()
    try:
        return set(DotEnvSettingsSource(Settings, env_file, case_sensitive=True).env_vars)
    except (OSError, UnicodeDecodeError):
        return set()  # loading the settings says what is wrong


def _meant(name: str, known: set[str]) -> str | None:
    by_rest = {one.removeprefix(PREFIX): one for one in known}
    near = get_close_matches(name.upper().removeprefix(PREFIX), by_rest, 1, _LIKENESS)
    return by_rest[near[0]] if near else None
