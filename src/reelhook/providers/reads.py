"""Requests that cost nothing: read to their end, over kept connections."""

from collections.abc import Mapping

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from reelhook.domain.errors import ProviderError
from reelhook.providers.answer import CONNECTION_ERRORS, Answer, body_of, described

CONNECT_SECONDS_MAX = 5.0
READ_SECONDS_MAX = 15.0
BODY_BYTES_MAX = 64 * 1024 * 1024
"""A page of 100 jobs with prompts of 32,000 characters, each escaped as `\\uXXXX\\uXXXX`: 38 MB."""


def session() -> ClientSession:
    """Return a session for reads and downloads; how many run at once is their caller's choice."""
    return ClientSession(connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar())


async def ask(http: ClientSession, method: str, url: URL, headers: Mapping[str, str]) -> Answer:
    """Return the answer, whatever its status. Raises `ProviderError`.

    Redirects are not followed: a base URL that answers with them is wrong, and would put every
    paid request in doubt.
    """
    try:
        async with http.request(
            method,
            url,
            headers={"Accept": "application/json", **headers},
            allow_redirects=False,
            timeout=ClientTimeout(total=READ_SECONDS_MAX, connect=CONNECT_SECONDS_MAX),
        ) as response:
            body = await body_of(response, BODY_BYTES_MAX)
    except CONNECTION_ERRORS as error:
        words = f"The provider could not be read: {described(error)}"
        raise ProviderError(words, unreachable=True) from error
    if body is None:
        raise ProviderError(f"The provider's answer is longer than {BODY_BYTES_MAX} bytes")
    return Answer(response.status, response.headers, body)
