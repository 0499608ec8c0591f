"""Options that several commands share."""

from typing import Annotated

import typer

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.", show_default=False)]
EndpointId = Annotated[
    str, typer.Argument(metavar="ID", help="The endpoint's id.", show_default=False)
]
DeliveryId = Annotated[
    int, typer.Argument(metavar="ID", min=1, help="The delivery's id.", show_default=False)
]
Endpoints = Annotated[
    list[str] | None,
    typer.Option(
        "--endpoint",
        metavar="ID",
        help="A registered endpoint that this job's webhooks go to; may be given again.",
        show_default=False,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, exactly as the server answers it.")
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="The server to talk to. Default: REELHOOK_URL.",
        show_default=False,
    ),
]
Watch = Annotated[
    bool,
    typer.Option("--watch", help="Follow the job to its end; exit 0 only if it completed."),
]
WebhookUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Where this job's webhooks go. Default: the server's WEBHOOK_URL.",
        show_default=False,
    ),
]
DataDir = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="The directory of the database. Default: REELHOOK_DATA_DIR.",
        show_default=False,
    ),
]
