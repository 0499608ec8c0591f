"""A client of a reelhook server's HTTP API; every failure becomes one sentence with its remedy."""

import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reelhook.domain.errors import ReelhookError, SettingsError

if TYPE_CHECKING:
    from aiohttp import ClientSession

_ID = re.compile(r"[A-Za-z0-9_-]+")
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PROXY_STATUSES = frozenset({502, 503, 504})
_CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 5.0
RESPONSE_SECONDS_MAX = 120.0
"""Cancelling may wait up to a minute for the outcome of a submission."""


class ApiError(ReelhookError):
    """The server refused a request; code, problem and facts are those of its response."""

    def __init__(
        self,
        message: str,
        code: str = "error",
        *,
        problem: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, problem=problem, facts=facts)
        self.code = code


class ServerUnreachableError(ReelhookError):
    """No server responds."""

    code = "server_unreachable"


class ResponseLostError(ReelhookError):
    """The server may have carried out the request, but its response did not arrive."""

    code = "answer_lost"


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response of the API: its JSON unchanged, and the parsed value."""

    text: str
    value: dict[str, Any]


def job_path(job_id: str, action: str = "") -> str:
    """Return the path of a job, or of an action on it. Raises `ApiError`."""
    if not _ID.fullmatch(job_id):
        raise ApiError("Job not found", "job_not_found")
    return f"/api/jobs/{job_id}{action}"


def endpoint_path(endpoint_id: str, action: str = "") -> str:
    """Return the path of an endpoint, or of an action on it. Raises `ApiError`."""
    if not _ID.fullmatch(endpoint_id):
        raise ApiError("Endpoint not found", "endpoint_not_found")
    return f"/api/endpoints/{endpoint_id}{action}"


def key_path(key_id: str, action: str = "") -> str:
    """Return the path of a key, or of an action on it. Raises `ApiError`."""
    if not _ID.fullmatch(key_id):
        raise ApiError("Key not found", "key_not_found")
    return f"/api/keys/{key_id}{action}"


def project_path(project: str, action: str = "") -> str:
    """Return the path of a project, by id or name, or of an action on it. Raises `ApiError`."""
    if not _PROJECT.fullmatch(project):
        raise ApiError("Project not found", "project_not_found")
    return f"/api/projects/{project}{action}"


class Api:
    """The HTTP API at one URL. With an `operator_key`, requests prove that the operator sends them.

    `find_operator_key` finds it once a server asks for a key that is not set here.
    With a `project`, an id or a name, all requests act in this project.

    Every method raises `ApiError`, `ServerUnreachableError` and `ResponseLostError`.
    """

    def __init__(
        self,
        session: "ClientSession",
        url: str,
        operator_key: str | None = None,
        find_operator_key: Callable[[], Awaitable[str | None]] | None = None,
        project: str | None = None,
    ) -> None:
        self._session = session
        self._operator_key = operator_key
        self._find_operator_key = find_operator_key
        self._project = project
        self.url = url

    async def get(self, path: str, **parameters: str | int | None) -> ApiResponse:
        """Send a GET request; parameters that are None are left out."""
        query = {name: str(value) for name, value in parameters.items() if value is not None}
        return await self._request("GET", path, params=query)

    async def post(
        self, path: str, body: Mapping[str, Any] | None = None, **headers: str
    ) -> ApiResponse:
        """Send a POST request; fields of the body that are None are left out."""
        fields = {name: value for name, value in (body or {}).items() if value is not None}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._send("POST", path, fields, named)

    async def patch(self, path: str, body: Mapping[str, Any]) -> ApiResponse:
        """Send a PATCH request; None is sent as null."""
        return await self._send("PATCH", path, body, {})

    async def put(self, path: str, body: Mapping[str, Any]) -> ApiResponse:
        """Send a PUT request."""
        return await self._send("PUT", path, body, {})

    async def delete(self, path: str) -> None:
        """Send a DELETE request."""
        await self._request("DELETE", path)

    async def download(self, url: str) -> AsyncIterator[bytes]:
        """Yield the chunks of a file. Raises `ApiError` if there is none."""
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
        return await self._request(method, path, data=raw, headers=headers)

    async def _request(self, method: str, path: str, **options: Any) -> ApiResponse:
        status, text = await self._responded(method, path, **options)
        if status == 401 and self._operator_key is None and self._find_operator_key is not None:
            self._operator_key = await self._find_operator_key()
            if self._operator_key is not None:
                status, text = await self._responded(method, path, **options)
        return self._parsed(status, text)

    def _proof(self, method: str, path: str, body: bytes) -> dict[str, str]:
        if self._operator_key is None:
            return {}
        from reelhook.doors.access import OPERATOR_HEADER, operator_proof  # noqa: PLC0415 - rare

        now = int(time.time() * 1000)
        return {OPERATOR_HEADER: operator_proof(self._operator_key, now, method, path, body)}

    async def _responded(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """Send a request; return the status and the text of the response."""
        from aiohttp import ClientConnectorError, ClientError  # noqa: PLC0415 - see `api_client`
        from yarl import URL  # noqa: PLC0415 - see `api_client`

        if self._project is not None:
            options["params"] = {**options.get("params", {}), "project": self._project}
        proof = self._proof(method, path, options.get("data", b""))
        options["headers"] = {**options.get("headers", {}), **proof}
        try:
            async with self._session.request(
                method, URL(self.url + path, encoded=True), allow_redirects=False, **options
            ) as response:
                return response.status, await response.text(errors="replace")
        except ClientConnectorError as error:
            raise self._unreachable(error) from None
        except (ClientError, TimeoutError, OSError):
            raise ResponseLostError(
                f"The response from {self.url} was lost; try again, or look in the server's log"
            ) from None

    def _unreachable(self, error: Exception) -> ServerUnreachableError:
        from reelhook.guard.certificates import distrust  # noqa: PLC0415 - rare

        if (distrusted := distrust(error)) is not None:
            return ServerUnreachableError(f"The certificate of {self.url} {distrusted}")
        return ServerUnreachableError(
            f"No reelhook server responds at {self.url}; "
            "start one with `reelhook serve` or set REELHOOK_URL"
        )

    def _parsed(self, status: int, text: str) -> ApiResponse:
        if status == 204:
            return ApiResponse("", {})
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict) or (status >= 400 and not {"error", "code"} <= value.keys()):
            raise self._foreign(status)
        if status == 401 and value["code"] == "unauthorized":
            is_sent = "Authorization" in self._session.headers
            raise ApiError(
                f"The server at {self.url} "
                + ("does not know the key in REELHOOK_API_KEY" if is_sent else "requires a key")
                + "; set REELHOOK_API_KEY to the server's own, or to a project's key",
                "unauthorized",
            )
        if status >= 400:
            problem = value.get("problem")
            raise ApiError(
                str(value["error"]),
                str(value["code"]),
                problem=None if problem is None else str(problem),
                facts=value,
            )
        return ApiResponse(text.strip(), value)

    def _foreign(self, status: int) -> ReelhookError:
        if status in _PROXY_STATUSES:
            return ServerUnreachableError(
                f"The proxy at {self.url} can't reach a reelhook server (HTTP {status}); start "
                "one with `reelhook serve` or set REELHOOK_URL"
            )
        return ApiError(
            f"The server at {self.url} is not reelhook (HTTP {status}); set REELHOOK_URL"
        )


@asynccontextmanager
async def api_client(
    url: str | None, *, project: str | None = None, as_operator: bool = False
) -> AsyncIterator[Api]:
    """Open the API at `url`, or at the URL of the settings. Raises `SettingsError`.

    All requests act in the `project`, if there is one.
    `as_operator`: requests prove that the operator sends them, if the database can be read here.
    """
    # Loaded here, so that --help and --version are printed at once.
    from reelhook.config import Settings  # noqa: PLC0415 - as above

    settings = Settings.load(url=url)

    async def operator_key() -> str | None:
        from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help

        # The database belongs to another user, or does not exist here: requests prove nothing.
        with suppress(SettingsError):
            return await bootstrap.operator_key(settings)
        return None

    key = await operator_key() if as_operator else None
    find = None if settings.api_key else operator_key
    async with api_at(settings.url, settings.api_key, key, find, project) as api:
        yield api


@asynccontextmanager
async def api_at(
    url: str,
    api_key: str | None = None,
    operator_key: str | None = None,
    find_operator_key: Callable[[], Awaitable[str | None]] | None = None,
    project: str | None = None,
) -> AsyncIterator[Api]:
    """Open the API at `url`."""
    from aiohttp import ClientSession, ClientTimeout  # noqa: PLC0415 - see `api_client`

    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    timeout = ClientTimeout(total=RESPONSE_SECONDS_MAX, sock_connect=CONNECT_SECONDS)
    async with ClientSession(headers=headers, timeout=timeout) as session:
        yield Api(session, url, operator_key, find_operator_key, project)
