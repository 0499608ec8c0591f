"""Speaking HTTP to a reelhook server; every failure becomes one sentence with its remedy."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reelhook.domain.errors import ReelhookError

if TYPE_CHECKING:
    from aiohttp import ClientSession

_JOB_ID = re.compile(r"[A-Za-z0-9_-]+")
_NOT_FOUND = "Job not found; `reelhook jobs` lists them"
_PROXY_STATUSES = frozenset({502, 503, 504})
_CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 120.0
"""Cancelling may wait for a submit's outcome, which takes up to a minute."""


class ApiError(ReelhookError):
    """The server refused; `code` is the API's own."""

    def __init__(self, message: str, code: str = "error") -> None:
        super().__init__(message)
        self.code = code


class ServerUnreachableError(ReelhookError):
    """No server answers."""

    code = "server_unreachable"


class AnswerLostError(ReelhookError):
    """The server may have done what was asked, but its answer did not arrive."""

    code = "answer_lost"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said: the JSON's text as it came, and its value."""

    text: str
    value: dict[str, Any]


def job_path(job_id: str, action: str = "") -> str:
    """Return the path of a job, or of what is done with it. Raises `ApiError`."""
    if not _JOB_ID.fullmatch(job_id):
        raise ApiError(_NOT_FOUND, "job_not_found")
    return f"/api/jobs/{job_id}{action}"


class Api:
    """The HTTP API at one URL."""

    def __init__(self, session: "ClientSession", url: str) -> None:
        self._session = session
        self.url = url

    async def get(self, path: str, **parameters: str | int | None) -> Answer:
        """Read. Raises `ApiError`, `ServerUnreachableError`, `AnswerLostError`."""
        given = {name: str(value) for name, value in parameters.items() if value is not None}
        return await self._ask("GET", path, params=given)

    async def post(
        self, path: str, body: Mapping[str, Any] | None = None, **headers: str
    ) -> Answer:
        """Do. None is left out of the body. Raises as `get` does."""
        given = {name: value for name, value in (body or {}).items() if value is not None}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._ask("POST", path, json=given, headers=named)

    async def download(self, url: str) -> AsyncIterator[bytes]:
        """Yield a file. Raises `ApiError` where there is none."""
        async with self._session.get(url) as response:
            if response.status != 200:
                raise ApiError(f"The video can't be downloaded (HTTP {response.status})")
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                yield chunk

    async def _ask(self, method: str, path: str, **request: Any) -> Answer:
        from aiohttp import ClientConnectorError, ClientError  # noqa: PLC0415 - see `talking`
        from yarl import URL  # noqa: PLC0415 - see `talking`

        try:
            async with self._session.request(
                method, URL(self.url + path, encoded=True), allow_redirects=False, **request
            ) as response:
                return self._understood(response.status, await response.text(errors="replace"))
        except ClientConnectorError:
            raise ServerUnreachableError(
                f"No reelhook server answers at {self.url}; "
                "start one with `reelhook serve` or set REELHOOK_URL"
            ) from None
        except (ClientError, TimeoutError, OSError):
            raise AnswerLostError(
                f"The answer of {self.url} got lost on its way; try again, or look into the "
                "server's log"
            ) from None

    def _understood(self, status: int, text: str) -> Answer:
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict) or (status >= 400 and not {"error", "code"} <= value.keys()):
            if status in _PROXY_STATUSES:
                raise ServerUnreachableError(
                    f"The proxy at {self.url} reaches no reelhook server (HTTP {status}); start "
                    "one with `reelhook serve` or set REELHOOK_URL"
                )
            raise ApiError(
                f"What answers at {self.url} is not reelhook (HTTP {status}); set REELHOOK_URL"
            )
        if status == 401:
            raise ApiError(
                f"The server at {self.url} asks for its key; set REELHOOK_API_KEY to it",
                "unauthorized",
            )
        if status >= 400:
            raise ApiError(_for_a_command_line(str(value["error"])), str(value.get("code")))
        return Answer(text.strip(), value)


def _for_a_command_line(sentence: str) -> str:
    if sentence == "Job not found":
        return _NOT_FOUND
    return sentence.replace("with force", "with --force")


@asynccontextmanager
async def talking(url: str | None) -> AsyncIterator[Api]:
    """Open the API at `url`, or at the settings' one. Raises `SettingsError`."""
    # Loaded here, so that --help and --version answer at once.
    from reelhook.config import Settings  # noqa: PLC0415 - as above

    settings = Settings.load(url=url)
    async with talking_to(settings.url, settings.api_key) as api:
        yield api


@asynccontextmanager
async def talking_to(url: str, api_key: str | None = None) -> AsyncIterator[Api]:
    """Open the API at `url`."""
    from aiohttp import ClientSession, ClientTimeout  # noqa: PLC0415 - see `talking`

    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    timeout = ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
    async with ClientSession(headers=headers, timeout=timeout) as session:
        yield Api(session, url)
