"""The file `.env`, which may be missing or unreadable."""

from pathlib import Path


def readable(env_file: Path | None) -> Path | None:
    """Return the file, or None if its directory may not be searched.

    A service may start in another user's directory, such as root's home. The files there are not
    meant for it.
    """
    try:
        if env_file is not None:
            env_file.stat()
    except PermissionError:
        return None
    except OSError:
        pass  # most likely the file does not exist
    return env_file
