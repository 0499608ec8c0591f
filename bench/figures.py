"""The figures of a scenario: measured, wanted, and whether they were reached."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `reached` None: told for information only."""

    name: str
    measured: str
    wanted: str
    reached: bool | None


@dataclass(slots=True)
class Figures:
    """Collects figures, prints them as a table and writes them as JSON."""

    scenario: str
    figures: list[Figure] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    """Numbers for programs that read the JSON."""

    def tell(self, name: str, measured: object) -> None:
        self.figures.append(Figure(name, str(measured), "", None))

    def equal(self, name: str, measured: object, wanted: object) -> None:
        self.figures.append(Figure(name, str(measured), str(wanted), measured == wanted))

    def at_most(self, name: str, measured: float, wanted: float, unit: str = "") -> None:
        reached = not math.isnan(measured) and measured <= wanted
        self.figures.append(
            Figure(name, f"{measured:.4g}{unit}", f"<= {wanted:.4g}{unit}", reached)
        )

    def at_least(self, name: str, measured: float, wanted: float, unit: str = "") -> None:
        self.figures.append(
            Figure(name, f"{measured:.4g}{unit}", f">= {wanted:.4g}{unit}", measured >= wanted)
        )

    def none(self, name: str, offenders: Sequence[object]) -> None:
        """Want no offenders; keep the first of them as evidence."""
        self.figures.append(Figure(name, str(len(offenders)), "0", not offenders))
        if offenders:
            self.details[name] = [str(one) for one in offenders[:20]]

    @property
    def reached(self) -> bool:
        return all(figure.reached is not False for figure in self.figures)

    def show(self) -> None:
        width = max(len(figure.name) for figure in self.figures)
        print(f"\n== {self.scenario}")
        for figure in self.figures:
            verdict = {True: "ok", False: "MISSED", None: ""}[figure.reached]
            line = f"  {figure.name:<{width}}  {figure.measured:>24}  {figure.wanted:<14} {verdict}"
            print(line.rstrip())
        for name, evidence in self.details.items():
            print(f"  evidence for {name!r}:")
            for one in evidence[:5] if isinstance(evidence, list) else [evidence]:
                print(f"    {one}")
        print(flush=True)

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "scenario": self.scenario,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "reached": self.reached,
            "values": self.values,
            "figures": [asdict(figure) for figure in self.figures],
            "details": self.details,
        }
        path = folder / f"{self.scenario}.json"
        path.write_text(json.dumps(content, indent=2) + "\n")


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share lies (nearest rank); not a number if empty."""
    if not values:
        return math.nan
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, math.ceil(share * len(ranked)) - 1)]
