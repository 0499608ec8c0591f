"""No denied address is ever connected to for a file or an image, counted at the socket.

Each refused URL of webhooks (`url_cases.json`) is given as the address of a finished file, as that
of an image, and as the target of redirects from both. Every connection of the process is recorded.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from plain_provider import Plain

from reelhook.domain.errors import ReelhookError
from reelhook.fetching.fetcher import MediaFetcher
from reelhook.guard.addresses import AddressPolicy
from reelhook.guard.networks import IPAddress
from reelhook.providers.http.file_access import FileAccess

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "webhooks" / "url_cases.json").read_text(encoding="utf-8")
)
REFUSED = [case for case in CASES if not case["allowed"] and "redirect" not in case]
ALLOWED = [case for case in CASES if case["allowed"] and case["url"].startswith("http://")]
REDIRECTS = [case for case in CASES if "redirect" in case]
PUBLIC = "93.184.215.14"
START = "http://start.example.com/file"


@dataclass
class World:
    """One server that stands for every address. It redirects to `location`."""

    location: str = ""
    answers: Sequence[Sequence[str]] = ()
    """What successive look-ups of any other name than that of `START` return."""
    dialled: list[tuple[str, int]] = field(default_factory=list)
    port: int = 0
    _asked: int = 0

    def at(self, case: dict[str, Any]) -> None:
        self.answers = case.get("look_ups", [[]])
        self._asked = 0
        self.dialled.clear()

    async def look_up(self, name: str) -> list[IPAddress]:
        if name == "start.example.com":
            return [ip_address(PUBLIC)]
        self._asked += 1
        found = self.answers[min(self._asked, len(self.answers)) - 1]
        return [ip_address(text) for text in found]

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1) == b"G":  # else it is a handshake of TLS
            await reader.readuntil(b"\r\n\r\n")
            head = b"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: "
            writer.write(head + self.location.encode() + b"\r\n\r\n")
        with suppress(OSError):
            await writer.drain()
        writer.close()


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Record every connection of this process, and lead all of them to the one server."""
    one = World()
    server = await asyncio.start_server(one.respond, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]

    class Recorded(socket.socket):
        def __init__(
            self, family: int, kind: int, protocol: int, fileno: int | None = None
        ) -> None:
            accepted = fileno is not None
            super().__init__(family if accepted else socket.AF_INET, kind, protocol, fileno)

        def connect(self, address: Any) -> None:
            one.dialled.append(address[:2])
            super().connect(("127.0.0.1", one.port))

    monkeypatch.setattr(socket, "socket", Recorded)
    yield one
    monkeypatch.undo()
    server.close()


Open = Callable[[str], Any]


@asynccontextmanager
async def readers(world: World, folder: Path) -> AsyncIterator[dict[str, Open]]:
    """Open what fetches files and images; each dials public addresses only."""

    async def file(url: str) -> None:
        async with provider.content("video_1", url, None):
            raise AssertionError(f"{url} was served")

    async def image(url: str) -> None:
        async with fetcher.fetch(url, "image"):
            raise AssertionError(f"{url} was served")

    async with (
        Plain(
            "http://provider.example.com", "key", files=FileAccess(look_up=world.look_up)
        ) as provider,
        MediaFetcher(AddressPolicy(), folder, user_agent="test", look_up=world.look_up) as fetcher,
    ):
        yield {"file": file, "image": image}


async def test_no_denied_address_is_connected_to(world: World, tmp_path: Path) -> None:
    assert (len(REFUSED), len(REDIRECTS)) == (105, 5)
    async with readers(world, tmp_path) as opened:
        for what, read in opened.items():
            for case in REFUSED:
                world.at(case)
                with pytest.raises(ReelhookError):
                    await read(case["url"])
                assert world.dialled == [], (what, case["url"])

                if "\n" in case["url"]:
                    continue  # no header can carry it
                world.location = case["url"]
                with pytest.raises(ReelhookError):
                    await read(START)
                # A text that is no URL is a path of the server that redirects.
                assert {(PUBLIC, 80)} == set(world.dialled), (what, case["url"])


async def test_targets_of_redirects_are_judged_and_allowed_ones_are_connected_to(
    world: World, tmp_path: Path
) -> None:
    async with readers(world, tmp_path) as opened:
        for read in opened.values():
            for case in REDIRECTS:
                world.at(case)
                world.location = case["redirect"]["location"]
                with pytest.raises(ReelhookError):
                    await read(START)
                assert {address for address, _ in world.dialled} == {PUBLIC}, case["url"]
            for case in ALLOWED:  # the counting works
                world.at(case)
                world.location = "http://127.0.0.1/"
                with pytest.raises(ReelhookError):
                    await read(case["url"])
                (address, _), *more = world.dialled
                assert (address, more) == (case.get("look_ups", [[address]])[0][0], [])
                assert address not in case.get("must_not_dial", [])
