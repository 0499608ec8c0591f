"""The application with all its commands."""

from typing import Annotated

import typer

import reelhook
from reelhook.cli.running_commands import add_running_commands
from reelhook.cli.streams import say


def _version(requested: bool) -> None:
    if requested:
        say(f"reelhook {reelhook.__version__}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """A gateway for AI video jobs: it creates a job once, watches it and sends signed webhooks.

    New here? `reelhook demo` shows the whole path within half a minute, without a key.
    """


def build(*, only_running: bool = False) -> typer.Typer:
    """Return the application with all its commands.

    `only_running`: with those that run until they are stopped. Such a process would otherwise hold
    the modules of all others for weeks: 4 MiB.
    """
    app = typer.Typer(
        name="reelhook",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    if only_running:
        add_running_commands(app)
    else:
        from reelhook.cli.commands import add_commands  # noqa: PLC0415 - see the docstring

        add_commands(app)
    return app
