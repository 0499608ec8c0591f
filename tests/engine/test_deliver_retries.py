"""Trying again: when, how often, and with what."""

import hashlib
import hmac
from pathlib import Path

import pytest
from engine_delivering import DELIVER_ALONE, arrivals, tell, told
from engine_stage import SECRET, stage, until
from engine_upstream import answers, one_after_the_other
from standardwebhooks import Webhook as StandardWebhook

WAITS = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 86400)


@pytest.mark.long
async def test_a_failed_ending_is_tried_again_when_it_is_due_and_never_early(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = answers(500)
        await engine.register(["job"], here.hook)
        await tell(engine, "job", "completed")
        probes = await arrivals(here, engine, 4 * 86400)
        attempts = here.query("SELECT number, started_at FROM attempts WHERE NOT probe")

        assert [number for number, _ in attempts] == list(range(1, 14))
        for wait, (_, since), (_, at) in zip(WAITS, attempts, attempts[1:], strict=False):
            assert wait * 1000 <= at - since <= (wait + min(0.2 * wait, 900)) * 1000 + 250
        assert len(probes) > 13 + 75 * 12 - 12  # besides, one every five minutes
        assert await engine.store.deliveries_waiting() == 0


async def test_progress_is_tried_twice_at_most(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = one_after_the_other(answers(200), answers(500))
        await engine.register(["job"], here.hook)
        await tell(engine, "job", 10)
        await engine.settled()
        await tell(engine, "job", 20)

        await arrivals(here, engine, 86400)
        assert told(here, "job") == [10, 20, 20]


async def test_a_retry_after_lengthens_a_wait_and_never_shortens_it(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = one_after_the_other(
            answers(503, None, {"Retry-After": "100"}),
            answers(429, None, {"Retry-After": "1"}),
            answers(200),
        )
        await engine.register(["job"], here.hook)
        await tell(engine, "job", "completed")
        first, second, third = await arrivals(here, engine, 3600)

        assert second - first == 100
        assert 30 <= third - second <= 36.25


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_a_failure_and_not_followed(tmp_path: Path, status: int) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        elsewhere = {"Location": f"{here.receivers.url}/elsewhere"}
        here.receivers.manners["/hook"] = one_after_the_other(
            answers(status, None, elsewhere), answers(200)
        )
        await engine.register(["job"], here.hook)
        await tell(engine, "job", "completed")
        await arrivals(here, engine, 10)

        assert [one.path for one in here.receivers.webhooks] == ["/hook", "/hook"]


async def test_every_attempt_has_the_same_id_and_bytes_and_a_signature_of_its_own(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = one_after_the_other(*[answers(500)] * 3, answers(200))
        await engine.register(["job"], here.hook)
        await tell(engine, "job", "completed")
        await arrivals(here, engine, 3600)
        webhooks = here.receivers.webhooks

        assert len(webhooks) == 4
        assert len({one.raw for one in webhooks}) == 1
        assert len({one.id for one in webhooks}) == 1
        assert {one.id.rpartition("-")[0] for one in webhooks} == {"evt_job_1"}
        assert len({one.headers["webhook-signature"] for one in webhooks}) == 4
        assert len({one.headers["webhook-timestamp"] for one in webhooks}) == 4


@pytest.mark.parametrize("previous", [None, "an older secret"])
async def test_the_official_library_accepts_every_webhook(
    tmp_path: Path, previous: str | None
) -> None:
    async with (
        stage(tmp_path, real_time=True, loops=DELIVER_ALONE) as here,
        here.engine(previous_secret=previous) as engine,
    ):
        await engine.register(["job"], here.hook)
        await tell(engine, "job", 10)
        await until(lambda: here.receivers.webhooks)
        await tell(engine, "job", "completed")
        await until(lambda: here.receivers.endings)

    for one in here.receivers.webhooks:
        StandardWebhook(SECRET).verify(one.raw, dict(one.headers))
        key = (previous or SECRET).encode()
        assert one.headers["X-Signature"] == hmac.new(key, one.raw, hashlib.sha256).hexdigest()
