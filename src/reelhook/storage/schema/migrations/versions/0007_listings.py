"""listings: the target of a create, the entries known before it, and facts about a listing"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns. A listing that was trusted before has to show our entries again."""
    op.create_table(
        "listings",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("first_id", sa.Text),
        sa.Column("first_read_at", sa.BigInteger, nullable=False),
        sa.Column("delay_max", sa.BigInteger),
        sa.Column("models", sa.Text, nullable=False),
    )
    op.add_column("jobs", sa.Column("submit_fingerprint", sa.Text))
    op.add_column("jobs", sa.Column("submit_after", sa.Text))
    op.execute("UPDATE accounts SET listing_proven = FALSE")


def downgrade() -> None:
    """Remove them: no listing is trusted until it has shown our entries again."""
    op.execute("UPDATE accounts SET listing_proven = FALSE")
    op.drop_column("jobs", "submit_after")
    op.drop_column("jobs", "submit_fingerprint")
    op.drop_table("listings")
