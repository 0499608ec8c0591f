"""An endpoint that has failed for five days is left alone until a person looks."""

from pathlib import Path

from engine_delivering import DELIVER_ALONE, tell_all
from engine_outage import outage
from engine_stage import stage

from reelhook.domain.endpoint import Disabled

HOUR = 3600


async def test_it_is_disabled_after_120_hours_told_and_sent_to_once_it_is_enabled(
    tmp_path: Path,
) -> None:
    jobs = [f"job_{number}" for number in range(20)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        # The hint is for the sake of the test's time: a probe each hour.
        down = outage(here, 503, Retry_After=str(HOUR))
        endpoint = await engine.endpoint(here.hook)
        await engine.register(jobs, endpoints=[endpoint.id])
        # Probes are sent with the oldest final event. It is tried before the breaker opens.
        await tell_all(engine, jobs[:1], "completed")
        await engine.settled()
        await tell_all(engine, jobs[1:], "completed")
        await engine.pass_time(119.9 * HOUR)
        assert (await engine.endpoints.one(endpoint.id)).disabled is None

        await engine.pass_time(1.2 * HOUR)
        told = [one for one in here.logs if one["log_level"] == "error"]
        (disabled,) = await engine.endpoints.held_back()
        assert (disabled.id, disabled.disabled) == (endpoint.id, Disabled.FAILING)
        assert disabled.disabled_at is not None
        assert [(one["endpoint"], one["reason"]) for one in told] == [(endpoint.id, "failing")]
        assert (await engine.operations.stats())["endpoints"] == {"failing": 0, "disabled": 1}

        seen, down.over = len(down.arrivals), True
        await engine.pass_time(48 * HOUR)
        assert len(down.arrivals) == seen

        await engine.endpoints.change(endpoint.id, {}, enabled=True)
        await engine.settled()
        # One was probed with until its attempts were used up, see `test_deliver_retries`.
        undelivered = here.query("SELECT count(*) FROM undelivered WHERE fate = 'exhausted'")
        assert undelivered == [(1,)]
        assert len(set(down.accepted)) == len(down.accepted) == 19
        assert await engine.store.deliveries_waiting() == 0


async def test_it_is_told_when_a_receiver_fails_and_when_it_is_back(tmp_path: Path) -> None:
    jobs = [f"job_{number}" for number in range(20)]
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        down = outage(here)
        await engine.register(jobs, here.hook)
        await tell_all(engine, jobs, "completed")
        await engine.pass_time(600)
        down.over = True
        assert (await engine.operations.stats())["endpoints"] == {"failing": 1, "disabled": 0}
        await engine.pass_time(600)

        said = [one["event"] for one in here.logs]
        assert said.count("endpoint.failing") == 1
        assert said.count("endpoint.recovered") == 1
        assert (await engine.operations.stats())["endpoints"] == {"failing": 0, "disabled": 0}
