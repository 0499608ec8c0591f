"""Two applications with keys of their own: each sees and receives its own things only."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from cleaning_up import clean_up
from gateways import AT_ONCE, SMALL, Gateway, gateway, until
from multidict import CIMultiDictProxy

OPERATOR = "the-operators-key-of-the-tests"


@dataclass(frozen=True)
class Webhook:
    """A request that arrived."""

    path: str
    headers: CIMultiDictProxy[str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    def signed_with(self, secret: str) -> bool:
        expected = hmac.new(secret.encode(), self.raw, hashlib.sha256).hexdigest()
        return self.headers["X-Signature"] == expected


@dataclass
class Receiver:
    """A server that accepts every webhook."""

    url: str = ""
    webhooks: list[Webhook] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.webhooks.append(Webhook(request.path, request.headers, await request.read()))
        return web.Response(status=204)

    def completed(self) -> set[str]:
        return {one.body["jobId"] for one in self.webhooks if one.body["status"] == "completed"}


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    one = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", one.take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield one
    finally:
        await clean_up(runner)


@dataclass(frozen=True)
class Application:
    """A project with its secret, and the headers that carry its key."""

    project: str
    secret: str
    key: dict[str, str]


async def application(server: Gateway, name: str, webhook_url: str) -> Application:
    made = await server.post("/api/projects", json={"name": name})
    path = f"/api/projects/{made.json()['id']}"
    await server.patch(path, json={"webhookUrl": webhook_url})
    secret = (await server.post(f"{path}/rotate", json={"overlapHours": 0})).json()["secret"]
    key = await server.post("/api/keys", json={"name": name, "project": name, "scopes": ["admin"]})
    headers = {"Authorization": f"Bearer {key.json()['key']}"}
    return Application(made.json()["id"], secret, headers)


async def submitted(server: Gateway, app: Application, **fields: Any) -> str:
    reply = await server.post(
        "/api/generate", json={"script": "A fox", **SMALL, **fields}, headers=app.key
    )
    assert reply.status == 200, reply.body
    return str(reply.json()["jobId"])


@asynccontextmanager
async def two(folder: Path) -> AsyncIterator[tuple[Gateway, Receiver, Application, Application]]:
    operator = {"Authorization": f"Bearer {OPERATOR}"}
    async with (
        receiving() as receiver,
        gateway(folder, AT_ONCE, api_key=OPERATOR, headers=operator) as server,
    ):
        shop, news = [
            await application(server, name, f"{receiver.url}/{name}") for name in ("shop", "news")
        ]
        yield server, receiver, shop, news


async def test_each_gets_its_own_webhooks_signed_with_its_own_secret(tmp_path: Path) -> None:
    async with two(tmp_path) as (server, receiver, shop, news):
        jobs = {}
        for app, path in ((shop, "/shop"), (news, "/news")):
            jobs[await submitted(server, app)] = (app, path)
            own = await submitted(server, app, webhookUrl=f"{receiver.url}/own")
            jobs[own] = (app, "/own")

        async def all_arrived() -> bool:
            return receiver.completed() == set(jobs)

        await until(all_arrived)
        for webhook in receiver.webhooks:
            app, path = jobs[webhook.body["jobId"]]
            assert webhook.path == path
            assert webhook.signed_with(app.secret)
            assert not webhook.signed_with((news if app is shop else shop).secret)


async def test_neither_finds_the_endpoints_and_deliveries_of_the_other(tmp_path: Path) -> None:
    async with two(tmp_path) as (server, _, shop, news):
        job = await submitted(server, news)
        theirs = f"default_{news.project}"
        await server.delivery_when("delivered", jobId=job)
        (delivery,) = await server.deliveries(jobId=job)
        listed = (await server.get("/api/endpoints", headers=shop.key)).json()["endpoints"]
        assert [one["id"] for one in listed] == [f"default_{shop.project}"]
        empty = (await server.get("/api/deliveries", headers=shop.key)).json()
        assert empty["deliveries"] == []
        for method, foreign, unknown, body in (
            ("GET", f"endpoints/{theirs}", "endpoints/ep_unknown", None),
            ("PATCH", f"endpoints/{theirs}", "endpoints/ep_unknown", {"enabled": False}),
            ("POST", f"endpoints/{theirs}/test", "endpoints/ep_unknown/test", {}),
            ("GET", f"deliveries/{delivery['id']}", "deliveries/999", None),
            ("GET", f"deliveries/{delivery['id']}/attempts", "deliveries/999/attempts", None),
            ("POST", f"deliveries/{delivery['id']}/resend", "deliveries/999/resend", {}),
            ("GET", f"projects/{news.project}", "projects/prj_unknown", None),
        ):
            replies = [
                await server.request(method, f"/api/{path}", json=body, headers=shop.key)
                for path in (foreign, unknown)
            ]
            assert [reply.status for reply in replies] == [404, 404], foreign
            assert replies[0].body == replies[1].body
        named = {"script": "A fox", **SMALL, "endpoints": [theirs]}
        refused = await server.post("/api/generate", json=named, headers=shop.key)
        assert refused.json()["problem"] == "unknown_endpoint"


async def test_a_closed_project_goes_with_its_data_and_keeps_its_costs(tmp_path: Path) -> None:
    async with two(tmp_path) as (server, receiver, shop, news):
        kept = await submitted(server, news)
        job = await submitted(server, shop)
        costs = ("/api/costs", {"project": "shop"})

        async def both_arrived() -> bool:
            return receiver.completed() == {job, kept}

        await until(both_arrived)
        before = (await server.get(costs[0], params=costs[1])).json()
        closed = await server.post("/api/projects/shop/close", json={"deleteData": True})
        assert closed.status == 200

        async def deleted() -> Any:
            return (await server.get("/api/projects/shop")).json()["dataDeletedAt"]

        await until(deleted)
        assert (await server.get(f"/api/jobs/{job}")).status == 404
        assert (await server.get(costs[0], params=costs[1])).json() == before
        listed = (await server.get("/api/endpoints")).json()["endpoints"]
        assert [one["id"] for one in listed] == [f"default_{news.project}"]

        async def key_ended() -> bool:
            return (await server.get("/api/jobs", headers=shop.key)).status == 401

        await until(key_ended)
        again = {"script": "A fox", **SMALL, "project": "shop"}
        assert (await server.post("/api/generate", json=again)).status == 403
        assert (await server.get(f"/api/jobs/{kept}", headers=news.key)).status == 200
