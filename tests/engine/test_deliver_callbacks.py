"""A request's own secret that this process can't decrypt: its webhook alone fails, and says why."""

from functools import partial
from pathlib import Path

from engine_delivering import DELIVER_ALONE
from engine_stage import Engine, stage
from engine_upstream import answers

from reelhook.domain.caller import OPERATOR
from reelhook.domain.encryption import EncryptionKey, Keyring
from reelhook.domain.request import VideoRequest
from reelhook.storage.store import Store

KEYS = partial(Store, keyring=Keyring([EncryptionKey.of(bytes(32))]))
HOUR = 3600
OPEN = "SELECT id FROM endpoints WHERE probe_due_at IS NOT NULL"


async def submitted(engine: Engine, url: str, secret: str | None = None) -> str:
    request = VideoRequest(prompt="A fox", model="sora-2")
    jobs = engine.service._new_jobs
    created = await jobs.submit(OPERATOR, request, url, callback_secret=secret)
    await engine.service.cancel(created.job_id)
    return created.job_id


async def test_its_attempts_fail_with_the_reason_and_one_succeeds_once_the_key_is_there(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here:
        async with here.engine(store=KEYS, loops=frozenset()) as engine:
            locked = await submitted(engine, here.hook, "a-secret-of-16-or-more")
        async with here.engine(seed=2) as engine:
            other = await submitted(engine, here.hook)  # at the same URL
            await engine.settled()
            assert [one.body["jobId"] for one in here.receivers.webhooks] == [other]
            await engine.pass_time(HOUR)
            tried = here.query(
                "SELECT a.error, a.detail FROM attempts a JOIN deliveries d ON d.id = a.delivery_id"
                " WHERE d.job_id = ?1",
                locked,
            )
            assert len(tried) > 1
            assert {error for error, _ in tried} == {"secret_locked"}
            assert all("REELHOOK_ENCRYPTION_KEYS" in detail for _, detail in tried)
            assert here.query(OPEN) == []
        async with here.engine(store=KEYS) as engine:
            await engine.pass_time(12 * HOUR)
            assert [one.body["jobId"] for one in here.receivers.webhooks] == [other, locked]


async def test_it_keeps_no_probe_from_an_endpoint_that_recovers(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here:
        async with here.engine(store=KEYS, loops=frozenset()) as engine:
            await submitted(engine, here.hook, "a-secret-of-16-or-more")
        async with here.engine(seed=2) as engine:
            here.receivers.manners["/hook"] = answers(503)
            others = [await submitted(engine, here.hook) for _ in range(6)]
            await engine.pass_time(60)
            assert len(here.query(OPEN)) == 1
            here.receivers.manners["/hook"] = answers(204)
            await engine.pass_time(HOUR)
            arrived = {one.body["jobId"] for one in here.receivers.webhooks}
            assert arrived == set(others)
            assert here.query(OPEN) == []
