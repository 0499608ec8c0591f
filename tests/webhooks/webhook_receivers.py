"""Receivers for the webhook tests: real servers on loopback, well-behaved and hostile."""

import asyncio
import contextlib
import itertools
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

from aiohttp import AddrInfoType
from loop_clock import jump, others_go_on

from reelhook.guard.addresses import AddressPolicy, LookUp
from reelhook.guard.networks import IPAddress
from reelhook.ports import SignedRequest
from reelhook.webhooks.connection import open_socket

CERTIFICATES = Path(__file__).parent / "certificates"
LOOPBACK = AddressPolicy((ip_network("127.0.0.0/8"),))
BODY = b'{"jobId":"job_1","status":"completed"}'
HEADERS = {"Content-Type": "application/json", "User-Agent": "reelhook/test", "webhook-id": "evt_1"}
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


def ok(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def request(url: str, *, trusted: bool = False, timeout_seconds: float = 5.0) -> SignedRequest:
    return SignedRequest(
        url=url, body=BODY, headers=HEADERS, trusted=trusted, timeout_seconds=timeout_seconds
    )


@dataclass
class Receiver:
    """A TCP server; `behave` decides what follows on each connection."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def next_request(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().splitlines()
            if line.startswith(b"content-length:")
        )
        self.requests.append(head + await reader.readexactly(length))
        self.arrived.set()


Behaviour = Callable[[Receiver, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def receiver(
    behave: Behaviour | bytes, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """Run a receiver. Bytes are the answer to every request."""
    one = Receiver()
    tasks: set[asyncio.Task[None]] = set()
    serve = answering(behave) if isinstance(behave, bytes) else behave

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        one.connections += 1
        try:
            await serve(one, reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            one.closed.set()
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(connected(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls, backlog=256)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(answer: bytes) -> Behaviour:
    async def behave(
        one: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            await one.next_request(reader)
            writer.write(answer)
            await writer.drain()

    return behave


def then_close(answer: bytes) -> Behaviour:
    async def behave(
        one: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await one.next_request(reader)
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return behave


def then_hang(answer: bytes, *, seconds: float = 0.0) -> Behaviour:
    """Answer so and no further; when that was read, let `seconds` pass."""

    async def behave(
        one: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await one.next_request(reader)
        writer.write(answer)
        await others_go_on()
        jump(seconds)
        await reader.read()

    return behave


def dripping(head: bytes, drop: bytes, *, seconds: float = 0.0) -> Behaviour:
    """Send drop by drop without end; let `seconds` pass after the tenth."""

    async def behave(
        one: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await one.next_request(reader)
        writer.write(head)
        for number in itertools.count(1):
            writer.write(drop)
            await writer.drain()
            if number == 10:
                await others_go_on()
                jump(seconds)
            await asyncio.sleep(0.005)

    return behave


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.contextmanager
def blasting(payload: bytes, *, times: int = 1) -> Iterator[str]:
    """Run a receiver in a thread that answers with bytes made beforehand, and yield its URL.

    It allocates nothing while it serves, so that what is measured is the sender.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()

    def serve() -> None:
        # Both ends of the test may end the connection at any moment.
        with contextlib.suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                for _ in range(times):
                    connection.sendall(payload)
                stopping.wait(5)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/hook"
    finally:
        stopping.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def server_tls(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{certificate}.pem")
    return context


def client_tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(CERTIFICATES / "authority.pem"))


# -- names and addresses --------------------------------------------------------------------------


def resolving(*answers: list[IPAddress]) -> tuple[LookUp, list[str]]:
    """Return a look-up that gives these answers one after the other, the last for good."""
    asked: list[str] = []

    async def look_up(name: str) -> list[IPAddress]:
        asked.append(name)
        return answers[min(len(asked), len(answers)) - 1]

    return look_up, asked


class Switchboard:
    """Opens sockets that reach a local receiver whatever they dial, and keeps what they dialled.

    `ports` says which local port stands for a dialled one.
    """

    def __init__(self, ports: Callable[[int], int]) -> None:
        self._ports = ports
        self.opened: list[str] = []

    def open_socket(self, info: AddrInfoType) -> socket.socket:
        self.opened.append(str(info[4][0]))
        return _Rerouted(self._ports)


class _Rerouted(socket.socket):
    def __init__(self, ports: Callable[[int], int]) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self._ports = ports

    def connect(self, address: object) -> None:
        assert isinstance(address, tuple)
        super().connect(("127.0.0.1", self._ports(address[1])))


class Counting:
    """Opens real sockets and keeps them."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []

    def open_socket(self, info: AddrInfoType) -> socket.socket:
        self.sockets.append(open_socket(info))
        return self.sockets[-1]
