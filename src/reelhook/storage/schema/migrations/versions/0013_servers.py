"""servers: facts about an account's server found by its adapter, and creates that bear a mark"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add both. Creates that were sent before have no mark."""
    op.add_column("listings", sa.Column("server", sa.Text, nullable=False, server_default=""))
    op.add_column(
        "jobs",
        sa.Column("submit_marked", sa.Boolean, nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    """Remove both: servers are queried again, and listings need more proof."""
    op.drop_column("jobs", "submit_marked")
    op.drop_column("listings", "server")
