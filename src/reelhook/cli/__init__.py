"""The command line. Typer and rich are loaded only when it runs."""


def main() -> None:
    """Run the command in the arguments, and end the process with its exit code."""
    from reelhook.cli.run import run  # noqa: PLC0415 - importing reelhook must not load Typer

    run()
