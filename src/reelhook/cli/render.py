"""What the command line prints: tables and colour on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reelhook.telemetry.lines import printable

if TYPE_CHECKING:
    from reelhook.cli.client import ApiResponse

STATUS_STYLES = {
    "completed": "green",
    "failed": "red",
    "canceled": "yellow",
    "processing": "cyan",
    "queued": "blue",
}
_JOB_FIELDS = (
    ("Job", "jobId"),
    ("Title", "title"),
    ("Provider", "provider"),
    ("Model", "model"),
    ("Account", "account"),
    ("Jobs before it", "queuePosition"),
    ("Seconds", "seconds"),
    ("Size", "size"),
    ("Aspect ratio", "aspectRatio"),
    ("Cost", "cost"),
    ("Adopted from", "adoptedFrom"),
    ("Provider's job", "soraJobId"),
    ("Waiting since", "waitingSince"),
    ("Creates tried", "tries"),
    ("Last response", "lastResponse"),
    ("Error", "error"),
    ("Code", "code"),
    ("Webhooks to", "webhookUrl"),
    ("Video", "videoUrl"),
    ("Created", "createdAt"),
    ("Updated", "updatedAt"),
    ("Last checked", "lastCheckedAt"),
    ("Unknown there since", "missingSince"),
    ("Events", "sequence"),
)

_STOPPED = {
    True: "yes",
    False: "no: the provider renders on, since it can't stop a render",
    None: None,
}


def say(line: str) -> None:
    """Print one line to stdout."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def complain(line: str) -> None:
    """Print one line to stderr."""
    sys.stderr.write(f"reelhook: {printable(line)}\n")


def on_terminal() -> bool:
    """Whether stdout is one."""
    return sys.stdout.isatty()


def console() -> Console:
    """Return rich's view of stdout."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=False)


def show(answer: "ApiResponse", words: Callable[[dict[str, Any]], None], *, as_json: bool) -> None:
    """Print an answer: as it came, or in words."""
    if as_json:
        say(answer.text)
    else:
        words(answer.value)


def hint(*lines: str) -> None:
    """Print what may be done next; only on a terminal."""
    if on_terminal():
        for line in lines:
            console().print(Text(printable(line), style="dim"), soft_wrap=True)


@contextmanager
def waiting(words: str, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show on a terminal that something goes on; what is yielded changes the words."""
    if quiet or not on_terminal():
        yield lambda _: None
        return
    with console().status(words) as status:
        yield status.update


def status_text(status: str) -> Text:
    """Return a job's status in its colour."""
    return Text(printable(status), style=STATUS_STYLES.get(status, "dim"))


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, wrap: bool = False, keep: int = 1
) -> None:
    """Print rows under their columns; tab-separated where stdout is no terminal.

    What is too long for a terminal is cut off, or with `wrap` goes on in the next line; the first
    `keep` columns, which are copied, stay whole.
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
        table.add_column(column, no_wrap=kept, overflow="fold" if wrap or kept else "ellipsis")
    for row in cells:
        for cell in row[keep:]:
            cell.no_wrap = not wrap
        table.add_row(*row)
    console().print(table)


def show_fields(fields: Iterable[tuple[str, object]], *, width: int = 0) -> None:
    """Print names, in a column of at least `width`, and values that are not empty."""
    given = [(name, _cell(value)) for name, value in fields if value is not None and value != ""]
    if not on_terminal():
        for name, cell in given:
            say(f"{name}: {cell.plain}")
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True, min_width=width)
    grid.add_column(overflow="fold")
    for name, cell in given:
        grid.add_row(name, cell)
    console().print(grid)


def show_job(job: dict[str, Any]) -> None:
    """Print all that the API tells of a job."""
    status = str(job["status"])
    text = status_text(status).append(f" {job['progress']} %", style="default")
    (name, key), *rest = _JOB_FIELDS
    told = job | {"cost": cost_text(job.get("cost")), **waiting_texts(job.get("waiting"))}
    rows = [(name, told.get(key)), ("Status", text), *((n, told.get(k)) for n, k in rest)]
    show_fields([*rows, ("Stopped", _STOPPED.get(job.get("stopped")))])
    if job.get("inDoubt") and job["status"] == "failed":
        hint(
            "Look for it at the provider, then: reelhook adopt "
            f"{job['jobId']} PROVIDERS_ID, or reelhook abandon {job['jobId']}"
        )


def waiting_texts(waiting: dict[str, Any] | None) -> dict[str, Any]:
    """Return what a job waits for, by the names of its fields."""
    if waiting is None:
        return {}
    return {**waiting, "waitingSince": second(waiting["since"])}


def cost_text(cost: dict[str, Any] | None) -> str | None:
    """Return what a job cost, in words."""
    if cost is None:
        return None
    return f"{cost['amount']:.6g} {cost['unit']}" + ("" if cost["charged"] else ", quoted")


def show_in_doubt(page: dict[str, Any]) -> None:
    """Print the jobs in doubt, and what can be done about them."""
    jobs = page["jobs"]
    if not jobs and on_terminal():
        say("No job is in doubt.")
        return
    show_table(
        ("JOB", "STATUS", "ACCOUNT", "MODEL", "CREATED", "TITLE"),
        (
            (
                job["jobId"],
                status_text("looked up" if job["status"] == "submitting" else job["status"]),
                job["account"],
                job["model"],
                moment(job["createdAt"]),
                job["title"],
            )
            for job in jobs
        ),
    )
    hint(
        "A provider may have them, and charge for them. Look there, then:",
        "reelhook adopt JOB PROVIDERS_ID   if it is there",
        "reelhook abandon JOB              if it is not",
    )
    if page["nextCursor"]:
        hint(f"More: reelhook jobs --in-doubt --cursor {page['nextCursor']}")


def show_jobs(page: dict[str, Any]) -> None:
    """Print a page of jobs, and how to get the next one."""
    jobs = page["jobs"]
    if not jobs and on_terminal():
        say('No jobs. `reelhook submit "A lighthouse at dusk"` makes one.')
        return
    show_table(
        ("JOB", "STATUS", "PROGRESS", "CREATED", "TITLE"),
        (
            (
                job["jobId"],
                status_text(str(job["status"])),
                f"{job['progress']} %",
                moment(job["createdAt"]),
                job["error"]
                or _missed(job)
                or job.get("waiting", {}).get("lastResponse")
                or job["title"],
            )
            for job in jobs
        ),
    )
    if page["nextCursor"]:
        hint(f"More: reelhook jobs --cursor {page['nextCursor']}")


def _missed(job: Mapping[str, Any]) -> str | None:
    since = job.get("missingSince")
    return None if since is None else f"The provider has not known it since {moment(since)}"


def show_stats(stats: dict[str, Any]) -> None:
    """Print the counts, and how the watcher fares."""
    watcher, counts = stats["watcher"], stats["jobs"]
    paused = watcher["pausedSince"]
    state = (
        Text(f"paused since {moment(paused)}", "yellow") if paused else Text("watching", "green")
    )
    show_fields(
        [
            *((f"Jobs {name}", count) for name, count in counts.items()),
            ("Webhooks waiting", stats["deliveries"]["waiting"]),
            ("Endpoints failing", _alarming(stats["endpoints"]["failing"], "yellow")),
            ("Endpoints disabled", _alarming(stats["endpoints"]["disabled"], "red")),
            ("Watcher", state),
            ("Interval", f"{watcher['pollSeconds']:g} s"),
            ("Last round", watcher["lastRoundAt"] or "none yet"),
        ]
    )
    show_table(
        ("ACCOUNT", "PROVIDER", "AT WORK", "AT MOST", "WAITING", "HEALTH"),
        (
            (
                one["id"],
                one["provider"],
                one["inFlight"],
                one["jobsMax"] or "",
                one["waiting"],
                _health(one),
            )
            for one in stats["accounts"]
        ),
    )


def _health(account: Mapping[str, Any]) -> Text:
    if not account["healthy"]:
        return Text(account["error"] or "bad", "red")
    for what in ("reads", "creates"):
        if until := account[f"{what}WaitUntil"]:
            return Text(f"{what} wait until {moment(until)}", "yellow")
    if refused := account.get("refused"):
        tries = f"create {refused['tries']} of {refused['jobId']}"
        return Text(f"{tries}: {refused['lastResponse']}", "yellow")
    if unread := account.get("unread"):
        return Text(f"not read: {unread['lastResponse']}", "yellow")
    return Text("good", "green")


def _alarming(count: int, style: str) -> Text:
    return Text(str(count), style if count else "")


def moment(text: str) -> str:
    """Return a moment: short on a terminal, whole elsewhere."""
    return text[:16].replace("T", " ") if on_terminal() else text


def second(text: str) -> str:
    """Return a moment to the second: short on a terminal, whole elsewhere."""
    return text[:19].replace("T", " ") if on_terminal() else text


def _cell(value: object) -> Text:
    return value if isinstance(value, Text) else Text(printable(str(value)))
