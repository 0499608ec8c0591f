"""An endpoint's settings on its page, and what was sent to it."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from browsing import Browsing, browsing, new_key
from gateways import AT_ONCE, Gateway, gateway
from receivers import Receiver, receiver

from reelhook.webhooks import verify

pytestmark = pytest.mark.asyncio(loop_scope="module")
KEY = "a-long-random-text"
BEARER = {"Authorization": f"Bearer {KEY}"}
XSS = "<script>alert(1)</script>"


class Stage:
    """A server, a visitor, a receiver, and an endpoint with one delivery."""

    def __init__(
        self, server: Gateway, visitor: Browsing, client: Receiver, endpoint: Any, job: str
    ) -> None:
        self.server, self.visitor, self.client = server, visitor, client
        self.endpoint, self.job = endpoint, job
        self.page = f"/webhooks/{endpoint['id']}"

    async def change(self, **fields: str) -> Any:
        await self.visitor.get(self.page)
        return await self.visitor.post(f"{self.page}/change", fields)

    async def stored(self) -> Any:
        return (await self.server.get(f"/api/endpoints/{self.endpoint['id']}")).json()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("endpoints")
    async with (
        gateway(folder, AT_ONCE, api_key=KEY, headers=BEARER) as server,
        receiver() as client,
        browsing(server) as visitor,
    ):
        await visitor.log_in(KEY)
        headers = {"X-Team": XSS, "X-Old": "gone"}
        endpoint = await server.endpoint(client.url, description="Shop", headers=headers)
        job = await server.submit("A fox", endpoints=[endpoint["id"]])
        await server.job_when(job, "completed")
        await server.delivery_when("delivered", jobId=job)
        yield Stage(server, visitor, client, endpoint, job)


async def test_what_was_sent_is_shown_as_the_receiver_got_it(stage: Stage) -> None:
    (delivery,) = await stage.server.deliveries(jobId=stage.job)
    path = f"/jobs/{stage.job}/deliveries/{delivery['id']}"
    html = await stage.visitor.text(path)
    for request in stage.client.webhooks:
        body = request.raw
        assert f"webhook-signature: {request.headers['webhook-signature']}" in html
        assert f"X-Signature: {request.headers['X-Signature']}" in html
        assert body.decode() in html
        assert hashlib.sha256(body).hexdigest() in html
        verify(body, request.headers, stage.endpoint["secret"])
    assert XSS not in html
    assert "X-Team: ********" in html
    assert (await stage.visitor.get(f"/jobs/other/deliveries/{delivery['id']}")).status == 404
    assert (await stage.visitor.get(f"/jobs/{stage.job}/deliveries/9999999")).status == 404


async def test_a_reader_does_not_see_the_signatures(stage: Stage) -> None:
    (delivery,) = await stage.server.deliveries(jobId=stage.job)
    made = await new_key(stage.server, {}, scopes=["read"])
    async with browsing(stage.server) as reader:
        await reader.log_in(made["key"])
        html = await reader.text(f"/jobs/{stage.job}/deliveries/{delivery['id']}")
    assert "webhook-id: " in html
    assert "webhook-signature: " not in html
    assert "X-Signature: " not in html
    assert "v1," not in html


async def test_settings_are_changed_and_masked_headers_stay(stage: Stage) -> None:
    reply = await stage.change(
        url=stage.client.url,
        description="Shop 2",
        headers="X-Team: ********\r\nX-New: one: two\r\n",
        concurrency="3",
        format="openai",
        **{"event.completed": "on", "event.failed": "on"},
    )
    assert (reply.status, "endpoint_changed" in reply.headers["Location"]) == (303, True)
    stored = await stage.stored()
    assert stored["description"] == "Shop 2"
    assert set(stored["headers"]) == {"X-Team", "X-New"}
    assert stored["events"] == ["completed", "failed"]
    assert (stored["format"], stored["concurrency"]) == ("openai", 3)
    assert stored["broadcast"] is False
    job = await stage.server.submit("A fox", endpoints=[stage.endpoint["id"]])
    await stage.server.delivery_when("delivered", jobId=job)
    newest = stage.client.webhooks[-1]
    assert (newest.headers["X-Team"], newest.headers["X-New"]) == (XSS, "one: two")
    html = await stage.visitor.text(stage.page)
    assert 'name="event.completed" checked' in html
    assert 'name="event.progress" checked' not in html


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"headers": "no colon"}, "Line 1 of the headers has no colon"),
        ({"headers": "Host: a.example"}, "must not have Host: reelhook sets it"),
        ({"headers": "X-A: 1\nx-a: 2"}, "must name each header once"),
        ({"concurrency": "0"}, "must be a whole number from 1 to 25"),
        ({"format": "vercel", "event.progress": "on"}, "progress"),
        ({"url": "ftp://a.example"}, "http"),
        ({"event.completed": "", "nothing": ""}, ""),
    ],
)
async def test_settings_that_are_refused_keep_what_was_typed(
    stage: Stage, fields: dict[str, str], words: str
) -> None:
    given = {"description": f"typed {XSS}", "event.completed": "on", "headers": "", **fields}
    before = await stage.stored()
    if not words:
        given = {"description": "typed", "headers": ""}
        words = "Choose at least one event"
    reply = await stage.change(**given)
    html = reply.body.decode()
    assert reply.status == 400
    assert words in html
    assert 'value="typed' in html
    assert XSS not in html
    assert await stage.stored() == before
