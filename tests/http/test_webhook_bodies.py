"""From a request to the client's endpoint: the inherited bodies, signed, at the right address."""

import base64
import hashlib
import hmac
import re
from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, gateway, until
from receivers import Receiver, Webhook, receiver
from standardwebhooks import Webhook as StandardWebhook

from reelhook.bootstrap import webhook_secret
from reelhook.domain.signature import standard_secret
from reelhook.simulator.faults import Faults

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def timed(body: dict[str, Any]) -> dict[str, Any]:
    """Check a body's timestamp and return the rest."""
    assert INSTANT.fullmatch(body.pop("timestamp"))
    return body


async def all_of(client: Receiver, job_id: str) -> list[Webhook]:
    await client.ending(job_id)
    return client.webhooks


async def test_progress_and_completion_are_sent_in_the_inherited_bodies(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, Faults(queue_seconds=0)) as server:
        job_id = await server.submit(webhookUrl=client.url)
        provider_id = (await server.job_when(job_id, "processing"))["soraJobId"]
        base_url = server.settings.credentials[0].base_url

        async def first_is_there() -> bool:
            return bool(client.webhooks)

        await until(first_is_there)
        server.time.advance(100)
        progress, completed = [timed(webhook.body) for webhook in await all_of(client, job_id)]
        assert progress == {
            "jobId": job_id,
            "soraJobId": provider_id,
            "status": "processing",
            "progress": 0,
            "sequence": 1,
        }
        expires_at = completed.pop("contentExpiresAt")
        assert expires_at == int(server.simulator.jobs[provider_id].ends_at + 3600)
        assert completed == {
            "jobId": job_id,
            "soraJobId": provider_id,
            "status": "completed",
            "progress": 100,
            "videoUrl": f"{server.url}/api/sora/videos/{job_id}/download",
            "providerVideoUrl": f"{base_url}/videos/{provider_id}/content",
            "sequence": 2,
        }


async def test_failure_is_sent_in_the_inherited_body(tmp_path: Path) -> None:
    faults = Faults(moderation=1, queue_seconds=0, render_seconds=0)
    async with receiver() as client, gateway(tmp_path, faults) as server:
        job_id = await server.submit(webhookUrl=client.url)
        [failed] = [timed(webhook.body) for webhook in await all_of(client, job_id)]
        assert "moderation" in failed.pop("error")
        assert failed == {
            "jobId": job_id,
            "soraJobId": (await server.job(job_id))["soraJobId"],
            "status": "failed",
            "progress": 0,
            "code": "moderation",
            "sequence": 1,
        }


async def test_a_job_that_no_provider_took_is_reported_once(tmp_path: Path) -> None:
    async with (
        receiver() as client,
        gateway(tmp_path, provider_key="sk-right", openai_api_key="sk-wrong") as server,
    ):
        job_id = await server.submit(webhookUrl=client.url)
        [failed] = [timed(webhook.body) for webhook in await all_of(client, job_id)]
        assert failed == {
            "jobId": job_id,
            "soraJobId": None,
            "status": "failed",
            "progress": 0,
            "error": "Missing or incorrect API key.",
            "code": "provider_unauthorized",
            "sequence": 1,
        }


async def test_the_address_of_a_request_wins_over_the_operator_s(tmp_path: Path) -> None:
    async with (
        receiver() as operator,
        receiver() as client,
        gateway(tmp_path, AT_ONCE, webhook_url=operator.url) as server,
    ):
        to_operator = await server.submit()
        to_client = await server.submit(webhookUrl=client.url)
        await operator.ending(to_operator)
        await client.ending(to_client)
        assert {webhook.body["jobId"] for webhook in operator.webhooks} == {to_operator}
        assert {webhook.body["jobId"] for webhook in client.webhooks} == {to_client}


async def test_the_operator_s_address_may_be_anywhere(tmp_path: Path) -> None:
    async with (
        receiver() as operator,
        gateway(tmp_path, AT_ONCE, webhook_url=operator.url, allow_networks="") as server,
    ):
        await operator.ending(await server.submit())
        assert (await server.post("/api/generate", json={"script": "A fox"})).status == 200


@pytest.mark.parametrize(
    "secret", ["a plain secret", "whsec_" + base64.b64encode(b"k" * 24).decode()]
)
async def test_both_signatures_are_right(tmp_path: Path, secret: str) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE, webhook_secret=secret) as server:
        webhook = await client.ending(await server.submit(webhookUrl=client.url))
        expected = hmac.new(secret.encode(), webhook.raw, hashlib.sha256).hexdigest()
        assert webhook.headers["X-Signature"] == expected
        assert webhook.headers["X-Timestamp"].isdecimal()
        assert webhook.headers["Content-Type"] == "application/json"
        StandardWebhook(standard_secret(secret)).verify(webhook.raw, dict(webhook.headers))


async def test_without_a_secret_the_one_made_at_the_first_start_signs(tmp_path: Path) -> None:
    async with receiver() as client:
        for _ in range(2):
            async with gateway(tmp_path, AT_ONCE, webhook_secret=None) as server:
                webhook = await client.ending(await server.submit(webhookUrl=client.url))
                secret = await webhook_secret(server.settings)
                assert secret.startswith("whsec_")
                StandardWebhook(secret).verify(webhook.raw, dict(webhook.headers))
        assert len(client.webhooks) == 2


async def test_a_public_url_of_the_operator_s_is_sent(tmp_path: Path) -> None:
    async with (
        receiver() as client,
        gateway(tmp_path, AT_ONCE, public_url="http://video.localhost/reel/") as server,
    ):
        job_id = await server.submit(webhookUrl=client.url)
        url = f"http://video.localhost/reel/api/sora/videos/{job_id}/download"
        assert (await client.ending(job_id)).body["videoUrl"] == url
        assert (await server.job(job_id))["videoUrl"] == url
