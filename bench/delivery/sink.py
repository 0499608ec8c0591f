"""Receivers that cost little; run as `python -m bench.delivery.sink`.

Each receiver is a port of its own, since a client keeps connections by host and port. A request is
kept as it came and answered at once; signatures are judged when arrivals are asked for, after the
run. The first port takes commands under `/control/`.
"""

import argparse
import asyncio
import gc
import json
import signal
import time
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop

from bench.receivers import verdicts

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request. `first` and `complete` are Unix seconds: its first byte, and its last."""

    port: int
    first: float
    complete: float
    monotonic: float
    head: bytes
    body: bytes

    def shown(self, secret: bytes) -> dict[str, Any]:
        """Return the arrival as the checks read it, with the verdict on its signatures."""
        line, _, rest = self.head.decode("latin-1").partition("\r\n")
        headers = dict(_header(one) for one in rest.split("\r\n"))
        arrival = {
            "t": self.monotonic,
            "first": self.first,
            "clock": self.complete,
            "port": self.port,
            "path": line.split(" ")[1],
            "headers": {k: v for k, v in headers.items() if k.startswith(("webhook-", "x-"))},
            "body": self.body.decode("utf-8", "replace"),
        }
        return {**arrival, **verdicts(secret, arrival)}


@dataclass(slots=True)
class Sink:
    """All receivers. `hung` are the ports that take requests and never answer."""

    secret: bytes
    arrivals: list[Arrival] = field(default_factory=list)
    hung: set[int] = field(default_factory=set)

    def control(self, target: str, body: bytes) -> dict[str, Any]:
        name, _, start = target.removeprefix("/control/").partition("?from=")
        match name:
            case "count":
                return {"count": len(self.arrivals)}
            case "arrivals":
                shown = [one.shown(self.secret) for one in self.arrivals[int(start or 0) :]]
                return {"arrivals": shown}
            case "hang":
                self.hung = set(json.loads(body)["ports"])
                return {}
            case _:
                raise ValueError(target)


class Connection(asyncio.Protocol):
    """HTTP/1.1 as far as a webhook needs it: a head, `Content-Length`, a body."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._received = b""
        self._first = 0.0
        self._port = 0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is no subclass
        self._port = transport.get_extra_info("sockname")[1]

    def data_received(self, data: bytes) -> None:
        if not self._received:
            self._first = time.time()
        self._received += data
        head, end, rest = self._received.partition(END)
        if end and len(rest) >= (length := _content_length(head)):
            self._received = b""
            self._take(head, rest[:length])

    def _take(self, head: bytes, body: bytes) -> None:
        assert self._transport is not None
        target = head.split(b" ", 2)[1]
        if target.startswith(b"/control/"):
            answer = json.dumps(self._sink.control(target.decode(), body)).encode()
            kind = b"Content-Type: application/json\r\n"
            length = b"Content-Length: %d" % len(answer)
            self._transport.write(b"HTTP/1.1 200 OK\r\n" + kind + length + END + answer)
            return
        arrival = Arrival(self._port, self._first, time.time(), time.monotonic(), head, body)
        self._sink.arrivals.append(arrival)
        if self._port not in self._sink.hung:
            self._transport.write(OK)


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    return 0


async def serve(sink: Sink, ports: int) -> None:
    """Listen on free ports of 127.0.0.1; print them when ready; return after SIGTERM."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    servers = [
        await loop.create_server(lambda: Connection(sink), "127.0.0.1", 0, backlog=1024)
        for _ in range(ports)
    ]
    print(json.dumps({"ports": [one.sockets[0].getsockname()[1] for one in servers]}), flush=True)
    await stopping.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--secret", required=True, help="whose UTF-8 bytes are the key")
    parser.add_argument("--ports", type=int, default=1, help="how many receivers")
    options = parser.parse_args()
    gc.disable()  # nothing here makes cycles, and a collection would count against the sender
    uvloop.run(serve(Sink(options.secret.encode()), options.ports))


if __name__ == "__main__":
    main()
