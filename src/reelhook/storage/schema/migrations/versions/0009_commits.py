"""commits: receipts of transactions, so that a lost response to COMMIT can be cleared up"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make room for receipts, and find an idempotency key whoever brought it."""
    op.create_table(
        "commits",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("written", sa.Boolean, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("idempotency_keys_by_key", "idempotency_keys", ["key"])


def downgrade() -> None:
    """Take both away. No transaction outlives the process that waits for its receipt."""
    op.drop_index("idempotency_keys_by_key", "idempotency_keys")
    op.drop_table("commits")
