"""responses: the last responses of providers to waiting jobs, and the number of failed creates"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def _columns() -> dict[str, list[sa.Column[Any]]]:
    return {
        "jobs": [
            sa.Column("last_response", sa.Text),
            sa.Column("waiting_since", sa.BigInteger),
            sa.Column("creates_absent", sa.Integer, nullable=False, server_default="0"),
            sa.Column("exchange_ended", sa.Boolean, nullable=False, server_default=sa.false()),
        ],
        "accounts": [
            sa.Column("creates_refused_since", sa.BigInteger),
            sa.Column("creates_response", sa.Text),
            sa.Column("reads_failed_since", sa.BigInteger),
            sa.Column("reads_response", sa.Text),
        ],
    }


def upgrade() -> None:
    """Add the columns."""
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)


def downgrade() -> None:
    """Remove them: no paid job depends on them."""
    for table, columns in _columns().items():
        for column in columns:
            op.drop_column(table, column.name)
