"""What happens in a run: where its workers are killed. It follows from a seed alone."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random

KILLS_MAX = 4
AGAIN = 0.6
"""The chance that the worker after a killed one is killed as well."""
PASSAGES_LATER = 20


class Failpoint(StrEnum):
    """Where a worker dies."""

    AFTER_COMMIT = "after-commit"
    """An event is durable; the deliver loop has not been told."""
    BEFORE_SEND = "before-send"
    """A delivery was taken; nothing is on the wire."""
    MID_REQUEST = "mid-request"
    """Some or all bytes of a request are on the wire; no answer has come."""
    AFTER_ANSWER = "after-answer"
    """The receiver has answered; the attempt is not recorded."""
    WITHIN_BATCH = "within-batch"
    """Between two operations of one group commit."""
    WITHIN_COMMIT = "within-commit"
    """COMMIT has written some of its pages to the write-ahead log, maybe half of one."""
    COMMIT_UNTOLD = "commit-untold"
    """A group is durable; none of its callers has been told."""
    WHILE_RESENDING = "while-resending"
    """Between two batches of sending anew all that failed."""


PASSAGES = {
    Failpoint.AFTER_COMMIT: 30,
    Failpoint.BEFORE_SEND: 40,
    Failpoint.MID_REQUEST: 40,
    Failpoint.AFTER_ANSWER: 40,
    Failpoint.WITHIN_BATCH: 40,
    Failpoint.WITHIN_COMMIT: 300,
    Failpoint.COMMIT_UNTOLD: 30,
    Failpoint.WHILE_RESENDING: 9,
}
"""How often a worker that is left alone passes each, at least, nearly always."""


@dataclass(frozen=True, slots=True)
class Kill:
    """The n-th passage of a failpoint is a worker's last. `share` of a write gets out, 0..1."""

    point: Failpoint
    passage: int
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """The kills of a run, one per worker; the worker after them is left to finish."""

    seed: int
    failpoint: Failpoint
    kills: tuple[Kill, ...]

    @property
    def resending(self) -> bool:
        return self.failpoint is Failpoint.WHILE_RESENDING

    @property
    def command(self) -> str:
        return f"python -m bench.crash --runs 1 --failpoint {self.failpoint} --seed {self.seed}"


def plan(seed: int, failpoint: Failpoint) -> Plan:
    """Return the run of a seed: killed at the failpoint first, then maybe anywhere."""
    chance = Random(f"{failpoint} {seed}")  # noqa: S311  # chooses moments, makes no keys
    kills = [_kill(chance, failpoint, PASSAGES[failpoint])]
    resending = failpoint is Failpoint.WHILE_RESENDING
    anywhere = [one for one in Failpoint if resending or one is not Failpoint.WHILE_RESENDING]
    while len(kills) < KILLS_MAX and chance.random() < AGAIN:
        point = chance.choice(anywhere)
        kills.append(_kill(chance, point, min(PASSAGES[point], PASSAGES_LATER)))
    return Plan(seed, failpoint, tuple(kills))


def _kill(chance: Random, point: Failpoint, passages: int) -> Kill:
    whole = chance.random() < 0.5
    return Kill(point, chance.randint(1, passages), 1.0 if whole else chance.random())
