"""doors: fields of requests beyond the first door's

Processes of the previous version must not run at the same time: they would create jobs without
these fields, and pay for a different video.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from reelhook.storage.schema.migrations.dialects import where
from reelhook.storage.schema.migrations.ending import end_jobs
from reelhook.storage.schema.migrations.video_jobs_view import video_jobs

revision = "0016"
down_revision = "0015"
previous_may_run = False


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
    ]


def upgrade() -> None:
    """Add the columns."""
    for column in _request_columns():
        op.add_column("jobs", column)
    _create_client_calls()
    _add_deletion()


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


def downgrade() -> None:
    """Remove what was added. Jobs stay, except waiting ones that would be created differently."""
    _remove_deletion()
    needs = " OR ".join(f"{column.name} IS NOT NULL" for column in _request_columns())
    why = "The database was rolled back to a version that can't keep all that this job asked for; "
    end_jobs(
        f"status = 'accepted' AND ({needs})",
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
    op.drop_table("client_calls")
    for column in reversed(_request_columns()):
        op.drop_column("jobs", column.name)
