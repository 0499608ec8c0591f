"""endpoints: receivers of events, their health; undelivered events, and resends"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from reelhook.domain.endpoint import DEFAULT_ENDPOINT, lane_of, origin_of, url_id
from reelhook.storage.schema.migrations.dialects import where

revision = "0003"
down_revision = "0002"

_WAITING_ENDS = """
UPDATE deliveries SET terminal_at = (
  SELECT occurred_at FROM events WHERE events.job_id = deliveries.job_id
    AND events.sequence = deliveries.status_sequence AND events.kind = 'terminal')
WHERE status_sequence IS NOT NULL
"""
# Rare states of deliveries, indexed so that listing them need not scan all the others.
_LISTED = {
    "deliveries_waiting": "due_at IS NOT NULL",
    "deliveries_failed": "outcome = 'exhausted'",
    "deliveries_ended": "ended",
}
# The outcome of each delivery so far, by its last attempt.
_PAST = """
UPDATE deliveries SET
  delivered_sequence = (SELECT max(sequence) FROM attempts
    WHERE attempts.delivery_id = deliveries.id AND http_status BETWEEN 200 AND 299),
  outcome = (SELECT CASE WHEN deliveries.ended THEN 'gone'
                         WHEN last.http_status BETWEEN 200 AND 299 THEN 'delivered'
                         WHEN deliveries.due_at IS NULL THEN 'exhausted' END
    FROM attempts last WHERE last.delivery_id = deliveries.id ORDER BY last.id DESC LIMIT 1)
"""
_PAST_FAILURES = """
INSERT INTO undelivered (delivery_id, sequence, fate, at)
SELECT deliveries.id, last.sequence, 'exhausted', last.started_at + last.duration_ms
FROM deliveries JOIN attempts last ON last.id = (
  SELECT max(id) FROM attempts WHERE attempts.delivery_id = deliveries.id)
WHERE outcome = 'exhausted'
"""
_NUMBER_EVENTS = """
UPDATE events SET position = numbered.position FROM (
  SELECT id, row_number() OVER (ORDER BY occurred_at, job_id, sequence) AS position FROM events
) AS numbered WHERE events.id = numbered.id
"""
# Before there were endpoints, an operator's decision to disable one could not be stored.
_END_AT_DISABLED = """
UPDATE deliveries SET ended = TRUE, due_at = NULL, status_sequence = NULL, progress_sequence = NULL
WHERE NOT ended AND endpoint_id IN (
  SELECT id FROM endpoints WHERE disabled = 'operator' OR deleted_at IS NOT NULL)
"""
# Foreign keys are not enforced while the schema changes.
_DROP_RESENT_ATTEMPTS = """
DELETE FROM attempts WHERE delivery_id IN (SELECT id FROM deliveries WHERE resend_of IS NOT NULL)
"""
_NEWEST_OF_ENDPOINT = """
SELECT deliveries.endpoint_id, deliveries.trusted, url FROM deliveries JOIN (
  SELECT max(id) AS id FROM deliveries GROUP BY endpoint_id, trusted
) AS newest ON newest.id = deliveries.id ORDER BY deliveries.id DESC
"""
_ADD_ENDPOINT = """
INSERT INTO endpoints (id, kind, url, trusted, created_at) VALUES (:id, :kind, :url, :trusted, 0)
ON CONFLICT (id) DO NOTHING
"""
_MOVE_DELIVERIES = """
UPDATE deliveries SET endpoint_id = :new, lane = :lane
WHERE endpoint_id = :old AND trusted = :trusted
"""
_USE_DEFAULT = """
UPDATE deliveries SET url = '' WHERE endpoint_id = :id
  AND url = (SELECT url FROM endpoints WHERE endpoints.id = :id)
"""


def _delivery_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("not_before", sa.BigInteger),
        sa.Column("terminal_at", sa.BigInteger),
        sa.Column("resend_of", sa.BigInteger),
        sa.Column("outcome", sa.Text),
        sa.Column("delivered_sequence", sa.Integer),
    ]


def upgrade() -> None:
    """Create endpoints from the URLs of deliveries, and add what resends need."""
    _create_endpoints()
    op.create_index("deliveries_of_endpoint", "deliveries", ["endpoint_id", "id"])
    _register_known_endpoints()
    for column in _delivery_columns():
        op.add_column("deliveries", column)
    op.drop_column("deliveries", "trusted")
    op.execute(_WAITING_ENDS)
    op.execute(_PAST)
    op.create_index(
        "deliveries_once",
        "deliveries",
        ["job_id", "endpoint_id"],
        unique=True,
        **where("resend_of IS NULL"),
    )
    op.create_index(
        "deliveries_ends",
        "deliveries",
        ["endpoint_id", "terminal_at"],
        **where("terminal_at IS NOT NULL"),
    )
    for name, state in _LISTED.items():
        op.create_index(name, "deliveries", ["id"], **where(state))
    op.create_index(
        "deliveries_resent",
        "deliveries",
        ["resend_of"],
        **where("resend_of IS NOT NULL"),
    )
    op.add_column(
        "attempts", sa.Column("probe", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.add_column("events", sa.Column("position", sa.BigInteger))
    op.execute(_NUMBER_EVENTS)
    op.create_index("events_in_order", "events", ["position"], unique=True)
    _create_repair()
    op.execute(_PAST_FAILURES)


def _create_endpoints() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("trusted", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("events", sa.Text),
        sa.Column("headers", sa.Text),
        sa.Column("concurrency", sa.Integer),
        sa.Column("broadcast", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("secret", sa.Text),
        sa.Column("previous_secret", sa.Text),
        sa.Column("previous_until", sa.BigInteger),
        sa.Column("disabled", sa.Text),
        sa.Column("disabled_at", sa.BigInteger),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failing_since", sa.BigInteger),
        sa.Column("probe_due_at", sa.BigInteger),
        sa.Column("probe_milliseconds", sa.Integer),
        sa.Column("ramp", sa.Integer),
        sa.Column("deleted_at", sa.BigInteger),
    )
    op.create_index(
        "endpoints_broadcast",
        "endpoints",
        ["id"],
        **where("broadcast AND deleted_at IS NULL"),
    )
    op.create_index(
        "endpoints_held_back",
        "endpoints",
        ["created_at", "id"],
        **where("(disabled IS NOT NULL OR probe_due_at IS NOT NULL) AND deleted_at IS NULL"),
    )
    op.create_index(
        "endpoints_listed",
        "endpoints",
        ["created_at", "id"],
        **where("kind <> 'url' AND deleted_at IS NULL"),
    )


def _register_known_endpoints() -> None:
    """Make an endpoint of each URL. The operator's URLs become the default one, still trusted.

    The default endpoint gets the newest of these URLs. Older deliveries keep the URL that they were
    meant for.
    """
    connection = op.get_bind()
    for old, trusted, url in connection.execute(sa.text(_NEWEST_OF_ENDPOINT)).fetchall():
        new = _new_id(old, url, trusted=bool(trusted))
        connection.execute(
            sa.text(_ADD_ENDPOINT),
            {
                "id": new,
                "kind": "default" if new == DEFAULT_ENDPOINT else "url",
                "url": url if new == DEFAULT_ENDPOINT else origin_of(url),
                "trusted": bool(trusted),
            },
        )
        connection.execute(
            sa.text(_MOVE_DELIVERIES),
            {"new": new, "lane": lane_of(new), "old": old, "trusted": bool(trusted)},
        )
    connection.execute(sa.text(_USE_DEFAULT), {"id": DEFAULT_ENDPOINT})


def _new_id(old: str, url: str, *, trusted: bool) -> str:
    """Return an endpoint's id. Ids from before a rollback are kept: a job may have several."""
    if "://" not in old:
        return old
    return DEFAULT_ENDPOINT if trusted else url_id(url)


def _create_repair() -> None:
    # The reason why an event never arrived at an endpoint; `attempts` has those that did.
    op.create_table(
        "undelivered",
        sa.Column(
            "delivery_id",
            sa.BigInteger,
            sa.ForeignKey("deliveries.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("fate", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("resent_by", sa.BigInteger),
    )
    op.create_index(
        "undelivered_failed",
        "undelivered",
        ["at", "delivery_id", "sequence"],
        **where("fate = 'exhausted' AND resent_by IS NULL"),
    )
    op.create_table(
        "resends",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("endpoint_id", sa.Text),
        sa.Column("resent", sa.Integer, nullable=False, server_default="0"),
        sa.Column("finished_at", sa.BigInteger),
    )
    op.create_index("resends_unfinished", "resends", ["id"], **where("finished_at IS NULL"))


def downgrade() -> None:
    """Remove endpoints. Deliveries keep the URL that they were last sent to.

    Deliveries at endpoints that the operator had disabled are ended; otherwise they would be sent.
    """
    op.execute(_END_AT_DISABLED)
    op.execute(_DROP_RESENT_ATTEMPTS)
    op.execute("DELETE FROM deliveries WHERE resend_of IS NOT NULL")
    for table in ("resends", "undelivered"):
        op.drop_table(table)
    op.drop_index("events_in_order", "events")
    op.drop_column("events", "position")
    op.drop_column("attempts", "probe")
    for index in (
        "deliveries_resent",
        *_LISTED,
        "deliveries_of_endpoint",
        "deliveries_ends",
        "deliveries_once",
    ):
        op.drop_index(index, "deliveries")
    for column in _delivery_columns():
        op.drop_column("deliveries", column.name)
    op.add_column(
        "deliveries", sa.Column("trusted", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.execute(
        "UPDATE deliveries SET trusted = e.trusted,"
        " url = CASE WHEN deliveries.url = '' THEN e.url ELSE deliveries.url END"
        " FROM endpoints e WHERE e.id = deliveries.endpoint_id"
    )
    op.drop_table("endpoints")
