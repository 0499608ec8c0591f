"""The login: a session by a key, which ends with that key."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from browsing import HTML, browsing, new_key
from gateways import AT_ONCE, gateway, until

from reelhook.domain.api_key import token_hash
from reelhook.doors.context import HttpOptions
from reelhook.doors.sessions import SESSION_SECONDS, Sessions
from reelhook.doors.web.login import network_of

KEY = "a-long-random-text"
BEARER = {"Authorization": f"Bearer {KEY}"}


async def test_without_any_key_there_is_no_login(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server, browsing(server) as visitor:
        assert (await visitor.get("/")).status == 200
        assert (await visitor.get("/login")).headers["Location"] == "/"


async def test_a_page_without_a_session_leads_to_the_login_and_then_to_that_page(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path, api_key=KEY) as server, browsing(server) as visitor:
        asked = await visitor.get("/jobs?q=status%3Afailed")
        assert asked.status == 303
        assert asked.headers["Location"] == "/login?next=/jobs%3Fq%3Dstatus%3Afailed"
        await visitor.get(asked.headers["Location"])
        reply = await visitor.post("/login", {"key": KEY, "next": "/jobs?q=status%3Afailed"})
        assert (reply.status, reply.headers["Location"]) == (303, "/jobs?q=status%3Afailed")
        cookie = reply.headers["Set-Cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert KEY not in cookie
        assert (await visitor.get("/jobs")).status == 200


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/\tx"]
)
async def test_the_login_leads_to_no_other_site(tmp_path: Path, wanted: str) -> None:
    async with gateway(tmp_path, api_key=KEY) as server, browsing(server) as visitor:
        await visitor.get("/login")
        reply = await visitor.post("/login", {"key": KEY, "next": wanted})
        assert (reply.status, reply.headers["Location"]) == (303, "/")


async def test_an_unknown_and_a_revoked_key_get_the_same_words_and_time(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY) as server, browsing(server) as visitor:
        made = await new_key(server, BEARER, scopes=["read"])
        await server.post(f"/api/keys/{made['id']}/revoke", headers=BEARER)
        pages, loop = [], asyncio.get_running_loop()
        for key in (made["key"], made["key"][:-1] + "x", "nonsense"):
            began = loop.time()
            reply = await visitor.log_in(key)
            assert loop.time() - began >= 0.3
            assert (reply.status, "Set-Cookie" in reply.headers) == (401, False)
            pages.append(reply.body.replace(visitor.form_fields["once"].encode(), b""))
        assert "This key is not accepted here" in pages[0].decode()
        assert len({len(page) for page in pages}) == 1


async def test_the_tries_of_a_client_are_limited(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY) as server, browsing(server) as visitor:
        await visitor.get("/login")
        replies = await asyncio.gather(*(visitor.post("/login", {"key": "no"}) for _ in range(11)))
        assert sorted(reply.status for reply in replies) == [*([401] * 10), 429]
        assert (await visitor.post("/login", {"key": KEY})).status == 429


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_the_addresses_that_one_client_can_choose_have_their_tries_together(
    client: str, network: str
) -> None:
    assert network_of(client) == network


async def test_a_browser_that_came_by_tls_gets_a_cookie_for_tls_alone(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY) as server, browsing(server) as visitor:
        await visitor.get("/login")
        plain = await visitor.post("/login", {"key": KEY})
        assert "secure" not in plain.headers["Set-Cookie"].lower()
        # A proxy that says nothing about the scheme.
        origin = server.url.replace("http:", "https:")
        await visitor.get("/login")  # the form's token is that of the new session
        reply = await visitor.post("/login", {"key": KEY}, origin=origin)
        assert "secure" in reply.headers["Set-Cookie"].lower()


async def test_a_session_ends_with_its_key(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY) as server, browsing(server) as visitor:
        made = await new_key(server, BEARER, scopes=["read"])
        assert (await visitor.log_in(made["key"])).status == 303
        assert (await visitor.get("/jobs")).status == 200
        await server.post(f"/api/keys/{made['id']}/revoke", headers=BEARER)

        async def ended() -> bool:
            return (await visitor.get("/jobs")).status == 303

        await until(ended, seconds=1)


@pytest.mark.parametrize("page", ["/", "/jobs", "/webhooks", "/system"])
async def test_an_open_page_ends_with_its_key(tmp_path: Path, page: str) -> None:
    async with gateway(tmp_path, api_key=KEY) as server, browsing(server) as visitor:
        made = await new_key(server, BEARER, scopes=["read"])
        await visitor.log_in(made["key"])
        async with visitor.session.get(f"{server.url}{page}?live=stream") as stream:
            assert await stream.content.readline() == b": following\n"
            await server.post(f"/api/keys/{made['id']}/revoke", headers=BEARER)
            async with asyncio.timeout(2):
                await stream.read()


@pytest.mark.parametrize("role", ["operator", "read"])
async def test_an_open_page_ends_with_its_session(tmp_path: Path, role: str) -> None:
    async with gateway(tmp_path, api_key=KEY) as server, browsing(server) as visitor:
        made = await new_key(server, BEARER, scopes=["read"])
        key_hash = None if role == "operator" else token_hash(made["key"])
        app: Any = server.hook.asgi
        options: HttpOptions = app.state.options
        sessions = Sessions(options.access)
        began_at = options.clock.now() - SESSION_SECONDS * 1000 + 400
        cookies = {sessions.cookie: sessions.begin(key_hash, began_at).text}
        path = f"{server.url}/jobs?live=stream"
        async with visitor.session.get(path, cookies=cookies) as stream:
            assert await stream.content.readline() == b": following\n"
            async with asyncio.timeout(5):
                await stream.read()
        assert (await server.get("/jobs", headers=HTML, cookies=cookies)).status == 303


async def test_a_session_of_another_api_key_is_none(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY) as server, browsing(server) as visitor:
        await visitor.log_in(KEY)
        cookies = {one.key: one.value for one in visitor.session.cookie_jar}
    async with gateway(tmp_path, api_key="another-random-text") as server:
        reply = await server.get("/jobs", headers=HTML, cookies=cookies)
        assert reply.status == 303


async def test_a_session_is_no_key_of_the_api(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY) as server, browsing(server) as visitor:
        await visitor.log_in(KEY)
        assert (await visitor.get("/api/jobs")).status == 401
        assert (await server.get("/jobs", headers=BEARER)).status == 303


async def test_a_changed_session_is_none(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key=KEY) as server, browsing(server) as visitor:
        await visitor.log_in(KEY)
        (cookie,) = visitor.session.cookie_jar
        who, expires_at, *rest = cookie.value.split(".")
        for changed in (
            ".".join([who, str(int(expires_at) + 1), *rest]),
            ".".join(["a" * 64, expires_at, *rest]),
            cookie.value[:-1],
            "...",
        ):
            reply = await server.get("/jobs", headers=HTML, cookies={cookie.key: changed})
            assert reply.status == 303, changed


async def test_a_link_on_another_site_gets_the_cookie_on_the_second_request(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE, api_key=KEY) as server, browsing(server) as visitor:
        reply = await visitor.get("/jobs", **{"Sec-Fetch-Site": "cross-site"})
        assert (reply.status, b'http-equiv="refresh"' in reply.body) == (200, True)
