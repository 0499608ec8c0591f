"""What a provider answered, read to its end."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import ClientError, ClientResponse
from pydantic_core import from_json

CONNECTION_ERRORS = (ClientError, OSError, TimeoutError, ValueError)
"""What aiohttp raises when a request can't be made, or its answer can't be read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and headers, and the body: None where it did not arrive whole or was too long."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> object:
        """Return the body's JSON; None where it has none.

        pydantic's reader takes less than half of the time of Python's, and does not take all that
        Python's does: halves of surrogate pairs, a byte order mark.
        """
        try:
            return from_json(self.body or b"")
        except ValueError:
            pass
        try:
            return json.loads(self.body or b"")
        except (ValueError, RecursionError):  # RecursionError: brackets nested by the thousand
            return None

    def fields(self) -> dict[str, object]:
        """Return the body's JSON object; an empty one where it has none."""
        content = self.json()
        return content if isinstance(content, dict) else {}

    def text(self) -> str:
        """Return the body as text."""
        return (self.body or b"").decode(errors="replace")


async def body_of(response: ClientResponse, bytes_max: int) -> bytes | None:
    """Read a body; None if it is longer than `bytes_max`. Raises `CONNECTION_ERRORS`."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > bytes_max:
            response.close()
            return None
    return bytes(body)


def described(error: BaseException) -> str:
    """Return what went wrong, for a log: time-outs and some resets have no words of their own."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
