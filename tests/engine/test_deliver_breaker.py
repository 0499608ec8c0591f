"""The breaker: a receiver that is down is probed, and gets everything once it is back."""

from pathlib import Path

import pytest
from engine_delivering import DELIVER_ALONE, tell, tell_all
from engine_outage import Held, outage, tries_counted
from engine_stage import stage, until

HOUR = 3600
RECOVERY_SECONDS = 6 * 60
HINT = {"Retry_After": "120"}


@pytest.mark.parametrize(
    ("hours", "status", "headers"),
    [(0.1, 500, {}), (3, 500, {}), (40, 500, {}), (0.1, 503, HINT), (3, 503, HINT)],
)
@pytest.mark.long
async def test_after_an_outage_every_ending_arrives_within_six_minutes(
    tmp_path: Path, hours: float, status: int, headers: dict[str, str]
) -> None:
    jobs = [f"job_{number}" for number in range(300)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        down = outage(here, status, **headers)
        await engine.register(jobs, here.hook)
        await tell_all(engine, jobs[:150], 10, "completed")
        await engine.pass_time(hours * HOUR / 2)
        await tell_all(engine, jobs[150:], 10, "completed")
        await engine.pass_time(hours * HOUR / 2)
        tried = tries_counted(here)
        assert len(tried) <= 8  # five failures open the breaker; four may be in flight
        assert set(tried[1:]) <= {1}  # but the one that is probed with keeps to its schedule
        down.over = True
        await engine.pass_time(RECOVERY_SECONDS)

        assert sorted(one for one in down.accepted if one.endswith("_2")) == sorted(
            f"evt_{job_id}_2" for job_id in jobs
        )
        assert down.under_way_max <= 4
        assert here.receivers.in_flight_max == 1
        assert await engine.store.deliveries_waiting() == 0


async def test_probes_go_at_growing_distances_with_the_oldest_ending(tmp_path: Path) -> None:
    others = [f"other_{number}" for number in range(5)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        down = outage(here)
        await engine.register([*others, "older", "newer"], here.hook)
        await tell_all(engine, others, 10)
        await engine.settled()
        assert len(down.arrivals) == 5
        opened_at = here.time.now() / 1000
        await tell(engine, "older", "completed")
        await engine.pass_time(1)
        await tell(engine, "newer", "completed")
        await tell_all(engine, others, "completed")
        await engine.pass_time(1300)

        probes = down.arrivals[5:]
        assert [one.at - opened_at for one in probes] == [5, 15, 35, 75, 155, 315, 615, 915, 1215]
        assert {one.webhook_id for one in probes} == {"evt_older_1"}
        assert tries_counted(here) == [1] * 5

        down.over = True
        await engine.pass_time(300)
        assert down.accepted[0] == "evt_older_1"
        assert len(down.accepted) == 7


async def test_where_no_ending_waits_the_oldest_of_all_is_the_probe(tmp_path: Path) -> None:
    jobs = [f"job_{number}" for number in range(8)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        down = outage(here)
        await engine.register(jobs, here.hook)
        for job_id in jobs:
            await tell(engine, job_id, 10)
            await engine.settled()
        await engine.pass_time(60)
        seen = len(down.arrivals)
        probes = {one.webhook_id for one in down.arrivals[5:]}
        down.over = True
        await engine.pass_time(300)

        assert seen > 6
        assert len(probes) == 1
        assert {one.webhook_id for one in down.arrivals[seen:]} == {f"evt_{one}_1" for one in jobs}


async def test_half_of_the_answers_failing_open_it_as_well(tmp_path: Path) -> None:
    jobs = [f"job_{number}" for number in range(40)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        down = outage(here)
        await engine.register(jobs, here.hook)
        for number, job_id in enumerate(jobs):
            down.over = number % 2 == 0
            await tell(engine, job_id, "completed")
            await engine.settled()
        assert len(down.arrivals) == 20
        assert "endpoint.failing" in {one["event"] for one in here.logs}

        down.over = True
        await engine.pass_time(60)
        assert len(set(down.accepted)) == 40


async def test_it_outlives_a_restart_in_the_middle_of_an_outage(tmp_path: Path) -> None:
    jobs = [f"job_{number}" for number in range(300)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here:
        down = outage(here)
        async with here.engine() as engine:
            await engine.register(jobs, here.hook)
            await tell_all(engine, jobs, "completed")
            await engine.pass_time(1200)
        before = len(down.arrivals)
        async with here.engine() as engine:
            await engine.pass_time(900)
            after = [one.at for one in down.arrivals[before:]]
            assert 3 <= len(after) <= 5  # a probe every five minutes, and at most two retries
            assert len({one.webhook_id for one in down.arrivals[before:]}) == 1
            assert len(tries_counted(here)) <= 8
            down.over = True
            await engine.pass_time(RECOVERY_SECONDS)
            assert sorted(down.accepted) == sorted(f"evt_{job_id}_1" for job_id in jobs)
            assert down.under_way_max <= 4


async def test_a_retry_waits_as_long_as_the_answer_to_a_probe_asked_for(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        down = outage(here)
        await engine.register(["job"], here.hook)
        await tell(engine, "job", "completed")
        await engine.pass_time(1000)  # the next retry is half an hour away, probes go between
        down.headers = {"Retry-After": str(2 * HOUR)}
        seen = len(down.arrivals)
        await engine.pass_time(HOUR)
        (asked,) = down.arrivals[seen:]
        await engine.pass_time(2 * HOUR)

        assert down.arrivals[seen + 1].at == asked.at + 2 * HOUR


async def test_traffic_comes_back_slowly(tmp_path: Path) -> None:
    jobs = [f"job_{number}" for number in range(60)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        outage(here)
        endpoint = await engine.endpoint(here.hook, concurrency=8)
        await engine.register(jobs, endpoints=[endpoint.id])
        await tell_all(engine, jobs, "completed")
        await engine.settled()
        held = Held()
        here.receivers.manners["/hook"] = held
        here.time.advance(20)
        seen = []
        for _ in range(7):
            await until(lambda: held.waiting and engine.waits_for(len(held.waiting)))
            seen.append(len(held.waiting))
            held.waiting.pop(0).set()

        assert seen == [1, 1, 2, 4, 8, 8, 8]
        held.let_all()
        await engine.pass_time(60)
        assert await engine.store.deliveries_waiting() == 0
