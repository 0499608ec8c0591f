"""An endpoint whose secrets this process can't decrypt: its webhooks wait, and no other's do."""

from functools import partial
from pathlib import Path

from aiohttp import web
from engine_delivering import DELIVER_ALONE, tell_all
from engine_stage import Engine, Stage, stage

from reelhook.domain.encryption import EncryptionKey, Keyring
from reelhook.storage.at_rest import AtRest
from reelhook.storage.store import Store

OLD_KEY, NEW_KEY = EncryptionKey.of(bytes(32)), EncryptionKey.of(bytes(range(32)))
OLD, BOTH = (partial(Store, keyring=Keyring(keys)) for keys in ([OLD_KEY], [NEW_KEY, OLD_KEY]))
JOBS = [f"job_{number}" for number in range(20)]
SECRET, HEADER = "whsec_TmV3IHNlY3JldCBvZiB0aGUgdGVzdHM=", "Bearer of the shop"
HOUR = 3600


async def locked_endpoint(engine: Engine, here: Stage) -> str:
    """Register an endpoint under the newest key."""
    endpoint = await engine.endpoints.register(
        f"{here.receivers.url}/locked", {"headers": (("X-Shop", HEADER),)}, secret=SECRET
    )
    return endpoint.id


def attempts(here: Stage, endpoint_id: str) -> int:
    ((counted,),) = here.query(
        "SELECT count(*) + coalesce(sum(d.attempts), 0) FROM attempts a JOIN deliveries d"
        " ON d.id = a.delivery_id WHERE d.endpoint_id = ?1",
        endpoint_id,
    )
    return int(counted)


async def test_its_webhooks_wait_without_attempts_and_go_out_once_the_key_is_there(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here:
        async with here.engine(store=BOTH) as engine:
            locked = await locked_endpoint(engine, here)
        async with here.engine(store=OLD, seed=2) as engine:
            other = await engine.endpoint(here.hook)
            await engine.register(JOBS, endpoints=[locked, other.id])
            await tell_all(engine, JOBS, "completed")
            await engine.settled()
            assert len(here.receivers.webhooks) == len(JOBS)  # all to the other one
            await engine.pass_time(12 * HOUR)
            assert attempts(here, locked) == 0
            assert len(here.receivers.webhooks) == len(JOBS)
            (held_back,) = await engine.endpoints.held_back()
            assert held_back.locked
            assert held_back.disabled is None
        said = [one["endpoint"] for one in here.logs if one["event"] == "endpoint.locked"]
        assert said == [locked]
        async with here.engine(store=BOTH) as engine:
            await engine.settled()
            arrived = here.receivers.webhooks[len(JOBS) :]
            assert {one.body["jobId"] for one in arrived} == set(JOBS)
            assert {one.headers["X-Shop"] for one in arrived} == {HEADER}
            assert await engine.store.deliveries_waiting() == 0


async def test_more_locked_endpoints_than_one_read_returns_delay_no_other(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here:
        async with here.engine(store=BOTH) as engine:
            locked = [await locked_endpoint(engine, here) for _ in range(30)]
        async with here.engine(store=OLD, seed=2) as engine:
            await engine.register(JOBS[:2], endpoints=locked)
            await tell_all(engine, JOBS[:2], "completed")
            await engine.pass_time(10)
            other = await engine.endpoint(here.hook)
            await engine.register(JOBS[2:], endpoints=[other.id])
            await tell_all(engine, JOBS[2:], "completed")
            await engine.settled()
            assert {one.body["jobId"] for one in here.receivers.webhooks} == set(JOBS[2:])


async def test_nothing_is_sent_once_another_process_has_encrypted_with_a_newer_key(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine(store=OLD) as engine:
        endpoint = await engine.endpoints.register(here.hook, {"concurrency": 1}, secret=SECRET)

        async def rotated_meanwhile(_: web.Request) -> web.StreamResponse:
            sealed = AtRest(Keyring([NEW_KEY])).encrypt(
                SECRET, ("endpoints", endpoint.id, "secret")
            )
            here.query("UPDATE endpoints SET secret = ?1 WHERE id = ?2", sealed, endpoint.id)
            engine.signals.endpoints.publish()
            return web.Response(status=204)

        here.receivers.manners["/hook"] = rotated_meanwhile
        await engine.register(JOBS, endpoints=[endpoint.id])
        await tell_all(engine, JOBS, "completed")
        await engine.pass_time(60)
        assert len(here.receivers.webhooks) == 1
        assert attempts(here, endpoint.id) == 1
