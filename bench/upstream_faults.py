"""What the upstream stub may do wrong, at which rates; set over `/control/settings`."""

from dataclasses import dataclass, field, fields
from random import Random
from typing import Any

KINDS = ("create", "get", "list", "content", "delete")
PASSING = ("429", "500", "reset", "malformed")
"""Faults that a job outlives."""
FAULTS = ("401", *PASSING)

MALFORMED = (
    b'{"id": "video_00',
    b"<html><body>Bad gateway</body></html>",
    b"[]",
    b'{"object": "list", "data": "none"}',
    b'{"object": "list", "data": [null, 7, {"id": null}, {"status": "queued"}], "has_more": true}',
    # No number: some gateways number their jobs, so `17` would name another job, readably.
    b'{"id": {"value": 17}, "status": ["completed"]}',
    b"",
    b"\xff\xfe\x00",
)
"""Bodies of 200 answers that carry nothing usable."""


@dataclass(slots=True)
class Settings:
    """Rates are 0..1 a request; `faults` maps a kind of request (or `*`) to rates by fault."""

    latency_ms: float = 150.0
    finish_after_seconds: float | None = None
    listing: str = "ok"
    """`ok`, or `refused` (405)."""
    faults: dict[str, dict[str, float]] = field(default_factory=dict)
    lost_creates: float = 0.0
    """Creations that happen while their answer never comes: the connection is reset."""
    hung_creates: float = 0.0
    """Creations that happen while no answer ever comes on an open connection."""
    late_creates: float = 0.0
    """Creations that happen after the latency instead of before it."""
    retry_after_seconds: int = 1
    file_bytes: int = 0
    """The size of each file; 0: a few bytes that only stand for a video."""
    file_bytes_per_second: float = 0.0
    """The rate at which a file is sent; 0: as fast as it can be."""
    file_seconds: float | None = None
    """The time after the end of a video in which its file can be fetched; None: forever."""
    snapshot: str = "arrival"
    """An answer shows the state of the request's `arrival`, or of the `answer`'s moment."""

    def change(self, changes: dict[str, Any]) -> None:
        known = {one.name for one in fields(self)}
        if unknown := set(changes) - known:
            raise ValueError(f"unknown settings: {sorted(unknown)}")
        for name, value in changes.items():
            setattr(self, name, value)

    def draw(self, kind: str, chance: Random) -> str | None:
        """Return the fault that this request meets, or None."""
        rates = self.faults.get(kind, self.faults.get("*", {}))
        left = chance.random()
        for fault in FAULTS:
            left -= rates.get(fault, 0.0)
            if left < 0:
                return fault
        return None
