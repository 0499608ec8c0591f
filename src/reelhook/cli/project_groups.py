"""The groups of commands about projects: projects, their keys and their budgets."""

import typer

from reelhook.cli import budgets, encryption, keys, projects
from reelhook.cli.examples import examples as _examples

_PROJECTS = "Projects"


def add_project_groups(app: typer.Typer) -> None:
    """Add the groups to the application."""
    _add_projects(app)
    _add_keys(app)
    _add_budgets(app)


def _add_projects(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True, help="Keep applications apart: each has its own jobs and webhooks."
    )
    for name, command, *examples in (
        ("create", projects.create, "shop", "shop --json"),
        ("list", projects.list_, "", "--json"),
        ("show", projects.show, "shop"),
        (
            "update",
            projects.update,
            "shop --webhook-url https://shop.example.com/hook",
            "shop --model runway/gen4_turbo --weight 2 --priority-max normal",
        ),
        ("rotate", projects.rotate, "shop", "shop --overlap-hours 48"),
        ("close", projects.close, "shop", "shop --delete-data --yes"),
    ):
        lines = (f"reelhook projects {name} {example}".rstrip() for example in examples)
        group.command(name, epilog=_examples(*lines))(command)
    app.add_typer(group, name="projects", rich_help_panel=_PROJECTS)


def _add_keys(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Keys of applications and their projects.")
    for name, command, *examples in (
        ("create", keys.create, "app", "web --project shop --scope read,submit --expires 90d"),
        ("list", keys.list_, "", "--project shop --json"),
        ("show", keys.show, "ID"),
        ("rotate", keys.rotate, "ID", "ID --overlap 1h"),
        ("revoke", keys.revoke, "ID"),
        ("new-encryption-key", encryption.new_encryption_key, ""),
        ("reencrypt", encryption.reencrypt, "", "--json"),
    ):
        lines = (f"reelhook keys {name} {example}".rstrip() for example in examples)
        group.command(name, epilog=_examples(*lines))(command)
    app.add_typer(group, name="keys", rich_help_panel=_PROJECTS)


def _add_budgets(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Limit what projects and keys may spend.")
    for name, command, *examples in (
        (
            "set",
            budgets.set_,
            "--money-per-day USD=10 --unknown-price USD=0.5",
            "--project shop --money-per-month USD=200 --jobs-in-flight 20",
            "--key ID --jobs-per-day 100",
        ),
        ("show", budgets.show, "", "--project shop --json"),
        ("raise", budgets.raise_, "--project shop --money-per-day USD=20 --for 2h"),
    ):
        lines = (f"reelhook budgets {name} {example}".rstrip() for example in examples)
        group.command(name, epilog=_examples(*lines))(command)
    app.add_typer(group, name="budgets", rich_help_panel=_PROJECTS)
