"""Databases that have the newest schema already: Alembic takes its time, so it runs once."""

import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from reelhook.storage.schema.migrate import migrate


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "reelhook.db"
        migrate(path)
        return path.read_bytes()


def prepare(path: Path) -> None:
    """Write an empty database with the newest schema, unless there is a file already.

    Its folder is made where only that one is missing.
    """
    if path.exists() or not path.parent.parent.is_dir():
        return
    path.parent.mkdir(exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(_migrated())
