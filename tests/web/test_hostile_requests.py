"""Requests that no page of ours sends: each is refused in words, and none is a failure of ours."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from browsing import HTML, Browsing, browsing
from gateways import AT_ONCE, Gateway, Reply, gateway

from reelhook.doors.bodies import MEMORY_BYTES_MIN, SMALL_BYTES
from reelhook.doors.limits import MIB

pytestmark = pytest.mark.asyncio(loop_scope="module")
KEY = "a-long-random-text"
BEARER = {"Authorization": f"Bearer {KEY}"}
DIGITS = "9" * 5000
"""More than `int` converts, by the default limit of Python."""
MANY = {f"job.{number}": "on" for number in range(300)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    folder = tmp_path_factory.mktemp("hostile")
    async with gateway(folder, AT_ONCE, api_key=KEY) as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(server: Gateway) -> AsyncIterator[Browsing]:
    async with browsing(server) as visitor:
        assert (await visitor.log_in(KEY)).status == 303
        yield visitor


def is_page(reply: Reply) -> bool:
    return reply.body.startswith(b"<!doctype html>")


@pytest.mark.parametrize("path", ["/login", "/theme", "/logout"])
async def test_a_form_with_too_many_fields_is_refused_without_a_key(
    server: Gateway, path: str
) -> None:
    async with browsing(server) as visitor:
        await visitor.get("/login")
        reply = await visitor.post(path, MANY)
    assert (reply.status, is_page(reply)) == (400, True)
    assert b"fields" in reply.body


@pytest.mark.parametrize("wanted", ["//[", "/[", "//[::1"])
async def test_an_address_that_can_not_be_parsed_leads_to_the_first_page(
    server: Gateway, wanted: str
) -> None:
    async with browsing(server) as visitor:
        assert (await visitor.get(f"/login?next={wanted}")).status == 200
        reply = await visitor.post("/theme", {"theme": "dark", "next": wanted})
    assert reply.status == 303
    assert reply.headers["Location"] in {"/", "/["}


async def test_a_referrer_that_can_not_be_parsed_leads_to_the_login(server: Gateway) -> None:
    reply = await server.post("/jobs/selected", data={}, headers={**HTML, "Referer": "http://["})
    assert (reply.status, reply.headers["Location"]) == (303, "/login")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_wrong_method_is_a_page_too(server: Gateway, method: str) -> None:
    reply = await server.request(method, "/logout", headers=HTML)
    assert (reply.status, is_page(reply), reply.headers["Allow"]) == (405, True, "POST")
    assert b"operator" not in reply.body


async def test_json_is_no_form(server: Gateway) -> None:
    reply = await server.post("/login", json={"key": KEY}, headers=HTML)
    assert (reply.status, is_page(reply)) == (415, True)


@pytest.mark.parametrize("declared", [True, False])
async def test_a_form_without_a_session_is_small(server: Gateway, declared: bool) -> None:
    form = b"key=" + b"a" * SMALL_BYTES

    async def pieces() -> AsyncIterator[bytes]:
        yield form

    headers = {**HTML, "Content-Type": "application/x-www-form-urlencoded"}
    reply = await server.post("/login", data=form if declared else pieces(), headers=headers)
    assert (reply.status, is_page(reply)) == (413, True)
    assert b"64 KiB" in reply.body


async def test_forms_that_arrive_slowly_hold_back_no_body_with_a_key(server: Gateway) -> None:
    released = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"key="
        await released.wait()

    async def slow() -> int:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Content-Length": str(MIB),
        }
        return (await server.post("/login", data=endless(), headers=headers)).status

    strangers = [asyncio.create_task(slow()) for _ in range(MEMORY_BYTES_MIN // MIB)]
    await asyncio.sleep(0)
    body = json.dumps({"script": "a" * 2 * SMALL_BYTES}).encode()
    headers = {**BEARER, "Content-Type": "application/json"}
    async with asyncio.timeout(5):
        reply = await server.post("/api/generate", data=body, headers=headers)
    assert reply.status == 400
    released.set()
    for stranger in strangers:
        stranger.cancel()
    await asyncio.gather(*strangers, return_exceptions=True)


@pytest.mark.parametrize(
    "path",
    [
        f"/jobs?live=poll&newest={DIGITS}",
        f"/jobs?live=poll&newest={'9' * 20}",
        f"/jobs?q=age:>{DIGITS}d",
        "/jobs?q=age:>99999999999d",
        "/jobs?q=age:<30000d",
        f"/webhooks?cursor={DIGITS}",
        f"/try?seed={DIGITS}",
        f"/try?seed={'9' * 30}",
        "/try?seed=x",
    ],
)
async def test_a_number_in_an_address_is_no_number_of_ours(operator: Browsing, path: str) -> None:
    assert (await operator.get(path)).status == 200


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/keys", {"name": "one", "days": DIGITS}),
        ("/costs/raise", {"hours": DIGITS}),
        ("/costs/raise", {"hours": "1", "jobs_per_day": DIGITS}),
        ("/try", {"model": "openai/sora-2", "prompt": "A fox", "seed": DIGITS}),
        ("/try", {"model": "openai/sora-2", "prompt": "A fox", "seed": "a lot"}),
        ("/webhooks/{endpoint_id}/change", {"event.completed": "on", "concurrency": DIGITS}),
        ("/jobs/selected", MANY),
    ],
)
async def test_a_form_with_a_wrong_number_is_refused(
    server: Gateway, operator: Browsing, path: str, fields: dict[str, str]
) -> None:
    url = "https://example.com/hook"
    made = await server.post("/api/endpoints", json={"url": url}, headers=BEARER)
    await operator.get("/keys")
    reply = await operator.post(path.format(endpoint_id=made.json()["id"]), fields)
    assert (reply.status, is_page(reply)) == (400, True)
    stats = await server.get("/api/stats", headers=BEARER)
    assert stats.json()["jobs"]["total"] == 0


async def test_a_number_that_no_delivery_has_is_unknown(operator: Browsing) -> None:
    await operator.get("/keys")
    reply = await operator.post(f"/jobs/job_1/resend/{DIGITS}", {})
    assert (reply.status, is_page(reply)) == (404, True)
