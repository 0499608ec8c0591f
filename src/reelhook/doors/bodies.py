"""Bodies of requests: limits of their size and time, and of the memory that they share."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from weakref import WeakValueDictionary

from starlette.types import Message, Receive, Send

from reelhook.doors.json_shape import parsed_bytes
from reelhook.doors.limits import KIB, MIB, LimitError, Limits

SMALL_BYTES = 64 * KIB
"""Up to this size a body is read without reserving memory: the connection holds as much anyway."""
MEMORY_BYTES_MIN = 4 * MIB
RETRY_AFTER_SECONDS = 5
UPLOADS_MAX = 3
"""The most of the largest bodies that arrive at once. One key has half of their memory."""
_ORDINARY, _OWN, _UPLOADS, _WHOLE, _VALUES = range(5)
"""The memories, in the order in which a body takes them, so that no two wait for each other.

For bodies of the usual size; for larger ones of the same key; for those of all keys; for such
bodies once they have arrived, which then take several times as much; for parsed values.
"""
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
        self._ordinary = BodyMemory(max(MEMORY_BYTES_MIN, limits.body_bytes))
        self._uploads = BodyMemory(UPLOADS_MAX * limits.upload_bytes)
        self._whole = BodyMemory(limits.upload_bytes)
        self._values = BodyMemory(MEMORY_BYTES_MIN)
        self._own: WeakValueDictionary[str | None, BodyMemory] = WeakValueDictionary()

    def body(
        self,
        receive: Receive,
        declared: int | None,
        bytes_max: int,
        *,
        awaits_continue: bool = False,
    ) -> "Body":
        """Return the body of a request, of at most `bytes_max`; `declared` is its length, if known.

        With `awaits_continue`, the client sends the body only after the first read.
        """
        limits, memories = self.limits, self._memories
        return Body(receive, declared, limits, memories, bytes_max, awaits_continue=awaits_continue)

    def _memories(self, key_id: str | None) -> tuple[BodyMemory, ...]:
        """Return the memories for a body of this key; None: of the operator or an open route."""
        own = self._own.get(key_id)
        if own is None:
            own = BodyMemory(UPLOADS_MAX * self.limits.upload_bytes // 2)
            self._own[key_id] = own  # for as long as a body refers to it
        return self._ordinary, own, self._uploads, self._whole, self._values


class Body:
    """One body. The first `receive` reads all of it; the caller then keeps it."""

    def __init__(
        self,
        receive: Receive,
        declared: int | None,
        limits: Limits,
        memories: Callable[[str | None], tuple[BodyMemory, ...]],
        bytes_max: int,
        *,
        awaits_continue: bool,
    ) -> None:
        self._receive = receive
        self._declared = declared
        self._limits = limits
        self._memories_of, self._memories = memories, memories(None)
        self._awaits_continue = awaits_continue
        self._bytes_max = bytes_max
        self._taken = [0] * len(self._memories)
        self._is_read = False
        self._peeked: Message | None = None
        self._ended = False
        self._reading = asyncio.Lock()

    def belongs_to(self, key_id: str | None) -> None:
        """Note the key of the body's sender, before a body with files is read."""
        self._memories = self._memories_of(key_id)

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
        """Return the whole body, which the next `receive` returns again. Raises `LimitError`.

        The client has proven nothing yet, so its body can't be larger than one without files.
        """
        bytes_max = self._bytes_max
        self._bytes_max = min(bytes_max, self._limits.body_bytes)
        try:
            self.check_declared()
            self._peeked = await self.receive()
        finally:
            self._bytes_max = bytes_max
        return bytes(self._peeked.get("body", b""))

    def check_declared(self) -> None:
        """Raise `LimitError` if the body is too large by its declared length."""
        if (self._declared or 0) > self._bytes_max:
            raise self._too_large()

    async def _whole(self) -> Message:
        chunks: list[bytes] = []
        try:
            async with asyncio.timeout(self._limits.transfer_seconds):
                end = await self._read(chunks)
                if end["type"] != "http.request":
                    return end
                if self._taken[_UPLOADS]:
                    await self._take(_WHOLE, sum(map(len, chunks)))
                body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
                chunks.clear()
                size = await _parsed_bytes(body)
                if size > SMALL_BYTES:
                    await self._take(_VALUES, size)
        except TimeoutError:
            raise self._timeout() from None
        finally:
            chunks.clear()  # the error's traceback lasts until its response is sent
        return {"type": "http.request", "body": body, "more_body": False}

    async def _read(self, chunks: list[bytes]) -> Message:
        declared, ordinary = self._declared or 0, self._limits.body_bytes
        if declared > ordinary:
            await self._take_upload(declared)
        elif declared > SMALL_BYTES:
            await self._take(_ORDINARY, declared)
        count = 0
        while True:
            message = await self._next()
            chunk = message.get("body", b"")
            count += len(chunk)
            if count > self._bytes_max:
                raise self._too_large()
            if chunk:
                chunks.append(chunk)
            if self._ended:
                return message
            if self._declared is None and count > SMALL_BYTES and not self._taken[_ORDINARY]:
                await self._take(_ORDINARY, ordinary)
            if self._declared is None and count > ordinary and not self._taken[_UPLOADS]:
                await self._take_upload(self._bytes_max)

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._ended = True
        return message

    def responding(self, send: Send) -> Send:
        """Return a `send` that begins the response once the body has arrived or was given up.

        It releases the memory then, because a stream lasts much longer than its request's body. An
        earlier response makes many clients and proxies fail: the rest of the body meets a closed
        connection, or is taken for the next request.
        """

        async def begin_late(message: Message) -> None:
            begins = message["type"] == "http.response.start"
            if begins and not (self._ended or await self._finish()):
                # RFC 9112, section 9.3: a connection whose body is not read to its end is closed.
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
            if begins:
                self.close()
            await send(message)

        return begin_late

    async def _finish(self) -> bool:
        """Read and discard the rest; return True if all of it arrived within the limits."""
        left = self._bytes_max + REST_BYTES_MAX
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

    async def _take_upload(self, count: int) -> None:
        await self._take(_OWN, count)
        await self._take(_UPLOADS, count)

    async def _take(self, number: int, count: int) -> None:
        self._taken[number] = -1  # it waits
        self._taken[number] = await self._memories[number].take(count)

    def _too_large(self) -> LimitError:
        carries_files = self._bytes_max > self._limits.body_bytes
        setting = "REELHOOK_UPLOAD_MAX_MIB" if carries_files else "REELHOOK_REQUEST_BODY_MIB"
        message = (
            f"The body is larger than {self._bytes_max // MIB} MiB; send an image by its URL, "
            f"or raise {setting}"
        )
        if self._bytes_max <= SMALL_BYTES:
            message = f"The form is larger than {self._bytes_max // KIB} KiB; send less text"
        return LimitError(413, "request_too_large", message)

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


async def _parsed_bytes(body: bytes) -> int:
    """Return the most memory that a body's values take once parsed. Raises `LimitError`."""
    if body.lstrip()[:1] not in {b"[", b"{"}:
        return 0
    return parsed_bytes(body) if len(body) <= MIB else await asyncio.to_thread(parsed_bytes, body)
