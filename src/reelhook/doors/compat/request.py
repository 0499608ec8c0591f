"""The first client's form of a request: a script, and a direction that precedes it."""

import json
from typing import Any

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.problem import Problem
from reelhook.domain.request import (
    PROMPT_CHARACTERS_MAX,
    SHORT_CHARACTERS_MAX,
    TITLE_CHARACTERS,
    VideoRequest,
    check_text,
)

RENDER_VERSION = "v3"


def video_request(
    script: str,
    *,
    direction: str | None = None,
    wallet_address: str | None = None,
    render_version: str = RENDER_VERSION,
    provider_options: str | None = None,
    **fields: Any,
) -> VideoRequest:
    """Return the domain's request; `fields` are those that have the same name there.

    References and fallbacks may be lists. `provider_options` are the options as JSON text. Raises
    `InvalidRequestError` for faults that the domain can't see, since it gets script and direction
    as one prompt.
    """
    if render_version != RENDER_VERSION:
        raise InvalidRequestError(
            "render_version",
            "renderVersion must be v3, the video model; v1 and v2 are not offered here",
        )
    check_text("script", script, PROMPT_CHARACTERS_MAX)
    if not script.strip():
        raise InvalidRequestError("script", Problem.EMPTY)
    if direction is not None:
        check_text("direction", direction, PROMPT_CHARACTERS_MAX, empty=True)
    prompt = f"{direction}\n\n{script}" if direction else script
    if len(prompt) > PROMPT_CHARACTERS_MAX:
        raise InvalidRequestError(
            "direction",
            f"prompt and script together must have at most {PROMPT_CHARACTERS_MAX} characters",
        )
    if wallet_address is not None:
        check_text("wallet_address", wallet_address, SHORT_CHARACTERS_MAX)
    if provider_options is not None:
        fields["options"] = _options(provider_options)
    fields |= {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    own_fields = {"direction": direction or None, "wallet_address": wallet_address}
    given = {name: value for name, value in own_fields.items() if value is not None}
    return VideoRequest(prompt, title=script[:TITLE_CHARACTERS], door_fields=given, **fields)


def _options(text: str) -> Any:
    """Return the options; the domain checks that they are an object."""
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequestError("options", Problem.NOT_AN_OBJECT) from None


class ScriptRequest:
    """Deprecated: `VideoRequest` with the arguments that it had in `reelhook.domain.job`."""

    def __new__(  # type: ignore[misc]  # noqa: PLR0917 - the former arguments make a new request
        cls,
        script: str,
        model: str,
        direction: str | None = None,
        seconds: str | None = None,
        size: str | None = None,
        wallet_address: str | None = None,
        render_version: str = RENDER_VERSION,
        aspect_ratio: str | None = None,
        image: str | None = None,
        seed: int | None = None,
        provider_options: str | None = None,
        fallbacks: tuple[str, ...] = (),
    ) -> VideoRequest:
        """Return a request."""
        return video_request(
            script,
            direction=direction,
            wallet_address=wallet_address,
            render_version=render_version,
            provider_options=provider_options,
            model=model,
            seconds=seconds,
            size=size,
            aspect_ratio=aspect_ratio,
            image=image,
            seed=seed,
            fallbacks=tuple(fallbacks),
        )
