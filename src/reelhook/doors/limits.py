"""The limits of requests and streams, and the log of refusals."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.exceptions import HTTPException

log = structlog.get_logger()
KIB = 1024
MIB = 1024 * 1024
STREAMS_RETRY_AFTER_SECONDS = 30
LOG_SECONDS = 60.0
"""The minimum time between two log lines about refusals of one kind."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one client. docs/settings.md names the setting of each."""

    head_bytes: int = 64 * KIB
    head_seconds: float = 10.0
    body_bytes: int = MIB
    upload_bytes: int = 32 * MIB
    """The largest body with files."""
    transfer_seconds: float = 60.0
    """The longest time for a body to arrive, or for a client to read nothing of a response."""
    keep_alive_seconds: float = 75.0
    streams_max: int = 10_000

    @property
    def upload_bytes_max(self) -> int:
        """The largest body of a route that carries files."""
        return max(self.upload_bytes, self.body_bytes)


REFUSALS: Mapping[str, str] = {
    "malformed_request": "400: not HTTP/1.1, or a body that is hardly more than framing",
    "json_too_deep": "400: more than 200 levels of JSON",
    "json_too_many_values": "400: more than 10,000 values in a body",
    "request_head_timeout": "408: a request's head took longer than REELHOOK_REQUEST_HEAD_SECONDS",
    "request_body_timeout": "408: a body took longer than REELHOOK_TRANSFER_SECONDS",
    "request_too_large": "413: a body larger than REELHOOK_REQUEST_BODY_MIB, or one with "
    "files than REELHOOK_UPLOAD_MAX_MIB",
    "url_too_long": "414: a head larger than REELHOOK_REQUEST_HEAD_KIB, by its URL",
    "too_many_pipelined_requests": "429: more than 16 requests wait on one connection",
    "head_too_large": "431: a head larger than REELHOOK_REQUEST_HEAD_KIB, by its headers",
    "too_many_headers": "431: more than 100 headers",
    "too_many_connections": "503: as many clients are connected as REELHOOK_CONNECTIONS_MAX allows",
    "too_many_streams": "503: as many live streams are open as REELHOOK_STREAMS_MAX allows",
    "too_many_bodies": "503: other large bodies use all the memory for bodies",
    "too_many_heads": "503: unfinished heads use all the memory for heads",
}
"""The codes of limits. After 503 and 429 the same request can succeed; others must change."""


class LimitError(HTTPException):
    """A request that exceeds a limit. `code` is stable; the message names the setting."""

    def __init__(
        self, status: int, code: str, message: str, *, retry_after_seconds: int | None = None
    ) -> None:
        headers = None if retry_after_seconds is None else {"Retry-After": str(retry_after_seconds)}
        super().__init__(status, message, headers)
        self.code = code


class Refusals:
    """Logs refusals: the first of each kind at once, then one line a minute with their number."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._unlogged: dict[str, int] = {}
        self._logged_at: dict[str, float] = {}
        self._latest: dict[str, dict[str, Any]] = {}

    def count(self, code: str, message: str, **more: Any) -> None:
        """Record one refusal. Of `more`, the values of the latest refusal are logged."""
        self._unlogged[code] = self._unlogged.get(code, 0) + 1
        self._latest[code] = {"message": message, **more}
        self._log(code)

    def log_rest(self) -> None:
        """Log the refusals since the last line of their kind, if that is at least a minute old."""
        for code in list(self._unlogged):
            self._log(code)

    def _log(self, code: str) -> None:
        now = self._now()
        if now - self._logged_at.get(code, -LOG_SECONDS) < LOG_SECONDS:
            return
        self._logged_at[code] = now
        log.warning(
            "http.refused", code=code, refused=self._unlogged.pop(code), **self._latest[code]
        )


class StreamSlots:
    """The streams that may be open at once."""

    def __init__(self, streams_max: int) -> None:
        self._max = streams_max
        self._taken = 0

    def check(self) -> None:
        """Raise `LimitError` if no slot is free."""
        if self._taken >= self._max:
            raise LimitError(
                503,
                "too_many_streams",
                f"{self._max} live streams are open, which is the limit; close some, follow "
                "several jobs in one, or raise REELHOOK_STREAMS_MAX",
                retry_after_seconds=STREAMS_RETRY_AFTER_SECONDS,
            )

    @contextlib.contextmanager
    def take(self) -> Iterator[None]:
        """Take a slot until the block ends. Raises `LimitError`."""
        self.check()
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
