"""workers: those alive, so that leases are shared evenly"""

import sqlalchemy as sa
from alembic import op

from reelhook.storage.schema.migrations.dialects import is_sqlite

revision = "0004"
down_revision = "0003"

# The database's time, because the clocks of machines differ. On SQLite the driver provides it.
_NOW_MS = """
CREATE FUNCTION now_ms() RETURNS BIGINT LANGUAGE sql VOLATILE AS
$$ SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) $$
"""


def upgrade() -> None:
    """Add what several workers need."""
    op.create_table(
        "workers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("seen_until", sa.BigInteger, nullable=False),
    )
    if not is_sqlite():
        op.execute(_NOW_MS)


def downgrade() -> None:
    """Remove it."""
    if not is_sqlite():
        op.execute("DROP FUNCTION now_ms()")
    op.drop_table("workers")
