"""models: several providers, what was asked of them, what they charge, and settled doubts"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from reelhook.storage.migrations.dialects import where

revision = "0006"
down_revision = "0005"


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
    op.create_index(
        "jobs_in_doubt",
        "jobs",
        ["created_at"],
        **where("code = 'submission_unknown' AND doubt_closed_at IS NULL"),
    )


def downgrade() -> None:
    """Take it away; the jobs stay."""
    op.drop_index("jobs_in_doubt", "jobs")
    for column in _columns():
        op.drop_column("jobs", column.name)
