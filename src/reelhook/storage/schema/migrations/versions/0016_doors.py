"""doors: fields of requests beyond the first door's, formats of webhook bodies

Processes of the previous version must not run at the same time: they would create jobs without
these fields, and pay for a different video.
"""

import time
from typing import Any

import sqlalchemy as sa
from alembic import op

from reelhook.storage.schema.migrations.dialects import Counter, where
from reelhook.storage.schema.migrations.ending import end_jobs

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
    """Add the columns and tables."""
    for column in _request_columns():
        op.add_column("jobs", column)
    _add_formats()
    _create_client_calls()


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
        f" WHERE secret IS NOT NULL OR {_IN_ANOTHER_FORMAT}"
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
    _remove_formats()
    op.drop_table("client_calls")
    for column in reversed(_request_columns()):
        op.drop_column("jobs", column.name)
