"""The doctor goes the way of a stranger, and sees what lies on it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from gateways import Gateway, gateway

from reelhook.bootstrap.doctor import proxy_checks as doctor
from reelhook.config import Settings
from reelhook.doors.live import sse as streams
from reelhook.simulator.faults import Faults

KEY = "a-long-random-text"
ANY = "0.0.0.0"  # noqa: S104 - a name of this machine that is none of loopback
BEARER = {"Authorization": f"Bearer {KEY}"}


class Between:
    """A proxy that passes bytes on, or does harm. It answers at an address that is no loopback."""

    def __init__(self, upstream: str) -> None:
        self._port = urlsplit(upstream).port
        self.url = ""
        self.holds = False
        self.cuts_after_seconds: float | None = None

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.timeout(self.cuts_after_seconds), asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, ours, holds=False))
                group.create_task(self._copy(theirs, writer, holds=self.holds))
        except (TimeoutError, ExceptionGroup):
            pass
        finally:
            ours.close()
            writer.close()

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, holds: bool
    ) -> None:
        held = b""
        while piece := await reader.read(65536):
            held += piece
            if holds and b"text/event-stream" in held:
                continue
            writer.write(held)
            held = b""
            await writer.drain()
        raise EOFError


@contextlib.asynccontextmanager
async def between(upstream: str) -> AsyncIterator[Between]:
    one = Between(upstream)
    server = await asyncio.start_server(one.pass_on, "127.0.0.1", 0)
    async with server:
        # Linux reaches itself by this address too, and it is none of loopback's.
        one.url = f"http://0.0.0.0:{server.sockets[0].getsockname()[1]}"
        yield one
        server.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (streams, doctor):
        monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.4)
    monkeypatch.setattr(doctor, "FIRST_SECONDS_MAX", 0.5)
    monkeypatch.setattr(doctor, "SLACK_SECONDS", 0.5)
    monkeypatch.setattr(doctor, "IDLE_SECONDS", 0.3)


async def judged(server: Gateway, url: str, **given: Any) -> Mapping[str, tuple[str, str]]:
    usual = {"api_key": KEY, "url": server.url, "trusted_proxies": "127.0.0.1"}
    settings = Settings.of(**{"public_url": url, **usual, **given})
    async with aiohttp.ClientSession() as http:
        found = await doctor.proxies(settings, http)
    return {one.subject: (one.verdict.value, one.message) for one in found}


async def test_a_way_that_is_in_order(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, api_key=KEY, headers=BEARER) as server,
        between(server.url) as proxy,
    ):
        assert "no job yet" in (await judged(server, proxy.url))["live streams"][1]
        await server.submit()
        found = await judged(server, proxy.url)
        assert {verdict for verdict, _ in found.values()} == {"ok"}
        others = {"REELHOOK_API_KEY", "REELHOOK_TRUSTED_PROXIES"}
        assert set(found) == {"live streams", "idle connections", *others}


async def test_a_proxy_that_holds_streams_back_is_reported(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, api_key=KEY, headers=BEARER) as server,
        between(server.url) as proxy,
    ):
        await server.submit()
        proxy.holds = True
        verdict, words = (await judged(server, proxy.url))["live streams"]
        assert verdict == "warning"
        assert "are buffered" in words


@pytest.mark.long
@pytest.mark.parametrize(("busy_seconds", "reported"), [(60.0, "survive"), (0.3, "too often")])
async def test_a_job_that_changes_all_the_time_is_no_proxy_s_fault(
    busy_seconds: float, reported: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "BUSY_SECONDS_MAX", busy_seconds)
    faults = Faults(queue_seconds=0, render_seconds=100)
    async with (
        gateway(tmp_path, faults, api_key=KEY, headers=BEARER) as server,
        between(server.url) as proxy,
    ):
        job_id = await server.submit()
        await server.job_when(job_id, "processing")

        async def render() -> None:
            for _ in range(20):
                server.time.advance(5)
                await asyncio.sleep(0.1)

        (verdict, words), _ = await asyncio.gather(streams_judged(server, proxy), render())
        assert verdict == "ok"
        assert reported in words


async def streams_judged(server: Gateway, proxy: Between) -> tuple[str, str]:
    return (await judged(server, proxy.url))["live streams"]


async def test_a_proxy_that_cuts_streams_and_idle_connections_is_reported(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, api_key=KEY, headers=BEARER) as server,
        between(server.url) as proxy,
    ):
        await server.submit()
        proxy.cuts_after_seconds = 0.2
        found = await judged(server, proxy.url)
        assert found["live streams"][0] == "warning"
        assert "are cut off" in found["live streams"][1]
        assert found["idle connections"][0] == "warning"
        assert "60 s" in found["idle connections"][1]


async def test_a_server_that_asks_strangers_for_no_key_is_reported(tmp_path: Path) -> None:
    async with gateway(tmp_path, allowed_hosts=ANY) as server, between(server.url) as proxy:
        verdict, words = (await judged(server, proxy.url))["REELHOOK_API_KEY"]
        assert verdict == "failed"
        assert "set REELHOOK_API_KEY" in words


async def test_connections_that_end_before_those_of_proxies_are_reported(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, api_key=KEY, headers=BEARER) as server,
        between(server.url) as proxy,
    ):
        found = await judged(server, proxy.url, keep_alive_seconds=30)
        assert "REELHOOK_KEEP_ALIVE_SECONDS" in found["idle connections"][1]


async def test_a_proxy_that_is_not_trusted_is_reported(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, api_key=KEY, headers=BEARER) as server,
        between(server.url) as proxy,
    ):
        found = await judged(server, proxy.url, trusted_proxies=())
        assert found["REELHOOK_TRUSTED_PROXIES"][0] == "warning"


async def test_what_no_stranger_can_reach_is_not_tried(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY) as server:
        assert await judged(server, server.url) == {}
        assert await judged(server, "http://0.0.0.0:9") == {}
