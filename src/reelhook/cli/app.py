"""The application with all its commands, and its exit codes."""

import sys
from typing import Annotated

import typer

import reelhook
from reelhook.cli.error_messages import command_line_message
from reelhook.cli.running_commands import RUNNING, add_running_commands
from reelhook.cli.streams import complain, say
from reelhook.domain.errors import ReelhookError


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


def run() -> None:
    """Run a command. A failure exits with 1, wrong usage with 2; both print one sentence."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # If the terminal can't show a character, print its code instead of a traceback.
            stream.reconfigure(errors="backslashreplace")
    try:
        only_running = sys.argv[1:2] in [[name] for name in RUNNING]
        code = build(only_running=only_running)(standalone_mode=False)
    except ReelhookError as error:
        complain(command_line_message(error))
        sys.exit(1)
    except typer.TyperException as error:
        if sentence := _usage(error):
            complain(sentence)
        sys.exit(getattr(error, "exit_code", 1))
    sys.exit(code if isinstance(code, int) else 0)


def _usage(error: typer.TyperException) -> str:
    format_message = getattr(error, "format_message", None)
    problem = str(format_message() if format_message else error).strip().rstrip(".")
    # pydantic checks the values, and these are its words.
    problem = problem.replace(": Input should be ", ": must be ").replace(": Value error, ", ": ")
    if not problem:
        return ""  # no command was given, so the help was shown
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "reelhook"
    return f"{problem}{'' if problem.endswith('?') else ';'} see `{command} --help`"
