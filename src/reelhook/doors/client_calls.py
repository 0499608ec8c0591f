"""Routes that create jobs for clients which repeat a create on their own; see `domain.client_call`.

Such a route reports what its client received, so that the right retry gets the job.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any, ClassVar

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from reelhook.domain.caller import Caller
from reelhook.domain.client_call import TIMEOUT_SECONDS, ClientCall
from reelhook.doors.access import holder_of
from reelhook.doors.admission import AccessRefusal
from reelhook.doors.context import Context
from reelhook.doors.guard import RATE_REFUSAL
from reelhook.doors.limits import KIB, LimitError
from reelhook.doors.policy import KeyRoute
from reelhook.gateway import Created, Gateway, IdempotencyKey

RETRY_COUNT = "x-stainless-retry-count"
TIMEOUTS = ("x-stainless-read-timeout", "x-stainless-timeout")
"""The client's time-out in seconds: in Python, in Node (`_base_client.py`, `client.ts`)."""
RETRIED = frozenset({408, 409, 429})
"""The refusals after which the `openai` libraries try again, as after any 5xx (the same files)."""
RETRY_AFTER_SECONDS_MAX = 120
"""They don't wait longer than this: they give up, or pause as if nothing was said."""
_ATTEMPT = "reelhook.create"
_DIGITS_MAX = 4
_TIMEOUT_SECONDS_MAX = 24 * 3600.0
_LARGE = 256 * KIB


class ClientGoneError(HTTPException):
    """The client has closed the connection, so nothing is done. Nobody gets this response."""

    def __init__(self) -> None:
        super().__init__(499, "The client closed the connection")


class CreateAttempt:
    """One request to create a job: the call that it is a try of, and the job that it got."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._try: tuple[Caller, ClientCall] | None = None
        self._job_id: str | None = None
        self._reported = False

    def begin(self, caller: Caller, call: ClientCall | None) -> None:
        """Note the call. None: the request can't be recognized if it is repeated."""
        self._try = None if call is None else (caller, call)

    @property
    def has_job(self) -> bool:
        """True if the response will name a job."""
        return self._job_id is not None

    def got(self, job_id: str) -> None:
        """Note the job that the response will name."""
        self._job_id = job_id

    async def report(self, *, fails: bool) -> None:
        """Report the beginning of a response. `fails`: the client will repeat the request."""
        if self._try is None or self._reported or not fails:
            return
        self._reported = True
        caller, call = self._try
        if self._job_id is None:
            await self._gateway.client_calls.refused(caller, call)
        else:
            await self._gateway.client_calls.lost(caller, self._job_id, call)

    async def end(self, *, written: bool) -> None:
        """Report the end of a response with a job. `written`: the client was there to read it."""
        if self._try is None or self._reported or self._job_id is None:
            return
        caller, call = self._try
        if not written:
            await self._gateway.client_calls.lost(caller, self._job_id, call)
        elif call.count is None:
            await self._gateway.client_calls.written(caller, self._job_id, call)


class RepeatableRoute(KeyRoute):
    """A route that creates one job, by `create_within_rate`, which refuses what exceeds a rate."""

    counts_rate: ClassVar[bool] = True


class KeyedCreateRoute(RepeatableRoute):
    """Such a route, where only an `Idempotency-Key` tells that a request is repeated."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request. One that can't be a repeat is refused before its body is read."""
        refusal: AccessRefusal | None = scope.get(RATE_REFUSAL)
        if refusal is not None and "idempotency-key" not in Headers(scope=scope):
            raise _rate_limited(refusal)
        await super().handle(scope, receive, send)


class CreateRoute(RepeatableRoute):
    """Such a route that reports what became of its response. It creates by `create_once`."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        attempt = CreateAttempt(scope["app"].state.gateway)
        scope[_ATTEMPT] = attempt
        written = False

        async def reporting(message: Message) -> None:
            nonlocal written
            if message["type"] == "http.response.start":
                await attempt.report(fails=_is_retried(message))
            elif attempt.has_job and not message.get("more_body", False):
                # uvicorn ignores what is written to a broken connection.
                written = not await Request(scope, receive).is_disconnected()
            await send(message)

        try:
            await super().handle(scope, receive, reporting)
        except Exception:
            await attempt.report(fails=True)
            raise
        finally:
            await asyncio.shield(attempt.end(written=written))


async def create_once(
    context: Context,
    body: Any,
    create: Callable[[ClientCall | None], Awaitable[Created]],
    key: IdempotencyKey | None,
    *,
    counts: bool = True,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Created:
    """Create a job, or return that of an earlier try of the same call.

    `body` is the parsed body, and anything else that decides about the video. Without a `key` (the
    client's `Idempotency-Key`) its tries are found by the client's count. If the client `counts`
    none, a try gets the job of a broken connection. `timeout_seconds` is the client's, unless it
    names one. Raises `LimitError` if the rate of the API key is exceeded; a replay never is refused
    for that.
    """
    request = context.request
    attempt: CreateAttempt = request.scope[_ATTEMPT]
    call = await _call_of(context, body, timeout_seconds, counts=counts)
    attempt.begin(context.caller, call)
    if call is not None and await request.is_disconnected():
        raise ClientGoneError  # it will try again, or nobody waits for the job
    created = await create_within_rate(context, lambda: create(call), key, call)
    attempt.got(created.job_id)
    return created


async def create_within_rate(
    context: Context,
    create: Callable[[], Awaitable[Created]],
    key: IdempotencyKey | None,
    call: ClientCall | None = None,
) -> Created:
    """Create a job, or return that of an earlier request if the rate of the API key is exceeded.

    Raises `LimitError` if it is exceeded and there was no earlier request.
    """
    refusal: AccessRefusal | None = context.request.scope.get(RATE_REFUSAL)
    if refusal is None:
        return await create()
    if replay := await context.gateway.new_jobs.replay(context.caller, key, call):
        return replay
    raise _rate_limited(refusal)


async def _call_of(
    context: Context, body: Any, timeout_seconds: float, *, counts: bool
) -> ClientCall | None:
    """Return the call that a request is a try of; None if it can't be recognized."""
    headers = context.request.headers
    count = headers.get(RETRY_COUNT, "")
    is_counted = count.isascii() and count.isdecimal() and len(count) <= _DIGITS_MAX
    if "idempotency-key" in headers or (counts and not is_counted):
        return None
    holder = holder_of(context.request, context.options.access)
    if int(headers.get("content-length", _LARGE)) < _LARGE:
        fingerprint = fingerprint_of(holder, body)
    else:
        fingerprint = await asyncio.to_thread(fingerprint_of, holder, body)
    return ClientCall(
        context.request.url.path,
        fingerprint,
        int(count) if counts else None,
        _timeout_seconds(context.request, timeout_seconds),
    )


def fingerprint_of(holder: str, body: Any) -> str:
    """Return the hash of a parsed body. The order of its fields does not matter.

    `holder` distinguishes clients that have the same key.
    """
    text = json.dumps([holder, body], sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _timeout_seconds(request: Request, by_default: float) -> float:
    for name in TIMEOUTS:
        with suppress(ValueError):
            seconds = float(request.headers.get(name, ""))
            if 0 < seconds < float("inf"):
                return min(seconds, _TIMEOUT_SECONDS_MAX)
    return by_default


def _rate_limited(refusal: AccessRefusal) -> LimitError:
    error = LimitError(refusal.status, refusal.code, refusal.message)
    error.headers = refusal.headers
    return error


def _is_retried(start: Message) -> bool:
    """Return True if the client will repeat the request after this beginning of a response."""
    headers = {name.lower(): value for name, value in start.get("headers", ())}
    if headers.get(b"x-should-retry") == b"false":
        return False
    after = headers.get(b"retry-after", b"")
    if after.isdigit() and int(after) > RETRY_AFTER_SECONDS_MAX:
        return False
    status = int(start["status"])
    return status in RETRIED or status >= 500
