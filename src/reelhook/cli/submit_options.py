"""Options of `submit` that need conversion: images and provider options."""

import base64
import json
import mimetypes
from pathlib import Path
from typing import Any

import typer

from reelhook.domain.request import IMAGE_CHARACTERS_MAX

BYTES_MAX = IMAGE_CHARACTERS_MAX * 3 // 4 - 100


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
    if len(content) > BYTES_MAX:
        raise typer.BadParameter(
            f"{image} has {len(content)} bytes, and a request carries at most {BYTES_MAX}; "
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
