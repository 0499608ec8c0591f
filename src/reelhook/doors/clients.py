"""Refused clients: their addresses are logged, without flooding the log."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from starlette.types import Scope

log = structlog.get_logger()
PAUSE_SECONDS = 1.0
"""The minimum time between two log lines about one address."""
ADDRESSES_MAX = 100
"""The most addresses that are remembered, and so the most log lines a second."""


@dataclass(slots=True)
class _Refused:
    logged_at: float
    unlogged: int
    latest: dict[str, object]


class RefusedClients:
    """Logs refusals by the client's address. `now` returns seconds and never goes back."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._refused: dict[str, _Refused] = {}
        self._unnamed = 0

    def report(self, client: str, status: int, code: str, method: str | None = None) -> None:
        """Record one refusal. It is logged at once, or together with its client's next ones."""
        refused = self._refused.get(client)
        if refused is None:
            if len(self._refused) >= ADDRESSES_MAX and not self._forget_oldest():
                self._unnamed += 1
                return
            refused = self._refused[client] = _Refused(-PAUSE_SECONDS, 0, {})
        refused.unlogged += 1
        refused.latest = {"status": status, "code": code}
        if method is not None:
            refused.latest["method"] = method
        self._log(client, refused)

    def log_rest(self) -> None:
        """Log each client's refusals since its last line, if that is at least a second old."""
        for client, refused in list(self._refused.items()):
            if refused.unlogged:
                self._log(client, refused)
        if self._unnamed and self._forget_oldest():
            log.warning("http.clients_refused", clients="others", refused=self._unnamed)
            self._unnamed = 0

    def _log(self, client: str, refused: _Refused) -> None:
        now = self._now()
        if now - refused.logged_at < PAUSE_SECONDS:
            return
        log.warning(
            "http.client_refused", client=client, refused=refused.unlogged, **refused.latest
        )
        refused.logged_at, refused.unlogged = now, 0
        self._refused[client] = self._refused.pop(client)  # the most recently logged comes last

    def _forget_oldest(self) -> bool:
        """Make room for one more address: forget the one that was logged longest ago."""
        client, refused = next(iter(self._refused.items()))
        if refused.unlogged or self._now() - refused.logged_at < PAUSE_SECONDS:
            return False
        del self._refused[client]
        return True


def client_address(scope: Scope) -> str:
    """Return the address that a request came from; "unknown" if the server does not say."""
    client = scope.get("client")
    return "unknown" if client is None else str(client[0])
