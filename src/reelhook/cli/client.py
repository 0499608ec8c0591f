"""Speaking HTTP to a reelhook server; every failure becomes one sentence with its remedy."""

import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reelhook.domain.errors import ReelhookError, SettingsError

if TYPE_CHECKING:
    from aiohttp import ClientSession

_ID = re.compile(r"[A-Za-z0-9_-]+")
_NOT_FOUND = "Job not found; `reelhook jobs` lists them"
_NO_ENDPOINT = "Endpoint not found; `reelhook endpoints list` lists them"
# Where the API names a call as the remedy, a command line names its command.
_REMEDIES = {
    "Job not found": _NOT_FOUND,
    "GET /api/endpoints lists them": "`reelhook endpoints list` lists them",
    "GET /api/deliveries lists them": "`reelhook deliveries list` lists them",
    "with force": "with --force",
}
_HISTORY = re.compile(r"GET /api/jobs/([A-Za-z0-9_-]+)/events lists them")
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


class ResponseLostError(ReelhookError):
    """The server may have done what was asked, but its answer did not arrive."""

    code = "answer_lost"


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What the API said: the JSON's text as it came, and its value."""

    text: str
    value: dict[str, Any]


def job_path(job_id: str, action: str = "") -> str:
    """Return the path of a job, or of what is done with it. Raises `ApiError`."""
    if not _ID.fullmatch(job_id):
        raise ApiError(_NOT_FOUND, "job_not_found")
    return f"/api/jobs/{job_id}{action}"


def endpoint_path(endpoint_id: str, action: str = "") -> str:
    """Return the path of an endpoint, or of what is done with it. Raises `ApiError`."""
    if not _ID.fullmatch(endpoint_id):
        raise ApiError(_NO_ENDPOINT, "endpoint_not_found")
    return f"/api/endpoints/{endpoint_id}{action}"


class Api:
    """The HTTP API at one URL. With an `operator_key` it proves that the operator asks."""

    def __init__(self, session: "ClientSession", url: str, operator_key: str | None = None) -> None:
        self._session = session
        self._operator_key = operator_key
        self.url = url

    async def get(self, path: str, **parameters: str | int | None) -> ApiResponse:
        """Read. Raises `ApiError`, `ServerUnreachableError`, `ResponseLostError`."""
        given = {name: str(value) for name, value in parameters.items() if value is not None}
        return await self._ask("GET", path, params=given)

    async def post(
        self, path: str, body: Mapping[str, Any] | None = None, **headers: str
    ) -> ApiResponse:
        """Do. None is left out of the body. Raises as `get` does."""
        given = {name: value for name, value in (body or {}).items() if value is not None}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._send("POST", path, given, named)

    async def patch(self, path: str, body: Mapping[str, Any]) -> ApiResponse:
        """Change; None is sent as null. Raises as `get` does."""
        return await self._send("PATCH", path, body, {})

    async def delete(self, path: str) -> None:
        """Remove. Raises as `get` does."""
        await self._ask("DELETE", path)

    async def download(self, url: str) -> AsyncIterator[bytes]:
        """Yield a file. Raises `ApiError` where there is none."""
        async with self._session.get(url) as response:
            if response.status != 200:
                raise ApiError(f"The video can't be downloaded (HTTP {response.status})")
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                yield chunk

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any], headers: dict[str, str]
    ) -> ApiResponse:
        raw = json.dumps(body).encode()
        headers |= {"Content-Type": "application/json"}
        if self._operator_key is not None:
            from reelhook.doors.access import OPERATOR_HEADER, operator_proof  # noqa: PLC0415 - rare

            now = int(time.time() * 1000)
            headers[OPERATOR_HEADER] = operator_proof(self._operator_key, now, method, path, raw)
        return await self._ask(method, path, data=raw, headers=headers)

    async def _ask(self, method: str, path: str, **request: Any) -> ApiResponse:
        from aiohttp import ClientConnectorError, ClientError  # noqa: PLC0415 - see `api_client`
        from yarl import URL  # noqa: PLC0415 - see `api_client`

        try:
            async with self._session.request(
                method, URL(self.url + path, encoded=True), allow_redirects=False, **request
            ) as response:
                return self._understood(response.status, await response.text(errors="replace"))
        except ClientConnectorError as error:
            from reelhook.guard.certificates import distrust  # noqa: PLC0415 - rare

            if (distrusted := distrust(error)) is not None:
                words = f"The certificate of {self.url} {distrusted}"
                raise ServerUnreachableError(words) from None
            raise ServerUnreachableError(
                f"No reelhook server answers at {self.url}; "
                "start one with `reelhook serve` or set REELHOOK_URL"
            ) from None
        except (ClientError, TimeoutError, OSError):
            raise ResponseLostError(
                f"The answer of {self.url} got lost on its way; try again, or look into the "
                "server's log"
            ) from None

    def _understood(self, status: int, text: str) -> ApiResponse:
        if status == 204:
            return ApiResponse("", {})
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
        return ApiResponse(text.strip(), value)


def _for_a_command_line(sentence: str) -> str:
    for told, here in _REMEDIES.items():
        sentence = sentence.replace(told, here)
    return _HISTORY.sub(r"`reelhook events --job \1` lists them", sentence)


@asynccontextmanager
async def api_client(url: str | None, *, as_operator: bool = False) -> AsyncIterator[Api]:
    """Open the API at `url`, or at the settings' one. Raises `SettingsError`.

    `as_operator`: where the settings' database is at hand, requests prove it.
    """
    # Loaded here, so that --help and --version answer at once.
    from reelhook.config import Settings  # noqa: PLC0415 - as above

    settings = Settings.load(url=url)
    key = None
    if as_operator:
        from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help

        # Another user's database, or none here: then nothing is proven.
        with suppress(SettingsError):
            key = await bootstrap.operator_key(settings)
    async with talking_to(settings.url, settings.api_key, key) as api:
        yield api


@asynccontextmanager
async def talking_to(
    url: str, api_key: str | None = None, operator_key: str | None = None
) -> AsyncIterator[Api]:
    """Open the API at `url`."""
    from aiohttp import ClientSession, ClientTimeout  # noqa: PLC0415 - see `api_client`

    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    timeout = ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
    async with ClientSession(headers=headers, timeout=timeout) as session:
        yield Api(session, url, operator_key)
