"""What signs an endpoint's webhooks: its own secret, rotations, test events."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gateways import AT_ONCE, Reply, gateway
from receivers import receiver
from standardwebhooks import Webhook as StandardWebhook

from reelhook.domain.signature import standard_secret

PUBLIC = "https://example.com/hook"
KEY = "a-long-random-text"
SECRET = "whsec_" + "b2xkIGFuZCBuZXcgc2VjcmV0cyE="


async def test_an_endpoints_own_secret_and_headers_go_along(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        made = await server.endpoint(client.url, headers={"X-Tenant": "7"})
        webhook = await client.ending(await server.submit(endpoints=[made["id"]]))
        assert webhook.headers["X-Tenant"] == "7"
        StandardWebhook(made["secret"]).verify(webhook.raw, dict(webhook.headers))


@pytest.mark.parametrize("secret", ["sixteen letters!", SECRET])
async def test_a_secret_may_be_brought_along(tmp_path: Path, secret: str) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        made = await server.endpoint(client.url, secret=secret.replace(" ", "-"))
        webhook = await client.ending(await server.submit(endpoints=[made["id"]]))
        StandardWebhook(standard_secret(made["secret"])).verify(webhook.raw, dict(webhook.headers))


async def test_after_a_rotation_both_secrets_sign_for_a_while(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        made = await server.endpoint(client.url)
        path = f"/api/endpoints/{made['id']}"
        rotated = (await server.post(f"{path}/rotate", json={"overlapHours": 2})).json()
        assert rotated["secret"] != made["secret"]
        until = datetime.fromisoformat(rotated["previousSecretUntil"])
        left = until - datetime.now(UTC)
        assert timedelta(hours=1.9) < left <= timedelta(hours=2)
        webhook = await client.ending(await server.submit(endpoints=[made["id"]]))
        for secret in (made["secret"], rotated["secret"]):
            StandardWebhook(secret).verify(webhook.raw, dict(webhook.headers))
        old = hmac.new(made["secret"].encode(), webhook.raw, hashlib.sha256).hexdigest()
        assert webhook.headers["X-Signature"] == old


async def test_a_rotation_without_overlap_or_with_a_secret_of_ones_own(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        made = await server.endpoint(client.url)
        path = f"/api/endpoints/{made['id']}/rotate"
        rotated = (await server.post(path, json={"secret": SECRET, "overlapHours": 0})).json()
        assert rotated["secret"] == SECRET
        webhook = await client.ending(await server.submit(endpoints=[made["id"]]))
        assert len(webhook.headers["webhook-signature"].split()) == 1
        StandardWebhook(SECRET).verify(webhook.raw, dict(webhook.headers))


async def test_without_a_body_a_rotation_takes_the_settings_overlap(tmp_path: Path) -> None:
    async with gateway(tmp_path, secret_overlap_hours=3) as server:
        made = await server.endpoint(PUBLIC)
        rotated = (await server.post(f"/api/endpoints/{made['id']}/rotate")).json()
        left = datetime.fromisoformat(rotated["previousSecretUntil"]) - datetime.now(UTC)
        assert timedelta(hours=2.9) < left <= timedelta(hours=3)


# -- test events ----------------------------------------------------------------------------------


async def test_a_test_event_is_signed_and_known_as_one(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path) as server:
        made = await server.endpoint(client.url, headers={"X-Tenant": "7"})
        result = (await server.post(f"/api/endpoints/{made['id']}/test")).json()
        assert result.pop("durationMs") >= 0
        assert result == {
            "delivered": True,
            "status": 200,
            "error": None,
            "detail": None,
            "answer": '{"ok": true}',
        }
        [webhook] = client.webhooks
        assert webhook.body["test"] is True
        assert webhook.body["jobId"] == webhook.headers["webhook-id"]
        assert webhook.headers["X-Tenant"] == "7"
        StandardWebhook(made["secret"]).verify(webhook.raw, dict(webhook.headers))
        assert (await server.get("/api/deliveries")).json()["deliveries"] == []
        assert (await server.get("/api/events")).json()["events"] == []


async def test_a_test_tells_how_a_receiver_refuses_and_counts_for_nothing(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path) as server:
        client.status, client.answer = 503, "Too early"
        path = f"/api/endpoints/{(await server.endpoint(client.url))['id']}"
        for _ in range(6):
            result = (await server.post(f"{path}/test")).json()
            assert (result["delivered"], result["status"], result["answer"]) == (
                False,
                503,
                "Too early",
            )
        assert (await server.get(path)).json()["health"]["state"] == "ok"


async def test_a_test_of_nobody_names_the_class_of_failure(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        path = f"/api/endpoints/{(await server.endpoint('http://127.0.0.1:2/'))['id']}/test"
        result = (await server.post(path)).json()
        assert (result["delivered"], result["status"]) == (False, None)
        assert result["error"]
        assert result["detail"]


async def test_the_values_of_headers_are_shown_to_nobody_and_can_be_kept(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path) as server:
        made = await server.endpoint(
            client.url, headers={"Authorization": "Bearer hunter2", "X-Tenant": "7"}
        )
        path = f"/api/endpoints/{made['id']}"
        read = (await server.get(path)).json()
        listed = (await server.get("/api/endpoints")).json()["endpoints"][0]
        masked = {"Authorization": "********", "X-Tenant": "********"}
        assert made["headers"] == read["headers"] == listed["headers"] == masked

        changed = {"authorization": "********", "X-Tenant": "8"}
        assert (await server.patch(path, json={"headers": changed})).status == 200
        await server.post(f"{path}/test")
        [webhook] = client.webhooks
        assert webhook.headers["Authorization"] == "Bearer hunter2"
        assert webhook.headers["X-Tenant"] == "8"


async def test_another_server_gets_no_value_of_a_header_that_it_was_not_given(
    tmp_path: Path,
) -> None:
    bearer = {"Authorization": f"Bearer {KEY}"}
    async with receiver() as client, gateway(tmp_path, api_key=KEY, headers=bearer) as server:
        body = {"name": "app", "scopes": ["operate"]}
        key = (await server.post("/api/keys", json=body)).json()["key"]
        of_key = {"Authorization": f"Bearer {key}"}
        made = await server.endpoint("https://example.com/hook", headers={"X-Key": "hunter2"})
        path = f"/api/endpoints/{made['id']}"
        for more in ({}, {"headers": {"X-Key": "********"}}):
            change = {"url": client.url, **more}
            refused = await server.patch(path, json=change, headers=of_key)
            assert refused.refusal == (400, "invalid_request", "headers")
            assert made["id"] in refused.json()["error"]
        assert (await server.get(path)).json()["url"] == "https://example.com/hook"
        same = {"url": "https://example.com/other"}
        assert (await server.patch(path, json=same, headers=of_key)).status == 200
        given = {"url": client.url, "headers": {"X-Key": "another"}}
        assert (await server.patch(path, json=given, headers=of_key)).status == 200
        await server.post(f"{path}/test")
        assert client.webhooks[0].headers["X-Key"] == "another"
        moved = {"url": "https://example.com/hook"}
        assert (await server.patch(path, json=moved)).status == 200  # by the operator
        assert (await server.get(path)).json()["headers"] == {"X-Key": "********"}


async def test_nor_does_another_webhook_url_of_a_project(tmp_path: Path) -> None:
    bearer = {"Authorization": f"Bearer {KEY}"}
    async with gateway(tmp_path, api_key=KEY, headers=bearer) as server:
        project = (await server.post("/api/projects", json={"name": "shop"})).json()["id"]
        body = {"name": "app", "scopes": ["admin"], "project": "shop"}
        key = (await server.post("/api/keys", json=body)).json()["key"]
        of_key = {"Authorization": f"Bearer {key}"}
        path, endpoint = f"/api/projects/{project}", f"/api/endpoints/default_{project}"

        async def moved_to(url: str | None) -> Reply:
            return await server.patch(path, json={"webhookUrl": url}, headers=of_key)

        assert (await moved_to("https://example.com/hook")).status == 200
        headers = {"headers": {"X-Key": "hunter2"}}
        assert (await server.patch(endpoint, json=headers)).status == 200
        assert (await moved_to(None)).status == 200
        refused = await moved_to("https://example.org/hook")
        assert refused.refusal == (400, "invalid_request", "headers")
        assert f"default_{project}" in refused.json()["error"]
        assert (await server.get(path)).json()["webhookUrl"] is None
        without = {"headers": None}
        assert (await server.patch(endpoint, json=without, headers=of_key)).status == 200
        assert (await moved_to("https://example.org/hook")).status == 200


async def test_a_mask_is_no_value_of_a_header_that_has_none(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path) as server:
        made = await server.endpoint(client.url, headers={"X-A": "1"})
        headers = {"X-A": "********", "X-B": "********"}
        for reply in (
            await server.patch(f"/api/endpoints/{made['id']}", json={"headers": headers}),
            await server.post("/api/endpoints", json={"url": client.url, "headers": headers}),
        ):
            assert reply.refusal == (400, "invalid_request", "headers")
