"""A request's own secret that this process can't decrypt: its webhooks wait, and no other's do."""

from functools import partial
from pathlib import Path

from engine_delivering import DELIVER_ALONE
from engine_stage import Engine, stage

from reelhook.domain.caller import OPERATOR
from reelhook.domain.encryption import EncryptionKey, Keyring
from reelhook.domain.request import VideoRequest
from reelhook.storage.store import Store

KEYS = partial(Store, keyring=Keyring([EncryptionKey.of(bytes(32))]))
HOUR = 3600


async def submitted(engine: Engine, url: str, secret: str | None = None) -> str:
    request = VideoRequest(prompt="A fox", model="sora-2")
    jobs = engine.service._new_jobs
    created = await jobs.submit(OPERATOR, request, url, callback_secret=secret)
    await engine.service.cancel(created.job_id)
    return created.job_id


async def test_it_waits_without_attempts_and_goes_out_once_the_key_is_there(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here:
        async with here.engine(store=KEYS, loops=frozenset()) as engine:
            locked = await submitted(engine, f"{here.receivers.url}/own", "a-secret-of-16-or-more")
        async with here.engine(seed=2) as engine:
            other = await submitted(engine, here.hook)
            await engine.pass_time(12 * HOUR)
            assert [one.body["jobId"] for one in here.receivers.webhooks] == [other]
            assert here.query("SELECT count(*) FROM attempts") == [(1,)]
        async with here.engine(store=KEYS) as engine:
            await engine.settled()
            assert [one.body["jobId"] for one in here.receivers.webhooks] == [other, locked]
