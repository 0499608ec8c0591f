"""All scenarios in one table, and in one file."""

import json
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figures

COLUMNS = (
    ("events", "events", ".0f"),
    ("p50 ms", "p50_ms", ".1f"),
    ("p95 ms", "p95_ms", ".1f"),
    ("p99 ms", "p99_ms", ".1f"),
    ("worst ms", "worst_ms", ".1f"),
    ("goal p95", "goal_p95_ms", ".0f"),
    ("bare p95", "bare_p95_ms", ".1f"),
    ("p95/bare", "p95_over_bare", ".2f"),
    ("CPU ms", "delivering_cpu_ms", ".2f"),
    ("CPU/bare", "cpu_over_bare", ".1f"),
    ("p95/without", "p95_over_without", ".2f"),
    ("others' cores", "other_cores", ".2f"),
)
"""Heading, the value's name in a scenario's JSON, and its format. CPU is of one delivery."""


def table(scenarios: Sequence[Figures]) -> str:
    """Return a line for each scenario: what a value is missing from is left blank."""
    lines = [["scenario", *(heading for heading, _, _ in COLUMNS), ""]]
    for figures in scenarios:
        cells = [
            format(figures.values[name], shape) if name in figures.values else ""
            for _, name, shape in COLUMNS
        ]
        verdict = "ok" if figures.reached else "MISSED"
        lines.append([figures.scenario, *cells, verdict])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        f"{line[0]:<{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True))
        for line in lines
    )


def write(scenarios: Sequence[Figures], folder: Path) -> None:
    """Write the numbers of all scenarios into `delivery.json`."""
    content = {
        figures.scenario: {"reached": figures.reached, **figures.values} for figures in scenarios
    }
    (folder / "delivery.json").write_text(json.dumps(content, indent=2) + "\n")
