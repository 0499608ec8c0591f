"""A job's end settles what it has reserved, in the transaction that ends it."""

from dataclasses import replace

import pytest

from reelhook.domain.api_key import ApiKey
from reelhook.domain.budget import NOW as NOW_PERIOD
from reelhook.domain.budget import key_owner
from reelhook.domain.event import DAY_MILLISECONDS
from reelhook.domain.job import SUBMISSION_UNKNOWN, Job, Status
from reelhook.domain.over_budget import OverBudgetError
from reelhook.domain.price import Price
from reelhook.domain.report import Cost, Failed, Finished
from reelhook.domain.reservation import Bill, BillOutcome
from reelhook.ports import Acceptance, NewJob
from reelhook.storage.store import Store

from .budgets import DAY, MONTH, Total, in_flight, limited, limits, money, priced, sums, usd
from .conftest import Sql
from .samples import (
    FAILED,
    FINISHED,
    NOW,
    Transition,
    change,
    moved,
    queued,
    registered,
    stored,
    submitting,
)


async def running(store: Store, made: NewJob) -> Job:
    """Store a job that its provider has."""
    return await queued(store, made, f"video_{made.job.id}")


async def test_a_charge_replaces_the_estimate(store: Store) -> None:
    await limited(store, limits(day=10))
    job = await running(store, priced("job_1", usd(0.5)))
    charged = Finished("https://cdn.example/v.mp4", cost=Cost(0.36, "USD"))
    await moved(store, job.apply(charged, NOW))
    assert await sums(store) == {
        (DAY, "USD"): Total(0, 0.36),
        (MONTH, "USD"): Total(0, 0.36),
        (DAY, "jobs"): Total(0, 1),
    }


async def test_without_a_charge_the_estimate_is_spent(store: Store) -> None:
    await limited(store, limits(day=10))
    job = await running(store, priced("job_1", usd(0.5)))
    await moved(store, job.apply(FINISHED, NOW))
    assert (await money(store), await in_flight(store)) == ((0, 0.5), 0)


async def test_what_the_dearest_fallback_would_have_cost_is_reserved_and_not_spent(
    store: Store,
) -> None:
    await limited(store, limits(day=10))
    job = await running(store, priced("job_1", usd(0.5), usd(5)))
    assert await money(store) == (5, 0)
    await moved(store, job.apply(FINISHED, NOW))
    assert await money(store) == (0, 0.5)


async def test_a_fallback_that_was_not_reserved_is_spent_in_full(store: Store) -> None:
    await store.create(priced("job_1", usd(0.5), usd(5)))
    await limited(store, limits(day=1))  # the first limits know only the model's own price
    job = (await store.job("job_1")).job
    dearer = replace(job, estimated_amount=5.0, provider_job_id="video_1", status=Status.QUEUED)
    job = await moved(store, (dearer, ()))
    await moved(store, job.apply(FINISHED, NOW))
    assert await money(store) == (0, 5)


async def test_the_first_limits_of_a_key_know_the_unknown_price_of_its_project(
    store: Store,
) -> None:
    key = ApiKey("key_1", "default", "app", "rhk_", frozenset(), None, (), NOW)
    await store.create_api_key(key, "hash")
    await limited(store, limits(day=10, unknown=0.5))
    await store.create(priced("job_1", None, key_id=key.id))
    await limited(store, limits(day=1), key_owner(key.id))
    assert await money(store, key_owner(key.id)) == (0.5, 0)


async def test_a_price_in_jobs_is_no_number_of_jobs(store: Store) -> None:
    await limited(store, limits(jobs_per_day=9))
    await store.create(priced("job_1", Price(5, "jobs")))
    assert await sums(store) == {(NOW_PERIOD, "jobs"): Total(1, 0), (DAY, "jobs"): Total(0, 1)}


async def test_a_charge_in_a_unit_that_is_not_limited_counts_as_the_estimate(store: Store) -> None:
    await limited(store, limits(day=10))
    job = await running(store, priced("job_1", usd(0.5)))
    charged = Finished("https://cdn.example/v.mp4", cost=Cost(25, "credits"))
    await moved(store, job.apply(charged, NOW))
    assert await money(store) == (0, 0.5)


async def test_a_charge_in_a_provider_s_unit_counts_in_the_currency_of_its_rate(
    store: Store,
) -> None:
    await limited(store, limits(day=10))
    job = await running(store, priced("job_1", usd(0.5)))
    ended = change(job.apply(FINISHED, NOW))
    bill = Bill(BillOutcome.SPENT, usd(0.25))
    await store.record([replace(ended, bill=bill)], None)
    assert await money(store) == (0, 0.25)


async def test_a_job_that_was_definitely_not_accepted_gives_everything_back(store: Store) -> None:
    await limited(store, limits(day=10, jobs_in_flight=1))
    job = await submitting(store, priced("job_1", usd(0.5)))
    await moved(store, job.fail("invalid_request", "No such size", NOW))
    assert (await money(store), await in_flight(store)) == ((0, 0), 0)


async def test_a_failure_is_spent_unless_it_is_known_to_be_free(store: Store) -> None:
    await limited(store, limits(day=10))
    first = await running(store, priced("job_1", usd(0.5)))
    second = await running(store, priced("job_2", usd(0.3)))
    await moved(store, first.apply(FAILED, NOW))
    await store.record(
        [replace(change(second.apply(FAILED, NOW)), bill=Bill(BillOutcome.RELEASED))], None
    )
    assert await money(store) == (0, 0.5)


async def test_a_failure_with_a_charge_is_spent(store: Store) -> None:
    await limited(store, limits(day=10))
    job = await running(store, priced("job_1", usd(0.5)))
    await moved(store, job.apply(Failed("moderation", "No", Cost(0.1, "USD")), NOW))
    assert await money(store) == (0, 0.1)


async def test_a_job_that_is_canceled_before_its_create_gives_everything_back(store: Store) -> None:
    await limited(store, limits(day=10))
    job = await stored(store, priced("job_1", usd(0.5)))
    await moved(store, job.cancel(NOW, stopped=True))
    assert await money(store) == (0, 0)


async def test_a_cancel_in_the_middle_of_a_create_counts_as_spent(store: Store) -> None:
    await limited(store, limits(day=10))
    job = await submitting(store, priced("job_1", usd(0.5)))
    await moved(store, job.cancel(NOW, stopped=None))
    assert (await money(store), await in_flight(store)) == ((0, 0.5), 0)


async def test_a_create_that_returned_the_id_of_another_job_counts_as_spent(store: Store) -> None:
    await store.create(registered("by_hand", "video_1"))
    await moved(store, await duplicate(store, "job_1"))
    await limited(store, limits(day=10))
    assert await money(store) == (0, 0.5)
    await moved(store, await duplicate(store, "job_2"))
    assert (await money(store), await in_flight(store)) == ((0, 1), 0)


async def duplicate(store: Store, job_id: str) -> Transition:
    """Return the end of a job whose create returned the id of a registered one."""
    job = await submitting(store, priced(job_id, usd(0.5)))
    accepted = change((job.accept("video_1", NOW), ()))
    assert await store.accept(accepted, None) is Acceptance.DUPLICATE
    return replace(job, accepted_at=NOW).fail("provider_error", "Another job has this id", NOW)


async def test_a_charge_above_the_estimate_uses_up_more_than_was_reserved(store: Store) -> None:
    await limited(store, limits(day=1))
    job = await running(store, priced("job_1", usd(0.5)))
    charged = Finished("https://cdn.example/v.mp4", cost=Cost(1.2, "USD"))
    await moved(store, job.apply(charged, NOW))
    with pytest.raises(OverBudgetError):
        await store.create(priced("job_2", usd(0)))
    assert await money(store) == (0, 1.2)


async def test_money_belongs_to_the_day_on_which_the_job_was_accepted(store: Store) -> None:
    await limited(store, limits(day=1))
    job = await running(store, priced("job_1", usd(1)))
    tomorrow = NOW + DAY_MILLISECONDS
    await store.create(priced("job_2", usd(1), at=tomorrow))
    await moved(store, job.apply(FINISHED, tomorrow))
    assert (await sums(store))[DAY, "USD"] == Total(0, 1)
    assert (await sums(store, at=tomorrow))["2026-01-02", "USD"] == Total(1, 0)


async def test_a_job_ends_once_and_is_settled_once(store: Store) -> None:
    await limited(store, limits(day=10))
    job = await running(store, priced("job_1", usd(0.5), key_id="key_1"))
    ending = change(job.apply(FINISHED, NOW))
    assert await store.record([ending], None) == ["job_1"]
    assert await store.record([ending], None) == []
    assert await money(store) == (0, 0.5)


async def test_the_budgets_of_key_and_project_are_settled_together(store: Store) -> None:
    await limited(store, limits(day=10))
    await limited(store, limits(jobs_in_flight=3), key_owner("key_1"))
    job = await running(store, priced("job_1", usd(0.5), key_id="key_1"))
    await moved(store, job.apply(FINISHED, NOW))
    assert await money(store) == await money(store, key_owner("key_1")) == (0, 0.5)
    assert await in_flight(store, key_owner("key_1")) == 0


# -- unresolved submissions ------------------------------------------------------------------------


async def unresolved(store: Store, made: NewJob) -> Job:
    job = await submitting(store, made)
    return await moved(store, job.fail(SUBMISSION_UNKNOWN, "No one knows", NOW))


def adopting(job: Job, job_id: str) -> NewJob:
    made = priced(job_id)
    adopted = replace(made.job, adopted_from=job.id).accept("video_1", NOW)
    return replace(made, job=adopted, prices=None)


async def test_an_unresolved_job_keeps_its_money_but_is_not_in_flight(store: Store) -> None:
    await limited(store, limits(day=1, jobs_in_flight=1))
    await unresolved(store, priced("job_1", usd(0.7)))
    assert (await money(store), await in_flight(store)) == ((0.7, 0), 0)
    with pytest.raises(OverBudgetError):
        await store.create(priced("job_2", usd(0.7)))


async def test_abandoning_a_job_gives_its_money_back(store: Store) -> None:
    await limited(store, limits(day=1))
    await unresolved(store, priced("job_1", usd(0.7)))
    assert await store.close_doubt("job_1", NOW)
    assert not await store.close_doubt("job_1", NOW)
    assert await money(store) == (0, 0)


async def test_adopting_a_video_moves_the_reservation_to_the_new_job(store: Store) -> None:
    await limited(store, limits(day=1, jobs_per_day=1))
    before = await unresolved(store, priced("job_1", usd(0.7)))
    await store.create(adopting(before, "job_2"))
    assert (await money(store), await in_flight(store)) == ((0.7, 0), 1)
    assert (await sums(store))[DAY, "jobs"] == Total(0, 1)
    adopted = (await store.job("job_2")).job
    await moved(store, adopted.apply(FINISHED, NOW))
    assert (await money(store), await in_flight(store)) == ((0, 0.7), 0)


async def test_an_unresolved_job_that_is_removed_counts_as_spent(store: Store) -> None:
    await limited(store, limits(day=1))
    await unresolved(store, priced("job_1", usd(0.7)))
    await store.remove_jobs((), NOW + DAY_MILLISECONDS, NOW + DAY_MILLISECONDS)
    assert await money(store) == (0, 0.7)


# -- the first limits of an owner ------------------------------------------------------------------


async def test_the_first_limits_count_the_jobs_of_the_present_periods(
    store: Store, sql: Sql
) -> None:
    ended = await running(store, priced("job_1", usd(0.5)))
    charged = Finished("https://cdn.example/v.mp4", cost=Cost(0.25, "USD"))
    await moved(store, ended.apply(charged, NOW))
    estimated = await running(store, priced("job_2", usd(0.125)))
    await moved(store, estimated.apply(FINISHED, NOW))
    refused = await submitting(store, priced("job_3", usd(4)))
    await moved(store, refused.fail("invalid_request", "No", NOW))
    await store.create(priced("job_4", usd(1)))
    open_doubt = await unresolved(store, priced("job_5", usd(2)))
    closed = await unresolved(store, priced("job_6", usd(8)))
    await store.close_doubt(closed.id, NOW)
    await limited(store, limits(day=100))
    assert await sums(store) == {
        (DAY, "USD"): Total(3, 0.375),
        (MONTH, "USD"): Total(3, 0.375),
        (DAY, "jobs"): Total(0, 6),
        ("now", "jobs"): Total(1, 0),
    }
    assert await sql("SELECT job_id FROM reservations ORDER BY job_id") == [("job_4",), ("job_5",)]
    await store.close_doubt(open_doubt.id, NOW)
    job = (await store.job("job_4")).job
    await moved(store, job.cancel(NOW, stopped=True))
    assert (await money(store), await in_flight(store)) == ((0, 0.375), 0)


async def test_later_limits_leave_the_sums_as_they_are(store: Store) -> None:
    await limited(store, limits(day=10))
    await store.create(priced("job_1", usd(1)))
    before = await sums(store)
    await limited(store, limits(month=5))
    assert await sums(store) == before


async def test_a_limit_below_what_is_in_use_is_kept_and_lets_nothing_more_in(store: Store) -> None:
    await limited(store, limits(day=10))
    await store.create(priced("job_1", usd(2)))
    await limited(store, limits(day=1))
    with pytest.raises(OverBudgetError):
        await store.create(priced("job_2", usd(0.1)))
