"""The options of a request for a video, and the body that they make."""

import base64
import json
import mimetypes
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from reelhook.domain.media import FILES_BYTES_MAX

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
        metavar="URL|PATH",
        help="The image that the video begins with: its URL, or a file.",
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
        "image": None if image is None else image_uri(image),
        "seed": seed,
        "providerOptions": provider_options(option) if option else None,
        "fallbacks": fallback,
    }


def image_uri(image: str) -> str:
    """Return an image in the form of a request: a URL unchanged, a file as a data: URI.

    Raises `typer.BadParameter`.
    """
    if image.startswith(("http://", "https://", "data:")):
        return image
    path = Path(image).expanduser()
    kind = mimetypes.guess_type(path.name, strict=False)[0] or ""
    if not kind.startswith("image/"):
        raise typer.BadParameter(
            f"{image} is neither a URL nor named like an image; give https://... or a .png, "
            ".jpg or .webp file",
            param_hint="--image",
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(
            f"{image} can't be read ({error.strerror})", param_hint="--image"
        ) from None
    if len(content) > FILES_BYTES_MAX:
        raise typer.BadParameter(
            f"{image} has {len(content)} bytes, and a request carries at most {FILES_BYTES_MAX}; "
            "shrink it, or upload it where the provider can fetch it and give its URL",
            param_hint="--image",
        )
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


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
