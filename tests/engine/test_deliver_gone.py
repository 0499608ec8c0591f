"""410: the receiver wants no more, of a job at its own URL or of anything at its endpoint."""

from pathlib import Path

from engine_delivering import DELIVER_ALONE, Sluggish, arrivals, tell, tell_all, told
from engine_stage import stage, until
from engine_upstream import answers, one_after_the_other

from reelhook.domain.endpoint import Disabled


async def test_at_a_jobs_own_url_it_ends_that_jobs_deliveries_and_no_others(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = one_after_the_other(answers(410), answers(200))
        await engine.register(["job", "other"], here.hook)
        await tell(engine, "job", 10)
        await engine.settled()
        await tell(engine, "job", 20, "completed")
        await tell(engine, "other", "completed")
        await arrivals(here, engine, 86400)

        assert told(here, "job") == [10]
        assert told(here, "other") == ["completed"]
        assert await engine.endpoints.held_back() == []


async def test_at_a_registered_endpoint_it_ends_the_endpoint_and_keeps_what_waits(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = one_after_the_other(answers(410), answers(200))
        endpoint = await engine.endpoint(here.hook)
        await engine.register(["job", "other"], endpoints=[endpoint.id])
        await tell(engine, "job", "completed")
        await engine.settled()
        await tell(engine, "other", "completed")
        await arrivals(here, engine, 7 * 86400)

        assert (await engine.endpoints.one(endpoint.id)).disabled is Disabled.GONE
        assert [one.body["jobId"] for one in here.receivers.webhooks] == ["job"]
        assert [one["reason"] for one in here.logs if one["log_level"] == "error"] == ["gone"]

        await engine.endpoints.change(endpoint.id, {}, enabled=True)
        await engine.settled()
        assert told(here, "job") == ["completed"] * 2
        assert told(here, "other") == ["completed"]
        assert len({one.id for one in here.receivers.of("job")}) == 1


async def test_the_other_endpoints_of_a_job_go_on(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/gone"] = answers(410)
        gone = await engine.endpoint(f"{here.receivers.url}/gone")
        alive = await engine.endpoint(f"{here.receivers.url}/alive")
        await engine.register(["job"], here.hook, endpoints=[gone.id, alive.id])
        await tell(engine, "job", 10)
        await engine.settled()
        await tell(engine, "job", "completed")
        await engine.settled()

        assert len(here.receivers.at("/gone")) == 1
        for path in ("/alive", "/hook"):
            assert [one.body["sequence"] for one in here.receivers.at(path)] == [1, 2]


async def test_nothing_more_goes_out_while_that_is_written_down(tmp_path: Path) -> None:
    jobs = [f"job_{number}" for number in range(100)]
    async with (
        stage(tmp_path, real_time=True, loops=DELIVER_ALONE, store=Sluggish) as here,
        here.engine() as engine,
    ):
        here.receivers.manners["/hook"] = answers(410)
        endpoint = await engine.endpoint(here.hook)
        await engine.register(jobs, endpoints=[endpoint.id])
        await tell_all(engine, jobs, "completed")

        async def disabled() -> bool:
            return (await engine.endpoints.one(endpoint.id)).disabled is not None

        await until(disabled)
        await until(lambda: len(engine.loops["deliver"].tasks) == 0)

        assert len(here.receivers.webhooks) <= 4
