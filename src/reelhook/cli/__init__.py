"""The command line. Typer and rich are loaded only when it runs."""

import sys


def main() -> None:
    """Run the command in the arguments, and end the process with its exit code."""
    _load_structlog()
    from reelhook.cli.run import run  # noqa: PLC0415 - importing reelhook must not load Typer

    run()


def _load_structlog() -> None:
    """Load structlog without the libraries of its own coloured lines, which we don't use.

    A server would hold them for weeks: 5 MiB. A program that embeds reelhook keeps them.
    """
    hidden = [name for name in ("rich", "greenlet") if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment] # documented: the import fails
    import structlog  # noqa: F401, PLC0415 - loaded here, see above

    for name in hidden:
        del sys.modules[name]
