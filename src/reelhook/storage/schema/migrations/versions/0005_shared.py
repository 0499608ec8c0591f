"""shared: state of all processes: switches of the installation, and the status of accounts"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the tables and columns."""
    # A switch that is on has a row.
    op.create_table(
        "switches",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("since", sa.BigInteger, nullable=False),
    )
    op.add_column("accounts", sa.Column("unauthorized", sa.Text))
    op.add_column("accounts", sa.Column("stretched_ms", sa.BigInteger))


def downgrade() -> None:
    """Remove them: watching continues, and no account is known to be refused."""
    op.drop_column("accounts", "stretched_ms")
    op.drop_column("accounts", "unauthorized")
    op.drop_table("switches")
