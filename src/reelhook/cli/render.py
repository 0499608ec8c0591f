"""Output of the command line: tables and colour on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reelhook.cli.streams import complain, on_terminal, say
from reelhook.telemetry.lines import printable

if TYPE_CHECKING:
    from rich.console import OverflowMethod

    from reelhook.cli.client import ApiResponse

__all__ = [
    "STATUS_STYLES",
    "complain",
    "console",
    "hint",
    "minute",
    "on_terminal",
    "say",
    "second",
    "show",
    "show_fields",
    "show_table",
    "status_text",
    "waiting",
]
STATUS_STYLES = {
    "completed": "green",
    "failed": "red",
    "canceled": "yellow",
    "processing": "cyan",
    "queued": "blue",
}


def console() -> Console:
    """Return a rich console on stdout."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=False)


def show(response: "ApiResponse", view: Callable[[dict[str, Any]], None], *, as_json: bool) -> None:
    """Print a response: as the unchanged JSON, or with `view`."""
    if as_json:
        say(response.text)
    else:
        view(response.value)


def hint(*lines: str) -> None:
    """Print a suggestion for the next step, only on a terminal."""
    if on_terminal():
        for line in lines:
            console().print(Text(printable(line), style="dim"), soft_wrap=True)


@contextmanager
def waiting(text: str, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show a spinner with a text on a terminal; yield a function that changes the text."""
    if quiet or not on_terminal():
        yield lambda _: None
        return
    with console().status(text) as status:
        yield status.update


def status_text(status: str) -> Text:
    """Return a job's status in its colour."""
    return Text(printable(status), style=STATUS_STYLES.get(status, "dim"))


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, wrap: bool = False, keep: int = 1
) -> None:
    """Print rows under their columns; tab-separated if stdout is not a terminal.

    On a terminal, long cells are cut off, or wrapped with `wrap`. The first `keep` columns, which
    users copy, stay whole.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if not on_terminal():
        say("\t".join(columns))
        for row in cells:
            say("\t".join(cell.plain for cell in row))
        return
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        kept = number < keep
        overflow: OverflowMethod = "fold" if wrap or kept else "ellipsis"
        table.add_column(column, no_wrap=kept, overflow=overflow, min_width=len(column))
    for row in cells:
        for cell in row[keep:]:
            cell.no_wrap = not wrap
        table.add_row(*row)
    console().print(table)


def show_fields(fields: Iterable[tuple[str, object]], *, width: int = 0) -> None:
    """Print the fields that are not empty, with names in a column of at least `width`."""
    cells = [(name, _cell(value)) for name, value in fields if value is not None and value != ""]
    if not on_terminal():
        for name, cell in cells:
            say(f"{name}: {cell.plain}")
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True, min_width=width)
    grid.add_column(overflow="fold")
    for name, cell in cells:
        grid.add_row(name, cell)
    console().print(grid)


def minute(text: str) -> str:
    """Return a timestamp: to the minute on a terminal, in full elsewhere."""
    return text[:16].replace("T", " ") if on_terminal() else text


def second(text: str) -> str:
    """Return a timestamp: to the second on a terminal, in full elsewhere."""
    return text[:19].replace("T", " ") if on_terminal() else text


def _cell(value: object) -> Text:
    return value if isinstance(value, Text) else Text(printable(str(value)))
