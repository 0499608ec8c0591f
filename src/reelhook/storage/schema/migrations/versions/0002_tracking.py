"""tracking: the provider's reports on jobs, events, deliveries, attempts, accounts, leases"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from reelhook.domain.endpoint import lane_of, origin_of
from reelhook.storage.schema.migrations.dialects import Counter, iso, later, where

revision = "0002"
down_revision = "0001"


def _tracking_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("progress", sa.Integer, nullable=False, server_default="0"),
        sa.Column("sequence", sa.Integer, nullable=False, server_default="0"),
        sa.Column("provider_job_id", sa.Text),
        sa.Column("adopted", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("submit_attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("submit_due_at", sa.BigInteger),
        sa.Column("submit_started_at", sa.BigInteger),
        sa.Column("doubt_since", sa.BigInteger),
        sa.Column("accepted_at", sa.BigInteger),
        sa.Column("missing_since", sa.BigInteger),
        sa.Column("content_url", sa.Text),
        sa.Column("content_expires_at", sa.BigInteger),
        sa.Column("checked_at", sa.BigInteger),
    ]


def _video_jobs() -> str:
    checked = f"""CASE
    WHEN accepted_at IS NULL THEN NULL
    WHEN status IN ('completed', 'failed', 'canceled') THEN updated_at
    WHEN round_at >= accepted_at THEN {later("round_at", "coalesce(checked_at, 0)")}
    ELSE checked_at END"""
    return f"""
CREATE VIEW video_jobs AS SELECT
  jobs.id AS job_id,
  wallet_address,
  script AS script_body,
  title,
  CASE status WHEN 'completed' THEN 'completed'
              WHEN 'failed' THEN 'failed' WHEN 'canceled' THEN 'failed'
              ELSE 'generating' END AS status,
  error AS error_message,
  {iso("created_at")} AS created_at,
  {iso("updated_at")} AS updated_at,
  provider_job_id AS sora_job_id,
  CASE status WHEN 'accepted' THEN NULL WHEN 'submitting' THEN NULL
              WHEN 'canceled' THEN 'failed' ELSE status END AS sora_status,
  progress AS sora_progress,
  webhook_url,
  {iso(checked)} AS last_sora_check,
  {iso("CASE WHEN accepted_at IS NOT NULL THEN updated_at END")} AS sora_checked_at
FROM jobs LEFT JOIN accounts ON accounts.id = jobs.account
"""


def _core_video_jobs() -> str:
    return f"""
CREATE VIEW video_jobs AS SELECT
  id AS job_id,
  wallet_address,
  script AS script_body,
  title,
  CASE status WHEN 'completed' THEN 'completed'
              WHEN 'failed' THEN 'failed' WHEN 'canceled' THEN 'failed'
              ELSE 'generating' END AS status,
  error AS error_message,
  {iso("created_at")} AS created_at,
  {iso("updated_at")} AS updated_at
FROM jobs
"""


# A job that a provider had when tracking was rolled back has lost its provider job id.
END_UNTRACKED_JOBS = """
UPDATE jobs SET status = 'failed', code = 'submission_unknown', version = version + 1,
  error = 'Tracking was rolled back while this job ran; register the provider''s job again'
WHERE status IN ('submitting', 'queued', 'processing')
"""

# Jobs that were waiting when tracking was rolled back are created now; their webhooks were removed.
_WAITING = "SELECT id, webhook_url FROM jobs WHERE status = 'accepted' AND webhook_url IS NOT NULL"
_ADD_DELIVERY = """
INSERT INTO deliveries (job_id, endpoint_id, lane, url, trusted)
VALUES (:job, :endpoint, :lane, :url, FALSE)
"""


def _restore_deliveries() -> None:
    connection = op.get_bind()
    for job_id, url in connection.execute(sa.text(_WAITING)).fetchall():
        endpoint = origin_of(url)
        connection.execute(
            sa.text(_ADD_DELIVERY),
            {"job": job_id, "endpoint": endpoint, "lane": lane_of(endpoint), "url": url},
        )


def upgrade() -> None:
    """Add what tracking needs."""
    op.execute("DROP VIEW video_jobs")
    for column in _tracking_columns():
        op.add_column("jobs", column)
    op.execute(END_UNTRACKED_JOBS)
    op.create_index(
        "jobs_of_provider",
        "jobs",
        ["account", "provider_job_id"],
        unique=True,
        **where("provider_job_id IS NOT NULL"),
    )
    op.create_index(
        "jobs_watched",
        "jobs",
        ["account", "accepted_at"],
        **where("status IN ('queued', 'processing')"),
    )
    op.create_index(
        "jobs_unsubmitted",
        "jobs",
        ["account", "created_at"],
        **where("status IN ('accepted', 'submitting')"),
    )
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("listing_proven", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("round_at", sa.BigInteger),
    )
    op.create_table(
        "leases",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.BigInteger, nullable=False),
    )
    _create_events()
    _create_deliveries()
    _restore_deliveries()
    op.execute(_video_jobs())


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("progress", sa.Integer, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("events_of_job", "events", ["job_id", "sequence"], unique=True)
    # The database enforces it as well: a job ends once.
    op.create_index(
        "events_terminal_once",
        "events",
        ["job_id"],
        unique=True,
        **where("kind = 'terminal'"),
    )


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", Counter, primary_key=True),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("lane", sa.Integer, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("trusted", sa.Boolean, nullable=False),
        sa.Column("status_sequence", sa.Integer),
        sa.Column("progress_sequence", sa.Integer),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("ended", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_index("deliveries_of_job", "deliveries", ["job_id"])
    op.create_index(
        "deliveries_due",
        "deliveries",
        ["lane", "endpoint_id", "due_at"],
        **where("due_at IS NOT NULL"),
    )
    op.create_table(
        "attempts",
        sa.Column("id", Counter, primary_key=True),
        sa.Column(
            "delivery_id",
            sa.BigInteger,
            sa.ForeignKey("deliveries.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.Column("http_status", sa.Integer),
        sa.Column("error", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column("answer", sa.Text, nullable=False),
    )
    op.create_index("attempts_of_delivery", "attempts", ["delivery_id", "id"])


def downgrade() -> None:
    """Remove tracking; the jobs stay."""
    op.execute("DROP VIEW video_jobs")
    for table in ("attempts", "deliveries", "events", "leases", "accounts"):
        op.drop_table(table)
    for index in ("jobs_unsubmitted", "jobs_watched", "jobs_of_provider"):
        op.drop_index(index, "jobs")
    for column in _tracking_columns():
        op.drop_column("jobs", column.name)
    op.execute(_core_video_jobs())
