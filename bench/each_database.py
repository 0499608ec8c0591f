"""The command line of a benchmark that measures the store on each kind of database."""

import argparse
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from reelhook.storage.operation import Target

from .figures import Figures
from .store_databases import KINDS, fresh

Measure = Callable[[str, Target, int], Awaitable[Figures]]
"""Measures one kind of database, of the size that the command line names."""


def run_on_each(parser: argparse.ArgumentParser, measure: Measure, size: str) -> int:
    """Measure the chosen kinds, each on a fresh database. Return the exit code.

    `size` is the name of the argument, already in the parser, that `measure` gets.
    """
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: both")
    parser.add_argument("--server", help="URL of an empty PostgreSQL database to use")
    arguments = parser.parse_args()
    reached = True
    for kind in arguments.kind or KINDS:
        with fresh(kind, arguments.server) as target:
            figures = uvloop.run(_awaited(measure, kind, target, getattr(arguments, size)))
        figures.show()
        figures.write(Path(os.environ.get("BENCH_RESULTS", "bench/results")))
        reached = reached and figures.reached
    return 0 if reached else 1


async def _awaited(measure: Measure, kind: str, target: Target, size: int) -> Figures:
    return await measure(kind, target, size)
