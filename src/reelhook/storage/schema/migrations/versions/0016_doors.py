"""doors: fields of requests beyond the first door's, and their files; formats of webhook bodies

Processes of the previous version must not run at the same time: they would create jobs without
these fields, and pay for a different video.
"""

import time
from typing import Any

import sqlalchemy as sa
from alembic import op

from reelhook.domain.reservation import Bill, BillOutcome
from reelhook.storage.operations import reservations
from reelhook.storage.schema.migrations.dialects import Counter, is_sqlite, where
from reelhook.storage.schema.migrations.ending import end_jobs
from reelhook.storage.schema.migrations.operations import run
from reelhook.storage.schema.migrations.video_jobs_view import video_jobs

revision = "0016"
down_revision = "0015"
previous_may_run = False
_IN_ANOTHER_FORMAT = "coalesce(format, 'reelhook') <> 'reelhook'"
LOSSES = {
    "formats": f"SELECT count(*) FROM endpoints WHERE {_IN_ANOTHER_FORMAT}",
    "callbacks": "SELECT count(DISTINCT job_id) FROM deliveries d JOIN jobs j ON j.id = job_id"
    f" WHERE (secret IS NOT NULL OR {_IN_ANOTHER_FORMAT}) AND NOT ended"
    " AND (due_at IS NOT NULL OR status NOT IN ('completed', 'failed', 'canceled'))",
}
"""Queries for the numbers of things that the downgrade drops."""
_RESUBMITS_MAX = 2
"""The most resubmissions of a forgotten job in the previous version."""


def _request_columns() -> list[sa.Column[Any]]:
    """Return the columns of a request. The lists are JSON."""
    return [
        sa.Column("resolution", sa.Text),
        sa.Column("negative_prompt", sa.Text),
        sa.Column("audio", sa.Boolean),
        sa.Column("last_frame", sa.Text),
        sa.Column("reference_images", sa.Text),
        sa.Column("reference_videos", sa.Text),
        sa.Column("reference_audios", sa.Text),
        sa.Column("remix_of", sa.Text),
    ]


def upgrade() -> None:
    """Add the columns and tables."""
    for column in _request_columns():
        op.add_column("jobs", column)
    _create_files()
    _add_formats()
    _create_client_calls()
    _add_deletion()
    _rearrange_indexes()
    op.drop_column("budgets", "updated_at")


def _rearrange_indexes() -> None:
    """Let a create write one index fewer.

    A project's jobs are counted by status in the index of their ages.
    """
    op.drop_index("jobs_by_project_status", "jobs")
    op.drop_index("jobs_by_project", "jobs")
    op.create_index("jobs_by_project", "jobs", ["project", "created_at", "id", "status"])
    op.drop_index("jobs_by_status", "jobs")
    op.create_index("jobs_by_status", "jobs", ["status", "created_at", "id", "project"])


def _restore_indexes() -> None:
    op.drop_index("jobs_by_status", "jobs")
    op.create_index("jobs_by_status", "jobs", ["status", "created_at", "id"])
    op.drop_index("jobs_by_project", "jobs")
    op.create_index("jobs_by_project", "jobs", ["project", "created_at", "id"])
    op.create_index("jobs_by_project_status", "jobs", ["project", "status", "created_at", "id"])


def _create_files() -> None:
    """Add the files of requests, and the jobs that have them.

    The body is the last column, so that SQLite reads the others without it. Images do not compress.
    """
    op.create_table(
        "files",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    if not is_sqlite():
        op.execute("ALTER TABLE files ALTER COLUMN body SET STORAGE EXTERNAL")
    op.create_table(
        "job_files",
        sa.Column(
            "job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, primary_key=True),
        sa.ForeignKeyConstraint(["project", "hash"], ["files.project", "files.hash"]),
    )
    op.create_index("job_files_by_file", "job_files", ["project", "hash"])


def _add_formats() -> None:
    """Add the format of an endpoint, that of a request's own URL with its secret, and the bodies.

    `event_bodies` has the body of an event for each delivery that gets it in another format than
    `events.body`. The index finds the secrets without reading all deliveries.
    """
    op.add_column(
        "endpoints", sa.Column("format", sa.Text, nullable=False, server_default="reelhook")
    )
    op.add_column("deliveries", sa.Column("format", sa.Text))
    op.add_column("deliveries", sa.Column("secret", sa.Text))
    op.create_index("deliveries_secret", "deliveries", ["job_id"], **where("secret IS NOT NULL"))
    op.create_table(
        "event_bodies",
        sa.Column(
            "delivery_id",
            Counter,
            sa.ForeignKey("deliveries.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def _remove_formats() -> None:
    """Remove them. Webhooks in another format, or with a request's own secret, are not sent.

    Their receivers would read them wrongly, or refuse them. Endpoints in another format are
    disabled, so that their events wait until the operator has decided.
    """
    now = time.time_ns() // 1_000_000
    op.execute(
        f"UPDATE endpoints SET disabled = 'operator', disabled_at = {now:d}"
        f" WHERE {_IN_ANOTHER_FORMAT} AND disabled IS NULL"
    )
    op.execute(
        "UPDATE deliveries SET ended = TRUE, due_at = NULL, status_sequence = NULL,"
        " progress_sequence = NULL, terminal_at = NULL"
        f" WHERE (secret IS NOT NULL OR {_IN_ANOTHER_FORMAT}) AND NOT ended AND (due_at IS NOT NULL"
        " OR job_id IN (SELECT id FROM jobs"
        " WHERE status NOT IN ('completed', 'failed', 'canceled')))"
    )
    op.drop_table("event_bodies")
    op.drop_index("deliveries_secret", "deliveries")
    op.drop_column("deliveries", "secret")
    op.drop_column("deliveries", "format")
    op.drop_column("endpoints", "format")


def _create_client_calls() -> None:
    """Add the table of the calls that clients repeat without a key, while their job is unused."""
    op.create_table(
        "client_calls",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE")),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("answered_at", sa.BigInteger, nullable=False),
        sa.Column("answered", sa.BigInteger, nullable=False),
        sa.Column("lost", sa.Boolean, nullable=False),
        sa.Column("process", sa.Text),
    )
    op.create_index("client_calls_by_job", "client_calls", ["job_id"])
    op.create_index("client_calls_by_age", "client_calls", ["created_at"])


# The code of a deleted job while the column is missing: its row stays, because it owns a video.
_KEEP_DELETED = """
UPDATE jobs SET code = 'deleted', error = 'This job was deleted' WHERE deleted_at IS NOT NULL
"""
_RESTORE_DELETED = """
UPDATE jobs SET deleted_at = updated_at, code = NULL, error = NULL WHERE code = 'deleted'
"""


def _add_deletion() -> None:
    """Add the time at which a job was deleted. Its row stays, and its events without a body."""
    op.add_column("jobs", sa.Column("deleted_at", sa.BigInteger))
    op.execute(_RESTORE_DELETED)
    op.create_index(
        "jobs_deleted", "jobs", ["project", "status"], **where("deleted_at IS NOT NULL")
    )
    op.execute("DROP VIEW video_jobs")
    op.execute(video_jobs("deleted_at IS NULL"))


def _remove_deletion() -> None:
    """Remove it. A deleted job is then shown as an ended one without a request."""
    op.execute("DROP VIEW video_jobs")
    op.execute(video_jobs())
    op.drop_index("jobs_deleted", "jobs")
    op.execute(_KEEP_DELETED)
    op.execute("DELETE FROM events WHERE length(body) = 0")
    op.drop_column("jobs", "deleted_at")


def _release(which: str) -> None:
    """Release the reservations of jobs for which nothing was created."""
    found = op.get_bind().execute(sa.text(f"SELECT id FROM jobs WHERE {which}"))
    for (job_id,) in found.fetchall():
        run(reservations.settle(job_id, Bill(BillOutcome.RELEASED)))


def downgrade() -> None:
    """Remove what was added. Jobs stay, except waiting ones that would be created differently.

    Their budgets get back what was reserved for them. If a server forgets a job that it has, the
    previous version sends it again without these fields, unless it seems to have done so already.
    """
    op.add_column(
        "budgets", sa.Column("updated_at", sa.BigInteger, nullable=False, server_default="0")
    )
    _restore_indexes()
    _remove_deletion()
    needs = " OR ".join(f"{column.name} IS NOT NULL" for column in _request_columns())
    needs += " OR image LIKE 'file:%'"
    why = "The database was rolled back to a version that can't keep all that this job asked for; "
    waiting = f"status = 'accepted' AND ({needs})"
    _release(waiting)
    end_jobs(
        waiting,
        code="rolled_back",
        error=f"{why}nothing was created, ask for it again",
        next_at=True,
    )
    end_jobs(
        f"status = 'submitting' AND ({needs})",
        code="submission_unknown",
        error=f"{why}whether its provider has it is not known, look there",
        next_at=True,
    )
    op.execute(
        f"UPDATE jobs SET forgotten = {_RESUBMITS_MAX:d}"
        f" WHERE status NOT IN ('completed', 'failed', 'canceled') AND ({needs})"
    )
    op.drop_table("job_files")
    op.drop_table("files")
    _remove_formats()
    op.drop_table("client_calls")
    for column in reversed(_request_columns()):
        op.drop_column("jobs", column.name)
