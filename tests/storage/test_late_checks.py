"""Jobs that ended without a word of their provider: who is looked at, and what it does to money."""

from dataclasses import replace

import pytest

from reelhook.domain.after_end import recovered
from reelhook.domain.event import DAY_MILLISECONDS
from reelhook.domain.job import MISSING_TOLERATED_MILLISECONDS, Job
from reelhook.domain.report import Cost, Failed, Finished, Missing
from reelhook.domain.reservation import bill_of
from reelhook.storage.store import Store

from .budgets import DAY, MONTH, Total, limited, limits, priced, sums, usd
from .conftest import Sql
from .samples import ACCOUNT, NOW, Transition, change, moved, new, queued, take

DUE = NOW + DAY_MILLISECONDS


async def due(store: Store, at: int = DUE) -> list[tuple[str, int]]:
    return [(one.job.id, one.checks) for one in await store.late_checks(ACCOUNT, at, 9)]


def unknown(job: Job) -> Transition:
    """The provider has not known the job for ten minutes."""
    missing, _ = job.apply(Missing(), NOW - MISSING_TOLERATED_MILLISECONDS)
    return missing.apply(Missing(), NOW)


@pytest.mark.parametrize("way", ["age", "unknown"])
async def test_a_job_that_was_given_up_is_looked_at_from_the_next_day_on(
    store: Store, way: str
) -> None:
    job = await queued(store, new(urls=()), "video_1")
    ended = job.fail("expired", "It took too long", NOW) if way == "age" else unknown(job)
    await moved(store, ended)
    assert await due(store, DUE - 1) == []
    assert await due(store) == [("job_1", 0)]
    assert await store.late_checks("other", DUE, 9) == []


async def test_a_job_whose_provider_ended_it_or_never_had_it_is_not(store: Store) -> None:
    job = await queued(store, new("job_1", urls=()), "video_1")
    await moved(store, job.apply(Failed("moderation", "No"), NOW))
    job = await queued(store, new("job_2", urls=()), "video_2")
    await moved(store, job.cancel(NOW))
    await store.create(new("job_3", urls=()))
    await moved(store, (await store.job("job_3")).job.fail("expired", "Nobody took it", NOW))
    assert await due(store) == []


async def test_it_is_looked_at_three_times_and_no_more(store: Store) -> None:
    job = await queued(store, new(urls=()), "video_1")
    await moved(store, job.fail("expired", "It took too long", NOW))
    (lease,) = await take(store, [f"account:{ACCOUNT}"], "worker_1")
    for number in range(3):
        at = DUE + number * DAY_MILLISECONDS
        (check,) = await store.late_checks(ACCOUNT, at, 9)
        assert check.checks == number
        await store.record_late_check(check, check.retry_at(at - 1), lease, learnt=False)
        assert await due(store, at) == []
        await store.record_late_check(
            check, check.next_at(at), replace(lease, epoch=lease.epoch + 1)
        )
        await store.record_late_check(check, check.next_at(at), lease)
    assert await due(store, NOW + 99 * DAY_MILLISECONDS) == []


async def test_it_is_not_looked_at_for_ever_if_its_provider_can_t_be_asked(store: Store) -> None:
    job = await queued(store, new(urls=()), "video_1")
    await moved(store, job.fail("expired", "It took too long", NOW))
    (check,) = await store.late_checks(ACCOUNT, DUE, 9)
    assert check.retry_at(NOW + 7 * DAY_MILLISECONDS) is None


async def test_the_late_charge_replaces_what_was_spent(store: Store) -> None:
    await limited(store, limits(day=10))
    job = await queued(store, priced("job_1", usd(0.5)), "video_1")
    job = await moved(store, job.fail("expired", "It took too long", NOW))
    assert (await sums(store))[DAY, "USD"] == Total(0, 0.5)
    found = Finished("https://cdn.example/v.mp4", cost=Cost(0.36, "USD"))
    made = change(recovered(job, found, DUE))
    assert await store.record_after_end(replace(made, bill=bill_of(made.job)))
    assert await sums(store) == {
        (DAY, "USD"): Total(0, 0.36),
        (MONTH, "USD"): Total(0, 0.36),
        (DAY, "jobs"): Total(0, 1),
    }
    assert await due(store) == []


async def test_without_a_charge_or_a_budget_nothing_is_spent_again(store: Store) -> None:
    job = await queued(store, priced("job_0", usd(0.5)), "video_0")
    free = await moved(store, job.fail("expired", "It took too long", NOW))
    await limited(store, limits(day=10))
    job = await queued(store, priced("job_1", usd(0.5)), "video_1")
    job = await moved(store, job.fail("expired", "It took too long", NOW))
    before = await sums(store)
    for one, cost in ((job, None), (free, Cost(3, "USD"))):
        found = Finished("https://cdn.example/v.mp4", cost=cost)
        made = change(recovered(one, found, DUE))
        assert await store.record_after_end(replace(made, bill=bill_of(made.job)))
    assert await sums(store) == before


async def test_a_deleted_job_is_not_looked_at(store: Store, sql: Sql) -> None:
    job = await queued(store, new(urls=()), "video_1")
    await moved(store, job.fail("expired", "It took too long", NOW))
    assert await store.delete_job("job_1", NOW)
    assert await due(store) == []
    assert await sql("SELECT count(*) FROM late_checks") == [(0,)]
