"""What a run has left behind: in the database, and with the receivers."""

import http.client
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import apsw

from bench.processes import Stub

Where = tuple[str, str]
"""A delivery as a receiver can tell it: the path and the job."""
LATENCY_MS = 2.0
"""So long a receiver thinks, so that most kills find requests unanswered."""
REFUSED_SHARE = 0.03


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that a receiver had read; `life` is the number of the worker that sent it."""

    life: int
    where: Where
    event_id: str
    sequence: int
    body: bytes
    accepted: bool
    signed: bool


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A row of `events`."""

    job: str
    sequence: int
    kind: str
    status: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Facts:
    """What stands in the database at the end. `undelivered` are superseded and exhausted ones."""

    damage: list[str]
    jobs: Mapping[str, str]
    events: Mapping[str, StoredEvent]
    recorded: list[tuple[Where, str]]
    undelivered: frozenset[tuple[Where, int]]
    waiting: int
    resends_unfinished: int
    not_resent: int
    resent_often: list[tuple[Any, ...]]


_WHERE = "CASE WHEN d.url = '' THEN e.url ELSE d.url END, d.job_id"
_RECORDED = f"""
SELECT {_WHERE}, a.event_id FROM attempts a JOIN deliveries d ON d.id = a.delivery_id
JOIN endpoints e ON e.id = d.endpoint_id WHERE a.http_status BETWEEN 200 AND 299
"""  # noqa: S608  # a constant
_UNDELIVERED = f"""
SELECT {_WHERE}, u.sequence FROM undelivered u JOIN deliveries d ON d.id = u.delivery_id
JOIN endpoints e ON e.id = d.endpoint_id
"""  # noqa: S608  # a constant
_RESENT_OFTEN = """
SELECT resend_of, delivered_sequence, count(*) FROM deliveries WHERE resend_of IS NOT NULL
GROUP BY 1, 2 HAVING count(*) > 1
"""


def _where(url: str, job: str) -> Where:
    return urlsplit(url).path, job


@dataclass(frozen=True, slots=True)
class Remains:
    """What a killed worker left in the database, and what it had been told was there."""

    recorded: frozenset[tuple[Where, str]]
    events: frozenset[str]
    told: frozenset[str]


def read_remains(database: Path, told: Iterable[str]) -> Remains:
    """Look at the database between two workers.

    A killed worker's files are read as a copy, so that the next worker is the one to recover them.
    """
    folder = database.parent / "copy"
    folder.mkdir()
    for file in (database, database.with_name(database.name + "-wal")):
        if file.exists():
            shutil.copy(file, folder)
    connection = apsw.Connection(str(folder / database.name))
    events = frozenset(str(row[0]) for row in connection.execute("SELECT id FROM events"))
    remains = Remains(frozenset(_recorded(connection)), events, frozenset(told))
    connection.close()
    shutil.rmtree(folder)
    return remains


def _recorded(connection: apsw.Connection) -> list[tuple[Where, str]]:
    return [(_where(url, job), event) for url, job, event in connection.execute(_RECORDED)]


def read_facts(database: Path) -> Facts:
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READWRITE)
    ask = connection.execute
    facts = Facts(
        damage=[
            *(str(row[0]) for row in ask("PRAGMA integrity_check") if row[0] != "ok"),
            *(f"foreign key: {row}" for row in ask("PRAGMA foreign_key_check")),
        ],
        jobs={str(row[0]): str(row[1]) for row in ask("SELECT id, status FROM jobs")},
        events={
            row[0]: StoredEvent(*row[1:])
            for row in ask("SELECT id, job_id, sequence, kind, status, body FROM events")
        },
        recorded=_recorded(connection),
        undelivered=frozenset((_where(url, job), seq) for url, job, seq in ask(_UNDELIVERED)),
        waiting=ask("SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL").get,
        resends_unfinished=ask("SELECT count(*) FROM resends WHERE finished_at IS NULL").get,
        not_resent=ask(
            "SELECT count(*) FROM undelivered WHERE fate = 'exhausted' AND resent_by IS NULL"
        ).get,
        resent_often=ask(_RESENT_OFTEN).fetchall(),
    )
    connection.close()
    return facts


class Ears:
    """The receivers' log: kept by their process, written before each answer, read from here."""

    def __init__(self, secret: str, seed: int) -> None:
        self._stub = Stub("bench.receivers", "--secret", secret, "--seed", str(seed))
        self._next = 0
        self.url = self._stub.url
        manners = {"latency_ms": LATENCY_MS, "refuse": REFUSED_SHARE}
        self._ask("POST", "/control/rules", json.dumps({"*": manners}))

    def _ask(self, method: str, path: str, body: str | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._stub.ports[0], timeout=30)
        try:
            connection.request(method, path, body)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def news(self) -> list[Arrival]:
        """Return what has arrived since the last look.

        The answer comes behind everything that was in the receivers' sockets before, so what a
        killed worker still had on the wire is read before its successor starts.
        """
        answer = self._ask("GET", f"/control/arrivals?from={self._next}")
        self._next = answer["next"]
        return [_arrival(one) for one in answer["arrivals"]]

    def close(self) -> None:
        self._stub.close()


def _arrival(one: Mapping[str, Any]) -> Arrival:
    headers, event = one["headers"], json.loads(one["body"])
    return Arrival(
        life=int(headers["user-agent"].removeprefix("life/")),
        where=(one["path"], event["jobId"]),
        event_id=headers["webhook-id"],
        sequence=event["sequence"],
        body=one["body"].encode(),
        accepted=one["answer"] == 200,
        signed=one["plain_ok"] and one["standard_ok"],
    )
