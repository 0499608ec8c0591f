"""A new job reserves what it may cost, in the transaction that stores it."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from reelhook.domain.budget import key_owner, project_owner
from reelhook.domain.event import DAY_MILLISECONDS
from reelhook.domain.over_budget import JobLimitError, OverBudgetError, UnknownPriceError
from reelhook.domain.price import Price
from reelhook.ports import Created, IdempotencyKey
from reelhook.storage.store import Store

from .budgets import DAY, MONTH, Total, in_flight, limited, limits, money, priced, sums, usd
from .conftest import Sql
from .samples import NOW, registered


async def test_without_a_budget_nothing_is_counted(store: Store, sql: Sql) -> None:
    await store.create(priced("job_1", usd(0.4)))
    assert await sql("SELECT * FROM spending") == []
    assert await sql("SELECT * FROM reservations") == []


async def test_a_job_reserves_the_highest_of_its_prices(store: Store) -> None:
    await limited(store, limits(day=10))
    await store.create(priced("job_1", usd(0.4), usd(0.7), usd(0.1)))
    assert await sums(store) == {
        (DAY, "USD"): Total(0.7, 0),
        (MONTH, "USD"): Total(0.7, 0),
        (DAY, "jobs"): Total(0, 1),
        ("now", "jobs"): Total(1, 0),
    }


async def test_a_job_that_the_money_does_not_allow_is_refused_and_not_stored(
    store: Store, sql: Sql
) -> None:
    await limited(store, limits(day=1))
    await store.create(priced("job_1", usd(0.7)))
    with pytest.raises(OverBudgetError) as caught:
        await store.create(priced("job_2", usd(0.4)))
    assert caught.value.code == "over_budget"
    assert caught.value.facts | {"limit": 1, "used": 0.7, "needed": 0.4, "unit": "USD"} == (
        caught.value.facts
    )
    assert caught.value.kind == "money_per_day"
    assert caught.value.resets_at == NOW + DAY_MILLISECONDS
    assert await sql("SELECT id FROM jobs") == [("job_1",)]
    assert await money(store) == (0.7, 0)


async def test_a_budget_may_be_used_up_exactly(store: Store) -> None:
    await limited(store, limits(day=1))
    for number in range(10):
        await store.create(priced(f"job_{number}", usd(0.1)))
    with pytest.raises(OverBudgetError):
        await store.create(priced("job_10", usd(0.000001)))


async def test_the_next_day_has_its_own_money_and_the_month_goes_on(store: Store) -> None:
    await limited(store, limits(day=1, month=1.5))
    await store.create(priced("job_1", usd(1)))
    tomorrow = NOW + DAY_MILLISECONDS
    await store.create(priced("job_2", usd(0.5), at=tomorrow))
    with pytest.raises(OverBudgetError) as caught:
        await store.create(priced("job_3", usd(0.1), at=tomorrow))
    assert caught.value.kind == "money_per_month"
    assert caught.value.resets_at == NOW + 31 * DAY_MILLISECONDS


async def test_too_many_jobs_of_a_day_or_in_flight_are_refused_for_now(store: Store) -> None:
    await limited(store, limits(jobs_per_day=2, jobs_in_flight=1))
    await store.create(priced("job_1", usd(1)))
    with pytest.raises(JobLimitError) as caught:
        await store.create(priced("job_2", usd(1)))
    assert (caught.value.kind, caught.value.resets_at) == ("jobs_in_flight", None)
    await limited(store, limits(jobs_per_day=1))
    with pytest.raises(JobLimitError) as caught:
        await store.create(priced("job_2", usd(1)))
    assert caught.value.kind == "jobs_per_day"
    assert caught.value.wait_seconds == 24 * 3600


@pytest.mark.parametrize("price", [None, Price(3, "EUR")])
async def test_a_job_of_unknown_price_is_refused_where_money_is_limited(
    store: Store, price: Price | None
) -> None:
    await limited(store, limits(day=10))
    with pytest.raises(UnknownPriceError) as caught:
        await store.create(priced("job_1", price))
    assert (caught.value.code, caught.value.problem) == ("over_budget", "unknown_price")
    assert await sums(store) == {}


async def test_the_unknown_price_is_reserved_if_it_is_set(store: Store) -> None:
    await limited(store, limits(day=10, unknown=0.5))
    await store.create(priced("job_1", None))
    await store.create(priced("job_2", usd(0.1), None))
    await store.create(priced("job_3", usd(0.8), None))
    assert await money(store) == (1.8, 0)


async def test_a_key_and_its_project_both_must_have_room(store: Store) -> None:
    await limited(store, limits(day=10))
    await limited(store, limits(day=1), key_owner("key_1"))
    await store.create(priced("job_1", usd(0.7), key_id="key_1"))
    await store.create(priced("job_2", usd(0.7)))
    with pytest.raises(OverBudgetError) as caught:
        await store.create(priced("job_3", usd(0.7), key_id="key_1"))
    assert caught.value.facts["owner"] == "key"
    assert await money(store) == (1.4, 0)
    assert await money(store, key_owner("key_1")) == (0.7, 0)
    await limited(store, limits(day=1.5))
    with pytest.raises(OverBudgetError) as caught:
        await store.create(priced("job_3", usd(0.2), key_id="key_1"))
    assert caught.value.facts["owner"] == "project"
    assert await money(store, key_owner("key_1")) == (0.7, 0)


async def test_a_key_s_budget_takes_the_unknown_price_of_its_project(store: Store) -> None:
    await limited(store, limits(unknown=0.5))
    await limited(store, limits(day=1), key_owner("key_1"))
    await store.create(priced("job_1", None, key_id="key_1"))
    assert await money(store, key_owner("key_1")) == (0.5, 0)


async def test_projects_have_budgets_of_their_own(store: Store) -> None:
    await limited(store, limits(day=1), project_owner("prj_1"))
    await store.create(priced("job_1", usd(5)))
    await store.create(priced("job_2", usd(1), project="prj_1"))
    with pytest.raises(OverBudgetError):
        await store.create(priced("job_3", usd(1), project="prj_1"))


async def test_a_raise_holds_until_its_end(store: Store) -> None:
    await limited(store, limits(day=1, month=1))
    owner = project_owner("default")
    await store.raise_budget(owner, limits(day=2, month=9), NOW + 1000, NOW)
    await store.create(priced("job_1", usd(1.5)))
    with pytest.raises(OverBudgetError):
        await store.create(priced("job_2", usd(0.1), at=NOW + 1000))
    await limited(store, limits(day=3, month=3))
    assert (await store.budget(owner, NOW)).budget.raised is None


async def test_a_repeat_is_answered_before_any_budget_is_looked_at(store: Store) -> None:
    await limited(store, limits(day=1))
    first = replace(priced("job_1", usd(1)), idempotency=IdempotencyKey("h", "k", "f"))
    again = replace(priced("job_2", usd(1)), idempotency=IdempotencyKey("h", "k", "f"))
    assert await store.create(first) == Created("job_1")
    assert await store.create(again) == Created("job_1", replayed=True)
    assert await money(store) == (1, 0)


async def test_a_registered_job_reserves_nothing(store: Store) -> None:
    await limited(store, limits(day=0, jobs_per_day=0, jobs_in_flight=0))
    await store.create(registered("job_1", "video_1"))
    assert await sums(store) == {}


async def test_of_many_jobs_at_once_exactly_as_many_are_stored_as_fit(store: Store) -> None:
    await limited(store, limits(day=10))

    async def create(number: int) -> bool:
        try:
            await store.create(priced(f"job_{number}", usd(1)))
        except OverBudgetError:
            return False
        return True

    assert sum(await asyncio.gather(*map(create, range(64)))) == 10
    assert await money(store) == (10, 0)
    assert await in_flight(store) == 10


async def test_a_refusal_writes_nothing_and_undoes_no_other_write(store: Store) -> None:
    """Refused jobs share their transactions with jobs that are stored."""
    await limited(store, limits(jobs_in_flight=0), project_owner("prj_1"))
    tries = [
        store.create(priced(f"job_{number}", usd(1), project=f"prj_{number % 2}"))
        for number in range(40)
    ]
    found: list[Any] = await asyncio.gather(*tries, return_exceptions=True)
    assert [isinstance(one, JobLimitError) for one in found] == [False, True] * 20
