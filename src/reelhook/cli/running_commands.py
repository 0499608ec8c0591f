"""The commands that run until they are stopped, with their examples."""

import typer

from reelhook.cli import server
from reelhook.cli.examples import examples

SERVER = "Server"
RUNNING = ("serve", "worker", "simulate")


def add_running_commands(app: typer.Typer) -> None:
    """Add the commands that run until they are stopped."""
    app.command(
        rich_help_panel=SERVER,
        epilog=examples(
            "reelhook serve --simulate",
            "OPENAI_BASE_URL=http://gpu:30000/v1 reelhook serve --data-dir /var/lib/reelhook",
        ),
    )(server.serve)
    app.command(
        rich_help_panel=SERVER,
        epilog=examples("DATABASE_URL=postgresql://user@host/reelhook reelhook worker"),
    )(server.worker)
    app.command(
        rich_help_panel=SERVER,
        epilog=examples(
            "reelhook simulate --port 9000",
            "reelhook simulate --render-seconds 30 --server-error 0.1 --lost-create 0.1",
            "reelhook simulate --flavour sglang",
        ),
    )(server.simulate)
