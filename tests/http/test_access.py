"""Who may spend money: the API key, and without one no web page."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from gateways import AT_ONCE, Gateway, gateway
from receivers import receiver

KEY = "a-long-random-text"
BEARER = {"Authorization": f"Bearer {KEY}"}
GUARDED = [
    ("POST", "/api/generate"),
    ("GET", "/api/videos/status/job_1"),
    ("GET", "/api/sora/videos/job_1/download"),
    ("GET", "/api/download?jobId=job_1"),
    ("GET", "/api/jobs/events?jobIds=job_1"),
    ("GET", "/api/jobs"),
    ("POST", "/api/jobs/register"),
    ("GET", "/api/jobs/job_1"),
    ("GET", "/api/jobs/job_1/events"),
    ("POST", "/api/jobs/job_1/poll"),
    ("POST", "/api/jobs/job_1/cancel"),
    ("GET", "/api/stats"),
    ("POST", "/api/watcher/pause"),
    ("POST", "/api/watcher/resume"),
    ("POST", "/docs"),
    ("OPTIONS", "/openapi.json"),
    ("GET", "/docsx"),
    ("GET", "/openapi.json/"),
    ("GET", "/nowhere"),
    ("GET", "/healthz/"),
    ("GET", "//healthz"),
    ("OPTIONS", "/api/generate"),
]
DOCUMENTS = ("/docs", "/redoc", "/openapi.json", "/docs/assets/swagger-ui.css")
"""What a browser asks for without a key; nothing of an installation is in it."""


# -- with a key -----------------------------------------------------------------------------------


async def test_every_route_but_health_asks_for_the_key(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY) as server:
        for method, path in GUARDED:
            reply = await server.request(method, path)
            assert reply.refusal == (401, "unauthorized", None), path
            assert reply.headers["WWW-Authenticate"] == "Bearer"
            assert "Authorization: Bearer" in reply.json()["error"]
            assert KEY not in reply.body.decode()
        for path in ("/healthz", "/readyz", "/.well-known/webhooks/jwks.json", *DOCUMENTS):
            assert (await server.get(path)).status == 200


async def test_with_the_key_every_route_answers(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY, headers=BEARER) as server:
        for method, path in GUARDED:
            assert (await server.request(method, path)).status not in {401, 403}, path


async def test_anything_but_the_key_is_refused(tmp_path: Path) -> None:
    wrong = ("Bearer", "Bearer ", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", "Bearer é")
    async with gateway(tmp_path, api_key=KEY) as server:
        for given in ("", KEY, f"Basic {KEY}", *wrong):
            reply = await server.get("/api/stats", headers={"Authorization": given})
            assert reply.refusal == (401, "unauthorized", None), given
        assert "is not known here" in reply.json()["error"]
        assert "Send a key" in (await server.get("/api/stats")).json()["error"]


async def test_the_scheme_may_be_in_any_case(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY) as server:
        reply = await server.get("/api/stats", headers={"Authorization": f"bEaReR {KEY}"})
        assert reply.status == 200


async def test_with_a_key_any_name_of_the_server_will_do(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY, headers=BEARER) as server:
        headers = {"Host": "video.example", "Origin": "https://app.example"}
        reply = await server.post("/api/generate", json={"script": "A fox"}, headers=headers)
        assert reply.status == 200


async def test_with_a_key_too_only_json_is_taken(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY, headers=BEARER) as server:
        reply = await server.post("/api/generate", data='{"script": "A fox"}')
        assert reply.refusal == (415, "unsupported_media_type", None)


async def test_the_page_of_the_api_can_send_the_key_where_there_is_one(tmp_path: Path) -> None:
    async with gateway(tmp_path / "with", api_key=KEY) as server:
        document = (await server.get("/openapi.json")).json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert document["security"] == [{"key": []}]
    for path in ("/healthz", "/readyz", "/providers/{provider}/webhook/{token}"):
        assert all(operation["security"] == [] for operation in document["paths"][path].values())
    assert KEY not in str(document)
    async with gateway(tmp_path / "without") as server:
        document = (await server.get("/openapi.json")).json()
    assert "securitySchemes" not in document["components"]
    assert "security" not in document


# -- signed downloads -----------------------------------------------------------------------------


async def signed_path(server: Gateway) -> str:
    """Return the path of the `videoUrl` in a webhook."""
    async with receiver() as client:
        reply = await server.post(
            "/api/generate",
            json={"script": "A fox", "seconds": 1, "size": "64x64", "webhookUrl": client.url},
            headers=BEARER,
        )
        url = (await client.ending(reply.json()["jobId"])).body["videoUrl"]
    assert url.startswith(server.url)
    return str(url.removeprefix(server.url))


async def test_the_webhook_s_video_url_works_without_the_key(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE, api_key=KEY) as server:
        video = await server.get(await signed_path(server))
        assert (video.status, video.body[4:8]) == (200, b"ftyp")
        part = await server.get(await signed_path(server), headers={"Range": "bytes=4-7"})
        assert (part.status, part.body) == (206, b"ftyp")


async def test_so_it_does_by_the_other_address_and_after_a_restart(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE, api_key=KEY) as server:
        url = urlsplit(await signed_path(server))
        job_id = url.path.split("/")[-2]
        other = f"/api/download?jobId={job_id}&{url.query}"
        assert (await server.get(other)).status == 200
    async with gateway(tmp_path, AT_ONCE, api_key="another key") as server:
        # The provider is a new one and has no video any more, but the request is let in.
        assert (await server.get(other)).status in {410, 502}


async def test_a_signature_opens_one_job_s_video_and_nothing_else(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE, api_key=KEY) as server:
        one, other = urlsplit(await signed_path(server)), urlsplit(await signed_path(server))
        one_id, other_id = (url.path.split("/")[-2] for url in (one, other))
        for path in (
            one.path,
            f"{one.path}?signature=",
            f"{one.path}?{one.query[:-1]}",
            f"{one.path}?{other.query}",
            f"{other.path}?{one.query}",
            f"/api/download?jobId={other_id}&{one.query}",
            f"/api/download?jobId={one_id}&jobId={other_id}&{one.query}",
            f"/api/jobs/{one_id}?{one.query}",
            f"/api/jobs/{one_id}/events?{one.query}",
            f"/api/videos/status/{one_id}?{one.query}",
            f"/api/sora/videos/{one_id}/download/?{one.query}",
            f"/api/sora/videos/{other_id}/poster?{one.query}",
            f"/api/stats?{one.query}",
            f"/api/generate?{one.query}",
        ):
            assert (await server.get(path)).refusal == (401, "unauthorized", None), path
        reply = await server.post(f"/api/jobs/{one_id}/cancel?{one.query}")
        assert reply.refusal == (401, "unauthorized", None)


async def test_without_a_key_the_address_has_no_signature(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        assert urlsplit(await signed_path(server)).query == ""


# -- without a key --------------------------------------------------------------------------------

STRANGE_HOSTS = [
    "evil.example",
    "evil.example:3001",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "10.0.0.1",
    "[::2]",
    "",
    "127.0.0.1@evil.example",
]


async def test_an_unknown_host_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        for host in STRANGE_HOSTS:
            reply = await server.get("/api/jobs", headers={"Host": host})
            assert reply.status == 400, host
            if host:  # HTTP's own parser refuses an empty one
                assert reply.refusal == (400, "invalid_request", None)
                assert "REELHOOK_ALLOWED_HOSTS" in reply.json()["error"]


async def test_known_hosts_are_loopback_the_public_url_and_those_the_operator_names(
    tmp_path: Path,
) -> None:
    loopback = ("localhost", "LocalHost:3001", "127.0.0.1", "127.0.0.1:9", "[::1]", "[::1]:3001")
    named = ("video.localhost", "video.example", "Video.Example:443", "gateway:3001", "10.1.2.3:80")
    async with gateway(
        tmp_path,
        public_url="http://video.localhost:3001",
        allowed_hosts="gateway,10.1.2.3,video.example",
    ) as server:
        for host in (*loopback, *named):
            assert (await server.get("/api/jobs", headers={"Host": host})).status == 200, host


FORWARDED = {
    "Forwarded": "for=203.0.113.9",
    "X-Forwarded-For": "203.0.113.9",
    "x-forwarded-proto": "https",
    "X-Forwarded-Host": "127.0.0.1",
    "X-Real-IP": "203.0.113.9",
    "Via": "1.1 proxy",
    "CF-Connecting-IP": "203.0.113.9",
}


@pytest.mark.parametrize("name", FORWARDED)
async def test_what_came_through_a_proxy_is_refused_without_a_key(
    tmp_path: Path, name: str
) -> None:
    header = {name: FORWARDED[name]}
    async with gateway(tmp_path) as server:
        for method, path in (("GET", "/api/jobs"), ("POST", "/api/generate"), ("GET", "/docs")):
            reply = await server.request(method, path, headers=header, json={"script": "A fox"})
            assert reply.refusal == (403, "proxied_without_key", None)
            assert "REELHOOK_API_KEY" in reply.json()["error"]
        assert (await server.get("/healthz", headers=header)).status == 200
        assert await server.total() == 0


async def test_with_a_key_it_is_let_in(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY, headers=BEARER) as server:
        assert (await server.get("/api/jobs", headers=FORWARDED)).status == 200


async def test_a_web_page_of_another_origin_can_not_submit(tmp_path: Path) -> None:
    paths = (("/api/generate", {"script": "A fox"}), ("/api/watcher/pause", None))
    strange = ("null", "", "http://localhost:1", "http://[", "://", "file://")
    async with gateway(tmp_path) as server:
        for origin in ("https://evil.example", *strange):
            for path, body in paths:
                reply = await server.post(path, json=body, headers={"Origin": origin})
                assert reply.refusal == (403, "forbidden", None), origin
        assert await server.total() == 0
        assert (await server.get("/api/stats")).json()["watcher"]["paused"] is False


async def test_a_page_of_the_server_s_own_may(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        headers = {"Origin": server.url}
        reply = await server.post("/api/generate", json={"script": "A fox"}, headers=headers)
        assert reply.status == 200


async def test_what_a_page_may_send_unasked_is_not_taken(tmp_path: Path) -> None:
    """A form or a `no-cors` fetch carries one of these types; JSON would need a preflight."""
    async with gateway(tmp_path) as server:
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            headers = {"Content-Type": kind}
            reply = await server.post("/api/generate", data='{"script": "A"}', headers=headers)
            assert reply.refusal == (415, "unsupported_media_type", None), kind
        assert await server.total() == 0


async def test_a_preflight_is_not_granted(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        reply = await server.request(
            "OPTIONS",
            "/api/generate",
            headers={
                "Origin": "https://evil.example",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type",
            },
        )
        assert reply.status == 405
        assert not [name for name in reply.headers if name.lower().startswith("access-control")]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
async def test_it_listens_on_ipv6(tmp_path: Path, host: str) -> None:
    async with gateway(tmp_path, AT_ONCE, host=host) as server:
        assert server.url.startswith("http://[::1]:")
        job_id = await server.submit()
        job = await server.job_when(job_id, "completed")
        assert job["videoUrl"].startswith(server.url)
        async with aiohttp.request("GET", job["videoUrl"]) as video:
            assert video.status == 200


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
async def test_a_wildcard_bind_is_reached_by_ipv6_and_names_ipv4_clients_by_their_address(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path, AT_ONCE, host="::", api_key=KEY, headers=BEARER) as server:
        assert server.url.startswith("http://[::1]:")
        job = await server.job_when(await server.submit(), "completed")
        assert job["videoUrl"].startswith(server.url)
        on_ipv4 = server.url.replace("[::1]", "127.0.0.1")
        async with aiohttp.request("GET", f"{on_ipv4}/api/jobs") as reply:
            assert reply.status == 401
        refused = [one["client"] for one in server.logs if one["event"] == "http.client_refused"]
        assert refused == ["127.0.0.1"]
