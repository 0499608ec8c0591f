"""Runs a command: its exit codes, and one sentence for each failure."""

import signal
import sys

import typer

from reelhook.cli.app import build
from reelhook.cli.error_messages import command_line_message
from reelhook.cli.running_commands import RUNNING
from reelhook.cli.streams import complain
from reelhook.domain.errors import ReelhookError

INTERRUPTED_EXIT = 128 + signal.SIGINT
"""The exit code of a program that Ctrl-C has ended, as shells report it."""


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
    except typer.Abort as error:  # at a question, or wherever a command was waiting
        if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            sys.exit(INTERRUPTED_EXIT)
        complain("A question got no answer, so nothing was done; --help has its option")
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
