"""next_at: the time of an endpoint's next check, so that queries cost what is due"""

import sqlalchemy as sa
from alembic import op

from reelhook.domain.endpoint import lane_of
from reelhook.storage.schema.migrations.dialects import where

revision = "0008"
down_revision = "0007"

_WAITING = "disabled IS NULL AND deleted_at IS NULL AND next_at IS NOT NULL"
_INDEXES = {
    "endpoints_due": f"failures = 0 AND probe_due_at IS NULL AND {_WAITING}",
    "endpoints_due_shaky": f"failures > 0 AND probe_due_at IS NULL AND {_WAITING}",
    "endpoints_due_open": f"probe_due_at IS NOT NULL AND {_WAITING}",
}
# Too early costs one query; too late would be a webhook that is never sent. So with an open breaker
# every retry counts, whichever delivery will be the probe.
_FIRST_DUE = """
UPDATE endpoints SET next_at = (
  SELECT min(CASE WHEN probe_due_at IS NULL OR (attempts > 0 AND due_at < probe_due_at)
                  THEN due_at ELSE probe_due_at END)
  FROM deliveries d WHERE d.lane = endpoints.lane AND d.endpoint_id = endpoints.id
    AND d.due_at IS NOT NULL)
"""


def upgrade() -> None:
    """Add the time, and compute it for deliveries that already wait."""
    op.add_column("endpoints", sa.Column("lane", sa.Integer, nullable=False, server_default="0"))
    op.add_column("endpoints", sa.Column("next_at", sa.BigInteger))
    op.add_column(
        "endpoints", sa.Column("health_version", sa.Integer, nullable=False, server_default="0")
    )
    connection = op.get_bind()
    ids = [row[0] for row in connection.execute(sa.text("SELECT id FROM endpoints"))]
    if ids:
        connection.execute(
            sa.text("UPDATE endpoints SET lane = :lane WHERE id = :id"),
            [{"lane": lane_of(endpoint_id), "id": endpoint_id} for endpoint_id in ids],
        )
    op.execute(_FIRST_DUE)
    for name, condition in _INDEXES.items():
        op.create_index(name, "endpoints", ["next_at", "lane"], **where(condition))


def downgrade() -> None:
    """Remove it; waiting deliveries are found without it."""
    for name in _INDEXES:
        op.drop_index(name, "endpoints")
    for column in ("health_version", "next_at", "lane"):
        op.drop_column("endpoints", column)
