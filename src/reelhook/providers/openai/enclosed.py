"""A Video that a gateway quotes within the text of an error.

LiteLLM answers the GET of a job that vLLM-Omni reports as failed with HTTP 500 and an
`error.message` of `litellm.InternalServerError: ... OpenAIException - `, followed by the Video's
JSON as its backend sent it, and by more words of its own (seen with LiteLLM 1.106.2).
"""

import json
from collections.abc import Iterator, Mapping

OPENINGS_MAX = 20
"""How many braces of a text are tried: an object in a message begins at one of the first."""
CHARACTERS_MAX = 200_000
"""How much of a message is looked at."""

Fields = Mapping[str, object]


def enclosed(body: Fields) -> Fields:
    """Return the Video that an error's message holds whole; without one, the body itself.

    A message cut off in the middle of the Video holds none.
    """
    error = body.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    if not isinstance(message, str):
        return body
    return next(filter(_is_video, _objects(message[:CHARACTERS_MAX])), body)


def _is_video(found: Fields) -> bool:
    return found.get("object") == "video" and isinstance(found.get("status"), str)


def _objects(text: str) -> Iterator[Fields]:
    """Yield the JSON objects in a text, those within others only where these can't be read."""
    decoder, at = json.JSONDecoder(), 0
    for _ in range(OPENINGS_MAX):
        at = text.find("{", at)
        if at < 0:
            return
        try:
            found, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
        else:
            yield found
