"""Runs reelhook against the vendors' own servers: `make check-servers`.

Prints a table of scenarios and servers, writes it with what was seen to a file, and exits with 1
where something does not hold that should.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.processes import free_port

from servers.between import Around
from servers.scenarios import OF_IMAGES, SCENARIOS
from servers.servers import ROOT, SERVERS, Running, Server
from servers.stage import Gateway, Limited, Missed, Stage

SCENARIO_SECONDS_MAX = 330.0
IDLE_SECONDS_MAX = 60.0
_OUT = ROOT / "bench" / "results" / "check-servers.md"


@dataclass(frozen=True)
class Cell:
    """What came of one scenario at one server: `holds`, `limit` of the vendor, `FAILS` or `-`."""

    verdict: str
    seen: str
    seconds: float = 0.0


class Check:
    """One server's scenarios, in a folder of its own."""

    def __init__(self, server: Server, folder: Path, names: Sequence[str]) -> None:
        self._server, self._folder, self._names = server, folder, names
        self.cells: dict[str, Cell] = {}

    async def run(self) -> None:
        """Run them; whatever breaks one of them fails it alone."""
        images = self._server.image_model != self._server.model
        plain = [one for one in self._names if not images or one not in OF_IMAGES]
        if images and (of_images := [one for one in self._names if one in OF_IMAGES]):
            await self._with_model(self._server.image_model, of_images, "images")
        if plain:
            await self._with_model(self._server.model, plain, "texts")

    async def _with_model(self, model: str, names: Sequence[str], folder: str) -> None:
        async with AsyncExitStack() as stack:
            around = await stack.enter_async_context(Around())
            running = Running(self._server, model, self._folder / folder, free_port())
            try:
                stack.push_async_callback(running.kill)
                print(f"{self._server.name}: started in {await running.start():.0f} s", flush=True)
            except (RuntimeError, OSError) as error:
                self._add(dict.fromkeys(names, Cell("FAILS", str(error)[:200])))
                return
            around.proxy.target = running.url
            gateway = Gateway(self._folder / folder / "reelhook", around, self._server)
            stack.push_async_callback(gateway.close)
            await gateway.start()
            stage = Stage(around, running, gateway)
            for name in names:
                cell = await self._cell(name, stage)
                self._add({name: cell})
                if cell.verdict == "FAILS":
                    await gateway.give_up()
                await running.idle(IDLE_SECONDS_MAX)

    async def _cell(self, name: str, stage: Stage) -> Cell:
        if name == "engine dead" and not self._server.dead_words:
            return Cell("-", "its engine lives and ends with its process")
        began = time.monotonic()
        try:
            async with asyncio.timeout(SCENARIO_SECONDS_MAX):
                verdict, seen = "holds", await SCENARIOS[name](stage)
        except Limited as limited:
            verdict, seen = "limit", f"{self._server.limits[name]}: {limited}"
        except Missed as missed:
            verdict, seen = "FAILS", str(missed)
        except Exception as error:  # one scenario must not end the others
            verdict, seen = "FAILS", f"{type(error).__name__}: {error}"
        return Cell(verdict, " ".join(seen.split())[:300], time.monotonic() - began)

    def _add(self, cells: dict[str, Cell]) -> None:
        for name, cell in cells.items():
            self.cells[name] = cell
            line = f"{self._server.name:10} {name:26} {cell.verdict:6} {cell.seconds:5.0f} s"
            print(f"{line}  {cell.seen}", flush=True)


def table(found: dict[str, dict[str, Cell]], names: Sequence[str]) -> str:
    """Return both tables as Markdown: the verdicts, and below them what was seen."""
    titles = [one.title for one in SERVERS if one.name in found]
    lines = [f"| | {' | '.join(titles)} |", f"|---|{'---|' * len(titles)}"]
    for name in names:
        cells = [found[one].get(name, Cell("-", "")).verdict for one in found]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", "| server | scenario | | seconds | what was seen |", "|---|---|---|---|---|"]
    for server, cells_of in found.items():
        for name, cell in cells_of.items():
            seen = cell.seen.replace("|", "\\|")
            lines.append(f"| {server} | {name} | {cell.verdict} | {cell.seconds:.0f} | {seen} |")
    return "\n".join(lines) + "\n"


async def check(servers: Sequence[Server], names: Sequence[str], out: Path) -> bool:
    """Check one server after another; return whether everything holds that should."""
    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGINT, signal.SIGTERM):  # so that no server outlives the check
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    found: dict[str, dict[str, Cell]] = {}
    with tempfile.TemporaryDirectory(prefix="check-servers-") as folder:
        for server in servers:
            one = Check(server, Path(folder) / server.name, names)
            found[server.name] = one.cells
            try:
                await one.run()
            finally:
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_text(table(found, names))
    print(f"\n{out.read_text()}")
    missed = sum(cell.verdict == "FAILS" for cells in found.values() for cell in cells.values())
    print(f"{missed} do not hold; written to {out}")
    return missed == 0


def main() -> None:
    """Read the arguments, check, and exit with 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = [one.name for one in SERVERS]
    parser.add_argument("--server", action="append", choices=known, help="this one alone")
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS), help="only this")
    parser.add_argument("--out", type=Path, default=_OUT, help="where the table is written")
    given = parser.parse_args()
    servers = [one for one in SERVERS if given.server is None or one.name in given.server]
    names = [one for one in SCENARIOS if given.scenario is None or one in given.scenario]
    try:
        holds = asyncio.run(check(servers, names, given.out.resolve()))
    except asyncio.CancelledError:
        sys.exit(130)
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
