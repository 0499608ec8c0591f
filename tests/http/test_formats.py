"""Formats of webhooks: chosen per endpoint or request, and accepted by the clients they are for."""

import hashlib
import hmac
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, Gateway, gateway
from openai import OpenAI
from receivers import Receiver, Webhook, receiver
from standardwebhooks import Webhook as StandardWebhook

from reelhook.domain.caller import OPERATOR
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.request import VideoRequest
from reelhook.domain.signature import standard_secret
from reelhook.simulator.faults import Faults

SECRET = "whsec_b2YgdGhlIHJlY2VpdmVy"
PLAIN = "a-plain-secret-of-a-request"
FAILS = Faults(queue_seconds=0, render_seconds=0, moderation=1)


def unwrapped(webhook: Webhook, secret: str) -> Any:
    """Verify and parse a webhook as the official SDK does."""
    client = OpenAI(api_key="none", webhook_secret=secret)
    return client.webhooks.unwrap(webhook.raw, dict(webhook.headers))


def verified(webhook: Webhook, secret: str) -> tuple[str, str]:
    """Verify a callback as the documentation of `@ai-sdk/gateway` does; return job and status."""
    header = webhook.headers["x-ai-gateway-signature"]
    found = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", header)
    assert found is not None, header
    signed = f"{found[1]}.".encode() + webhook.raw
    assert found[2] == hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert abs(time.time() - int(found[1])) <= 300
    job, status = (webhook.body["data"][name] for name in ("jobId", "status"))
    assert webhook.headers["x-ai-gateway-idempotency-key"] == f"{job}-{status}"
    return job, status


def standard(webhook: Webhook, secret: str) -> Any:
    return StandardWebhook(standard_secret(secret)).verify(webhook.raw, dict(webhook.headers))


async def only(client: Receiver) -> Webhook:
    webhook = await client.first(lambda _: True)
    assert client.webhooks == [webhook]
    return webhook


async def submit(server: Gateway, url: str, **options: Any) -> str:
    request = VideoRequest(prompt="A fox", model="sora-2", seconds="1", size="64x64")
    jobs = server.hook.gateway.new_jobs
    return (await jobs.submit(OPERATOR, request, url, **options)).job_id


# -- the formats ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("faults", "status"), [(AT_ONCE, "completed"), (FAILS, "failed")])
async def test_the_official_sdk_unwraps_the_end_of_a_job(
    tmp_path: Path, faults: Faults, status: str
) -> None:
    async with receiver() as client, gateway(tmp_path, faults) as server:
        made = await server.endpoint(client.url, format="openai", secret=SECRET)
        job_id = await server.submit(endpoints=[made["id"]])
        await server.delivery_when("delivered")
        webhook = await only(client)
        event = unwrapped(webhook, SECRET)
        assert (event.type, event.object) == (f"video.{status}", "event")
        assert event.data.id == job_id.replace("job_", "video_")
        assert event.id == webhook.headers["webhook-id"]
        events = (await server.get(f"/api/jobs/{job_id}/events")).json()["events"]
        assert events[-1]["jobId"] == job_id  # the history keeps the default format
        assert standard(webhook, SECRET) == webhook.body


@pytest.mark.parametrize(("faults", "status"), [(AT_ONCE, "completed"), (FAILS, "failed")])
async def test_a_callback_is_signed_as_vercels_and_by_standard_webhooks(
    tmp_path: Path, faults: Faults, status: str
) -> None:
    async with receiver() as client, gateway(tmp_path, faults) as server:
        job_id = await submit(server, client.url, callback_secret=SECRET, callback_format="vercel")
        await server.delivery_when("delivered")
        webhook = await only(client)
        assert verified(webhook, SECRET) == (job_id, status)
        assert webhook.body["type"] == f"video.{status}"
        assert standard(webhook, SECRET) == webhook.body


async def test_a_canceled_job_is_cancelled_at_vercel_and_failed_at_openai(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, Faults(queue_seconds=60)) as server:
        made = await server.endpoint(client.url, format="openai")
        job_id = await submit(server, client.url, endpoints=[made["id"]], callback_format="vercel")
        await server.job_when(job_id, "queued")
        reply = await server.post(f"/api/jobs/{job_id}/cancel", json={"force": True})
        assert reply.status == 200, reply.body
        await client.first(lambda _: len(client.webhooks) == 2)
        types = {webhook.body["type"] for webhook in client.webhooks}
        assert types == {"video.failed", "video.cancelled"}


async def test_a_test_event_has_the_format_of_its_endpoint(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path) as server:
        for name in ("openai", "vercel", "reelhook"):
            made = await server.endpoint(client.url, format=name, secret=SECRET)
            tested = await server.post(f"/api/endpoints/{made['id']}/test")
            assert tested.json()["delivered"]
        openai, vercel, default = client.webhooks
        assert unwrapped(openai, SECRET).type == "video.completed"
        assert openai.body["test"] is True
        assert verified(vercel, SECRET)[1] == "completed"
        assert vercel.body["data"]["test"] is True
        assert (default.body["test"], default.body["status"]) == (True, "queued")
        assert "x-ai-gateway-signature" not in default.headers


# -- choosing one ---------------------------------------------------------------------------------


async def test_a_format_is_chosen_shown_changed_and_given_up(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        made = await server.endpoint("https://example.com/hook", format="openai")
        path = f"/api/endpoints/{made['id']}"
        assert (await server.get("/api/endpoints")).json()["endpoints"][0]["format"] == "openai"
        for body, expected in (
            ({"description": "Our app"}, "openai"),
            ({"format": "vercel"}, "vercel"),
            ({"format": None}, "reelhook"),
        ):
            assert (await server.patch(path, json=body)).json()["format"] == expected


@pytest.mark.parametrize(
    ("body", "field", "remedy"),
    [
        (
            {"format": "stripe"},
            "format",
            "one of reelhook, reelhook+poster, openai, vercel, not stripe",
        ),
        ({"format": ""}, "format", "must not be empty"),
        ({"format": 7}, "format", "must be a string"),
        (
            {"format": "openai", "events": ["completed", "progress"]},
            "events",
            "must not have progress: the format openai only has completed, failed",
        ),
        (
            {"format": "vercel", "events": ["budget.reached"]},
            "events",
            "must not have budget.reached: the format vercel only has completed, failed",
        ),
    ],
)
async def test_a_wrong_format_is_refused(
    tmp_path: Path, body: dict[str, Any], field: str, remedy: str
) -> None:
    async with gateway(tmp_path) as server:
        made = await server.endpoint("https://example.com/hook")
        new = {"url": "https://example.com/hook", **body}
        for reply in (
            await server.post("/api/endpoints", json=new),
            await server.patch(f"/api/endpoints/{made['id']}", json=body),
        ):
            assert reply.refusal == (400, "invalid_request", field)
            assert remedy in reply.json()["error"]


async def test_events_that_the_format_of_an_endpoint_lacks_are_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        made = await server.endpoint("https://example.com/hook", format="openai")
        path = f"/api/endpoints/{made['id']}"
        reply = await server.patch(path, json={"events": ["queued"]})
        assert reply.refusal == (400, "invalid_request", "events")
        assert (await server.patch(path, json={"events": ["failed"]})).status == 200


# -- a request's own secret -----------------------------------------------------------------------


async def test_a_requests_secret_signs_its_own_webhooks_and_no_others(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        first = await submit(server, client.url, callback_secret=PLAIN)
        mine = await client.ending(first)
        assert standard(mine, PLAIN) == mine.body
        assert (
            mine.headers["X-Signature"] == hmac.new(PLAIN.encode(), mine.raw, "sha256").hexdigest()
        )
        theirs = await client.ending(await submit(server, client.url))
        assert standard(theirs, server.settings.webhook_secret or "") == theirs.body
        [other, delivery] = await server.deliveries()
        assert other["endpointId"] == delivery["endpointId"]  # they share its health
        await server.post(f"/api/deliveries/{delivery['id']}/resend")
        await server.delivery_when("delivered", jobId=first)
        again = [one for one in client.webhooks if one.body["jobId"] == first][-1]
        assert standard(again, PLAIN) == mine.body


async def test_a_requests_secret_is_shown_nowhere(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        job_id = await submit(server, client.url, callback_secret=PLAIN)
        await client.ending(job_id)
        [delivery] = await server.deliveries()
        shown = [
            (await server.get(path)).body.decode()
            for path in (
                f"/api/jobs/{job_id}",
                "/api/deliveries",
                f"/api/deliveries/{delivery['id']}",
                f"/api/endpoints/{delivery['endpointId']}",
                "/api/audit",
            )
        ]
        assert PLAIN not in json.dumps(shown)
        assert PLAIN not in repr(server.logs)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"callback_secret": "short"}, "callback_secret"),
        ({"callback_secret": "with spaces and\nlines"}, "callback_secret"),
        ({"callback_secret": "§1.0123456789abcdef"}, "callback_secret"),
        ({"callback_secret": "whsec_not base64 at all"}, "callback_secret"),
        ({"callback_secret": "x" * 257}, "callback_secret"),
        ({"callback_format": "stripe"}, "callback_format"),
        ({"callback_format": ""}, "callback_format"),
    ],
)
async def test_a_wrong_callback_is_refused_and_nothing_is_stored(
    tmp_path: Path, options: dict[str, str], field: str
) -> None:
    async with gateway(tmp_path) as server:
        with pytest.raises(InvalidRequestError) as caught:
            await submit(server, "https://example.com/hook", **options)
        assert caught.value.field == field
        assert await server.total() == 0


async def test_a_secret_needs_the_url_that_it_signs_for(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        request = VideoRequest(prompt="A fox", model="sora-2")
        with pytest.raises(InvalidRequestError, match="give that URL too"):
            await server.hook.gateway.new_jobs.submit(OPERATOR, request, callback_secret=PLAIN)
