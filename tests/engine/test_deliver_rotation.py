"""Rotating a secret while webhooks flow: a receiver that knows either secret is never at a loss."""

import asyncio
import base64
import hashlib
import hmac
from pathlib import Path

import pytest
from engine_delivering import DELIVER_ALONE, fails_at_times, tell, tell_all
from engine_receiver import Webhook
from engine_stage import stage, until

OLD, NEW = "the old secret", "whsec_TmV3IHNlY3JldCBvZiB0aGUgdGVzdHM="
HOUR = 3600


def v1_verifies(secret: str, webhook: Webhook) -> bool:
    """Check `webhook-signature` as the Standard Webhooks specification says."""
    key = secret.encode()
    if secret.startswith("whsec_"):
        key = base64.b64decode(secret.removeprefix("whsec_"))
    timestamp = webhook.headers["webhook-timestamp"]
    signed = f"{webhook.id}.{timestamp}.".encode() + webhook.raw
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{expected}" in webhook.headers["webhook-signature"].split(" ")


def hex_verifies(secret: str, webhook: Webhook) -> bool:
    digest = hmac.new(secret.encode(), webhook.raw, hashlib.sha256).hexdigest()
    return webhook.headers["X-Signature"] == digest


def verified_by(webhook: Webhook) -> tuple[bool, bool, bool, bool]:
    """By webhook-signature with the old secret and the new, by X-Signature with the same."""
    return (
        v1_verifies(OLD, webhook),
        v1_verifies(NEW, webhook),
        hex_verifies(OLD, webhook),
        hex_verifies(NEW, webhook),
    )


BEFORE, OVERLAP, AFTER = (
    (True, False, True, False),
    (True, True, True, False),
    (False, True, False, True),
)


@pytest.mark.long
async def test_both_secrets_verify_for_a_day_and_then_the_new_one_alone(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        endpoint = await engine.endpoints.register(here.hook, {}, secret=OLD)
        sent_at: dict[str, int] = {}
        for hour in range(40):
            if hour == 5:
                await engine.endpoints.rotate(endpoint.id, NEW)
            jobs = [f"job_{hour}_{number}" for number in range(8)]
            sent_at |= dict.fromkeys(jobs, hour)
            await engine.register(jobs, endpoints=[endpoint.id])
            await tell_all(engine, jobs, 10, "completed")
            await engine.pass_time(HOUR)

        assert len(here.receivers.endings) == 320
        for one in here.receivers.webhooks:
            hour = sent_at[one.body["jobId"]]
            expected = BEFORE if hour < 5 else OVERLAP if hour < 5 + 24 else AFTER
            assert verified_by(one) == expected


@pytest.mark.long
async def test_nothing_goes_out_by_the_old_secret_alone_once_the_rotation_is_done(
    tmp_path: Path,
) -> None:
    jobs = [f"job_{number}" for number in range(500)]
    async with (
        stage(tmp_path, real_time=True, loops=DELIVER_ALONE) as here,
        here.engine() as engine,
    ):
        here.receivers.manners["/hook"] = fails_at_times(0)
        endpoint = await engine.endpoints.register(here.hook, {"concurrency": 16}, secret=OLD)
        await engine.register(jobs, endpoints=[endpoint.id])
        telling = asyncio.create_task(tell_all(engine, jobs, 10, "completed"))
        await until(lambda: len(here.receivers.webhooks) > 50)
        rotated = await engine.endpoints.rotate(endpoint.id, NEW, overlap_hours=0.5 / HOUR)
        done_at, ends_at = engine.clock.now(), rotated.previous_until
        assert ends_at is not None
        await telling
        await until(lambda: len(here.receivers.endings) >= len(jobs))
        await until(lambda: engine.clock.now() > ends_at)
        await engine.register(["late"], endpoints=[endpoint.id])
        await tell(engine, "late", "completed")
        await until(lambda: here.receivers.of("late"))

        seen = set()
        for one in here.receivers.webhooks:
            signed_at = int(one.headers["X-Timestamp"])
            if signed_at >= ends_at:
                expected = {AFTER}
            elif signed_at > done_at:
                expected = {OVERLAP}
            else:  # the rotation was running
                expected = {BEFORE, OVERLAP}
            assert verified_by(one) in expected
            seen.add(verified_by(one))
        assert seen == {BEFORE, OVERLAP, AFTER}


async def test_the_secret_of_one_endpoint_is_no_other_s(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        first = await engine.endpoints.register(f"{here.receivers.url}/1", {}, secret=OLD)
        second = await engine.endpoints.register(f"{here.receivers.url}/2", {}, secret=NEW)
        await engine.register(["job"], here.hook, endpoints=[first.id, second.id])
        await tell(engine, "job", "completed")
        await engine.settled()

        by_path = {one.path: verified_by(one) for one in here.receivers.webhooks}
        assert by_path == {"/1": BEFORE, "/2": AFTER, "/hook": (False,) * 4}
