"""Lists of jobs by project, status, model, code, labels and time."""

from dataclasses import replace

import pytest

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.job import Status
from reelhook.domain.priority import Priority
from reelhook.ports import JobFilter
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import NOW, moved, new, stored


async def store_job(
    store: Store,
    job_id: str,
    *,
    project: str = "default",
    model: str = "sora-2",
    external_id: str | None = None,
    metadata: str | None = None,
    at: int = NOW,
) -> None:
    made = new(job_id, at=at)
    job = replace(
        made.job, project=project, model=model, external_id=external_id, metadata=metadata
    )
    await store.create(replace(made, job=job))


async def found(store: Store, wanted: JobFilter, limit: int = 9) -> list[str]:
    return [one.job.id for one in (await store.jobs(wanted, limit, None)).jobs]


@pytest.fixture
async def crowd(store: Store) -> Store:
    """Jobs of two projects, newest last."""
    await store_job(store, "a1", project="a", external_id="order-1", at=NOW + 1)
    await store_job(store, "a2", project="a", metadata='{"order": "1", "shop": "x"}', at=NOW + 2)
    await store_job(store, "b1", project="b", external_id="order-1", at=NOW + 3)
    await store_job(store, "b2", project="b", metadata='{"order": "1"}', model="veo", at=NOW + 4)
    await store_job(store, "a3", project="a", metadata='{"order": "2"}', model="veo", at=NOW + 5)
    await moved(store, (await store.job("a3")).job.fail("quota", "no money", NOW + 6))
    return store


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (JobFilter(), "a3 b2 b1 a2 a1"),
        (JobFilter(project="a"), "a3 a2 a1"),
        (JobFilter(project="nowhere"), ""),
        (JobFilter(status=Status.FAILED), "a3"),
        (JobFilter(status=Status.ACCEPTED, project="a"), "a2 a1"),
        (JobFilter(model="veo"), "a3 b2"),
        (JobFilter(model="veo", project="b"), "b2"),
        (JobFilter(code="quota"), "a3"),
        (JobFilter(code="quota", project="b"), ""),
        (JobFilter(external_id="order-1"), "b1 a1"),
        (JobFilter(external_id="order-1", project="a"), "a1"),
        (JobFilter(metadata=(("order", "1"),)), "b2 a2"),
        (JobFilter(metadata=(("order", "1"),), project="a"), "a2"),
        (JobFilter(metadata=(("order", "1"), ("shop", "x"))), "a2"),
        (JobFilter(metadata=(("order", "1"), ("order", "2"))), ""),
        (JobFilter(metadata=(("order", "1"),), model="veo", status=Status.ACCEPTED), "b2"),
        (JobFilter(created_after=NOW + 2), "a3 b2 b1"),
        (JobFilter(created_before=NOW + 2), "a1"),
        (JobFilter(created_after=NOW + 1, created_before=NOW + 4, project="a"), "a2"),
        (JobFilter(metadata=(("order", "1"),), created_after=NOW + 2), "b2"),
    ],
)
async def test_a_list_has_the_jobs_that_match_all_of_its_filters(
    crowd: Store, wanted: JobFilter, ids: str
) -> None:
    assert await found(crowd, wanted) == ids.split()


PAGED = [
    JobFilter(),
    JobFilter(project="a"),
    JobFilter(metadata=(("order", "1"),)),
    JobFilter(external_id="order-1"),
]


@pytest.mark.parametrize("wanted", PAGED)
async def test_pages_of_a_filtered_list_have_no_gap_and_no_repeat(
    store: Store, wanted: JobFilter
) -> None:
    for number in range(5):  # two of each moment, so that the id must decide
        metadata = '{"order": "1"}'
        at = NOW + number // 2
        name = f"job_{number}"
        await store_job(store, name, project="a", external_id="order-1", metadata=metadata, at=at)
    ids, cursor = list[str](), None
    while True:
        page = await store.jobs(wanted, 2, cursor)
        ids += [one.job.id for one in page.jobs]
        if (cursor := page.next_cursor) is None:
            break
    assert ids == [f"job_{number}" for number in range(4, -1, -1)]


async def test_metadata_leaves_with_its_job(crowd: Store, sql: Sql) -> None:
    assert await sql("SELECT count(*) FROM job_metadata") == [(4,)]
    await sql("DELETE FROM jobs WHERE id = ?1", "a2")
    assert await sql("SELECT job_id FROM job_metadata ORDER BY job_id") == [("a3",), ("b2",)]


# -- priority --------------------------------------------------------------------------------------


async def with_priority(store: Store, job_id: str, priority: Priority) -> None:
    made = new(job_id)
    await stored(store, replace(made, job=replace(made.job, project="a", priority=int(priority))))


async def test_a_project_s_jobs_have_at_most_its_priority(store: Store, sql: Sql) -> None:
    await with_priority(store, "before", Priority.HIGH)
    await sql(
        "INSERT INTO projects (id, name, created_at, priority_max) VALUES ('a', 'a', ?1, 0)", NOW
    )
    for priority in (Priority.LOW, Priority.NORMAL):
        await with_priority(store, priority.word, priority)
    with pytest.raises(InvalidRequestError, match="one of low, normal in this project") as refused:
        await with_priority(store, "high", Priority.HIGH)
    assert refused.value.field == "priority"
    assert await found(store, JobFilter(project="a")) == ["normal", "low", "before"]
