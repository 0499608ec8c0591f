"""Changes of an endpoint hold for whatever is sent after them."""

import asyncio
from pathlib import Path

from engine_delivering import DELIVER_ALONE, tell, tell_all, told
from engine_stage import stage, until
from engine_upstream import answers, never, one_after_the_other, when

from reelhook.domain.endpoint import Disabled


async def test_a_new_url_and_new_headers_hold_for_what_waits_already(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/old"] = when(gate, answers(200))
        endpoint = await engine.endpoint(
            f"{here.receivers.url}/old", headers=(("X-Client", "old"),)
        )
        jobs = [f"job_{number}" for number in range(40)]
        await engine.register(jobs, endpoints=[endpoint.id])
        await tell_all(engine, jobs, "completed")
        await until(lambda: len(here.receivers.webhooks) == 4)
        await engine.endpoints.change(
            endpoint.id, {"url": f"{here.receivers.url}/new", "headers": (("X-Client", "new"),)}
        )
        gate.set()
        await engine.settled()

        assert len(here.receivers.at("/old")) == 4
        assert len(here.receivers.at("/new")) == 36
        assert {one.headers["X-Client"] for one in here.receivers.at("/old")} == {"old"}
        assert {one.headers["X-Client"] for one in here.receivers.at("/new")} == {"new"}


async def test_a_disabled_endpoint_gets_nothing_more_until_it_is_enabled(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = when(gate, answers(200))
        endpoint = await engine.endpoint(here.hook)
        jobs = [f"job_{number}" for number in range(40)]
        await engine.register(jobs, endpoints=[endpoint.id])
        await tell_all(engine, jobs, "completed")
        await until(lambda: len(here.receivers.webhooks) == 4)
        changed = await engine.endpoints.change(endpoint.id, {}, enabled=False)
        gate.set()
        await engine.pass_time(86400)

        assert changed.disabled is Disabled.OPERATOR
        assert len(here.receivers.webhooks) == 4

        await engine.endpoints.change(endpoint.id, {}, enabled=True)
        await engine.settled()
        assert sorted(one.body["jobId"] for one in here.receivers.webhooks) == sorted(jobs)


async def test_enabled_again_it_is_sent_at_once_what_waited_for_a_retry(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = answers(500)
        endpoint = await engine.endpoint(here.hook)
        await engine.register(["job"], endpoints=[endpoint.id])
        await tell(engine, "job", "completed")
        await engine.pass_time(3600)  # by now the next retry is half an hour away
        await engine.endpoints.change(endpoint.id, {}, enabled=False)
        here.receivers.manners["/hook"] = answers(200)
        before = len(here.receivers.webhooks)
        await engine.endpoints.change(endpoint.id, {}, enabled=True)
        await engine.settled()

        assert len(here.receivers.webhooks) == before + 1


async def test_a_concurrency_of_its_own_holds_at_once(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = never()
        endpoint = await engine.endpoint(here.hook, concurrency=2)
        jobs = [f"job_{number}" for number in range(40)]
        await engine.register(jobs, endpoints=[endpoint.id])
        await tell_all(engine, jobs, "completed")
        await until(lambda: len(here.receivers.webhooks) == 2)
        await engine.endpoints.change(endpoint.id, {"concurrency": 25})
        await until(lambda: len(here.receivers.webhooks) == 25)
        await until(lambda: here.time.awaits(engine.signals.deliver))

        assert len(here.receivers.webhooks) == 25


async def test_the_end_that_cuts_an_attempt_short_goes_by_the_endpoint_as_it_is_now(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/old"] = never()
        endpoint = await engine.endpoint(f"{here.receivers.url}/old", concurrency=1)
        await engine.register(["job"], endpoints=[endpoint.id])
        await tell(engine, "job", 10)
        await until(lambda: here.receivers.webhooks)
        here.time.advance(6)
        await engine.endpoints.change(endpoint.id, {"url": f"{here.receivers.url}/new"})
        await tell(engine, "job", "completed")
        await until(lambda: len(here.receivers.webhooks) == 2)

        assert [one.path for one in here.receivers.webhooks] == ["/old", "/new"]


async def test_the_end_that_cuts_an_attempt_short_waits_where_the_endpoint_is_disabled(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = one_after_the_other(never(), answers(200))
        endpoint = await engine.endpoint(here.hook)
        await engine.register(["job"], endpoints=[endpoint.id])
        await tell(engine, "job", 10)
        await until(lambda: here.receivers.webhooks)
        here.time.advance(6)
        await engine.endpoints.change(endpoint.id, {}, enabled=False)
        await tell(engine, "job", "completed")
        await engine.settled()

        assert told(here, "job") == [10]
