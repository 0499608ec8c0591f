"""Budgets as the command line shows them."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from reelhook.cli import render

_NAMES = {
    "jobsInFlight": "jobs in flight",
    "jobsPerDay": "jobs per day",
    "moneyPerDay": "money per day",
    "moneyPerMonth": "money per month",
}


def show_budget(budget: dict[str, Any]) -> None:
    """Print a budget: its limits next to what is reserved and spent."""
    unknown, raised = budget["unknownPrice"], budget["raised"]
    render.show_fields(
        [
            ("Project", budget["project"]),
            ("Key", budget["key"]),
            ("Unknown price", _amounts(unknown)),
            ("Raised until", raised and render.minute(raised["until"])),
        ]
    )
    render.show_table(
        ("BUDGET", "UNIT", "LIMIT", "RESERVED", "SPENT", "RESETS"),
        (
            (
                _NAMES.get(line["budget"], line["budget"]),
                line["unit"],
                _limit(line),
                line["reserved"],
                line["spent"],
                render.minute(line["resetsAt"]) if line["resetsAt"] else "",
            )
            for line in budget["usage"]
        ),
    )
    over = [_NAMES.get(line["budget"], line["budget"]) for line in budget["usage"] if line["over"]]
    if over:
        render.say(f"More is in use than allowed: {', '.join(over)}. No more jobs are let in.")


def _limit(line: Mapping[str, Any]) -> Text:
    if line["limit"] is None:
        return Text("none", "dim")
    return Text(str(line["limit"]), "red" if line["over"] else "")


def _amounts(amounts: Mapping[str, Any]) -> str:
    return ", ".join(f"{amount} {unit}" for unit, amount in amounts.items())
