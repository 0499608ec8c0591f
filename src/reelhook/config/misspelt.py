"""Finds misspelt variables, which would otherwise go unnoticed."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from pydantic_settings import DotEnvSettingsSource

from reelhook.config.env_file import readable
from reelhook.config.settings import Settings
from reelhook.config.validators import environment_name

PREFIX = "REELHOOK_"
_RECEIVER_VARIABLES = frozenset({"REELHOOK_RECEIVER_SECRET"})
"""Read by receivers, not by the server; see docs/receivers.md."""
_SIMILARITY_MIN = 0.7


def unknown_variables(
    env_file: Path | None = Path(".env"), environment: Mapping[str, str] = os.environ
) -> dict[str, str | None]:
    """Return the variables with our prefix that nothing reads, each with a similar known name."""
    known = {environment_name(field) for field in Settings.model_fields} | _RECEIVER_VARIABLES
    names = {*environment, *_in_file(env_file)}
    return {
        name: _similar(name, known)
        for name in sorted(names)
        if name.upper().startswith(PREFIX) and name not in known
    }


def _in_file(env_file: Path | None) -> set[str]:
    env_file = readable(env_file)
    if env_file is None or not env_file.is_file():
        return set()
    try:
        return set(DotEnvSettingsSource(Settings, env_file, case_sensitive=True).env_vars)
    except (OSError, UnicodeDecodeError):
        return set()  # loading the settings reports the error


def _similar(name: str, known: set[str]) -> str | None:
    by_rest = {variable.removeprefix(PREFIX): variable for variable in known}
    near = get_close_matches(name.upper().removeprefix(PREFIX), by_rest, 1, _SIMILARITY_MIN)
    return by_rest[near[0]] if near else None
