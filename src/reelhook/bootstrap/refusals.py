"""One connection of a client, its deadlines, and how it is told that it went too far.

uvicorn's own protocol would keep a silent connection for ever and answer in plain text.
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
from reelhook.doors.errors import error_response
from reelhook.doors.limits import LimitError

LINGER_SECONDS = 2.0
"""How long a refused client may take to read why, while what it still sends is thrown away."""
LINGER_BYTES_MAX = 32 * 1024 * 1024
DRAIN_SECONDS = 5.0
"""How long the rest of a body may take that was answered before it was there."""
RETRY_AFTER_SECONDS = 5
NOT_READ = LimitError(413, "request_too_large", "Nothing more of the request is read")


class RequestPhase(Enum):
    """What of a request the parser is in."""

    NOTHING = "nothing"
    HEAD = "head"
    BODY = "body"


class RefusingConnection(HttpToolsProtocol):
    """A connection that ends in time, and can refuse; see `ConnectionLimits` for its deadlines."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        doorman: ConnectionLimits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._doorman = doorman
        self._limits = doorman.limits
        self.deadline = NEVER
        self.stalled_at = NEVER
        self._reading = RequestPhase.NOTHING
        self._head_bytes_fed = 0
        self._refusal: LimitError | None = None
        self._lingering = False
        self._thrown_away = 0

    # -- the connection -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn's
        """Give a new client its time for a head, or refuse it where too many are connected."""
        super().connection_made(transport)
        self._wait(self._limits.head_seconds)
        if not self._doorman.admit(self):
            message = (
                f"{self._doorman.connections_max} clients are connected, which is the limit; "
                "close idle connections and try again, or raise REELHOOK_CONNECTIONS_MAX"
            )
            self._refuse(busy("too_many_connections", message))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._doorman.leave(self)
        self._count_fed(0)
        self._doorman.lingering -= self._lingering
        self._lingering = False
        self.deadline = self.stalled_at = NEVER
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End with the server: what is idle at once, what is answered after that."""
        self.deadline = min(self.deadline, self.loop.time() + LINGER_SECONDS)
        super().shutdown()

    def pause_writing(self) -> None:
        """Give the client its time to take more of the response."""
        super().pause_writing()
        self.stalled_at = self.loop.time() + self._limits.transfer_seconds

    def resume_writing(self) -> None:
        """Note that the client took enough."""
        super().resume_writing()
        self.stalled_at = NEVER

    def give_up(self) -> None:
        """End a response that its client does not take."""
        self._doorman.refusals.count(
            "slow_reader",
            "A client took nothing of its response for REELHOOK_TRANSFER_SECONDS",
            seconds=self._limits.transfer_seconds,
        )
        self.stalled_at = NEVER
        self.transport.abort()

    def expire(self) -> None:
        """End what took too long: an unfinished head is refused, anything else just closed."""
        self.deadline = NEVER
        message = (
            f"The request's head took longer than {self._limits.head_seconds:g} s; "
            "send it at once, or raise REELHOOK_REQUEST_HEAD_SECONDS"
        )
        if self.transport.is_closing() or self._lingering:
            self.transport.abort()
        elif self._reading is RequestPhase.BODY:
            self._linger()
        elif self._reading is RequestPhase.HEAD:
            self._refuse(LimitError(408, "request_head_timeout", message))
        else:
            if self._newest is None:  # an answer to a client that asked nothing would confuse it
                self._tell(LimitError(408, "request_head_timeout", message))
            self._close()

    def _wait(self, seconds: float) -> None:
        self.deadline = self.loop.time() + seconds

    def _close(self) -> None:
        """Close once all that was written is sent, or after a while in any case."""
        self._wait(LINGER_SECONDS)
        self.transport.close()

    def _count_fed(self, count: int) -> None:
        """Keep how much of an unfinished head is here, for this connection and for all."""
        self._doorman.heads_bytes += count - self._head_bytes_fed
        self._head_bytes_fed = count

    def end(self) -> None:
        """Close behind a response, in a way that lets its client read it."""
        if self._reading is RequestPhase.NOTHING:
            self.transport.close()
        elif not self._lingering:
            self._linger()

    # -- answering ----------------------------------------------------------------------------

    @property
    def _newest(self) -> RequestResponseCycle | None:
        return cast("RequestResponseCycle | None", self.cycle)  # uvicorn says that there is one

    @property
    def _answered(self) -> bool:
        """Whether every request that came whole, or with its head, has its response."""
        return self._newest is None or self._newest.response_complete

    def on_response_complete(self) -> None:
        """Go on with the next request that waits, or give the client its time for one."""
        self.server_state.total_requests += 1
        if self._lingering:
            return
        if self.transport.is_closing():
            self._wait(self._limits.transfer_seconds)
        elif self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._refusal is not None:
            self._answer_refusal(self._refusal)
        else:
            self.flow.resume_reading()
            seconds = {
                RequestPhase.NOTHING: self._limits.keep_alive_seconds,
                RequestPhase.HEAD: self._limits.head_seconds,
                RequestPhase.BODY: DRAIN_SECONDS,
            }
            self._wait(seconds[self._reading])

    def _refuse(self, refusal: LimitError) -> None:
        """Read nothing more, and say why, after the responses that are still due."""
        self._refusal = refusal
        self._count_fed(0)
        in_body = self._reading is RequestPhase.BODY
        if self._answered and in_body:
            self._linger()  # it has its response: another would be taken for the next one's
            return
        self._tell(refusal)
        if self._answered:
            self._answer_refusal(refusal)
        elif in_body and self.pipeline:
            self.pipeline.popleft()  # it waits, and its body will never be whole
        elif in_body:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.abort()
            else:
                self._answer_refusal(refusal)

    def _tell(self, refusal: LimitError) -> None:
        self._doorman.refusals.count(refusal.code, refusal.detail)
        client = "unknown" if self.client is None else self.client[0]
        self._doorman.clients.report(client, refusal.status_code, refusal.code)

    def _answer_refusal(self, refusal: LimitError) -> None:
        if not self.transport.is_closing():
            self.transport.write(_written(refusal, self.server_state.default_headers))
            self._linger()

    def _linger(self) -> None:
        """Close, but not at once: with something unread, the system would drop the response."""
        self._refusal = self._refusal or NOT_READ
        if self._doorman.may_linger():
            self._lingering = True
            self._doorman.lingering += 1
            self.flow.resume_reading()
            self.transport.write_eof()
            self._wait(LINGER_SECONDS)
        else:
            self._close()

    def _throw_away(self, count: int) -> None:
        self._thrown_away += count
        if self._thrown_away > LINGER_BYTES_MAX:
            self.transport.abort()


class LastingTransport:
    """The transport as a response sees it: closing it drops nothing that was just written.

    uvicorn closes behind a response to HTTP/1.0 or with `Connection: close`. Where something of the
    request is unread then, the system resets the connection, and the client may lose the response.
    """

    def __init__(self, connection: RefusingConnection) -> None:
        self._connection = connection
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        """Close as soon as that does no harm."""
        self._connection.end()


def busy(code: str, message: str) -> LimitError:
    """Return a refusal that passes."""
    return LimitError(503, code, message, retry_after_seconds=RETRY_AFTER_SECONDS)


def _written(refusal: LimitError, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    response = error_response(
        refusal.status_code, refusal.detail, refusal.code, headers=dict(refusal.headers or {})
    )
    headers = [*default_headers, *response.raw_headers, (b"connection", b"close")]
    head = b"".join(b"%b: %b\r\n" % one for one in headers)
    return b"%b%b\r\n%b" % (STATUS_LINE[refusal.status_code], head, bytes(response.body))
