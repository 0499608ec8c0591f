"""What happens meanwhile, while one receiver is down, to its jobs and to other endpoints."""

from pathlib import Path

from engine_delivering import DELIVER_ALONE, tell, tell_all, told
from engine_outage import outage
from engine_stage import stage


async def test_of_what_came_meanwhile_the_newest_is_sent_and_the_rest_is_on_record(
    tmp_path: Path,
) -> None:
    jobs = [f"job_{number}" for number in range(30)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        await engine.register([*jobs, "early"], here.hook)
        await tell_all(engine, jobs, 1)
        await engine.settled()
        down = outage(here)
        await tell(engine, "early", "completed")
        for step in range(2, 60):
            await tell_all(engine, jobs, step)
            await engine.pass_time(60)
        await tell_all(engine, jobs[:10], "completed")
        await engine.pass_time(300)
        down.over = True
        here.receivers.webhooks.clear()
        await engine.pass_time(360)

        for job_id in jobs[:10]:
            assert told(here, job_id) == ["completed"]
        for job_id in jobs[10:]:
            assert told(here, job_id) == [59]
        # Each event either arrived or has a fate on record.
        untold = here.query(
            "SELECT d.job_id, e.sequence FROM deliveries d JOIN events e ON e.job_id = d.job_id"
            " WHERE NOT EXISTS (SELECT 1 FROM undelivered u WHERE u.delivery_id = d.id"
            "  AND u.sequence = e.sequence) AND NOT EXISTS (SELECT 1 FROM attempts a"
            "  WHERE a.delivery_id = d.id AND a.sequence = e.sequence AND a.http_status = 204)"
        )
        assert untold == []


async def test_other_endpoints_of_the_same_jobs_go_on_meanwhile(tmp_path: Path) -> None:
    jobs = [f"job_{number}" for number in range(30)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        outage(here)
        other = await engine.endpoint(f"{here.receivers.url}/other")
        await engine.register(jobs, here.hook, endpoints=[other.id])
        for step in (10, 20, "completed"):
            await tell_all(engine, jobs, step)
            await engine.settled()

        sequences = [
            (one.body["jobId"], one.body["sequence"]) for one in here.receivers.at("/other")
        ]
        assert sorted(sequences) == sorted((job_id, n) for job_id in jobs for n in (1, 2, 3))


async def test_an_endpoint_gets_the_events_that_it_asked_for(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        ends = await engine.endpoint(here.hook, events=frozenset({"completed", "failed"}))
        await engine.register(["job"], endpoints=[ends.id])
        await tell(engine, "job", 10, 20, "completed")
        await engine.settled()

        assert told(here, "job") == ["completed"]
        assert [one.body["sequence"] for one in here.receivers.webhooks] == [3]


async def test_one_that_gets_every_jobs_events_gets_them_beside_the_jobs_own(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        await engine.register(["running"], here.hook)
        await engine.endpoint(f"{here.receivers.url}/all", broadcast=True)
        await engine.register(["new"], here.hook)
        await tell_all(engine, ["running", "new"], "completed")
        await engine.settled()

        arrived = {(one.path, one.body["jobId"]) for one in here.receivers.webhooks}
        assert arrived == {(path, job) for path in ("/hook", "/all") for job in ("running", "new")}
