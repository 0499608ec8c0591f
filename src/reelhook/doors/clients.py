"""Which clients were refused: the address goes into the log, and never fills it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from starlette.types import Scope

log = structlog.get_logger()
PAUSE_SECONDS = 1.0
"""How long at least there is between two lines about one address."""
ADDRESSES_MAX = 100
"""How many addresses are kept, and so how many lines a second there are at most."""


@dataclass(slots=True)
class _Refused:
    told_at: float
    untold: int
    about: dict[str, object]


class RefusedClients:
    """Logs refusals by the client's address; `now` is a clock that never goes back, in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._refused: dict[str, _Refused] = {}
        self._unnamed = 0

    def tell(self, client: str, status: int, code: str, method: str | None = None) -> None:
        """Note one refusal: it is logged at once, or with the next ones of its client."""
        found = self._refused.get(client)
        if found is None:
            if len(self._refused) >= ADDRESSES_MAX and not self._forget_one():
                self._unnamed += 1
                return
            found = self._refused[client] = _Refused(-PAUSE_SECONDS, 0, {})
        found.untold += 1
        found.about = {"status": status, "code": code}
        if method is not None:
            found.about["method"] = method
        self._log(client, found)

    def tell_rest(self) -> None:
        """Log what was refused since the last line about each client, where a second is over."""
        for client, found in list(self._refused.items()):
            if found.untold:
                self._log(client, found)
        if self._unnamed and self._forget_one():
            log.warning("http.clients_refused", clients="others", refused=self._unnamed)
            self._unnamed = 0

    def _log(self, client: str, found: _Refused) -> None:
        now = self._now()
        if now - found.told_at < PAUSE_SECONDS:
            return
        log.warning("http.client_refused", client=client, refused=found.untold, **found.about)
        found.told_at, found.untold = now, 0
        self._refused[client] = self._refused.pop(client)  # the last one told stands last

    def _forget_one(self) -> bool:
        """Make room for one more address: that of which nothing was said for the longest."""
        client, found = next(iter(self._refused.items()))
        if found.untold or self._now() - found.told_at < PAUSE_SECONDS:
            return False
        del self._refused[client]
        return True


def client_address(scope: Scope) -> str:
    """Return the address that a request came from, as far as that is known."""
    client = scope.get("client")
    return "unknown" if client is None else str(client[0])
