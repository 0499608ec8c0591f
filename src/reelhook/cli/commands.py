"""All commands, in the order of the help, with their examples."""

import typer

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
    submit,
    webhooks,
)
from reelhook.cli.examples import examples as _examples
from reelhook.cli.project_groups import add_project_groups
from reelhook.cli.running_commands import SERVER as _SERVER
from reelhook.cli.running_commands import add_running_commands

_JOBS, _WEBHOOKS, _DATABASE = "Jobs", "Webhooks", "Database"


def add_commands(app: typer.Typer) -> None:
    """Add all commands."""
    _add_server(app)
    _add_jobs(app)
    _add_endpoints(app)
    _add_deliveries(app)
    _add_webhooks(app)
    add_project_groups(app)
    _add_archive(app)
    _add_database(app)


def _add_server(app: typer.Typer) -> None:
    app.command(
        rich_help_panel=_SERVER,
        epilog=_examples("reelhook demo", "reelhook demo --output video.mp4"),
    )(demo.demo)
    app.command(
        rich_help_panel=_SERVER,
        epilog=_examples("reelhook init", "reelhook init --provider fal --output fal.env"),
    )(init.init)
    add_running_commands(app)
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
