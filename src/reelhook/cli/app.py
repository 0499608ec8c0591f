"""The application with all its commands, and its exit codes."""

import sys
from typing import Annotated

import typer

import reelhook
from reelhook.cli import (
    archive,
    audit,
    backup,
    copying,
    database,
    deliveries,
    demo,
    doctor,
    endpoints,
    estimate,
    init,
    jobs,
    models,
    operations,
    render,
    server,
    submit,
    webhooks,
)
from reelhook.cli.error_messages import command_line_message
from reelhook.cli.examples import examples as _examples
from reelhook.cli.project_groups import add_project_groups
from reelhook.domain.errors import ReelhookError

_JOBS, _SERVER, _WEBHOOKS, _DATABASE = "Jobs", "Server", "Webhooks", "Database"


def _version(requested: bool) -> None:
    if requested:
        render.say(f"reelhook {reelhook.__version__}")
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


def build() -> typer.Typer:
    """Return the application with all its commands."""
    app = typer.Typer(
        name="reelhook",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    _add_server(app)
    _add_jobs(app)
    _add_endpoints(app)
    _add_deliveries(app)
    _add_webhooks(app)
    add_project_groups(app)
    _add_archive(app)
    _add_database(app)
    return app


def _add_server(app: typer.Typer) -> None:
    app.command(
        rich_help_panel=_SERVER,
        epilog=_examples("reelhook demo", "reelhook demo --output video.mp4"),
    )(demo.demo)
    app.command(
        rich_help_panel=_SERVER,
        epilog=_examples("reelhook init", "reelhook init --provider fal --output fal.env"),
    )(init.init)
    app.command(
        rich_help_panel=_SERVER,
        epilog=_examples(
            "reelhook serve --simulate",
            "OPENAI_BASE_URL=http://gpu:30000/v1 reelhook serve --data-dir /var/lib/reelhook",
        ),
    )(server.serve)
    app.command(
        rich_help_panel=_SERVER,
        epilog=_examples("DATABASE_URL=postgresql://user@host/reelhook reelhook worker"),
    )(server.worker)
    app.command(
        rich_help_panel=_SERVER,
        epilog=_examples(
            "reelhook simulate --port 9000",
            "reelhook simulate --render-seconds 30 --server-error 0.1 --lost-create 0.1",
            "reelhook simulate --flavour sglang",
        ),
    )(server.simulate)
    app.command(
        rich_help_panel=_SERVER,
        epilog=_examples(
            "reelhook doctor", "reelhook doctor --send --json", "reelhook doctor --orphans"
        ),
    )(doctor.doctor)
    app.command(
        rich_help_panel=_SERVER, epilog=_examples("reelhook stats", "reelhook stats --json")
    )(operations.stats)
    app.command(
        rich_help_panel=_SERVER, epilog=_examples("reelhook attention", "reelhook attention --json")
    )(operations.attention)
    app.command(
        rich_help_panel=_SERVER,
        epilog=_examples("reelhook audit", "reelhook audit --since 2h --action endpoint.changed"),
    )(audit.audit)
    app.command(
        rich_help_panel=_SERVER,
        epilog=_examples("reelhook watcher pause", "reelhook watcher resume"),
    )(operations.watcher)


def _add_jobs(app: typer.Typer) -> None:
    app.command(
        rich_help_panel=_JOBS,
        epilog=_examples(
            'reelhook submit "A lighthouse at dusk" --watch',
            "reelhook submit - --seconds 8 --size 1280x720 < script.txt",
            'reelhook submit "A fox" --webhook-url https://example.com/hook --json',
        ),
    )(submit.submit)
    app.command(
        rich_help_panel=_JOBS,
        epilog=_examples(
            'reelhook estimate "A fox" --model runway/gen4.5 --seconds 5',
            'reelhook estimate "A fox" --model runway/gen4.5 --fallback fal/fal-ai/veo3/fast',
        ),
    )(estimate.estimate)
    app.command(
        rich_help_panel=_JOBS,
        epilog=_examples("reelhook status ID", "reelhook status ID --watch"),
    )(jobs.status)
    app.command(
        rich_help_panel=_JOBS,
        epilog=_examples("reelhook jobs --status failed", "reelhook jobs --limit 500 --json"),
    )(jobs.jobs)
    app.command(
        rich_help_panel=_JOBS, epilog=_examples("reelhook register video_abc123 --job-id job-123")
    )(jobs.register)
    app.command(rich_help_panel=_JOBS, epilog=_examples("reelhook poll ID"))(jobs.poll)
    app.command(
        rich_help_panel=_JOBS, epilog=_examples("reelhook cancel ID", "reelhook cancel ID --force")
    )(jobs.cancel)
    app.command(
        rich_help_panel=_JOBS, epilog=_examples("reelhook delete ID", "reelhook delete ID ID --yes")
    )(jobs.delete)
    app.command(rich_help_panel=_JOBS, epilog=_examples("reelhook adopt JOB video_abc123"))(
        jobs.adopt
    )
    app.command(rich_help_panel=_JOBS, epilog=_examples("reelhook abandon JOB --yes"))(jobs.abandon)
    app.command(
        rich_help_panel=_JOBS,
        epilog=_examples("reelhook models", "reelhook models runway"),
    )(models.models)
    app.command(
        rich_help_panel=_JOBS,
        epilog=_examples("reelhook costs", "reelhook costs --since 2026-11-01 --json"),
    )(models.costs)


def _add_endpoints(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Register and manage the receivers of webhooks.")
    for name, command, *examples in (
        ("list", endpoints.list_, "", "--failing"),
        (
            "add",
            endpoints.add,
            "https://example.com/hook --event completed --event failed",
            "http://127.0.0.1:3000/hook --broadcast",
            "https://example.com/hook --header @headers.txt --secret < secret.txt",
        ),
        ("show", endpoints.show, "ID"),
        ("update", endpoints.update, "ID --event all --concurrency 8"),
        ("enable", endpoints.enable, "ID"),
        ("disable", endpoints.disable, "ID"),
        ("rotate", endpoints.rotate, "ID", "ID --overlap-hours 48"),
        ("test", endpoints.send_test, "ID"),
        ("remove", endpoints.remove, "ID", "ID --yes"),
    ):
        lines = (f"reelhook endpoints {name} {example}".rstrip() for example in examples)
        group.command(name, epilog=_examples(*lines))(command)
    app.add_typer(group, name="endpoints", rich_help_panel=_WEBHOOKS)


def _add_deliveries(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Inspect and resend webhooks.")
    for name, command, *examples in (
        ("list", deliveries.list_, "--state failed", "--job ID --json"),
        ("show", deliveries.show, "17"),
        ("attempts", deliveries.attempts, "17"),
        ("resend", deliveries.resend, "17", "17 --sequence 3", "--failed-since 2h --endpoint ID"),
    ):
        lines = (f"reelhook deliveries {name} {example}" for example in examples)
        group.command(name, epilog=_examples(*lines))(command)
    app.add_typer(group, name="deliveries", rich_help_panel=_WEBHOOKS)
    app.command(
        rich_help_panel=_WEBHOOKS,
        epilog=_examples(
            "reelhook events --follow", "reelhook events --job ID", "reelhook events --after EVENT"
        ),
    )(deliveries.events)


def _add_webhooks(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Check where webhooks may be sent.")
    group.command(
        epilog=_examples(
            "reelhook webhooks check https://example.com/hook",
            "reelhook webhooks check --answers 10.0.0.5 http://app:3000/hook",
            "reelhook webhooks check --json - < urls.txt",
        )
    )(webhooks.check)
    app.add_typer(group, name="webhooks", rich_help_panel=_WEBHOOKS)


def _add_archive(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="The files of finished videos.")
    for name, command, *examples in (
        ("ls", archive.ls, "", "--project shop --json"),
        ("verify", archive.verify, "", "--no-hashes --json"),
        ("prune", archive.prune, "--dry-run", ""),
        ("export", archive.export, "videos", "videos --project shop"),
    ):
        lines = (f"reelhook archive {name} {example}".rstrip() for example in examples)
        group.command(name, epilog=_examples(*lines))(command)
    app.add_typer(group, name="archive", rich_help_panel="Archive")


def _add_database(app: typer.Typer) -> None:
    app.command(
        rich_help_panel=_DATABASE, epilog=_examples("reelhook migrate", "reelhook migrate --all")
    )(database.migrate)
    app.command(
        rich_help_panel=_DATABASE,
        epilog=_examples(
            "reelhook rollback", "reelhook rollback --end-jobs", "reelhook rollback --destroy"
        ),
    )(database.rollback)
    app.command(
        rich_help_panel=_DATABASE,
        epilog=_examples(
            "reelhook secret", "reelhook secret --project shop", "reelhook secret --new-private-key"
        ),
    )(database.secret)
    app.command(rich_help_panel=_DATABASE, epilog=_examples("reelhook callback openai"))(
        database.callback
    )
    app.command(
        rich_help_panel=_DATABASE,
        epilog=_examples(
            "reelhook copy --to postgresql://user@host/reelhook", "reelhook copy --reopen"
        ),
    )(copying.copy)
    app.command(
        rich_help_panel=_DATABASE,
        epilog=_examples("reelhook backup /backups/reelhook-monday.db"),
    )(backup.backup)
    app.command(rich_help_panel=_DATABASE, epilog=_examples("reelhook restored"))(backup.restored)


def run() -> None:
    """Run a command. A failure exits with 1, wrong usage with 2; both print one sentence."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # If the terminal can't show a character, print its code instead of a traceback.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = build()(standalone_mode=False)
    except ReelhookError as error:
        render.complain(command_line_message(error))
        sys.exit(1)
    except typer.TyperException as error:
        if sentence := _usage(error):
            render.complain(sentence)
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
