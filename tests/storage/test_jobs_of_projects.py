"""Another project's job can't be distinguished from one that does not exist."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from watched_database import WatchedDatabase, watched

from reelhook.domain.conflicts import JobIdTakenError, JobIdUnavailableError
from reelhook.domain.errors import IdempotencyKeyReusedError, UnknownProviderJobError
from reelhook.domain.job import Job, Status
from reelhook.domain.report import Cost, Finished
from reelhook.ports import SOLE_HOLDER, Created, IdempotencyKey, JobFilter, NewJob
from reelhook.storage.operation import Database
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import ENDPOINT, NOW, RUNNING, moved, new, queued, registered, submitting

OURS, THEIRS = "prj_ours", "prj_theirs"
FOREIGN, UNKNOWN = "job_1", "job_0"
"""Two ids of the same length: a job of theirs, and no job."""


def of(project: str, made: NewJob, *, sees: str | None = None) -> NewJob:
    """The same job, of a project. Its creator sees that project alone, or the given one."""
    return replace(made, job=replace(made.job, project=project), sees=sees or project)


async def ended_in_doubt(store: Store, made: NewJob) -> Job:
    job = await submitting(store, made)
    return await moved(store, job.fail("submission_unknown", "Nobody knows", NOW))


@pytest.fixture
def ours(database: Database) -> Store:
    """The store, whose statements are watched."""
    return Store(WatchedDatabase(database))


Use = Callable[[Store, str], Awaitable[Any]]
USES: dict[str, Use] = {
    "job": lambda store, job_id: store.job(job_id, OURS),
    "cursor": lambda store, job_id: store.jobs(JobFilter(project=OURS), 5, job_id),
    "cursor in doubt": lambda store, job_id: store.jobs_in_doubt(5, job_id, OURS),
    "events": lambda store, job_id: store.events([job_id], {}, OURS),
    "events after": lambda store, job_id: store.events_after(f"evt_{job_id}_1", 5, OURS),
    "sequences": lambda store, job_id: store.sequences([job_id], OURS),
    "destinations": lambda store, job_id: store.destinations(job_id, OURS),
    "check": lambda store, job_id: store.record_check(job_id, NOW + 1, OURS),
    "close doubt": lambda store, job_id: store.close_doubt(job_id, NOW + 1, OURS),
}


async def result(use: Use, store: Store, job_id: str) -> Any:
    """Return the result or the error, without the id that was asked for."""
    try:
        found = await use(store, job_id)
    except Exception as error:
        return type(error), str(error), vars(error) | {"wanted": None}
    return repr(found).replace(job_id, "ID")


@pytest.mark.parametrize("name", USES)
async def test_a_foreign_job_is_used_as_an_unknown_one(ours: Store, sql: Sql, name: str) -> None:
    await ended_in_doubt(ours, of(THEIRS, new(FOREIGN)))
    assert await ours.events([FOREIGN], {}, THEIRS)
    await sql("UPDATE events SET id = ?1 WHERE sequence = 1", f"evt_{FOREIGN}_1")
    before = (await ours.job(FOREIGN), await sql("SELECT version, checked_at FROM jobs"))
    with watched() as foreign:
        foreign_result = await result(USES[name], ours, FOREIGN)
    with watched() as unknown:
        unknown_result = await result(USES[name], ours, UNKNOWN)
    assert foreign
    assert (foreign, foreign_result) == (unknown, unknown_result)
    assert (await ours.job(FOREIGN), await sql("SELECT version, checked_at FROM jobs")) == before


@pytest.mark.parametrize("name", USES)
async def test_the_same_use_of_an_own_job_has_another_result(
    ours: Store, sql: Sql, name: str
) -> None:
    """Otherwise the test above would prove nothing."""
    if name == "check":
        return
    await ended_in_doubt(ours, of(OURS, new(FOREIGN)))
    await ended_in_doubt(ours, of(OURS, new("job_later", at=NOW + 1)))
    await sql(
        "UPDATE events SET id = ?1 WHERE job_id = ?2 AND sequence = 1", "evt_job_1_1", "job_1"
    )
    own = await result(USES[name], ours, FOREIGN)
    assert own != await result(USES[name], ours, UNKNOWN)


async def test_lists_and_the_feed_have_the_projects_own_jobs(store: Store) -> None:
    for job_id, project in (("a", OURS), ("b", THEIRS), ("c", OURS), ("d", "default")):
        await ended_in_doubt(store, of(project, new(job_id)))
    lists: list[tuple[str | None, list[str]]] = [
        (OURS, ["a", "c"]),
        (THEIRS, ["b"]),
        (None, ["a", "b", "c", "d"]),
    ]
    for sees, ids in lists:
        page = await store.jobs(JobFilter(project=sees), 5, None)
        assert sorted(one.job.id for one in page.jobs) == ids
        in_doubt = await store.jobs_in_doubt(5, None, sees)
        assert [one.job.id for one in in_doubt.jobs] == ids
        feed = await store.events_after(None, 5, sees)
        assert [one.job_id for one in feed.events] == ids
        assert sorted(await store.sequences(["a", "b", "c", "d"], sees)) == ids
    feed = await store.events_after(None, 5)
    assert [one.project for one in feed.events] == [OURS, THEIRS, OURS, "default"]


async def test_pages_of_a_project_continue_after_its_own_jobs(store: Store) -> None:
    for number in range(6):
        await ended_in_doubt(store, of((OURS, THEIRS)[number % 2], new(f"job_{number}")))
    page = await store.jobs(JobFilter(project=OURS), 2, None)
    assert [one.job.id for one in page.jobs] == ["job_4", "job_2"]
    page = await store.jobs(JobFilter(project=OURS), 2, page.next_cursor)
    assert ([one.job.id for one in page.jobs], page.next_cursor) == (["job_0"], None)
    page = await store.jobs_in_doubt(2, None, OURS)
    page = await store.jobs_in_doubt(2, page.next_cursor, OURS)
    assert ([one.job.id for one in page.jobs], page.next_cursor) == (["job_4"], None)
    feed = await store.events_after(None, 2, OURS)
    assert feed.more
    feed = await store.events_after(feed.events[-1].event_id, 2, OURS)
    assert ([one.job_id for one in feed.events], feed.more) == (["job_4"], False)


async def test_counts_and_costs_are_the_projects_own(store: Store) -> None:
    for job_id, project in (("a", OURS), ("b", THEIRS), ("c", THEIRS)):
        job = await queued(store, of(project, new(job_id)), f"video_{job_id}")
        done = Finished("https://cdn.example/v.mp4", cost=Cost(2, "USD"))
        await moved(store, job.apply(done, NOW))
    await store.create(of(OURS, new("waiting")))
    totals: list[tuple[str | None, int, int]] = [(OURS, 1, 1), (THEIRS, 2, 0), (None, 3, 1)]
    for sees, completed, accepted in totals:
        counts = await store.counts(sees)
        assert (counts["completed"], counts["accepted"]) == (completed, accepted)
        assert counts.keys() == {status.value for status in Status}
        assert await store.deliveries_waiting(sees) == completed
        lines = await store.costs(0, NOW + 1, sees)
        assert sum(line.charged or 0 for line in lines) == 2 * completed
        assert {line.project for line in lines} == ({sees} if sees else {OURS, THEIRS})


async def test_endpoint_counts_are_the_projects_own(store: Store, sql: Sql) -> None:
    for number in range(3):
        await store.create_endpoint(replace(ENDPOINT, id=f"ep_{number}").disable(NOW))
    await sql("UPDATE endpoints SET project = ?1 WHERE id = 'ep_0'", OURS)
    assert (await store.endpoint_counts(project=OURS))["disabled"] == 1
    assert (await store.endpoint_counts(project=THEIRS))["disabled"] == 0
    assert (await store.endpoint_counts())["disabled"] == 3


# -- idempotency keys ------------------------------------------------------------------------------


def keyed(project: str, job_id: str, holder: str, fingerprint: str = "f") -> NewJob:
    key = IdempotencyKey(holder, "key-1", fingerprint)
    return of(project, new(job_id, key=key))


@pytest.mark.parametrize("first", [SOLE_HOLDER, "a client", f"project:{THEIRS}"])
@pytest.mark.parametrize("second", [SOLE_HOLDER, "a client", f"project:{THEIRS}"])
async def test_an_idempotency_key_is_the_same_within_its_project_alone(
    store: Store, first: str, second: str
) -> None:
    def project(holder: str) -> str:
        return THEIRS if holder.startswith("project:") else "default"

    await store.create(keyed(project(first), "job_1", first))
    same = project(first) == project(second)
    if not same:
        # Not even that the key was used with another body.
        made = keyed(project(second), "job_2", second, "another body")
        assert await store.create(made) == Created("job_2")
        return
    assert await store.create(keyed(project(second), "job_2", second)) == Created("job_1", True)
    with pytest.raises(IdempotencyKeyReusedError):
        await store.create(keyed(project(second), "job_3", second, "another body"))


# -- ids -------------------------------------------------------------------------------------------


async def test_a_job_id_of_another_project_is_refused_without_details(store: Store) -> None:
    await store.create(of(THEIRS, new("job_1")))
    with pytest.raises(JobIdUnavailableError) as refused:
        await store.create(of(OURS, new("job_1")))
    assert refused.value.facts == {}
    assert "job_1" not in refused.value.message
    assert THEIRS not in str(vars(refused.value))
    with pytest.raises(JobIdTakenError) as taken:
        await store.create(of(THEIRS, new("job_1")))
    assert taken.value.facts == {"job_id": "job_1"}
    for_operator = replace(of("default", new("job_1")), sees=None)
    with pytest.raises(JobIdTakenError) as taken:
        await store.create(for_operator)
    assert taken.value.facts == {"job_id": "job_1"}


@pytest.mark.parametrize("account", ["acme", "acme_2"], ids=["same account", "same server"])
async def test_a_provider_job_belongs_to_the_project_that_had_it_first(
    store: Store, account: str
) -> None:
    await store.create(of(THEIRS, registered("job_1", "video_1")))
    made = of(OURS, registered("job_2", "video_1"))
    made = replace(made, job=replace(made.job, account=account), sharing=("acme", "acme_2"))
    with pytest.raises(UnknownProviderJobError) as refused:
        await store.create(made)
    assert refused.value.message == f"{account} does not know video_1; look its id up there"
    assert (await store.jobs(JobFilter(project=OURS), 5, None)).jobs == ()
    again = of(THEIRS, registered("job_3", "video_1"))
    assert await store.create(again) == Created("job_1", replayed=True)
    for_operator = replace(of("default", registered("job_3", "video_1")), sees=None)
    assert await store.create(for_operator) == Created("job_1", replayed=True)


async def test_an_own_job_is_found_again_although_another_project_shares_the_server(
    store: Store,
) -> None:
    """The operator may have registered it for both."""
    await store.create(of(OURS, registered("job_1", "video_1")))
    made = of(THEIRS, registered("job_2", "video_1"))
    await store.create(replace(made, job=replace(made.job, account="acme_2")))
    again = replace(of(OURS, registered("job_3", "video_1")), sharing=("acme_2",))
    assert await store.create(again) == Created("job_1", replayed=True)


async def test_destinations_are_the_jobs_own(store: Store) -> None:
    job = await queued(store, of(OURS, new("job_1", urls=["https://h.example/x"])), "video_1")
    await moved(store, job.apply(RUNNING, NOW))
    [own] = await store.destinations("job_1", OURS)
    assert own.url == "https://h.example/x"
    assert await store.destinations("job_1", THEIRS) == []
