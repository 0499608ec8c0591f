"""What workers did, as the upstream and the receivers saw it, and who did it."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.worker_processes import Life

Arrival = Mapping[str, Any]
ACCOUNT = "account"
RECENT_SECONDS = 1.0
LAST_SECONDS = 10.0
"""How long after SIGTERM something may still be sent."""


@dataclass(frozen=True, slots=True)
class Act:
    """Someone did something at a place: the provider's account, or an endpoint's path."""

    at: float
    place: str
    who: str


def sender(arrival: Arrival, lives: Sequence[Life]) -> str:
    """Return whose Ed25519 signature the webhook carries."""
    headers = arrival["headers"]
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{arrival['body']}".encode()
    signatures = [
        base64.b64decode(encoded)
        for version, _, encoded in (
            text.partition(",") for text in headers["webhook-signature"].split(" ")
        )
        if version == "v1a"
    ]
    for life in lives:
        ended_at = arrival["t"] if life.ended_at is None else life.ended_at + LAST_SECONDS
        if life.started_at <= arrival["t"] <= ended_at and any(
            life.key.public.verifies(one, content) for one in signatures
        ):
            return life.name
    return "?"


def acts_of(
    log: Iterable[Mapping[str, Any]], arrivals: Iterable[Arrival], lives: Sequence[Life]
) -> list[Act]:
    """Return all that was done, in order."""
    acts = [Act(one["t"], ACCOUNT, one["who"]) for one in log if one.get("who")]
    acts += [Act(one["t"], one["path"], sender(one, lives)) for one in arrivals]
    return sorted(acts, key=lambda act: act.at)


def take_overs(acts: Sequence[Act], who: str, at: float) -> dict[str, float]:
    """Return for each place that was theirs at that moment how long it took until another acted.

    Whose a place was tells its last act, if that is not long ago.
    """
    before = {act.place: act for act in acts if at - RECENT_SECONDS < act.at <= at}
    theirs = {place for place, act in before.items() if act.who == who}
    found: dict[str, float] = {}
    for act in acts:
        if act.at > at and act.who != who and act.place in theirs and act.place not in found:
            found[act.place] = act.at - at
    return {place: found.get(place, float("inf")) for place in theirs}
