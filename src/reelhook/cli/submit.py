"""The command `submit`."""

from typing import Annotated, Any
from uuid import uuid4

import typer

from reelhook.cli import render
from reelhook.cli.calls import with_api
from reelhook.cli.client import Api, ApiError, ApiResponse, ResponseLostError
from reelhook.cli.endpoint_options import read_secret
from reelhook.cli.options import (
    AsJson,
    Endpoints,
    ExternalId,
    InProject,
    Metadata,
    Url,
    Watch,
    WebhookUrl,
)
from reelhook.cli.submit_options import (
    AspectRatio,
    Audio,
    CallbackFormat,
    CallbackSecret,
    Fallbacks,
    Image,
    LastFrame,
    Model,
    NegativePrompt,
    Prompt,
    ProviderOptions,
    ReferenceAudios,
    ReferenceImages,
    ReferenceVideos,
    Resolution,
    Script,
    Seconds,
    Seed,
    Size,
    metadata_of,
    video_body,
)
from reelhook.cli.watching import follow

SUBMIT_TRIES = 3


def submit(
    script: Script,
    *,
    watch: Watch = False,
    prompt: Prompt = None,
    model: Model = None,
    seconds: Seconds = None,
    size: Size = None,
    aspect_ratio: AspectRatio = None,
    image: Image = None,
    last_frame: LastFrame = None,
    reference_image: ReferenceImages = None,
    reference_video: ReferenceVideos = None,
    reference_audio: ReferenceAudios = None,
    resolution: Resolution = None,
    negative_prompt: NegativePrompt = None,
    audio: Audio = None,
    seed: Seed = None,
    option: ProviderOptions = None,
    fallback: Fallbacks = None,
    webhook_url: WebhookUrl = None,
    callback_secret: CallbackSecret = False,
    callback_format: CallbackFormat = None,
    endpoint: Endpoints = None,
    wallet_address: Annotated[
        str | None,
        typer.Option(help="The job's owner; stored as given.", show_default=False),
    ] = None,
    external_id: ExternalId = None,
    metadata: Metadata = None,
    priority: Annotated[
        str | None,
        typer.Option(
            metavar="low|normal|high",
            help="Its place among your project's waiting jobs. Default: normal.",
            show_default=False,
        ),
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
    if callback_secret and script == "-":
        raise typer.BadParameter("stdin can't have both the script and --callback-secret")
    video = video_body(
        script,
        prompt=prompt,
        model=model,
        seconds=seconds,
        size=size,
        aspect_ratio=aspect_ratio,
        image=image,
        last_frame=last_frame,
        reference_image=reference_image,
        reference_video=reference_video,
        reference_audio=reference_audio,
        resolution=resolution,
        negative_prompt=negative_prompt,
        audio=audio,
        seed=seed,
        option=option,
        fallback=fallback,
    )
    body = {
        **video,
        "webhookUrl": webhook_url,
        "callbackSecret": read_secret() if callback_secret else None,
        "callbackFormat": callback_format,
        "endpoints": endpoint,
        "walletAddress": wallet_address,
        "externalId": external_id,
        "metadata": metadata_of(metadata),
        "priority": priority,
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
