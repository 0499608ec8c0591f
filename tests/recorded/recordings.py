"""The recorded responses: where they lie, and what is known of each."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
PROVIDERS = ("ark", "fal", "openai", "replicate", "runway", "xai")
KINDS = ("creates", "polls", "results", "listings")
HOW = ("recorded", "quoted", "documented")


@dataclass(frozen=True)
class Recording:
    """A response as others saw it, and what a user of ours must read of it.

    `source` says who published it and what was left out there. `how`: `recorded` whole (HAR files,
    VCR cassettes, logs), `quoted` in part or in a test, `documented` by the vendor. `text` is a
    body that is no JSON. `id` is the provider's id of the job that a listing shows.
    """

    provider: str
    kind: str
    number: int
    name: str
    source: str
    how: str
    status: int
    expect: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    text: str | None = None
    id: str | None = None

    @property
    def account(self) -> str:
        """The name of an account of its own, so that none disturbs another."""
        return f"{self.provider}-{self.kind}-{self.number}"

    @property
    def job_is_made(self) -> bool:
        """Whether the recording is of a job that was accepted before."""
        return self.kind != "creates"


def recordings() -> list[Recording]:
    """Return all of them, in the order of their files."""
    return [
        Recording(provider, kind, number, **fields)
        for provider in PROVIDERS
        for kind in KINDS
        if (file := FOLDER / provider / f"{kind}.yaml").exists()
        for number, fields in enumerate(yaml.safe_load(file.read_text()), 1)
    ]


def table(found: Iterable[Recording]) -> str:
    """Return how many there are, by provider and kind, and how they came about."""
    found = list(found)
    counts = Counter((one.provider, column) for one in found for column in (one.kind, one.how))
    columns = (*KINDS, *HOW)
    lines = ["| provider | " + " | ".join(columns) + " | all |"]
    lines.append("|---" * (len(columns) + 2) + "|")
    for provider in (*PROVIDERS, None):
        row = [
            sum(n for (whose, what), n in counts.items() if what == c and provider in {None, whose})
            for c in columns
        ]
        total = sum(provider in {None, one.provider} for one in found)
        lines.append(f"| {provider or 'all'} | " + " | ".join(map(str, row)) + f" | {total} |")
    return "\n".join(lines)
