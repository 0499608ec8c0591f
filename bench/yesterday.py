"""A day of history for images of the dashboard: copies of real jobs, moved back in time."""

import math
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from reelhook.domain.ids import new_id

HOUR = 3_600_000
_PRICES = (
    ("xai", "grok-imagine-video", 0.25),
    ("fal", "fal-ai/veo3/fast", 0.6),
    ("ark", "dreamina-seedance-2-0-260128", 0.84),
)
_CLOSED = """
INSERT INTO closed_costs (project, day, provider, model, unit, jobs, completed, charged)
VALUES ('default', ?, ?, ?, 'USD', ?, ?, ?)
"""
_TIMES = frozenset({"accepted_at", "created_at", "submit_started_at", "updated_at", "stored_at"})


def add_a_day(path: Path, now: int, *, seed: int = 19) -> int:
    """Copy the completed jobs of a stopped server into each hour of the last day.

    A copy has its job's file and poster, its deliveries and their attempts. Returns their number.
    """
    random = Random(seed)  # noqa: S311 - it makes no secrets
    database = sqlite3.connect(path)
    database.row_factory = sqlite3.Row
    database.execute("PRAGMA foreign_keys = OFF")
    jobs = database.execute("SELECT * FROM jobs WHERE status = 'completed'").fetchall()
    _spend(database, now, random)
    copies = 0
    for hour in range(1, 24):
        wave = 3.5 + 2.6 * math.sin((hour - 4) / 24 * math.tau * 1.6) + random.uniform(-1.2, 1.4)
        for _ in range(max(1, round(wave))):
            _copy(database, dict(random.choice(jobs)), now - hour * HOUR, random)
            copies += 1
    database.commit()
    database.close()
    return copies


def _spend(database: sqlite3.Connection, now: int, random: Random) -> None:
    """Add the costs of earlier days, and to the budget those of the copies."""
    share = 1 + min(4.0, 3.5 * (now % (24 * HOUR)) / HOUR / 7)  # room is left in the budget
    times = "CASE unit WHEN 'jobs' THEN round(spent * ?1) ELSE spent * ?1 END"
    database.execute(f"UPDATE spending SET spent = {times}", (share,))  # noqa: S608 - constants
    for back in range(1, 27):
        day = now // (24 * HOUR) - back
        weekend = 0.35 if (day + 3) % 7 >= 5 else 1
        for provider, model, price in _PRICES:
            jobs = max(1, round(random.uniform(12, 30) * weekend))
            row = (day, provider, model, jobs, jobs - random.randint(0, 1), jobs * price)
            database.execute(_CLOSED, row)


def _copy(database: sqlite3.Connection, job: Mapping[str, Any], by: int, random: Random) -> None:
    at = by + round(random.random() * HOUR * 0.9)
    job_id, distance = new_id("job", at, random), job["created_at"] - at
    took = random.randint(38_000, 190_000)
    failed = random.random() < 0.06
    moved = {name: job[name] - distance for name in _TIMES & job.keys() if job[name] is not None}
    moved["updated_at"] = at + took
    change: dict[str, Any] = {"id": job_id, "provider_job_id": f"{job['provider_job_id']}-{job_id}"}
    if failed:
        change |= {"status": "failed", "code": "moderation", "error": "Blocked by moderation"}
    _insert(database, "jobs", {**job, **moved, **change})
    if not failed:
        for row in _rows(database, "archive", "job_id", job["id"]):
            _insert(database, "archive", {**row, "job_id": job_id, "stored_at": at + took + 900})
    [event] = _rows(database, "events", "job_id", job["id"], "kind = 'terminal'")
    event_id, position = f"evt_{job_id}_9", _least_position(database) - 1
    ended = {"id": event_id, "job_id": job_id, "occurred_at": at + took, "position": position}
    _insert(database, "events", {**event, **ended})
    for delivery in _rows(database, "deliveries", "job_id", job["id"], "outcome = 'delivered'"):
        attempts = _rows(database, "attempts", "delivery_id", delivery["id"])
        number = _insert(database, "deliveries", {**delivery, "id": None, "job_id": job_id})
        for attempt in attempts:
            started = at + took + random.randint(40, 400)
            changed = {"id": None, "delivery_id": number, "event_id": event_id}
            changed |= {"started_at": started, "duration_ms": random.randint(8, 90)}
            if random.random() < 0.02:
                changed["http_status"] = 503
            _insert(database, "attempts", {**attempt, **changed})


def _least_position(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT min(0, min(position)) FROM events").fetchone()[0] or 0)


def _rows(
    database: sqlite3.Connection, table: str, column: str, value: Any, more: str = "true"
) -> list[dict[str, Any]]:
    statement = f"SELECT * FROM {table} WHERE {column} = ? AND {more}"  # noqa: S608 - constants
    return [dict(row) for row in database.execute(statement, (value,))]


def _insert(database: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> int:
    """Insert a row, without an id that the database gives; return the number of the row."""
    kept = {name: value for name, value in row.items() if (name, value) != ("id", None)}
    names, marks = ", ".join(f'"{name}"' for name in kept), ", ".join("?" * len(kept))
    statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - constants
    return int(database.execute(statement, tuple(kept.values())).lastrowid or 0)
