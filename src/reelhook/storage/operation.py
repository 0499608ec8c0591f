"""Operations: what the store does, as generators that yield statements and take their rows.

An operation knows nothing of threads, connections or drivers, so it runs on any of them, and
several can share one transaction. Parameters are numbered (`?1`), as both databases can read them.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement and its parameters."""

    sql: str
    parameters: Sequence[Any] = ()


Operation = Generator[Statement, list[Row], T]
