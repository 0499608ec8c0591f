"""Plain lines to stdout and stderr, without the libraries of tables and colour."""

import sys

from reelhook.telemetry.lines import printable


def say(line: str) -> None:
    """Print one line to stdout."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def complain(line: str) -> None:
    """Print one line to stderr."""
    sys.stderr.write(f"reelhook: {printable(line)}\n")


def on_terminal() -> bool:
    """Return True if stdout is a terminal."""
    return sys.stdout.isatty()
