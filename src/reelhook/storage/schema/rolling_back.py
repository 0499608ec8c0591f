"""Undoes the newest revision of the schema, and reports what that dropped."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelhook.domain.encryption import Keyring
from reelhook.domain.errors import SettingsError
from reelhook.storage import owned
from reelhook.storage.at_rest import AtRest
from reelhook.storage.operation import Target
from reelhook.storage.operations import history, secrets_at_rest
from reelhook.storage.schema import applying
from reelhook.storage.schema.in_use import processes_on
from reelhook.storage.schema.migrate import pending, revisions, store_oldest
from reelhook.storage.sqlite.witness import Witness

if TYPE_CHECKING:
    from types import ModuleType

    from sqlalchemy import Connection

ENCRYPTION_REVISION = "0015_projects"
"""The first revision with encrypted secrets: earlier versions can't decrypt them."""


@dataclass(frozen=True, slots=True)
class UnfinishedJob:
    """A job that has not ended. `project` is its project's name.

    `waits`: nothing was created at a provider. `provider_job_id` None: the provider may have it.
    """

    id: str
    project: str
    account: str
    provider_job_id: str | None
    _: KW_ONLY
    waits: bool


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The revision that was undone, and what was dropped with it, by kind.

    `ended` are the jobs of other projects that waited. `running` are those that a provider has or
    may have: they go on, as jobs of the one installation.
    """

    revision: str
    dropped: Mapping[str, int] = field(default_factory=dict)
    ended: tuple[UnfinishedJob, ...] = ()
    running: tuple[UnfinishedJob, ...] = ()


def rollback(
    database: Target, *, destroy: bool, end_jobs: bool = False, keyring: Keyring | None = None
) -> RolledBack | None:
    """Undo the newest revision. Return None if there is none left.

    Raises `SettingsError` while processes are alive, if it would delete the jobs and `destroy` is
    not set, or if it would end jobs of projects and `end_jobs` is not set. A revision that makes
    secrets encrypted first decrypts them with the `keyring`; if that lacks a key,
    `UndecryptableError` is raised and nothing is changed.
    """
    known, missing = revisions(), pending(database)
    applied = known[: len(known) - len(missing)]
    if not applied:
        return None
    newest = applied.pop()
    if not applied and not destroy:
        raise SettingsError(
            f"Rolling back {newest} deletes every job",
            problem="rollback_destroys",
            facts={"revision": newest},
        )
    if isinstance(database, str) and (alive := processes_on(database)):
        raise SettingsError(
            f"Processes use this database ({', '.join(alive)}); stop them before rolling back, "
            "those without a worker too"
        )

    at_rest = AtRest(keyring)
    if newest == ENCRYPTION_REVISION:
        # Before anything is touched: a refusal must not make the file count as a copy.
        applying.run_in_loop(owned.read(database, secrets_at_rest.check_all(at_rest)))

    def downgrade(connection: "Connection") -> RolledBack:
        done = _losses(connection, newest, applying.revision(newest))
        if (done.ended or done.running) and not end_jobs:
            raise _unfinished(done)
        if isinstance(database, Path):
            Witness(database).path.unlink(missing_ok=True)
        # An earlier version does not maintain this value.
        connection.exec_driver_sql(f"DELETE FROM keys WHERE name = '{history.KEY}'")
        applying.downgrade(connection, at_rest)
        store_oldest(connection, applied)
        return done

    return applying.run(database, downgrade)


def _losses(connection: "Connection", name: str, revision: "ModuleType") -> RolledBack:
    """Return what the rollback of a revision drops, as its `LOSSES` and `UNFINISHED` find it."""
    counts: dict[str, Any] = {
        kind: connection.exec_driver_sql(sql).scalar_one()
        for kind, sql in getattr(revision, "LOSSES", {}).items()
    }
    unfinished: str | None = getattr(revision, "UNFINISHED", None)
    rows = [] if unfinished is None else connection.exec_driver_sql(unfinished).fetchall()
    jobs = [UnfinishedJob(*ids, waits=status == "accepted") for *ids, status in rows]
    return RolledBack(
        name,
        {kind: count for kind, count in counts.items() if count},
        ended=tuple(job for job in jobs if job.waits),
        running=tuple(job for job in jobs if not job.waits),
    )


def _unfinished(found: RolledBack) -> SettingsError:
    counts: dict[str, int] = {}
    for job in (*found.ended, *found.running):
        counts[job.project] = counts.get(job.project, 0) + 1
    projects = ", ".join(f"{project}: {count}" for project, count in sorted(counts.items()))
    return SettingsError(
        f"Projects other than default have unfinished jobs ({projects}); "
        "nothing was rolled back: wait until they have ended, or end those that still wait",
        problem="projects_unfinished",
        facts={"projects": projects, "waiting": len(found.ended), "running": len(found.running)},
    )
