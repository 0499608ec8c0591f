"""The file `.env`, where there may be one."""

from pathlib import Path


def sought(env_file: Path | None) -> Path | None:
    """Return the file, or None where its directory may not be looked into.

    A service may start in a directory of another user, such as root's home. Whatever is there was
    not put there for it.
    """
    try:
        if env_file is not None:
            env_file.stat()
    except PermissionError:
        return None
    except OSError:
        pass  # most likely there is none
    return env_file
