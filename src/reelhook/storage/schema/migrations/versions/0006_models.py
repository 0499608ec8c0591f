"""models: several providers, their requests and costs, and settled unresolved submissions"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from reelhook.storage.schema.migrations.dialects import where
from reelhook.storage.schema.migrations.ending import end_jobs

revision = "0006"
down_revision = "0005"

# A waiting job that needs the columns below. Without them it would be created, and paid for, as
# a different video, or at another provider or account than the one that it named.
_LOSES = """
(provider <> 'openai' OR pinned OR aspect_ratio IS NOT NULL OR image IS NOT NULL
  OR seed IS NOT NULL OR provider_options IS NOT NULL OR fallbacks IS NOT NULL)
"""
_WHY = (
    "The database was rolled back to a version that can't keep all that this job asked for "
    "(image, seed, options, provider or account); "
)
# Stored in `code` while the columns are missing, and restored on the next upgrade: the provider of
# a running job, and the unresolved submissions that a person has already settled.
_KEEP_PROVIDER = """
UPDATE jobs SET code = 'provider:' || provider
WHERE provider <> 'openai' AND status IN ('queued', 'processing')
"""
_RESTORE_PROVIDER = """
UPDATE jobs SET provider = substr(code, 10), code = NULL WHERE code LIKE 'provider:%'
"""
_KEEP_SETTLED = """
UPDATE jobs SET code = 'submission_settled'
WHERE code = 'submission_unknown' AND doubt_closed_at IS NOT NULL
"""
_RESTORE_SETTLED = """
UPDATE jobs SET doubt_closed_at = updated_at, code = 'submission_unknown'
WHERE code = 'submission_settled'
"""


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("provider", sa.Text, nullable=False, server_default="openai"),
        sa.Column("model_since", sa.BigInteger),
        sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("fallback", sa.Integer, nullable=False, server_default="0"),
        sa.Column("quoted_amount", sa.Double),
        sa.Column("quoted_unit", sa.Text),
        sa.Column("charged_amount", sa.Double),
        sa.Column("charged_unit", sa.Text),
        sa.Column("adopted_from", sa.Text),
        sa.Column("doubt_closed_at", sa.BigInteger),
        sa.Column("aspect_ratio", sa.Text),
        sa.Column("image", sa.Text),
        sa.Column("seed", sa.BigInteger),
        sa.Column("provider_options", sa.Text),
        sa.Column("fallbacks", sa.Text),
    ]


def upgrade() -> None:
    """Add what several providers need."""
    for column in _columns():
        op.add_column("jobs", column)
    op.execute(_RESTORE_PROVIDER)
    op.execute(_RESTORE_SETTLED)
    op.create_index(
        "jobs_in_doubt",
        "jobs",
        ["created_at"],
        **where("code = 'submission_unknown' AND doubt_closed_at IS NULL"),
    )


def downgrade() -> None:
    """Remove it. Jobs stay, except waiting ones that would be created as something else."""
    end_jobs(
        f"status = 'accepted' AND {_LOSES}",
        code="rolled_back",
        error=f"{_WHY}nothing was created, ask for it again",
    )
    end_jobs(
        f"status = 'submitting' AND {_LOSES}",
        code="submission_unknown",
        error=f"{_WHY}whether its provider has it is not known, look there",
    )
    op.execute(_KEEP_PROVIDER)
    op.execute(_KEEP_SETTLED)
    op.drop_index("jobs_in_doubt", "jobs")
    for column in _columns():
        op.drop_column("jobs", column.name)
