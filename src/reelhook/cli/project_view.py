"""Projects as the command line shows them."""

from typing import Any

from rich.text import Text

from reelhook.cli import render
from reelhook.domain.keeping import GIB
from reelhook.domain.signature import standard_secret


def show_created(project: dict[str, Any]) -> None:
    """Print a new project."""
    render.show_fields([("Project", project["id"]), ("Name", project["name"])])
    render.hint(
        "Its secret signs its webhooks, and its applications need a key:",
        f"reelhook secret --project {project['name']}",
        f"reelhook keys create NAME --project {project['name']}",
    )


def show_projects(page: dict[str, Any]) -> None:
    """Print a list of projects."""
    render.show_table(
        ("PROJECT", "NAME", "STATE", "WEBHOOK URL"),
        (
            (project["id"], project["name"], _state(project), project["webhookUrl"] or "")
            for project in page["projects"]
        ),
        keep=2,
    )


def show_project(project: dict[str, Any]) -> None:
    """Print a project in full."""
    render.show_fields(_fields(project))


def show_secret(project: dict[str, Any]) -> None:
    """Print a project with its secret, in both forms."""
    secret = project["secret"]
    standard = standard_secret(secret)
    render.show_fields(
        [
            *_fields(project),
            ("Secret", Text(secret, "bold")),
            ("For Standard Webhooks", standard if standard != secret else None),
        ]
    )


def _fields(project: dict[str, Any]) -> list[tuple[str, object]]:
    models = project["models"]
    return [
        ("Project", project["id"]),
        ("Name", project["name"]),
        ("State", _state(project)),
        ("Webhook URL", project["webhookUrl"]),
        ("Models", "all" if models is None else ", ".join(models)),
        ("Weight", project["weight"]),
        ("Highest priority", project["priorityMax"]),
        ("Archive keeps videos", _days(project["archiveKeepDays"])),
        ("Archive holds", _gib(project["archiveBytesMax"])),
        ("Old secret until", project["previousSecretUntil"]),
        ("Created", project["createdAt"]),
        ("Closed", project["closedAt"]),
        ("Data deleted", project["dataDeletedAt"]),
    ]


def _days(days: float | None) -> str | None:
    return None if days is None else f"{days:g} days"


def _gib(most: int | None) -> str | None:
    return None if most is None else f"at most {most / GIB:,.3g} GiB"


def _state(project: dict[str, Any]) -> Text:
    if project["closedAt"] is None:
        return Text("open", "green")
    if project["dataDeletedAt"] is not None:
        return Text("closed, data deleted", "dim")
    if project["deleteData"]:
        return Text("closed, its data is deleted at the end", "yellow")
    return Text("closed", "yellow")
