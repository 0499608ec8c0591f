"""The command `submit`."""

import sys
from typing import Annotated, Any
from uuid import uuid4

import typer

from reelhook.cli import render
from reelhook.cli.calls import with_api
from reelhook.cli.client import Api, ApiError, ApiResponse, ResponseLostError
from reelhook.cli.options import AsJson, Endpoints, InProject, Url, Watch, WebhookUrl
from reelhook.cli.submit_options import image_uri, provider_options
from reelhook.cli.watching import follow

SUBMIT_TRIES = 3


def submit(
    script: Annotated[
        str,
        typer.Argument(
            metavar="SCRIPT",
            help="The text of the video; - reads it from stdin.",
            show_default=False,
        ),
    ],
    *,
    watch: Watch = False,
    prompt: Annotated[
        str | None,
        typer.Option(help="Directions, placed before the script.", show_default=False),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="The model, e.g. runway/gen4.5; `reelhook models` lists them. "
            "Default: the server's REELHOOK_DEFAULT_MODEL.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        str | None,
        typer.Option(help="The video's length. Default: the provider's.", show_default=False),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH",
            help="The video's size, e.g. 1280x720. Default: the provider's.",
            show_default=False,
        ),
    ] = None,
    aspect_ratio: Annotated[
        str | None,
        typer.Option(
            metavar="W:H",
            help="The video's aspect ratio, instead of a size, e.g. 16:9.",
            show_default=False,
        ),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(
            metavar="URL|PATH",
            help="The image that the video begins with: its URL, or a file.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="The random seed; the same one gives a similar video.", show_default=False
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A parameter that only this provider has; VALUE may be JSON. May be repeated.",
            show_default=False,
        ),
    ] = None,
    fallback: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="A model to try if the previous ones definitely did not accept. May be repeated.",
            show_default=False,
        ),
    ] = None,
    webhook_url: WebhookUrl = None,
    endpoint: Endpoints = None,
    wallet_address: Annotated[
        str | None,
        typer.Option(help="The job's owner; stored as given.", show_default=False),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            help="The same key within 24 hours returns the same job, never a second render. "
            "Default: a new one for every call.",
            show_default=False,
        ),
    ] = None,
    project: InProject = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Request a video.

    The server responds at once. It watches the job from then on, whether or not you do.
    """
    body = {
        "script": sys.stdin.read() if script == "-" else script,
        "prompt": prompt,
        "model": model,
        "seconds": seconds,
        "size": size,
        "aspectRatio": aspect_ratio,
        "image": None if image is None else image_uri(image),
        "seed": seed,
        "providerOptions": provider_options(option) if option else None,
        "fallbacks": fallback,
        "webhookUrl": webhook_url,
        "endpoints": endpoint,
        "walletAddress": wallet_address,
    }
    key = idempotency_key or uuid4().hex

    async def work(api: Api) -> None:
        response = await _submitted(api, body, key)
        if not watch:
            render.show(response, _show_submitted, as_json=as_json)
            return
        if not as_json:
            render.say(f"Job: {response.value['jobId']}")
        await follow(api, response.value["jobId"], as_json=as_json, known=True)

    with_api(url, work, project=project)


async def _submitted(api: Api, body: dict[str, Any], key: str) -> ApiResponse:
    for _ in range(SUBMIT_TRIES - 1):
        try:
            return await _generate(api, body, key)
        except ResponseLostError:
            continue  # with the same key, a second request returns the job of the first
    try:
        return await _generate(api, body, key)
    except ResponseLostError as error:
        raise ResponseLostError(
            f"{error.message}; with --idempotency-key {key} nothing is paid twice"
        ) from None


async def _generate(api: Api, body: dict[str, Any], key: str) -> ApiResponse:
    try:
        return await api.post("/api/generate", body, Idempotency_Key=key)
    except ApiError as error:
        if error.code != "acceptance_unknown":
            raise
        raise ApiError(
            error.message,
            error.code,
            problem="submit_unknown",
            facts={**error.facts, "key": key},
        ) from None


def _show_submitted(job: dict[str, Any]) -> None:
    render.show_fields(
        [
            ("Job", job["jobId"]),
            ("Title", job["title"]),
            ("Follow it", f"reelhook status {job['jobId']} --watch"),
        ]
    )
