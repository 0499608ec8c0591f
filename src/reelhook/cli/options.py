"""Options that several commands share."""

from typing import Annotated

import typer

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.", show_default=False)]
EndpointId = Annotated[
    str, typer.Argument(metavar="ID", help="The endpoint's id.", show_default=False)
]
ProjectId = Annotated[
    str, typer.Argument(metavar="PROJECT", help="The project's id or name.", show_default=False)
]
DeliveryId = Annotated[
    int, typer.Argument(metavar="ID", min=1, help="The delivery's id.", show_default=False)
]
Endpoints = Annotated[
    list[str] | None,
    typer.Option(
        "--endpoint",
        metavar="ID",
        help="A registered endpoint that receives this job's webhooks. May be repeated.",
        show_default=False,
    ),
]
ExternalId = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="Your own id for the job, up to 128 characters.",
        show_default=False,
    ),
]
Metadata = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Your own name and value, kept with the job: up to 64 and 512 characters. "
        "May be repeated, up to 16 times.",
        show_default=False,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, unchanged if it comes from the server.")
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="The server's URL. Default: REELHOOK_URL.",
        show_default=False,
    ),
]
InProject = Annotated[
    str | None,
    typer.Option(
        "--project",
        metavar="PROJECT",
        help="The project to act in, by id or name. Default: the project of the key. With the "
        "operator's key: all projects, and `default` for new jobs and endpoints.",
        show_default=False,
    ),
]
Watch = Annotated[
    bool,
    typer.Option("--watch", help="Follow the job to its end. Exit 0 only if it completed."),
]
WebhookUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The URL that receives this job's webhooks. Default: the server's WEBHOOK_URL.",
        show_default=False,
    ),
]
DataDir = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="The database's directory. Default: REELHOOK_DATA_DIR.",
        show_default=False,
    ),
]
NumberCursor = Annotated[
    int | None,
    typer.Option(min=1, help="The nextCursor of the previous page.", show_default=False),
]
OverlapHours = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="H",
        help="Hours for which the old secret signs too. Default: the server's "
        "REELHOOK_SECRET_OVERLAP_HOURS.",
        show_default=False,
    ),
]
