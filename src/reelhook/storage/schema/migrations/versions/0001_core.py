"""core: jobs as requested, idempotency keys, and our own keys"""

import sqlalchemy as sa
from alembic import op

from reelhook.storage.schema.migrations.dialects import iso

revision = "0001"
down_revision = None


def _video_jobs() -> str:
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


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column(
            "status",
            sa.Text,
            sa.CheckConstraint(
                "status IN ('accepted', 'submitting', 'queued', 'processing',"
                " 'completed', 'failed', 'canceled')",
                name="jobs_status_known",
            ),
            nullable=False,
        ),
        sa.Column("wallet_address", sa.Text),
        sa.Column("script", sa.Text, nullable=False),
        sa.Column("direction", sa.Text),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("seconds", sa.Text),
        sa.Column("size", sa.Text),
        sa.Column("render_version", sa.Text, nullable=False),
        sa.Column("webhook_url", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("code", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_index("jobs_by_age", "jobs", ["created_at", "id"])
    op.create_index("jobs_by_status", "jobs", ["status", "created_at", "id"])
    op.create_table(
        "idempotency_keys",
        sa.Column("holder", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("idempotency_keys_by_age", "idempotency_keys", ["created_at"])
    op.create_index("idempotency_keys_by_job", "idempotency_keys", ["job_id"])
    op.create_table(
        "keys",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.execute(_video_jobs())


def downgrade() -> None:
    """Drop everything."""
    op.execute("DROP VIEW video_jobs")
    for table in ("keys", "idempotency_keys", "jobs"):
        op.drop_table(table)
