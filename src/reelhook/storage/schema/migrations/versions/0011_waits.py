"""waits: the time until which an account's provider wants no requests"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("accounts", sa.Column("reads_wait_until", sa.BigInteger))
    op.add_column("accounts", sa.Column("creates_wait_until", sa.BigInteger))


def downgrade() -> None:
    """Remove them: a provider that wants a pause will ask for it again."""
    op.drop_column("accounts", "creates_wait_until")
    op.drop_column("accounts", "reads_wait_until")
