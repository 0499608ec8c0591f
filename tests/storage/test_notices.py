"""Events of budgets: stored once per period, for the endpoints that ask for them."""

from dataclasses import replace

import pytest

from reelhook.domain.budget import key_owner
from reelhook.domain.endpoint import EventName
from reelhook.domain.event import DAY_MILLISECONDS
from reelhook.domain.over_budget import OverBudgetError
from reelhook.storage.store import Store

from .budgets import limited, limits, priced, usd
from .conftest import Sql
from .samples import ENDPOINT, NOW

BOTH = frozenset({EventName.BUDGET_WARNING, EventName.BUDGET_REACHED})


async def asking(store: Store, *, events: frozenset[EventName] = BOTH, name: str = "ep_1") -> None:
    await store.create_endpoint(replace(ENDPOINT, id=name, events=events))


async def told(store: Store, at: int = NOW) -> list[tuple[str, str, int]]:
    """Return the endpoint, name and use of every notice that is due."""
    return [
        (due.endpoint.id, due.notice.name.value, due.notice.used)
        for due in await store.due_notices(at, 10)
    ]


async def test_a_warning_comes_at_80_percent_and_once_a_period(store: Store) -> None:
    await asking(store)
    await limited(store, limits(jobs_per_day=5))
    for number in range(3):
        assert not (await store.create(priced(f"job_{number}", usd(1)))).announced
    assert (await store.create(priced("job_3", usd(1)))).announced
    assert await told(store) == [("ep_1", "budget.warning", 4)]
    assert (await store.create(priced("job_4", usd(1)))).announced
    names = {name for _, name, _ in await told(store)}
    assert names == {"budget.warning", "budget.reached"}
    await limited(store, limits(jobs_per_day=6))
    assert not (await store.create(priced("job_5", usd(1)))).announced


async def test_the_next_period_has_its_own(store: Store) -> None:
    await asking(store)
    await limited(store, limits(day=1))
    await store.create(priced("job_1", usd(0.9)))
    tomorrow = NOW + DAY_MILLISECONDS
    assert (await store.create(priced("job_2", usd(0.9), at=tomorrow))).announced
    assert len({due.notice.id for due in await store.due_notices(tomorrow, 10)}) == 2


async def test_a_refusal_reports_that_the_budget_is_reached(store: Store) -> None:
    await asking(store)
    await limited(store, limits(day=1))
    with pytest.raises(OverBudgetError) as caught:
        await store.create(priced("job_1", usd(2)))
    error = caught.value
    assert await store.report_reached(error.demand, error.used, NOW)
    assert not await store.report_reached(error.demand, error.used, NOW)
    assert await told(store) == [("ep_1", "budget.reached", 0)]


async def test_only_endpoints_of_the_project_that_ask_get_them(store: Store, sql: Sql) -> None:
    await asking(store, events=frozenset({EventName.BUDGET_WARNING}))
    await asking(store, events=ENDPOINT.events, name="ep_2")
    await store.create_endpoint(replace(ENDPOINT, id="ep_3", events=BOTH, project="prj_1"))
    await limited(store, limits(day=1))
    await store.create(priced("job_1", usd(1)))
    assert await told(store) == [("ep_1", "budget.warning", 1_000_000)]


async def test_a_key_s_budget_is_reported_to_its_project(store: Store, sql: Sql) -> None:
    await store.create_endpoint(replace(ENDPOINT, events=BOTH, project="prj_1"))
    await sql(
        "INSERT INTO api_keys (id, project, name, hash, hint, scopes, created_at)"
        " VALUES ('key_1', 'prj_1', 'a', 'h', 'rhk', 'submit', 1)"
    )
    await limited(store, limits(day=1), key_owner("key_1"))
    made = priced("job_1", usd(1), project="prj_1", key_id="key_1")
    assert (await store.create(made)).announced


async def test_nothing_is_reported_of_jobs_in_flight_or_without_endpoints(store: Store) -> None:
    await limited(store, limits(day=1, jobs_in_flight=1))
    assert not (await store.create(priced("job_1", usd(1)))).announced
    await asking(store)
    assert await told(store) == []


async def test_an_attempt_is_recorded_and_what_has_arrived_is_forgotten_later(
    store: Store,
) -> None:
    await asking(store, events=frozenset({EventName.BUDGET_WARNING}))
    await limited(store, limits(day=1))
    await store.create(priced("job_1", usd(0.8)))
    (due,) = await store.due_notices(NOW, 10)
    await store.record_notice(due, 1, NOW + 5000, None)
    assert (await told(store), await store.next_notice_at()) == ([], NOW + 5000)
    (due,) = await store.due_notices(NOW + 5000, 10)
    assert due.attempts == 1
    await store.record_notice(due, 2, None, None)
    assert await store.next_notice_at() is None
    await store.forget_notices(NOW + 1)
