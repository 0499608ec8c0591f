"""The data of a closed project is removed once everything in it has ended; its costs stay."""

from dataclasses import replace

import pytest

from reelhook.domain.budget import project_owner
from reelhook.domain.endpoint import Disabled, EventName, url_id
from reelhook.domain.event import DAY_MILLISECONDS
from reelhook.domain.job import Job
from reelhook.domain.over_budget import OverBudgetError
from reelhook.ports import DataRemoval, Resend
from reelhook.storage.operations import retention
from reelhook.storage.store import Store

from .budgets import limited, limits, priced, usd
from .conftest import Sql
from .samples import (
    ENDPOINT,
    FINISHED,
    NOW,
    OK,
    REFUSED,
    URL,
    due_now,
    exhausted,
    moved,
    new,
    queued,
    settled,
)
from .test_projects import NEWS, SHOP

TABLES = ("jobs", "events", "deliveries", "attempts", "endpoints", "resends", "job_metadata")
IN_USE, BEGUN, DONE = DataRemoval.IN_USE, DataRemoval.BEGUN, DataRemoval.DONE


async def projects(store: Store) -> None:
    """Two projects, each with an endpoint and a completed job; the webhooks were delivered."""
    for project in (SHOP, NEWS):
        await store.create_project(project)
        await store.create_endpoint(
            replace(ENDPOINT, id=f"ep_{project.name}", project=project.id, secret="s")
        )
        await store.start_resend(Resend(f"resend_{project.name}", 0, NOW, project=project.id))
        await completed(store, f"job_{project.name}", project.id)


async def completed(store: Store, job_id: str, project: str) -> Job:
    made = new(job_id, project=project)
    job = await queued(store, made, f"video_{job_id}")
    job = await moved(store, job.apply(FINISHED, NOW))
    for due in await due_now(store):
        await settled(store, due, OK)
    return job


async def close(store: Store, *, delete_data: bool = True) -> None:
    await store.change_project("shop", lambda one: one.closed(NOW, delete_data=delete_data), NOW)


async def remove(store: Store) -> list[DataRemoval]:
    """Remove all that goes; return the outcome of each batch."""
    outcomes = [await store.remove_project_data("prj_shop", NOW + 9)]
    while outcomes[-1] is BEGUN:
        outcomes.append(await store.remove_project_data("prj_shop", NOW + 9))
    return outcomes


async def counts(sql: Sql) -> dict[str, int]:
    rows = {table: await sql("SELECT count(*) FROM " + table) for table in TABLES}  # noqa: S608 - names of ours
    return {table: found[0][0] for table, found in rows.items()}


async def test_all_of_a_closed_project_goes_and_nothing_of_another(store: Store, sql: Sql) -> None:
    await projects(store)
    before = await counts(sql)
    await close(store)
    assert await store.projects_to_empty() == ["prj_shop"]
    assert (await remove(store))[-1] is DONE
    after = await counts(sql)
    assert {table: 2 * count for table, count in after.items()} == before
    assert after["jobs"] == 1
    assert (await store.job("job_news")).job.project == "prj_news"
    assert await store.projects_to_empty() == []
    emptied = await store.project("shop")
    assert emptied is not None
    assert (emptied.secret, emptied.webhook_url) == (None, None)
    assert (emptied.closed_at, emptied.data_deleted_at) == (NOW, NOW + 9)
    assert (await store.project("news")) == NEWS


async def test_nothing_is_removed_unless_it_was_asked_for(store: Store) -> None:
    await projects(store)
    assert await store.projects_to_empty() == []
    await close(store, delete_data=False)
    assert await store.projects_to_empty() == []
    await close(store)
    assert await store.projects_to_empty() == ["prj_shop"]


async def test_a_running_job_holds_the_removal_back(store: Store, sql: Sql) -> None:
    await projects(store)
    job = await queued(store, new("job_1", urls=(), project="prj_shop"), "video_1")
    await close(store)
    before = await counts(sql)
    assert await remove(store) == [IN_USE]
    assert await counts(sql) == before
    await moved(store, job.apply(FINISHED, NOW))
    assert (await remove(store))[-1] is DONE


async def test_a_webhook_that_waits_holds_the_removal_back(store: Store) -> None:
    await projects(store)
    job = await queued(store, new("job_1", project="prj_shop"), "video_1")
    await moved(store, job.apply(FINISHED, NOW))
    await close(store)
    assert await remove(store) == [IN_USE]
    (due,) = await due_now(store)
    await settled(store, due, REFUSED)
    assert await remove(store) == [IN_USE]
    (due,) = await due_now(store, NOW + 100_000)
    await exhausted(store, due, at=NOW + 100_000)
    assert (await remove(store))[-1] is DONE


async def test_a_notice_that_waits_holds_the_removal_back(store: Store) -> None:
    await projects(store)
    await store.change_endpoint(
        "ep_shop", lambda one: replace(one, events=frozenset({EventName.BUDGET_REACHED}))
    )
    await limited(store, limits(day=1), project_owner("prj_shop"))
    with pytest.raises(OverBudgetError) as caught:
        await store.create(priced("job_1", usd(2), project="prj_shop"))
    assert await store.report_reached(caught.value.demand, caught.value.used, NOW)
    await close(store)
    assert await remove(store) == [IN_USE]
    (notice,) = await store.due_notices(NOW, 9)
    await store.record_notice(notice, 1, None, None)
    assert (await remove(store))[-1] is DONE


async def test_a_disabled_endpoint_is_not_waited_for(store: Store) -> None:
    await projects(store)
    job = await queued(store, new("job_1", project="prj_shop"), "video_1")
    await moved(store, job.apply(FINISHED, NOW))
    await close(store)
    await store.change_endpoint(
        url_id(URL, "prj_shop"),
        lambda one: replace(one, disabled=Disabled.FAILING, disabled_at=NOW),
    )
    assert (await remove(store))[-1] is DONE


async def test_a_submission_in_doubt_holds_the_removal_back(store: Store) -> None:
    await projects(store)
    job = await queued(store, new("job_1", urls=(), project="prj_shop"), "video_1")
    await moved(store, job.fail("submission_unknown", "Nobody knows", NOW))
    await close(store)
    assert await remove(store) == [IN_USE]
    await store.close_doubt("job_1", NOW)
    assert (await remove(store))[-1] is DONE


async def test_the_costs_stay_the_same_while_and_after_the_jobs_go(
    store: Store, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "JOBS_SCANNED", 2)
    await projects(store)
    for number in range(5):
        await completed(store, f"job_{number}", "prj_shop")
    await sql("UPDATE jobs SET quoted_amount = 2, quoted_unit = 'credits' WHERE id = 'job_0'")
    await sql("UPDATE jobs SET charged_amount = 0.5, charged_unit = 'USD' WHERE id <> 'job_0'")
    await sql("UPDATE jobs SET created_at = created_at + ?1 WHERE id = 'job_1'", DAY_MILLISECONDS)
    period = (NOW - 1, NOW + 2 * DAY_MILLISECONDS)
    before = await store.costs(*period)
    assert sum(line.jobs for line in before) == 7
    await close(store)
    outcomes = 0
    while await store.remove_project_data("prj_shop", NOW) is BEGUN:
        assert await store.costs(*period) == before
        outcomes += 1
    assert outcomes >= 3
    assert await store.costs(*period) == before
    assert [line.jobs for line in await store.costs(NOW + DAY_MILLISECONDS, period[1])] == [1]


async def test_a_job_with_more_rows_than_a_batch_goes_piece_by_piece(
    store: Store, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    await projects(store)
    monkeypatch.setattr(retention, "ROWS_MAX", 2)
    await close(store)
    outcomes = await remove(store)
    assert outcomes[-1] is DONE
    assert len(outcomes) >= 3
    assert await sql("SELECT id FROM jobs") == [("job_news",)]
