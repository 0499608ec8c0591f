"""A response as far as it has arrived: this part is kept if the rest fails."""

from aiohttp import ClientResponse, StreamReader

from reelhook.domain.delivery import WebhookResponse
from reelhook.domain.retry_after import parse_retry_after
from reelhook.webhooks.faults import ErrorClass, Fault, legible
from reelhook.webhooks.protocol import BODY_READ_BYTES_MAX, BodyTooLargeError, NoStatusError

BODY_KEPT_BYTES_MAX = 16 * 1024
RETRY_AFTER_SECONDS_MAX = 366 * 24 * 3600.0
"""Longer waits are cut to this; the retry schedule decides how much of a wait is respected."""


class Exchange:
    """Collects one response.

    The status counts as soon as the head is complete. A body that is slow, endless, cut off or
    malformed takes limited time and is reported in `error`, but does not change the outcome.
    """

    def __init__(self) -> None:
        self._response: ClientResponse | None = None
        self._body = bytearray()

    async def read(self, response: ClientResponse) -> None:
        """Read a response with its body.

        Raises `BodyTooLargeError`, `NoStatusError` and aiohttp's errors.
        """
        if response.status < 100:
            raise NoStatusError
        self._response = response
        await self._read_body(response.content)

    async def _read_body(self, content: StreamReader) -> None:
        read = 0
        while chunk := await content.readany():
            self._body += chunk[: BODY_KEPT_BYTES_MAX - len(self._body)]
            read += len(chunk)
            if read > BODY_READ_BYTES_MAX:
                raise BodyTooLargeError

    def outcome(self, fault: Fault | None, *, duration_ms: int, now: int) -> WebhookResponse:
        """Return the outcome of the attempt. `now` is the wall clock, in Unix milliseconds."""
        response = self._response
        if response is None:
            status = retry_after = None
        else:
            status = response.status
            fault = fault or _redirect(response)
            success = 200 <= status < 300
            retry_after = None if success else response.headers.get("Retry-After")
        return WebhookResponse(
            duration_ms=duration_ms,
            status=status,
            error=None if fault is None else fault.error.value,
            detail=None if fault is None else fault.detail,
            body=_text(self._body),
            retry_after_seconds=parse_retry_after(
                retry_after, now / 1000, seconds_max=RETRY_AFTER_SECONDS_MAX
            ),
            unsent=fault is not None and fault.error is ErrorClass.LOCAL_LIMIT,
        )


def _redirect(response: ClientResponse) -> Fault | None:
    if not 300 <= response.status < 400:
        return None
    location = legible(response.headers.get("Location", ""))
    to = f" to {location}" if location else ""
    return Fault(
        ErrorClass.REDIRECT, f"Redirects{to} are never followed: register the final URL instead"
    )


def _text(body: bytearray) -> str:
    # PostgreSQL's text can't hold NUL.
    return body.decode(errors="replace").replace("\x00", "\ufffd")
