"""Bodies of requests: limits of their size and time, and of the memory that they share."""

import asyncio
import contextlib
from collections import deque

from starlette.types import Message, Receive, Send

from reelhook.doors.json_shape import parsed_bytes
from reelhook.doors.limits import KIB, MIB, LimitError, Limits

SMALL_BYTES = 64 * KIB
"""Up to this size a body is read without reserving memory: the connection holds as much anyway."""
MEMORY_BYTES_MIN = 4 * MIB
RETRY_AFTER_SECONDS = 5
REST_SECONDS = 2.0
"""The longest time for which a response waits for the rest of the request's body."""
REST_BYTES_MAX = 4 * MIB
"""The most bytes of that rest that are read, beyond the largest allowed body."""


class BodyMemory:
    """The memory that bodies share. If none is free, they wait in order of arrival."""

    def __init__(self, size: int) -> None:
        self._free = self._size = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, count: int) -> int:
        """Wait for memory; return the amount taken, which is at most the total."""
        count = min(count, self._size)
        if not self._waiting and count <= self._free:
            self._free -= count
            return count
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((count, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(count)
            else:
                with contextlib.suppress(ValueError):  # it was passed over
                    self._waiting.remove((count, turn))
                self._admit_waiting()
            raise
        return count

    def release(self, count: int) -> None:
        """Let others use this amount."""
        self._free += count
        self._admit_waiting()

    def _admit_waiting(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            count, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= count
                turn.set_result(None)


class Bodies:
    """The bodies of one application."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._memory = BodyMemory(max(MEMORY_BYTES_MIN, limits.body_bytes))
        # Separate, so that no body waits for one kind while it holds the other: a deadlock.
        self._memory_for_values = BodyMemory(MEMORY_BYTES_MIN)

    def body(
        self, receive: Receive, declared: int | None, *, awaits_continue: bool = False
    ) -> "Body":
        """Return the body of a request; `declared` is its length, if known.

        With `awaits_continue`, the client sends the body only after the first read.
        """
        memories = self._memory, self._memory_for_values
        return Body(receive, declared, self.limits, memories, awaits_continue=awaits_continue)

    def too_large(self) -> LimitError:
        """Return the refusal of a body that is too large."""
        return too_large(self.limits.body_bytes)


def too_large(body_bytes: int) -> LimitError:
    """Return the refusal of a body that is larger than this."""
    return LimitError(
        413,
        "request_too_large",
        f"The body is larger than {body_bytes // MIB} MiB; send an image by its URL, "
        "or raise REELHOOK_REQUEST_BODY_MIB",
    )


class Body:
    """One body. The first `receive` reads all of it; the caller then keeps it."""

    def __init__(
        self,
        receive: Receive,
        declared: int | None,
        limits: Limits,
        memories: tuple[BodyMemory, BodyMemory],
        *,
        awaits_continue: bool,
    ) -> None:
        self._receive = receive
        self._declared = declared
        self._limits = limits
        self._memories = memories
        self._awaits_continue = awaits_continue
        self._taken = [0, 0]
        self._is_read = False
        self._peeked: Message | None = None
        self._ended = False
        self._reading = asyncio.Lock()

    async def receive(self) -> Message:
        """Return the body as one message, and then the messages after it. Raises `LimitError`."""
        if self._peeked is not None:
            message, self._peeked = self._peeked, None
            return message
        if self._is_read:
            return await self._next()
        self._is_read = True
        async with self._reading:
            return await self._whole()

    async def peek(self) -> bytes:
        """Return the whole body, which the next `receive` returns again. Raises `LimitError`."""
        self._peeked = await self.receive()
        return bytes(self._peeked.get("body", b""))

    async def _whole(self) -> Message:
        chunks: list[bytes] = []
        try:
            async with asyncio.timeout(self._limits.transfer_seconds):
                end = await self._read(chunks)
                if end["type"] != "http.request":
                    return end
                body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
                chunks.clear()
                if body.lstrip()[:1] in {b"[", b"{"} and (size := parsed_bytes(body)) > SMALL_BYTES:
                    await self._take(1, size)
        except TimeoutError:
            raise self._timeout() from None
        finally:
            chunks.clear()  # the error's traceback lasts until its response is sent
        return {"type": "http.request", "body": body, "more_body": False}

    async def _read(self, chunks: list[bytes]) -> Message:
        if (self._declared or 0) > SMALL_BYTES:
            await self._take(0, self._declared or 0)
        count = 0
        while True:
            message = await self._next()
            chunk = message.get("body", b"")
            count += len(chunk)
            if count > self._limits.body_bytes:
                raise too_large(self._limits.body_bytes)
            if chunk:
                chunks.append(chunk)
            if self._ended:
                return message
            if self._declared is None and count > SMALL_BYTES and not self._taken[0]:
                await self._take(0, self._limits.body_bytes)

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._ended = True
        return message

    def responding(self, send: Send) -> Send:
        """Return a `send` that begins the response once the body has arrived or was given up.

        An earlier response makes many clients and proxies fail: the rest of the body meets a closed
        connection, or is taken for the next request.
        """

        async def begin_late(message: Message) -> None:
            begins = message["type"] == "http.response.start"
            if begins and not (self._ended or await self._finish()):
                # RFC 9112, section 9.3: a connection whose body is not read to its end is closed.
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
            await send(message)

        return begin_late

    async def _finish(self) -> bool:
        """Read and discard the rest; return True if all of it arrived within the limits."""
        left = self._limits.body_bytes + REST_BYTES_MAX
        if (self._declared or 0) > left or (self._awaits_continue and not self._is_read):
            return False
        try:
            async with asyncio.timeout(REST_SECONDS), self._reading:
                self.close()
                while not self._ended and left >= 0:
                    left -= len((await self._next()).get("body", b""))
        except TimeoutError:
            pass
        return self._ended

    async def _take(self, number: int, count: int) -> None:
        self._taken[number] = -1  # it waits
        self._taken[number] = await self._memories[number].take(count)

    def _timeout(self) -> LimitError:
        seconds = self._limits.transfer_seconds
        if -1 in self._taken:
            return LimitError(
                503,
                "too_many_bodies",
                "Other large bodies use all the memory for bodies; try again in a few seconds",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
        return LimitError(
            408,
            "request_body_timeout",
            f"The body took longer than {seconds:g} s; send it faster, "
            "or raise REELHOOK_TRANSFER_SECONDS",
        )

    def close(self) -> None:
        """Release the memory."""
        for number, memory in enumerate(self._memories):
            if self._taken[number] > 0:
                memory.release(self._taken[number])
                self._taken[number] = 0
