"""One line of text for an error, short enough for use within a sentence."""

from pathlib import Path

from reelhook.domain.errors import SettingsError

ERROR_CHARACTERS_MAX = 300


def error_text(error: BaseException) -> str:
    """Return the first line of an error's text. A timeout has none, so it gets a fixed text."""
    text = " ".join(str(error).partition("\n")[0].split()) or "it did not respond in time"
    return text if len(text) <= ERROR_CHARACTERS_MAX else text[:ERROR_CHARACTERS_MAX] + "..."


def no_database(path: Path) -> SettingsError:
    """Return the error for a database file that does not exist."""
    return SettingsError(
        f"There is no database {path}; set REELHOOK_DATA_DIR to its directory",
        problem="no_database",
        facts={"database": str(path)},
    )
