"""A Video that a gateway quotes within the message of an error.

If vLLM-Omni reports a job as failed, LiteLLM responds to its GET with HTTP 500. `error.message` is
`litellm.InternalServerError: ... OpenAIException - `, the JSON of the backend's Video, and a text
(seen with LiteLLM 1.106.2).
"""

import json
from collections.abc import Iterator

from reelhook.providers.http.json_fields import Fields

OPENINGS_MAX = 20
"""The most opening braces that are tried: an object in a message begins at one of the first."""
CHARACTERS_MAX = 200_000
"""The part of a message that is searched."""


def enclosed(body: Fields) -> Fields:
    """Return the complete Video in an error's message; if there is none, the body itself."""
    error = body.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    if not isinstance(message, str):
        return body
    return next(filter(_is_video, _objects(message[:CHARACTERS_MAX])), body)


def _is_video(candidate: Fields) -> bool:
    return candidate.get("object") == "video" and isinstance(candidate.get("status"), str)


def _objects(text: str) -> Iterator[Fields]:
    """Yield the outermost JSON objects in a text that can be parsed."""
    decoder, at = json.JSONDecoder(), 0
    for _ in range(OPENINGS_MAX):
        at = text.find("{", at)
        if at < 0:
            return
        try:
            candidate, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
        else:
            yield candidate
