"""commits: receipts of transactions, which resolve a lost reply to COMMIT"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add receipts, and an index for idempotency keys of any holder."""
    op.create_table(
        "commits",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("written", sa.Boolean, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("idempotency_keys_by_key", "idempotency_keys", ["key"])


def downgrade() -> None:
    """Remove both. No transaction outlives the process that waits for its receipt."""
    op.drop_index("idempotency_keys_by_key", "idempotency_keys")
    op.drop_table("commits")
