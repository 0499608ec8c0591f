"""forgotten: the number of times a restarted server lost a job, and whether a cancel stopped it"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add both."""
    op.add_column("jobs", sa.Column("stopped", sa.Boolean))
    op.add_column("jobs", sa.Column("forgotten", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    """Remove both: jobs that were sent again because a server forgot them stay as they are."""
    op.drop_column("jobs", "forgotten")
    op.drop_column("jobs", "stopped")
