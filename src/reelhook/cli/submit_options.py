"""The options of a request for a video, and the body that they make."""

import base64
import json
import mimetypes
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from reelhook.domain.media import FILES_BYTES_MAX

_LIKE = {
    "image": "an image; give https://... or a .png, .jpg or .webp file",
    "video": "a video; give https://... or a .mp4, .mov or .webm file",
    "audio": "a sound; give https://... or a .mp3 or .wav file",
}

Script = Annotated[
    str,
    typer.Argument(
        metavar="SCRIPT",
        help="The text of the video; - reads it from stdin.",
        show_default=False,
    ),
]
Prompt = Annotated[
    str | None,
    typer.Option(help="Directions, placed before the script.", show_default=False),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="The model, e.g. runway/gen4.5; `reelhook models` lists them. "
        "Default: the server's REELHOOK_DEFAULT_MODEL.",
        show_default=False,
    ),
]
Seconds = Annotated[
    str | None,
    typer.Option(help="The video's length. Default: the provider's.", show_default=False),
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="WxH",
        help="The video's size, e.g. 1280x720. Default: the provider's.",
        show_default=False,
    ),
]
AspectRatio = Annotated[
    str | None,
    typer.Option(
        metavar="W:H",
        help="The video's aspect ratio, instead of a size, e.g. 16:9.",
        show_default=False,
    ),
]
Image = Annotated[
    str | None,
    typer.Option(
        metavar="URL|PATH|job:ID",
        help="The image that the video begins with: its URL, a file, or the last frame of a "
        "completed job, as job:JOB_ID.",
        show_default=False,
    ),
]
LastFrame = Annotated[
    str | None,
    typer.Option(
        metavar="URL|PATH|job:ID",
        help="The image that the video ends with, in the same form.",
        show_default=False,
    ),
]
ReferenceImages = Annotated[
    list[str] | None,
    typer.Option(
        "--reference-image",
        metavar="URL|PATH|job:ID",
        help="An image whose subject or style the video has. May be repeated.",
        show_default=False,
    ),
]
ReferenceVideos = Annotated[
    list[str] | None,
    typer.Option(
        "--reference-video",
        metavar="URL|PATH|job:ID",
        help="A video to take motion or style from: its URL, a file, or the video of a completed "
        "job, as job:JOB_ID. May be repeated.",
        show_default=False,
    ),
]
ReferenceAudios = Annotated[
    list[str] | None,
    typer.Option(
        "--reference-audio",
        metavar="URL|PATH",
        help="A sound for the video. May be repeated.",
        show_default=False,
    ),
]
Resolution = Annotated[
    str | None,
    typer.Option(
        metavar="RESOLUTION",
        help="The video's resolution, e.g. 1080p or 4k. Default: the provider's.",
        show_default=False,
    ),
]
NegativePrompt = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Things not to show.", show_default=False),
]
Audio = Annotated[
    bool | None,
    typer.Option(
        "--audio/--no-audio",
        help="With or without sound. Default: the model's choice.",
        show_default=False,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0, help="The random seed; the same one gives a similar video.", show_default=False
    ),
]
ProviderOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="A parameter that only this provider has; VALUE may be JSON. May be repeated.",
        show_default=False,
    ),
]
CallbackSecret = Annotated[
    bool,
    typer.Option(
        "--callback-secret",
        help="Prompt for the secret that signs the webhooks to --webhook-url, or read it from "
        "stdin.",
    ),
]
CallbackFormat = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The format of the webhooks to --webhook-url: reelhook, reelhook+poster, openai or "
        "vercel. Default: reelhook.",
        show_default=False,
    ),
]
Fallbacks = Annotated[
    list[str] | None,
    typer.Option(
        "--fallback",
        metavar="MODEL",
        help="A model to try if the previous ones definitely did not accept. May be repeated.",
        show_default=False,
    ),
]


def video_body(
    script: str,
    *,
    prompt: str | None,
    model: str | None,
    seconds: str | None,
    size: str | None,
    aspect_ratio: str | None,
    image: str | None,
    last_frame: str | None,
    reference_image: list[str] | None,
    reference_video: list[str] | None,
    reference_audio: list[str] | None,
    resolution: str | None,
    negative_prompt: str | None,
    audio: bool | None,
    seed: int | None,
    option: list[str] | None,
    fallback: list[str] | None,
) -> dict[str, Any]:
    """Return the body of a request for a video. Raises `typer.BadParameter`."""
    return {
        "script": sys.stdin.read() if script == "-" else script,
        "prompt": prompt,
        "model": model,
        "seconds": seconds,
        "size": size,
        "aspectRatio": aspect_ratio,
        "image": None if image is None else file_uri(image, "--image"),
        "lastFrame": None if last_frame is None else file_uri(last_frame, "--last-frame"),
        "referenceImages": _references(reference_image, "image"),
        "referenceVideos": _references(reference_video, "video"),
        "referenceAudios": _references(reference_audio, "audio"),
        "resolution": resolution,
        "negativePrompt": negative_prompt,
        "audio": audio,
        "seed": seed,
        "providerOptions": provider_options(option) if option else None,
        "fallbacks": fallback,
    }


def _references(files: list[str] | None, kind: str) -> list[str] | None:
    return [file_uri(file, f"--reference-{kind}", kind) for file in files or ()] or None


def file_uri(file: str, option: str, kind: str = "image") -> str:
    """Return a file in the form of a request: a local file as a data: URI, others unchanged.

    Raises `typer.BadParameter`, naming the option.
    """
    if file.startswith(("http://", "https://", "data:", "upload_")) or _is_job(file, kind):
        return file
    path = Path(file).expanduser()
    guessed = mimetypes.guess_type(path.name, strict=False)[0] or ""
    if not guessed.startswith(f"{kind}/"):
        raise typer.BadParameter(
            f"{file} is neither a URL nor named like {_LIKE[kind]}", param_hint=option
        )
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= FILES_BYTES_MAX else b""
    except OSError as error:
        raise typer.BadParameter(
            f"{file} can't be read ({error.strerror})", param_hint=option
        ) from None
    if size > FILES_BYTES_MAX:
        raise typer.BadParameter(
            f"{file} has {size} bytes, and a request carries at most {FILES_BYTES_MAX}; "
            "shrink it, or give a URL that the server can fetch it from",
            param_hint=option,
        )
    return f"data:{guessed};base64,{base64.b64encode(content).decode()}"


def _is_job(file: str, kind: str) -> bool:
    return file.startswith("job:") and kind != "audio"


def metadata_of(pairs: list[str] | None) -> dict[str, str] | None:
    """Return metadata from NAME=VALUE texts; None if there is none. Raises `typer.BadParameter`."""
    metadata: dict[str, str] = {}
    for pair in pairs or ():
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise typer.BadParameter(
                f"{pair!r} has no name and value; write it like order=4711",
                param_hint="--metadata",
            )
        if name in metadata:
            raise typer.BadParameter(
                f"{name!r} is given twice; a name has one value", param_hint="--metadata"
            )
        metadata[name] = value
    return metadata or None


def provider_options(pairs: list[str]) -> dict[str, Any]:
    """Return the parameters that only the provider has. Raises `typer.BadParameter`."""
    options: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise typer.BadParameter(
                f"{pair!r} is not a parameter; write it like resolution=1080p",
                param_hint="--option",
            )
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options
