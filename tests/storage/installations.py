"""A SQLite installation with something of everything, to be moved."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
from migrated_database import prepare

from reelhook.domain.account_status import AccountStatus
from reelhook.domain.endpoint import Endpoint, EndpointKind
from reelhook.domain.media import File, reference
from reelhook.domain.project import Project
from reelhook.domain.report import Failed
from reelhook.ports import Destination, IdempotencyKey, NewJob, Resend
from reelhook.storage.postgres import driver as postgres
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store
from reelhook.storage.transfer.database import TABLES

from .samples import CAT, FAILED, FINISHED, NOW, RUNNING, URL, moved, new, queued, submitting

DELIVERED = """
UPDATE deliveries SET due_at = NULL, status_sequence = NULL, outcome = 'delivered',
  terminal_at = NULL, ended = 1 WHERE job_id = 'canceled'
"""
ATTEMPTS = """
INSERT INTO attempts (delivery_id, event_id, sequence, number, started_at, duration_ms,
  http_status, answer, probe) SELECT id, 'e', 1, 1, 5, 5, 200, 'fünf 🦊', 1 FROM deliveries
"""
UNDELIVERED = """
INSERT INTO undelivered (delivery_id, sequence, fate, at)
SELECT id, 1, 'exhausted', 7 FROM deliveries
"""
BODIES = """
INSERT INTO event_bodies (delivery_id, sequence, format, body)
SELECT id, 1, 'openai', CAST('{"fünf": "🦊"}' AS BLOB) FROM deliveries
"""
CLOSED_COSTS = """
INSERT INTO closed_costs VALUES
  ('prj_0', 20000, 'openai', 'sora-2', '', 3, 2, NULL, NULL, NULL),
  ('prj_0', 20000, 'openai', 'sora-2', 'USD', 1, 1, NULL, 0.1, 0.2)
"""
MANY_ATTEMPTS = """
INSERT INTO attempts (delivery_id, event_id, sequence, number, started_at, duration_ms, answer)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
SELECT (SELECT min(id) FROM deliveries), 'e', 1, i, i, 1, 'answer ' || i FROM n
"""
UNICODE = "fünf Füchse 🦊 \u2028 'quoted' \\x00 \t"


async def fill(path: Path) -> None:
    """Make the database: jobs of every status, with deliveries in every state."""
    prepare(path)
    database = SQLite(path)
    try:
        await _fill(Store(database))
    finally:
        await database.close()
    execute(path, DELIVERED)
    execute(path, ATTEMPTS)
    execute(path, UNDELIVERED)
    execute(path, BODIES)
    execute(path, "UPDATE deliveries SET secret = 'the request''s', format = 'vercel'")
    execute(path, CLOSED_COSTS)
    execute(path, "UPDATE leases SET lease_until = 99999999999999, epoch = 7")
    execute(path, "INSERT INTO workers VALUES ('old', 99999999999999)")


async def _fill(store: Store) -> None:
    await store.create_endpoint(
        Endpoint("ep_1", EndpointKind.REGISTERED, "https://r.example/", False, NOW, UNICODE)
    )
    await store.key("webhook", "whsec_c2VjcmV0")
    await store.create(new("accepted", key=IdempotencyKey("holder", UNICODE, "print")))
    await submitting(store, new("submitting"))
    await queued(store, new("queued"), "video_1")
    await moved(store, (await queued(store, new("processing"), "video_2")).apply(RUNNING, NOW))
    await moved(store, (await queued(store, new("completed"), "video_3")).apply(FINISHED, NOW))
    await moved(store, (await queued(store, new("failed"), "video_4")).apply(FAILED, NOW))
    await moved(store, (await queued(store, new("canceled"), "video_5")).cancel(NOW))
    job = (await queued(store, new("Zoë"), "video_6")).apply(Failed("x", UNICODE), NOW)
    await moved(store, job)
    registered = new("registered", urls=())
    await store.create(
        NewJob(registered.job, CAT, None, (Destination("ep_1"),), registered.idempotency)
    )
    await store.start_resend(Resend("resend_1", 0, NOW))
    await store.create_project(Project("prj_1", "shop", NOW, secret="s", models=("a/b",)))
    await store.change_project("shop", lambda one: replace(one, webhook_url=URL), NOW)
    await store.create(new("of a project", project="prj_1"))
    files = (File("image/png", bytes(range(256))), File("image/jpeg", b"jpeg"))
    first, last = (reference(file.hash) for file in files)
    illustrated = new("with files", request=replace(CAT, image=first, last_frame=last))
    await store.create(replace(illustrated, files=files))
    await store.record_round("openai", NOW)
    await store.save_account_status("openai", AccountStatus(UNICODE, 7300), None)
    await store.pause_watching(NOW)
    await store.heartbeat("worker", ["account:openai", "account:b"], 5)


def grow(path: Path, rows: int) -> None:
    """Add many attempts."""
    execute(path, MANY_ATTEMPTS, rows)


def execute(path: Path, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(5000)
    connection.execute("PRAGMA foreign_keys = ON")
    try:
        return connection.execute(statement, parameters).fetchall()
    finally:
        connection.close()


def dump(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables of a file."""
    found: dict[str, list[dict[str, Any]]] = {}
    for table, key in TABLES.items():
        names = [row[1] for row in execute(path, f"PRAGMA table_info({table})")]
        rows = execute(path, f"SELECT * FROM {table} ORDER BY {', '.join(key)}")  # noqa: S608 - names of ours
        found[table] = [dict(zip(names, row, strict=True)) for row in rows]
    return found


async def run_on(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements on PostgreSQL; return the rows of the last."""
    connection = await postgres.connect(url)
    rows: list[tuple[Any, ...]] = []
    try:
        for statement in statements:
            rows = [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()
    return rows
