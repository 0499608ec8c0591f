"""archive: the files of completed jobs, jobs looked at once more, and what projects keep

Processes of the previous version must not run at the same time: they would delete jobs and leave
their files.
"""

import time

import sqlalchemy as sa
from alembic import op

from reelhook.domain.reservation import Bill, BillOutcome
from reelhook.storage.operations import reservations
from reelhook.storage.schema.migrations.dialects import where
from reelhook.storage.schema.migrations.ending import end_jobs
from reelhook.storage.schema.migrations.operations import run

_FOREVER = 2**62
"""The time at which a file expires if none is known."""
revision = "0017"
down_revision = "0016"
previous_may_run = False
LOSSES = {
    "archived_files": "SELECT count(*) FROM archive WHERE state = 'stored'",
}
"""Queries for the numbers of things that the downgrade drops."""


def upgrade() -> None:
    """Add the tables and columns. Jobs that have completed get a file that waits."""
    _create_archive()
    _create_late_checks()
    # Objects whose file was removed: they are deleted once their store responds.
    op.create_table(
        "removed_objects",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("due_at", sa.BigInteger, nullable=False),
    )
    op.add_column("jobs", sa.Column("recovered_at", sa.BigInteger))
    op.add_column("jobs", sa.Column("unprepared_since", sa.BigInteger))
    op.create_index(
        "jobs_unprepared",
        "jobs",
        ["account", "unprepared_since", "id"],
        **where("status = 'accepted' AND unprepared_since IS NOT NULL"),
    )
    # Apart from `files`: SQLite would rewrite a whole file to change a time in its row.
    op.create_table(
        "uploads",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("kept_until", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "hash"], ["files.project", "files.hash"], ondelete="CASCADE"
        ),
    )
    # The times since which a key is refused, and since which rounds take too long.
    op.add_column("accounts", sa.Column("unauthorized_since", sa.BigInteger))
    op.add_column("accounts", sa.Column("stretched_since", sa.BigInteger))
    op.add_column("projects", sa.Column("archive_keep_days", sa.Float))
    op.add_column("projects", sa.Column("archive_bytes_max", sa.BigInteger))
    # Apart from `events`: processes of the previous version know no such names.
    op.add_column("endpoints", sa.Column("after_end_events", sa.Text))
    op.add_column("accounts", sa.Column("archive_paused_since", sa.BigInteger))
    op.add_column("accounts", sa.Column("archive_pause_cause", sa.Text))
    op.add_column("accounts", sa.Column("archive_pause_message", sa.Text))
    # Since when, and why, the files of requests can't be fetched or kept.
    op.add_column("accounts", sa.Column("files_refused_since", sa.BigInteger))
    op.add_column("accounts", sa.Column("files_response", sa.Text))


def _create_archive() -> None:
    """Add the table of files. Each index has only the rows that its query reads."""
    op.create_table(
        "archive",
        sa.Column(
            "job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("late", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("missing_since", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("key", sa.Text),
        sa.Column("size", sa.BigInteger),
        sa.Column("sha256", sa.Text),
        sa.Column("content_type", sa.Text),
        sa.Column("stored_at", sa.BigInteger),
        sa.Column("duration", sa.Float),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("frame_rate", sa.Float),
        sa.Column("codec", sa.Text),
        sa.Column("has_audio", sa.Boolean),
        sa.Column("poster_state", sa.Text),
        sa.Column("poster_key", sa.Text),
        sa.Column("poster_size", sa.BigInteger),
    )
    op.create_index(
        "archive_waiting",
        "archive",
        ["account", "late", "expires_at", "due_at"],
        **where("state = 'waiting'"),
    )
    op.create_index(
        "archive_posters", "archive", ["stored_at"], **where("poster_state = 'waiting'")
    )
    op.create_index(
        "archive_stored", "archive", ["project", "stored_at", "size"], **where("state = 'stored'")
    )
    # Files of older jobs: fetched where the provider still has them, after the new ones.
    now = time.time_ns() // 1_000_000
    op.execute(
        "INSERT INTO archive (job_id, project, account, state, due_at, expires_at, late, attempts)"
        f" SELECT id, project, account, 'waiting', {now:d},"
        f" coalesce(content_expires_at * 1000, {_FOREVER:d}), TRUE, 0"
        " FROM jobs WHERE status = 'completed' AND provider_job_id IS NOT NULL"
        " AND deleted_at IS NULL"
    )


def _create_late_checks() -> None:
    """Add the table of ended jobs that are looked at again, because they may still succeed.

    `spent` is what their end has added to budgets.
    """
    op.create_table(
        "late_checks",
        sa.Column(
            "job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("checks", sa.Integer, nullable=False),
        sa.Column("spent", sa.Text),
    )
    op.create_index("late_checks_due", "late_checks", ["account", "due_at"])


def _end_jobs_that_need_others() -> None:
    single = (f"{name} LIKE 'job:%'" for name in ("image", "last_frame"))
    lists = (f"reference_{kind}s LIKE '%\"job:%'" for kind in ("image", "video"))
    waiting = f"status = 'accepted' AND ({' OR '.join((*single, *lists))})"
    found = op.get_bind().execute(sa.text(f"SELECT id FROM jobs WHERE {waiting}"))
    for (job_id,) in found.fetchall():
        run(reservations.settle(job_id, Bill(BillOutcome.RELEASED)))
    end_jobs(
        waiting,
        code="rolled_back",
        error="The database was rolled back to a version that can't use the video of another job; "
        "nothing was created, ask for it again",
        next_at=True,
    )


def downgrade() -> None:
    """Remove them. The objects stay where they are; recovered jobs stay failed.

    Jobs that wait for the video of another job end: the previous version would send its name.
    """
    _end_jobs_that_need_others()
    op.drop_column("endpoints", "after_end_events")
    op.drop_column("accounts", "files_response")
    op.drop_column("accounts", "files_refused_since")
    op.drop_column("accounts", "archive_pause_message")
    op.drop_column("accounts", "archive_pause_cause")
    op.drop_column("accounts", "archive_paused_since")
    op.drop_column("projects", "archive_bytes_max")
    op.drop_column("projects", "archive_keep_days")
    op.drop_table("uploads")
    op.drop_index("jobs_unprepared", "jobs")
    op.drop_column("jobs", "unprepared_since")
    op.drop_column("accounts", "stretched_since")
    op.drop_column("accounts", "unauthorized_since")
    op.drop_column("jobs", "recovered_at")
    op.drop_table("removed_objects")
    op.drop_table("late_checks")
    op.drop_table("archive")
