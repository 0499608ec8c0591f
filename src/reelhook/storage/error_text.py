"""What an error says, in words that fit into a sentence of ours."""

from pathlib import Path

from reelhook.domain.errors import SettingsError

WORDS_MAX = 300


def words_of(error: BaseException) -> str:
    """Return what an error says, in one line; those of time say nothing."""
    words = " ".join(str(error).partition("\n")[0].split()) or "it did not answer in time"
    return words if len(words) <= WORDS_MAX else words[:WORDS_MAX] + "..."


def no_database(path: Path) -> SettingsError:
    """Return the error for a database file that does not exist."""
    return SettingsError(
        f"There is no database {path}; set REELHOOK_DATA_DIR to its directory",
        problem="no_database",
        facts={"database": str(path)},
    )
