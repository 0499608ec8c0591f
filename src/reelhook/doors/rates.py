"""Rate limits of keys: counted in memory, in each process by itself."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reelhook.domain.caller import Rate

if TYPE_CHECKING:
    from throttled import Throttled

KEYS_MAX = 100_000
"""The most keys that are counted at once, for each limit."""
_NAMES = {1: "second", 60: "minute", 3600: "hour", 24 * 3600: "day"}


@dataclass(frozen=True, slots=True)
class RateState:
    """The state of a key's limits after a request, and the limit that refuses it, if any."""

    headers: dict[str, str] = field(default_factory=dict)
    exceeded: Rate | None = None
    retry_after_seconds: int = 0

    @property
    def message(self) -> str:
        """The sentence about a refused request."""
        assert self.exceeded is not None  # noqa: S101 - it was refused
        window = _NAMES.get(self.exceeded.window_seconds, f"{self.exceeded.window_seconds} seconds")
        return (
            f"This key may send {self.exceeded.requests} requests per {window}; "
            f"send it again in {self.retry_after_seconds} s"
        )


class RateLimits:
    """Counts the requests of keys, by the generic cell rate algorithm.

    A limit of 60 requests a minute allows 60 at once, and then one a second.
    """

    def __init__(self) -> None:
        self._throttles: dict[Rate, Throttled] = {}

    def count(self, key_id: str, rates: Sequence[Rate]) -> RateState:
        """Count a request, unless a limit refuses it; return the state of the limits."""
        limits = [(rate, self._throttle(rate)) for rate in rates]
        exceeded = [rate for rate, one in limits if one.peek(key_id).remaining < 1]
        policies, states, waits = [], [], {}
        for rate, throttle in limits:
            # A limit that refuses a request does not count it, and says how long to wait.
            counts = not exceeded or rate in exceeded
            state = throttle.limit(key_id).state if counts else throttle.peek(key_id)
            waits[rate] = max(1, math.ceil(state.retry_after))
            name = _NAMES.get(rate.window_seconds, str(rate.window_seconds))
            policies.append(f'"{name}";q={rate.requests};w={rate.window_seconds}')
            states.append(f'"{name}";r={state.remaining};t={math.ceil(state.reset_after)}')
        headers = {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}
        if not exceeded:
            return RateState(headers)
        longest = max(exceeded, key=lambda rate: waits[rate])
        headers["Retry-After"] = str(waits[longest])
        return RateState(headers, longest, waits[longest])

    def _throttle(self, rate: Rate) -> "Throttled":
        # Loaded here, since most installations have no limits, and loading it takes 60 ms.
        from throttled import MemoryStore, RateLimiterType, Throttled, per_duration  # noqa: PLC0415 - as above

        if rate not in self._throttles:
            self._throttles[rate] = Throttled(
                using=RateLimiterType.GCRA.value,
                quota=per_duration(timedelta(seconds=rate.window_seconds), rate.requests),
                store=MemoryStore(options={"MAX_SIZE": KEYS_MAX}),
            )
        return self._throttles[rate]


def with_headers(app: ASGIApp, headers: dict[str, str]) -> ASGIApp:
    """Return an application whose responses have these headers too."""

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        async def begin(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await app(scope, receive, begin)

    return respond
