"""Bad endpoints are refused with field and remedy, and none is stored."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from gateways import Gateway, gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")
PUBLIC = "https://example.com/hook"
HOOK = {"url": PUBLIC}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path_factory.mktemp("bad_endpoints"), allow_networks="") as one:
        yield one


async def nothing_is_there(server: Gateway) -> bool:
    return bool((await server.get("/api/endpoints")).json() == {"endpoints": []})


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:3000/hook",
        "http://localhost/hook",
        "http://[::1]/hook",
        "http://169.254.169.254/latest/meta-data",
        "http://0x7f000001/",
        "http://app:3000/hook",
        "https://user:pw@example.com/hook",
        "ftp://example.com/hook",
        "https://example.com:25/hook",
        "//example.com/hook",
        "",
        f"https://example.com/{'x' * 2048}",
    ],
)
async def test_an_untrusted_url_is_refused(server: Gateway, url: str) -> None:
    reply = await server.post("/api/endpoints", json={"url": url})
    assert reply.refusal == (400, "webhook_url_refused", "url")
    assert await nothing_is_there(server)


@pytest.mark.parametrize(
    ("fields", "field", "remedy"),
    [
        ({"url": None}, "url", "must be a string"),
        ({"url": 7}, "url", "must be a string"),
        ({"description": ""}, "description", "must not be empty"),
        ({"description": "x" * 256}, "description", "at most 255 characters"),
        ({"description": 7}, "description", "must be a string"),
        ({"events": []}, "events", "must name at least 1"),
        ({"events": "completed"}, "events", "must be a list"),
        ({"events": ["done"]}, "events.0", "must be one of queued"),
        ({"headers": []}, "headers", "must be an object"),
        ({"headers": {"X-A": 7}}, "headers.X-A", "must be a string"),
        ({"headers": {"X A": "7"}}, "headers", "header names of letters"),
        ({"headers": {"": "7"}}, "headers", "header names of letters"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "headers", "visible ASCII"),
        ({"headers": {"X-A": "é"}}, "headers", "visible ASCII"),
        ({"headers": {"X-A": "x" * 1025}}, "headers", "at most 1024"),
        ({"headers": {f"X-{n}": "" for n in range(21)}}, "headers", "must be at most 20"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "headers", "name each header once"),
        ({"headers": {"webhook-id": "1"}}, "headers", "not have webhook-id: reelhook sets"),
        ({"headers": {"X-SIGNATURE": "1"}}, "headers", "not have X-SIGNATURE: reelhook sets"),
        ({"headers": {"X-Timestamp": "1"}}, "headers", "not have X-Timestamp: reelhook sets"),
        ({"headers": {"Content-Type": "1"}}, "headers", "not have Content-Type: reelhook sets"),
        ({"headers": {"Content-Length": "1"}}, "headers", "not have Content-Length: reelhook sets"),
        ({"headers": {"host": "1"}}, "headers", "not have host: reelhook sets"),
        ({"headers": {"Transfer-Encoding": "1"}}, "headers", "not have Transfer-Encoding"),
        ({"headers": {"User-Agent": "1"}}, "headers", "not have User-Agent: reelhook sets"),
        ({"concurrency": 0}, "concurrency", "must be at least 1"),
        ({"concurrency": 26}, "concurrency", "must be at most 25"),
        ({"concurrency": "4"}, "concurrency", "must be a whole number"),
        ({"concurrency": 1.5}, "concurrency", "must be a whole number"),
        ({"broadcast": 1}, "broadcast", "must be true or false"),
        ({"broadcast": "yes"}, "broadcast", "must be true or false"),
    ],
)
async def test_a_wrong_field_is_refused_with_its_remedy(
    server: Gateway, fields: dict[str, Any], field: str, remedy: str
) -> None:
    reply = await server.post("/api/endpoints", json=HOOK | fields)
    assert reply.refusal == (400, "invalid_request", field)
    assert remedy in reply.json()["error"]
    assert await nothing_is_there(server)


async def test_a_url_is_required(server: Gateway) -> None:
    reply = await server.post("/api/endpoints", json={"description": "Our app"})
    assert reply.refusal == (400, "invalid_request", "url")
    assert "is required" in reply.json()["error"]


@pytest.mark.parametrize(
    ("secret", "remedy"),
    [
        ("short", "at least 16 characters"),
        ("", "at least 16 characters"),
        ("x" * 257, "at most 256 characters"),
        ("sixteen letters!", "without spaces or line breaks"),
        ("sixteen-lettérs!", "without spaces or line breaks"),
        ("whsec_not-base64-at-all", "base64 after whsec_"),
        (7, "must be a string"),
    ],
)
async def test_a_bad_secret_is_refused_and_never_said(
    server: Gateway, secret: Any, remedy: str
) -> None:
    reply = await server.post("/api/endpoints", json=HOOK | {"secret": secret})
    assert reply.refusal == (400, "invalid_request", "secret")
    assert remedy in reply.json()["error"]
    assert not secret or str(secret) not in reply.json()["error"]
    assert await nothing_is_there(server)


async def test_unknown_endpoints_are_404_whatever_is_asked_of_them(server: Gateway) -> None:
    for endpoint_id in ("ep_nobody", "default", "a%20b", "%00", "x" * 500):
        path = f"/api/endpoints/{endpoint_id}"
        for reply in (
            await server.get(path),
            await server.patch(path, json={"concurrency": 2}),
            await server.patch(path, json={"url": "http://127.0.0.1/"}),
            await server.delete(path),
            await server.post(f"{path}/rotate"),
            await server.post(f"{path}/test"),
        ):
            assert reply.refusal == (404, "endpoint_not_found", None)
            assert "GET /api/endpoints" in reply.json()["error"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "http://127.0.0.1/"}, "url"),
        ({"url": 7}, "url"),
        ({"events": []}, "events"),
        ({"headers": {"Host": "x"}}, "headers"),
        ({"concurrency": 99}, "concurrency"),
        ({"enabled": "no"}, "enabled"),
        ({"enabled": 0}, "enabled"),
    ],
)
async def test_a_wrong_change_changes_nothing(
    server: Gateway, change: dict[str, Any], field: str
) -> None:
    made = await server.endpoint(PUBLIC)
    path = f"/api/endpoints/{made['id']}"
    try:
        reply = await server.patch(path, json={"description": "Changed"} | change)
        status, _, named = reply.refusal
        assert (status, named) == (400, field)
        assert (await server.get(path)).json()["description"] is None
    finally:
        await server.delete(path)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"overlapHours": -1}, "overlapHours"),
        ({"overlapHours": 721}, "overlapHours"),
        ({"overlapHours": "a while"}, "overlapHours"),
        ({"secret": "short"}, "secret"),
    ],
)
async def test_a_wrong_rotation_rotates_nothing(
    server: Gateway, body: dict[str, Any], field: str
) -> None:
    path = f"/api/endpoints/{(await server.endpoint(PUBLIC))['id']}"
    try:
        reply = await server.post(f"{path}/rotate", json=body)
        assert reply.refusal == (400, "invalid_request", field)
        assert (await server.get(path)).json()["previousSecretUntil"] is None
    finally:
        await server.delete(path)
