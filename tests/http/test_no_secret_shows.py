"""A run in which every secret is known: none is in the log, in a response, or in the database."""

import json
import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, Gateway, Reply, gateway
from receivers import receiver

from reelhook.domain.encryption import EncryptionKey, key_text
from reelhook.domain.endpoint import MASK
from reelhook.domain.signing_keys import private_text

OLD, NEW = key_text(bytes(32)), key_text(bytes(range(32)))
OLD_ID, NEW_ID = EncryptionKey.parse(OLD).id, EncryptionKey.parse(NEW).id
API_KEY, PROVIDER_KEY = "hunter2-the-api-key", "hunter2-the-key-of-the-provider"
OWN, ROTATED, HEADER = "hunter2-the-own-secret", "hunter2-the-new-one", "Bearer hunter2-header"
SIGNING: dict[str, Any] = {
    "webhook_secret": "hunter2-the-secret",
    "webhook_secret_previous": "hunter2-the-one-before",
    "webhook_private_key": private_text(b"hunter2-the-private-signing-key!"),
    "encryption_keys": NEW,
    "api_key": API_KEY,
    "openai_api_key": PROVIDER_KEY,
}
CALLER = {"Authorization": f"Bearer {API_KEY}"}


class Seen:
    """Calls a server, and remembers what it responds."""

    def __init__(self, server: Gateway) -> None:
        self._server = server
        self.bodies: list[str] = []

    async def __call__(self, method: str, path: str, **options: Any) -> Reply:
        reply = await self._server.request(method, path, **options)
        self.bodies.append(reply.body.decode())
        return reply


async def exercised(server: Gateway, see: Seen, hook: str) -> str:
    """Do everything that deals with secrets, right and wrong. Return the endpoint's id."""
    made = await server.endpoint(
        f"{hook}/hunter2-path?t=hunter2", secret=OWN, headers={"X": HEADER}
    )
    path = f"/api/endpoints/{made['id']}"
    assert (made["secret"], made["headers"]) == (OWN, {"X": MASK})
    rotated = await server.post(f"{path}/rotate", json={"secret": ROTATED})
    assert rotated.json()["headers"] == {"X": MASK}
    await see("PATCH", path, json={"headers": {"X": MASK, "Y": HEADER}})
    await see("PATCH", path, json={"headers": {"new": MASK}})
    await see("PATCH", path, json={"headers": {"Host": HEADER}})
    await see("POST", f"{path}/rotate", json={"secret": "hunter2 with spaces and\nlines"})
    await see("POST", "/api/endpoints", json={"url": "x", "secret": OWN, "headers": {"X": HEADER}})
    await see("POST", f"{path}/test")
    urls = {"webhookUrl": f"{hook}/hunter2-own?t=hunter2"}
    job_id = await server.submit(**urls, endpoints=[made["id"]])
    await server.job_when(job_id, "completed")
    await server.delivery_when("delivered", endpoint=made["id"])
    await see("POST", "/api/generate", headers={"Authorization": "Bearer hunter2-wrong"})
    for name in ("", "?failing=true", f"/{made['id']}"):
        await see("GET", f"/api/endpoints{name}")
    await see("GET", "/api/stats")
    await see("POST", "/api/encryption/reencrypt")
    await see("POST", "/api/encryption/reencrypt", json={"cursor": "hunter2"})
    return str(made["id"])


async def test_no_secret_is_in_a_log_line_a_response_or_the_database(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        receiver() as client,
        gateway(tmp_path, AT_ONCE, provider_key=PROVIDER_KEY, headers=CALLER, **SIGNING) as server,
    ):
        see = Seen(server)
        await exercised(server, see, client.url)
        client.status = 500
        await server.submit(webhookUrl=f"{client.url}/hunter2-fails?t=hunter2")
        await server.delivery_when("waiting")
        logged = json.dumps(server.logs, default=repr)
        assert "webhook.sent" in logged
        assert "job.webhook" in logged
        # The test's own receiver logs what it gets.
        others = [one for one in caplog.records if one.name != "aiohttp.access"]
        logged += "\n".join(one.getMessage() + (one.exc_text or "") for one in others)
        assert "hunter2" not in logged + repr(server.settings) + repr(server.hook)
        assert OWN not in (said := "\n".join(see.bodies))
        assert ROTATED not in said
        assert HEADER not in said
        assert "hunter2" not in (await server.get("/api/stats")).body.decode()
        assert HEADER in {webhook.headers.get("Y") for webhook in client.webhooks}
    with closing(sqlite3.connect(tmp_path / "reelhook.db")) as database:
        stored = "\n".join(database.iterdump())
    assert NEW_ID in stored
    for secret in (OWN, ROTATED, HEADER, *(str(one) for one in SIGNING.values())):
        assert secret not in stored


async def test_a_header_that_is_sent_back_masked_keeps_its_value(tmp_path: Path) -> None:
    async with (
        receiver() as client,
        gateway(tmp_path, AT_ONCE, encryption_keys=NEW) as server,
    ):
        made = await server.endpoint(client.url, headers={"X-Shop": HEADER})
        path = f"/api/endpoints/{made['id']}"
        shown = (await server.get(path)).json()["headers"]
        changed = await server.patch(path, json={"headers": shown, "description": "The shop"})
        assert changed.json()["headers"] == {"X-Shop": MASK}
        webhook = await client.ending(await server.submit(endpoints=[made["id"]]))
        assert webhook.headers["X-Shop"] == HEADER


async def test_without_its_key_an_endpoint_is_shown_as_locked_and_refuses_what_needs_it(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path, encryption_keys=f"{NEW},{OLD}") as server:
        made = await server.endpoint("https://shop.example/hook", headers={"X-Shop": HEADER})
        other = await server.endpoint("https://other.example/hook")
    with closing(sqlite3.connect(tmp_path / "reelhook.db")) as database, database:
        database.execute(
            "UPDATE endpoints SET secret = replace(secret, ?1, 'deadbeef') WHERE id = ?2",
            (NEW_ID, made["id"]),
        )
    async with gateway(tmp_path, encryption_keys=NEW) as server:
        path = f"/api/endpoints/{made['id']}"
        shown = (await server.get(path)).json()
        assert shown["health"]["state"] == "locked"
        assert shown["headers"] == {"X-Shop": MASK}
        assert "§" not in json.dumps(shown, ensure_ascii=False)
        listed = (await server.get("/api/endpoints?failing=true")).json()["endpoints"]
        assert [one["id"] for one in listed] == [made["id"]]
        for reply in (
            await server.post(f"{path}/test"),
            await server.post(f"{path}/rotate"),
            await server.patch(path, json={"headers": {"X-Shop": "new"}}),
        ):
            assert reply.refusal == (409, "conflict", None)
            assert reply.json()["problem"] == "endpoint_locked"
            assert "REELHOOK_ENCRYPTION_KEYS" in reply.json()["error"]
        kept = await server.patch(path, json={"headers": shown["headers"], "enabled": False})
        assert kept.json()["health"]["state"] == "disabled"
        await server.delete(path)
        assert (await server.get(f"/api/endpoints/{other['id']}")).json()["health"]["state"] == "ok"


async def test_secrets_are_encrypted_again_by_the_server(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        assert (await server.post("/api/encryption/reencrypt")).refusal == (
            409,
            "no_encryption_key",
            None,
        )
        await server.endpoint("https://shop.example/hook")
    async with gateway(tmp_path, encryption_keys=NEW) as server:
        batches: list[Any] = [(await server.post("/api/encryption/reencrypt")).json()]
        while (cursor := batches[-1]["nextCursor"]) is not None:
            reply = await server.post("/api/encryption/reencrypt", json={"cursor": cursor})
            batches.append(reply.json())
        assert {batch["keyId"] for batch in batches} == {NEW_ID}
        assert batches[0]["total"] == sum(batch["records"] for batch in batches)
        assert sum(batch["changed"] for batch in batches) == batches[0]["total"] - 1
        unknown = await server.post("/api/encryption/reencrypt", json={"cursor": "jobs/1"})
        assert unknown.refusal == (400, "invalid_request", "cursor")
