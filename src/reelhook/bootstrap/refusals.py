"""One connection of a client: its deadlines, and the error responses for broken limits.

uvicorn's own protocol would keep a silent connection open forever, and refuse in plain text.
"""

import asyncio
from enum import Enum
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from reelhook.bootstrap.connection_limits import NEVER, ConnectionLimits
from reelhook.doors.error_form import ErrorReply
from reelhook.doors.errors import error_response
from reelhook.doors.limits import LimitError
from reelhook.guard.hosts import plain_address

LINGER_SECONDS = 2.0
"""The time for a refused client to read the reason; what it still sends is discarded."""
LINGER_BYTES_MAX = 32 * 1024 * 1024
DRAIN_SECONDS = 5.0
"""The time limit for the rest of a body whose response was sent first."""
RETRY_AFTER_SECONDS = 5
NOT_READ = LimitError(413, "request_too_large", "The rest of the request is not read")


class RequestPhase(Enum):
    """The part of a request that the parser is reading."""

    NOTHING = "nothing"
    HEAD = "head"
    BODY = "body"


class RefusingConnection(HttpToolsProtocol):
    """A connection with deadlines, which can refuse; `ConnectionLimits` checks the deadlines."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        connections: ConnectionLimits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._connections = connections
        self._limits = connections.limits
        self.deadline = NEVER
        self.stalled_at = NEVER
        self._reading = RequestPhase.NOTHING
        self._head_bytes_fed = 0
        self._refusal: LimitError | None = None
        self._lingering = False
        self._discarded_bytes = 0

    # -- the connection -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn's
        """Start the deadline for the first head, or refuse a client if too many are connected."""
        super().connection_made(transport)
        if self.client is not None:  # an IPv6 wildcard shows IPv4 clients as ::ffff:192.0.2.1
            self.client = (str(plain_address(self.client[0])), self.client[1])
        self._wait(self._limits.head_seconds)
        if not self._connections.admit(self):
            message = (
                f"{self._connections.connections_max} clients are connected, which is the limit; "
                "close idle connections and try again, or raise REELHOOK_CONNECTIONS_MAX"
            )
            self._refuse(busy("too_many_connections", message))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._connections.leave(self)
        self._count_fed(0)
        self._connections.lingering -= self._lingering
        self._lingering = False
        self.deadline = self.stalled_at = NEVER
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Stop with the server: an idle connection at once, others after their response."""
        self.deadline = min(self.deadline, self.loop.time() + LINGER_SECONDS)
        super().shutdown()

    def pause_writing(self) -> None:
        """Start the deadline for the client to read more of the response."""
        super().pause_writing()
        self.stalled_at = self.loop.time() + self._limits.transfer_seconds

    def resume_writing(self) -> None:
        """Clear the deadline: the client has read enough."""
        super().resume_writing()
        self.stalled_at = NEVER

    def give_up(self) -> None:
        """End a response that its client does not read."""
        self._connections.refusals.count(
            "slow_reader",
            "A client read nothing of its response for REELHOOK_TRANSFER_SECONDS",
            seconds=self._limits.transfer_seconds,
        )
        self.stalled_at = NEVER
        self.transport.abort()

    def expire(self) -> None:
        """End a connection past its deadline: refuse an unfinished head, close anything else."""
        self.deadline = NEVER
        message = (
            f"The request's head took longer than {self._limits.head_seconds:g} s; "
            "send it faster, or raise REELHOOK_REQUEST_HEAD_SECONDS"
        )
        if self.transport.is_closing() or self._lingering:
            self.transport.abort()
        elif self._reading is RequestPhase.BODY:
            self._linger()
        elif self._reading is RequestPhase.HEAD:
            self._refuse(LimitError(408, "request_head_timeout", message))
        else:
            if self._newest is None:  # a response without a request would confuse a client
                self._count_refusal(LimitError(408, "request_head_timeout", message))
            self._close()

    def _wait(self, seconds: float) -> None:
        self.deadline = self.loop.time() + seconds

    def _close(self) -> None:
        """Close once all written bytes are sent, or after `LINGER_SECONDS` at the latest."""
        self._wait(LINGER_SECONDS)
        self.transport.close()

    def _count_fed(self, count: int) -> None:
        """Set the size of the unfinished head, and add the difference to the total."""
        self._connections.heads_bytes += count - self._head_bytes_fed
        self._head_bytes_fed = count

    def end(self) -> None:
        """Close after a response, so that its client can still read it."""
        if self._reading is RequestPhase.NOTHING:
            self.transport.close()
        elif not self._lingering:
            self._linger()

    # -- responses ----------------------------------------------------------------------------

    @property
    def _newest(self) -> RequestResponseCycle | None:
        return cast("RequestResponseCycle | None", self.cycle)  # uvicorn's type omits None

    @property
    def _all_responded(self) -> bool:
        """Return True if every request received so far has its response."""
        return self._newest is None or self._newest.response_complete

    def on_response_complete(self) -> None:
        """Continue with the next waiting request, or start the deadline for one."""
        self.server_state.total_requests += 1
        if self._lingering:
            return
        if self.transport.is_closing():
            self._wait(self._limits.transfer_seconds)
        elif self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._refusal is not None:
            self._send_refusal(self._refusal)
        else:
            self.flow.resume_reading()
            seconds = {
                RequestPhase.NOTHING: self._limits.keep_alive_seconds,
                RequestPhase.HEAD: self._limits.head_seconds,
                RequestPhase.BODY: DRAIN_SECONDS,
            }
            self._wait(seconds[self._reading])

    def _refuse(self, refusal: LimitError) -> None:
        """Read no more, and send the refusal after the responses that are still due."""
        self._refusal = refusal
        self._count_fed(0)
        in_body = self._reading is RequestPhase.BODY
        if self._all_responded and in_body:
            self._linger()  # a second response would be read as that of the next request
            return
        self._count_refusal(refusal)
        if self._all_responded:
            self._send_refusal(refusal)
        elif in_body and self.pipeline:
            self.pipeline.popleft()  # it waits, and its body will never be complete
        elif in_body:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.abort()
            else:
                self._send_refusal(refusal)

    def _count_refusal(self, refusal: LimitError) -> None:
        self._connections.refusals.count(refusal.code, refusal.detail)
        client = "unknown" if self.client is None else self.client[0]
        self._connections.clients.report(client, refusal.status_code, refusal.code)

    def _send_refusal(self, refusal: LimitError) -> None:
        if not self.transport.is_closing():
            self.transport.write(_response_bytes(refusal, self.server_state.default_headers))
            self._linger()

    def _linger(self) -> None:
        """Close later: if bytes are unread, the system resets the connection at once."""
        self._refusal = self._refusal or NOT_READ
        if self._connections.may_linger():
            self._lingering = True
            self._connections.lingering += 1
            self.flow.resume_reading()
            self.transport.write_eof()
            self._wait(LINGER_SECONDS)
        else:
            self._close()

    def _discard(self, count: int) -> None:
        self._discarded_bytes += count
        if self._discarded_bytes > LINGER_BYTES_MAX:
            self.transport.abort()


class LastingTransport:
    """The transport that a response uses. Closing it drops nothing that was just written.

    uvicorn closes after a response to HTTP/1.0 or with `Connection: close`. If part of the request
    is unread then, the system resets the connection, and the client may lose the response.
    """

    def __init__(self, connection: RefusingConnection) -> None:
        self._connection = connection
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        """Close as soon as the client can no longer lose the response."""
        self._connection.end()


def busy(code: str, message: str) -> LimitError:
    """Return a temporary refusal."""
    return LimitError(503, code, message, retry_after_seconds=RETRY_AFTER_SECONDS)


def _response_bytes(refusal: LimitError, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    response = error_response(
        ErrorReply(refusal.status_code, refusal.detail, refusal.code, headers=refusal.headers or {})
    )
    headers = [*default_headers, *response.raw_headers, (b"connection", b"close")]
    head = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"%b%b\r\n%b" % (STATUS_LINE[refusal.status_code], head, bytes(response.body))
