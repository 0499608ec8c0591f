"""After a rollback and a new migration, no waiting job is created as anything but its request."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.budget import JOBS, NO_LIMITS, BudgetLimits
from reelhook.domain.conflicts import JobDeletedError
from reelhook.domain.endpoint import (
    AFTER_END_EVENTS,
    BUDGET_EVENTS,
    EndpointKind,
    EventName,
    url_id,
)
from reelhook.domain.job import Status
from reelhook.domain.project import Project
from reelhook.domain.reservation import bill_of
from reelhook.domain.restart import RESUBMITS_MAX
from reelhook.ports import ALL_JOBS, NewJob, Resend
from reelhook.storage.open import open_store
from reelhook.storage.schema import migrate as migrations
from reelhook.storage.schema.rolling_back import rollback
from reelhook.storage.store import Store

from .postgres_databases import fresh_url  # noqa: F401 - the fixture `url`
from .samples import (
    ACCOUNT,
    CAT,
    ENDPOINT,
    FINISHED,
    NOW,
    URL,
    due_now,
    flat,
    look,
    moved,
    new,
    queued,
    registered,
    settled,
    stored,
    submitting,
    telling,
)
from .samples import REFUSED as FAILS

pytestmark = pytest.mark.long

ASKED: dict[str, dict[str, Any]] = {
    "image": {"image": "https://example.com/anna.png"},
    "file": {"image": "file:0123"},
    "seed": {"seed": 7},
    "options": {"options": {"quality": "high"}},
    "ratio": {"aspect_ratio": "9:16"},
    "fallbacks": {"fallbacks": ("ark/seedance",)},
    "resolution": {"resolution": "720p"},
    "negative-prompt": {"negative_prompt": "rain"},
    "silence": {"audio": False},
    "last-frame": {"last_frame": "https://example.com/end.png"},
    "remix": {"remix_of": "video_1"},
    "references": {"reference_images": ("https://example.com/anna.png",)},
}
_KEPT_BY_0015 = {"image", "seed", "options", "ratio", "fallbacks"}
OF_JOB: dict[str, dict[str, Any]] = {"provider": {"provider": "ark"}, "account": {"pinned": True}}
FAR = 10**15


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest) -> Path | str:
    """A database of the test's own with the newest schema."""
    if request.param == "sqlite":
        return request.getfixturevalue("database_path")  # type: ignore[no-any-return] # a path
    return request.getfixturevalue("url")  # type: ignore[no-any-return] # a URL


@asynccontextmanager
async def store_on(target: Path | str) -> AsyncIterator[Store]:
    async with open_store(target) as database:
        yield Store(database)


def go_back(target: Path | str, revision: str) -> None:
    """Roll back that revision, and all that followed."""
    while revision not in migrations.pending(target):
        rollback(target, destroy=False)


def demanding(name: str) -> NewJob:
    """A job that asks for something that older versions can't keep."""
    request = replace(CAT, **ASKED.get(name, {}))
    made = new(name, request=request, urls=(f"{URL}/{name}",))
    return replace(made, job=replace(made.job, **OF_JOB.get(name, {})))


async def test_a_waiting_job_ends_with_an_event_when_what_it_asked_for_is_lost(
    target: Path | str,
) -> None:
    names = [*ASKED, *OF_JOB]
    async with store_on(target) as store:
        await store.create(new("plain"))
        for name in names:
            await store.create(demanding(name))
    go_back(target, "0006_models")
    migrations.migrate(target)
    async with store_on(target) as store:
        waiting, _ = await store.jobs_to_submit(ACCOUNT, FAR, 100)
        assert [one.job.id for one in waiting] == ["plain"]
        for name in names:
            job = (await store.job(name)).job
            assert (job.status, job.code, job.sequence) == (Status.FAILED, "rolled_back", 1)
            assert "ask for it again" in (job.error or "")
        due = flat(await look(store, FAR, per_endpoint=len(names)))
        told = {one.delivery.job_id: json.loads(one.event.body) for one in due}
        assert set(told) == set(names)
        for name, body in told.items():
            assert (body["jobId"], body["status"], body["code"]) == (name, "failed", "rolled_back")
            assert body["sequence"] == 1
        ended = await store.events_after(None, 100)
        assert len(ended.events) == len(names)


async def test_a_job_that_waits_for_the_video_of_another_ends_and_its_budget_is_released(
    target: Path | str,
) -> None:
    fields: dict[str, dict[str, Any]] = {
        "frame": {"image": "job:job_1"},
        "video": {"reference_videos": ("job:job_1",)},
        "plain": {"image": "https://example.com/anna.png"},
    }
    async with store_on(target) as store:
        await store.set_budget("project:default", BudgetLimits(jobs_in_flight=9), NOW, bill_of)
        for name, asked in fields.items():
            made = new(name, request=replace(CAT, **asked))
            waiting = replace(made.job, unprepared_since=NOW)
            await store.create(replace(made, job=waiting, prices=(None,)))
    go_back(target, "0017_archive")
    migrations.migrate(target)
    async with store_on(target) as store:
        codes = {name: (await store.job(name)).job.code for name in fields}
        assert codes == {"frame": "rolled_back", "video": "rolled_back", "plain": None}
        state = await store.budget("project:default", NOW)
        assert state.sums["now", JOBS].reserved == 1


async def test_what_a_waiting_job_had_reserved_is_released_when_it_ends(
    target: Path | str,
) -> None:
    async with store_on(target) as store:
        await store.set_budget("project:default", BudgetLimits(jobs_in_flight=2), NOW, bill_of)
        for name in ("plain", "references"):
            await store.create(replace(demanding(name), prices=(None,)))
    go_back(target, "0016_doors")
    migrations.migrate(target)
    async with store_on(target) as store:
        state = await store.budget("project:default", NOW)
        assert state.sums["now", JOBS].reserved == 1


async def test_a_create_that_is_under_way_ends_in_doubt_and_is_not_sent_again(
    target: Path | str,
) -> None:
    async with store_on(target) as store:
        await submitting(store, new("plain"))
        await submitting(store, demanding("image"))
    go_back(target, "0006_models")
    migrations.migrate(target)
    async with store_on(target) as store:
        assert [one.id for one in await store.jobs_submitting(ACCOUNT)] == ["plain"]
        [doubt] = [
            one for one in (await store.jobs_in_doubt(99, None)).jobs if one.job.id == "image"
        ]
        assert (doubt.job.status, doubt.job.code) == (Status.FAILED, "submission_unknown")
        (told,) = await due_now(store, FAR)
        assert json.loads(told.event.body)["code"] == "submission_unknown"


async def test_a_job_that_its_provider_has_goes_on_there(target: Path | str) -> None:
    async with store_on(target) as store:
        await queued(store, demanding("provider"), "task_1")
    go_back(target, "0006_models")
    migrations.migrate(target)
    async with store_on(target) as store:
        [job] = await store.jobs_to_watch(ACCOUNT)
        assert (job.provider, job.provider_job_id, job.code) == ("ark", "task_1", None)


async def test_a_job_that_its_server_forgets_is_not_sent_again_without_what_it_asked_for(
    target: Path | str,
) -> None:
    asked = [name for name in ASKED if name not in _KEPT_BY_0015]
    async with store_on(target) as store:
        await queued(store, new("plain"), "video_plain")
        for name in asked:
            await queued(store, demanding(name), f"video_{name}")
    go_back(target, "0016_doors")
    migrations.migrate(target)
    async with store_on(target) as store:
        counted = {job.id: job.forgotten for job in await store.jobs_to_watch(ACCOUNT)}
        assert counted == {"plain": 0, **dict.fromkeys(asked, RESUBMITS_MAX)}


async def test_a_doubt_that_a_person_has_settled_stays_so(target: Path | str) -> None:
    async with store_on(target) as store:
        for name in ("settled", "open"):
            job = await submitting(store, new(name))
            await moved(store, job.fail("submission_unknown", "Nobody knows", NOW))
        assert await store.close_doubt("settled", NOW)
    go_back(target, "0006_models")
    migrations.migrate(target)
    async with store_on(target) as store:
        assert [one.job.id for one in (await store.jobs_in_doubt(99, None)).jobs] == ["open"]
        assert (await store.job("settled")).job.code == "submission_unknown"


async def test_a_webhook_that_a_waiting_job_asked_for_is_still_sent(target: Path | str) -> None:
    async with store_on(target) as store:
        await stored(store, new("waiting"))
        await queued(store, new("running", urls=()), "video_1")
    go_back(target, "0002_tracking")
    migrations.migrate(target)
    async with store_on(target) as store:
        (there,) = await store.destinations("waiting")
        assert (there.endpoint_id, there.url) == (url_id(URL), URL)
        endpoint = await store.endpoint(url_id(URL))
        assert (endpoint.kind, endpoint.trusted) == (EndpointKind.URL, False)
        job = (await store.job("waiting")).job
        await moved(store, job.cancel(NOW))
        (told,) = await due_now(store, FAR)
        assert (told.delivery.job_id, told.delivery.url) == ("waiting", URL)


async def test_what_waits_for_an_endpoint_that_was_disabled_is_not_sent(
    target: Path | str,
) -> None:
    async with store_on(target) as store:
        await store.create_endpoint(ENDPOINT)
        await telling(store, "job_1", URL, endpoints=["ep_1"])
        await store.change_endpoint("ep_1", lambda one: one.disable(NOW))
    go_back(target, "0003_endpoints")
    migrations.migrate(target)
    async with store_on(target) as store:
        (due,) = await due_now(store, FAR)
        assert due.delivery.endpoint_id == url_id(URL)


# -- next_at ---------------------------------------------------------------------------------------


async def nothing(_store: Store) -> None:
    """Leave it as it is."""


async def open_breaker(store: Store) -> None:
    health = CircuitBreaker(5, NOW, NOW + 300_000)
    await store.change_endpoint("ep_1", lambda one: replace(one, health=health))


async def disabled(store: Store) -> None:
    await store.change_endpoint("ep_1", lambda one: one.disable(NOW))


@pytest.mark.parametrize("state", [nothing, open_breaker, disabled], ids=lambda one: one.__name__)
@pytest.mark.parametrize("retried", [False, True], ids=["first", "retry"])
async def test_what_waited_before_there_was_next_at_is_found_in_time(
    target: Path | str, state: Callable[[Store], Any], retried: bool
) -> None:
    async with store_on(target) as store:
        await store.create_endpoint(ENDPOINT)
        await telling(store, "job_1", endpoints=["ep_1"])
        if retried:
            (due,) = await due_now(store)
            await settled(store, due, FAILS)
        await state(store)
        await store.rest_endpoints(["ep_1"])
        moments = [NOW + after for after in (0, 1000, 7000, 299_999, 300_000, 390_000)]
        before = [len(flat(await look(store, moment))) for moment in moments]
        later = (await look(store)).next_due_at
    go_back(target, "0008_next_at")
    migrations.migrate(target)
    async with store_on(target) as store:
        assert [len(flat(await look(store, moment))) for moment in moments] == before
        assert (await look(store)).next_due_at == later
        await telling(store, "job_2", endpoints=["ep_1"], at=NOW + 350_000)
        found = len(flat(await look(store, NOW + 399_000)))
        assert found == {"nothing": 2, "open_breaker": 1, "disabled": 0}[state.__name__]


async def test_what_another_project_got_of_every_job_is_not_sent_to_it_afterwards(
    target: Path | str,
) -> None:
    """The older version knows no projects: it would send one the events of all."""
    async with store_on(target) as store:
        await store.create_project(Project("prj_shop", "shop", NOW))
        everything = replace(ENDPOINT, broadcast=True)
        await store.create_endpoint(replace(everything, id="ep_shop", project="prj_shop"))
        await store.create_endpoint(replace(everything, id="ep_default"))
        await store.start_resend(Resend("resend_1", 0, NOW, project="prj_shop"))
        await store.start_resend(Resend("resend_2", 0, NOW))
    go_back(target, "0015_projects")
    migrations.migrate(target)
    async with store_on(target) as store:
        broadcast = {one.id: one.broadcast for one in await store.endpoints()}
        assert broadcast == {"ep_shop": False, "ep_default": True}
        assert [one.id for one in await store.unfinished_resends()] == ["resend_2"]
        assert [one.id for one in await store.projects()] == ["default"]


async def test_an_endpoint_that_asked_for_events_of_budgets_keeps_those_of_jobs(
    target: Path | str,
) -> None:
    asked = frozenset({EventName.FAILED, *BUDGET_EVENTS})
    async with store_on(target) as store:
        await store.create_endpoint(replace(ENDPOINT, events=asked))
        await store.set_budget("project:default", BudgetLimits(jobs_per_day=1), NOW, bill_of)
        assert (await store.create(replace(new(), prices=(None,)))).announced
    go_back(target, "0015_projects")
    migrations.migrate(target)
    async with store_on(target) as store:
        assert (await store.endpoint("ep_1")).events == {EventName.FAILED}
        state = await store.budget("project:default", NOW)
        assert (state.budget.limits, state.sums) == (NO_LIMITS, {})


async def test_an_endpoint_that_asked_for_events_after_the_end_keeps_the_others(
    target: Path | str,
) -> None:
    asked = frozenset({EventName.FAILED, *AFTER_END_EVENTS})
    async with store_on(target) as store:
        await store.create_endpoint(replace(ENDPOINT, events=asked))
        assert (await store.endpoint("ep_1")).events == asked
    go_back(target, "0017_archive")
    migrations.migrate(target)
    async with store_on(target) as store:
        assert (await store.endpoint("ep_1")).events == {EventName.FAILED}


async def test_a_deleted_job_stays_without_content_after_a_rollback(target: Path | str) -> None:
    async with store_on(target) as store:
        for name in ("kept", "deleted"):
            job = await queued(store, new(name), f"video_{name}")
            await moved(store, job.apply(FINISHED, NOW))
        assert await store.delete_job("deleted", NOW)
        costs = await store.costs(0, FAR)
    go_back(target, "0016_doors")
    migrations.migrate(target)
    async with store_on(target) as store:
        assert [one.job.id for one in (await store.jobs(ALL_JOBS, 9, None)).jobs] == ["kept"]
        assert {event.job_id for event in (await store.events_after(None, 9)).events} == {"kept"}
        assert await store.costs(0, FAR) == costs
        with pytest.raises(JobDeletedError):
            await store.create(registered("other", "video_deleted"))
