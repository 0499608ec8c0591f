"""doors: fields of requests beyond the first door's

Processes of the previous version must not run at the same time: they would create jobs without
these fields, and pay for a different video.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from reelhook.storage.schema.migrations.ending import end_jobs

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
        sa.Column("remix_of", sa.Text),
    ]


def upgrade() -> None:
    """Add the columns."""
    for column in _request_columns():
        op.add_column("jobs", column)
    _create_client_calls()


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


def downgrade() -> None:
    """Remove what was added. Jobs stay, except waiting ones that would be created differently."""
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
