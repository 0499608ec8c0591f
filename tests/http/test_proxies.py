"""Behind a proxy: a path before ours, and clients whose addresses only the proxy knows."""

import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from gateways import AT_ONCE, Gateway, gateway
from receivers import receiver
from starlette.routing import Mount, Route
from structlog.testing import capture_logs
from wires import connected

from reelhook.doors import web
from reelhook.doors.app import ROUTERS
from reelhook.doors.clients import ADDRESSES_MAX, RefusedClients
from reelhook.doors.proxies import API_SEGMENTS, PAGE_SEGMENTS

pytestmark = pytest.mark.long

KEY = "a-long-random-text"
BEARER = {"Authorization": f"Bearer {KEY}"}
LINK = re.compile(r"""(?:href|src|url)["']?[:=]\s*["'](/[^"']*)["']""")
OUTSIDE = "203.0.113.9"


# -- below a path ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/reel", "/tools/video", "/api", "/docs"])
async def test_everything_is_served_below_the_path_of_the_public_url_and_without_it(
    tmp_path: Path, path: str
) -> None:
    public = f"https://video.example{path}"
    async with gateway(tmp_path, AT_ONCE, public_url=public, api_key=KEY, headers=BEARER) as server:
        for prefix in (path, ""):
            reply = await server.post(f"{prefix}/api/generate", json={"script": "A fox"})
            assert reply.status == 200
            job_id = reply.json()["jobId"]
            assert (await server.get(f"{prefix}/api/jobs/{job_id}")).status == 200
            assert (await server.get(f"{prefix}/healthz")).status == 200
            assert (await server.get(f"{prefix}/nowhere")).refusal == (404, "not_found", None)


@pytest.mark.parametrize("prefix", ["/reel", ""])
async def test_the_page_of_the_api_finds_its_parts_below_the_path(
    tmp_path: Path, prefix: str
) -> None:
    async with gateway(tmp_path, public_url="https://v.example/reel/", api_key=KEY) as server:
        for page in ("/docs", "/redoc"):
            reply = await server.get(prefix + page)
            assert reply.status == 200
            links = LINK.findall(reply.body.decode())
            assert "/reel/openapi.json" in reply.body.decode()
            assert links
            for link in links:
                assert link.startswith("/reel/")
                assert (await server.get(link)).status == 200
        document = (await server.get(f"{prefix}/openapi.json")).json()
        assert document["servers"] == [{"url": "/reel"}]


@pytest.mark.parametrize("prefix", ["/reel", ""])
async def test_a_signed_link_works_below_the_path(tmp_path: Path, prefix: str) -> None:
    public = "https://v.example/reel"
    async with (
        gateway(tmp_path, AT_ONCE, public_url=public, api_key=KEY) as server,
        receiver() as client,
    ):
        body = {"script": "A fox", "seconds": 1, "size": "64x64", "webhookUrl": client.url}
        reply = await server.post(f"{prefix}/api/generate", json=body, headers=BEARER)
        url = (await client.ending(reply.json()["jobId"])).body["videoUrl"]
        assert url.startswith(f"{public}/api/sora/videos/")
        video = await server.get(prefix + url.removeprefix(public))
        assert (video.status, video.body[4:8]) == (200, b"ftyp")


async def test_a_path_opens_no_other_route_without_the_key(tmp_path: Path) -> None:
    async with gateway(tmp_path, public_url="https://v.example/healthz", api_key=KEY) as server:
        for path in ("/healthz/api/jobs", "/api/jobs", "/healthz/healthz/api/jobs", "/healthz/x"):
            assert (await server.get(path)).status == 401, path


async def test_the_first_segments_are_those_of_all_routes(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        app: Any = server.hook.asgi
        routes = [one for one in app.routes if isinstance(one, APIRoute | Route | Mount)]
        paths = [*(one.path for one in routes), *app.openapi()["paths"]]
    paths += [
        route.path for router in ROUTERS for route in router.routes if isinstance(route, Route)
    ]
    assert {path.split("/")[1] for path in paths} == API_SEGMENTS | PAGE_SEGMENTS
    pages = [
        route.path for router in web.ROUTERS for route in router.routes if isinstance(route, Route)
    ]
    assert {path.split("/")[1] for path in pages} == PAGE_SEGMENTS


async def test_a_page_hides_no_route_of_the_api_below_its_own_name(tmp_path: Path) -> None:
    public = "https://video.example/api"
    async with gateway(tmp_path, public_url=public, api_key=KEY, headers=BEARER) as server:
        job_id = await server.submit()
        assert (await server.get(f"/api/jobs/{job_id}")).json()["jobId"] == job_id
        html = {"Accept": "text/html"}
        assert (await server.get("/login", headers=html)).body.startswith(b"<!doctype html>")


async def test_a_trusted_proxy_may_name_the_path(tmp_path: Path) -> None:
    prefix = {"X-Forwarded-Prefix": "/reel"}
    async with gateway(tmp_path / "one", trusted_proxies="127.0.0.1", api_key=KEY) as server:
        assert "/reel/openapi.json" in (await server.get("/docs", headers=prefix)).body.decode()
        assert '"/openapi.json"' in str((await server.get("/docs")).body.decode()).replace("'", '"')
        for wrong in ("//evil.example", "/a'onload=x", "reel", "/a b", "/" + "a" * 99, "/" * 9):
            page = (await server.get("/docs", headers={"X-Forwarded-Prefix": wrong})).body.decode()
            assert wrong + "/openapi.json" not in page
    async with gateway(tmp_path / "not", api_key=KEY) as server:
        assert "/reel/" not in (await server.get("/docs", headers=prefix)).body.decode()


# -- whose request it is --------------------------------------------------------------------------


def clients(server: Gateway) -> Sequence[str]:
    return [one["client"] for one in server.logs if one["event"] == "http.client_refused"]


CHAINS = {
    "one proxy": ("203.0.113.9", "203.0.113.9"),
    "what a client wrote itself": ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
    "two proxies of ours": ("203.0.113.9, 10.1.2.3", "203.0.113.9"),
    "a port": ("203.0.113.9:4711", "203.0.113.9"),
    "IPv6": ("2001:db8::1", "2001:db8::1"),
    "IPv6 with a port": ("[2001:db8::1]:4711", "2001:db8::1"),
    "IPv4 in IPv6": ("::ffff:203.0.113.9", "203.0.113.9"),
    "only proxies": ("10.9.9.9, 10.1.2.3", "10.9.9.9"),
    "no address": ("unknown", "127.0.0.1"),
    "no address before a proxy": ("unknown, 10.1.2.3", "10.1.2.3"),
    "nothing": ("", "127.0.0.1"),
    "a line of a log": ("203.0.113.9\u00e9 evil", "127.0.0.1"),
}


@pytest.mark.parametrize("name", CHAINS)
async def test_the_client_is_the_last_one_that_is_no_trusted_proxy(
    tmp_path: Path, name: str
) -> None:
    forwarded_for, client = CHAINS[name]
    async with gateway(tmp_path, api_key=KEY, trusted_proxies="127.0.0.0/8,10.0.0.0/8") as server:
        await server.get("/api/jobs", headers={"X-Forwarded-For": forwarded_for})
        assert clients(server) == [client]


async def test_several_headers_are_one_list(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, api_key=KEY, trusted_proxies="127.0.0.1,10.0.0.0/8") as server,
        connected(server.url) as wire,
    ):
        headers = b"X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 203.0.113.9\r\n"
        await wire.send(b"GET /api/jobs HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")
        assert await wire.answer() is not None
        assert clients(server) == [OUTSIDE]


@pytest.mark.parametrize("trusted", ["127.0.0.1", "10.0.0.0/8"])
async def test_a_redirect_leads_to_the_scheme_that_a_trusted_proxy_names(
    tmp_path: Path, trusted: str
) -> None:
    headers = {"X-Forwarded-Proto": "https", **BEARER}
    async with gateway(tmp_path, api_key=KEY, trusted_proxies=trusted) as server:
        reply = await server.get("/api/jobs/", headers=headers)
        scheme = "https" if trusted == "127.0.0.1" else "http"
        assert reply.headers["Location"].startswith(f"{scheme}://127.0.0.1:")


async def test_of_others_nothing_is_believed(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY, trusted_proxies="10.0.0.0/8") as server:
        await server.get("/api/jobs", headers={"X-Forwarded-For": OUTSIDE})
        assert clients(server) == ["127.0.0.1"]


async def test_each_kind_of_refusal_names_its_client(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY, trusted_proxies="127.0.0.1") as server:
        json = {"Content-Type": "application/json"}
        plain = {"Content-Type": "text/plain"}
        for number, (code, headers, body) in enumerate(
            (
                ("unauthorized", json, b"{}"),
                ("unsupported_media_type", {**plain, **BEARER}, b"{}"),
                ("request_too_large", {**json, **BEARER}, bytes(2 * 1024 * 1024)),
                ("json_too_many_values", {**json, **BEARER}, b"[%b]" % (b"1," * 20_000)),
            ),
            1,
        ):
            sent = {**headers, "X-Forwarded-For": f"203.0.113.{number}"}
            await server.post("/api/endpoints", data=BytesIO(body), headers=sent)
            line = [one for one in server.logs if one["event"] == "http.client_refused"][-1]
            assert (line["client"], line["code"]) == (f"203.0.113.{number}", code)
            assert line["method"] == "POST"


async def test_a_client_that_never_sends_a_request_is_named_too(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY) as server, connected(server.url) as wire:
        await wire.send(b"no HTTP\r\n\r\n")
        assert await wire.refusal() == (400, "malformed_request")
        assert clients(server) == ["127.0.0.1"]


async def test_no_line_shows_what_a_client_sent_or_where(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY) as server:
        await server.get("/api/jobs/secret-path?signature=secret", headers={"Authorization": "x"})
        line = next(one for one in server.logs if one["event"] == "http.client_refused")
        assert "secret" not in str(line)


class Ticking:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(logs: Sequence[Any]) -> Sequence[tuple[str, int]]:
    return [(one.get("client", "others"), one["refused"]) for one in logs]


def test_there_is_one_line_a_second_about_one_address() -> None:

    clock = Ticking()
    refused = RefusedClients(clock)
    with capture_logs() as logs:
        for _ in range(100):
            refused.report("a", 401, "unauthorized")
            refused.report("b", 401, "unauthorized")
            refused.log_rest()
        assert lines(logs) == [("a", 1), ("b", 1)]
        clock.now = 1.0
        refused.log_rest()
        refused.log_rest()
        assert lines(logs)[2:] == [("a", 99), ("b", 99)]
        clock.now = 2.0
        refused.report("a", 415, "unsupported_media_type")
        assert lines(logs)[4:] == [("a", 1)]
        assert logs[-1]["status"] == 415


def test_many_addresses_take_no_more_lines_and_memory() -> None:

    clock = Ticking()
    refused = RefusedClients(clock)
    with capture_logs() as logs:
        for number in range(10 * ADDRESSES_MAX):
            refused.report(f"{number}", 401, "unauthorized")
            refused.log_rest()
        assert len(logs) == ADDRESSES_MAX
        assert len(refused._refused) == ADDRESSES_MAX
        clock.now = 1.0
        refused.log_rest()
        assert lines(logs)[-1] == ("others", 9 * ADDRESSES_MAX)
        for number in range(10 * ADDRESSES_MAX):
            refused.report(f"new {number}", 401, "unauthorized")
        assert len(refused._refused) == ADDRESSES_MAX
