"""Projects in the store, and what they mean for new jobs."""

from dataclasses import fields, replace

import pytest

from reelhook.domain.conflicts import ProjectClosedError, ProjectNameTakenError
from reelhook.domain.endpoint import EndpointKind, default_id
from reelhook.domain.errors import (
    EndpointNotFoundError,
    InvalidRequestError,
    JobNotFoundError,
    ProjectNotFoundError,
    StoreError,
)
from reelhook.domain.project import DEFAULT, Project
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import ENDPOINT, NOW, URL, moved, new, queued

SHOP = Project("prj_shop", "shop", NOW, secret="whsec_c2hvcA==")
NEWS = Project("prj_news", "news", NOW + 1, secret="whsec_bmV3cw==")
FULL = Project(
    "prj_full",
    "full",
    NOW + 2,
    closed_at=NOW + 3,
    delete_data=True,
    secret="new",
    previous_secret="old",
    previous_until=NOW + 4,
    webhook_url="https://full.example/",
    models=("openai/sora-2", "runway/gen4"),
    weight=3,
    priority_max=0,
    data_deleted_at=NOW + 5,
    archive_keep_days=90.5,
    archive_bytes_max=10**12,
)


def test_the_sample_leaves_no_field_at_its_default() -> None:
    for field in fields(FULL):
        assert getattr(FULL, field.name) != getattr(DEFAULT, field.name), field.name


async def test_default_exists_without_a_row(store: Store) -> None:
    assert await store.project("default") == DEFAULT
    assert await store.projects() == [DEFAULT]


async def test_a_project_is_read_by_id_and_by_name_as_it_was_stored(store: Store) -> None:
    await store.create_project(SHOP)
    await store.create_project(FULL)
    for project in (SHOP, FULL):
        assert await store.project(project.id) == await store.project(project.name) == project
    assert await store.projects() == [DEFAULT, SHOP, FULL]


async def test_an_unknown_or_unseen_project_is_none(store: Store) -> None:
    await store.create_project(SHOP)
    for unknown in ("prj_unknown", "", "a\0", "a b", "x" * 500):
        assert await store.project(unknown) is None
    assert await store.project("shop", seen_by="prj_news") is None
    assert await store.project("default", seen_by="prj_shop") is None
    assert await store.project("shop", seen_by="prj_shop") == SHOP


async def test_two_projects_never_share_a_name(store: Store) -> None:
    await store.create_project(SHOP)
    await store.create_project(NEWS)
    with pytest.raises(ProjectNameTakenError):
        await store.create_project(replace(NEWS, id="prj_other"))
    with pytest.raises(ProjectNameTakenError):
        await store.change_project("shop", lambda one: replace(one, name="news"), NOW)
    assert await store.projects() == [DEFAULT, SHOP, NEWS]


async def test_no_new_project_replaces_another(store: Store) -> None:
    await store.create_project(SHOP)
    with pytest.raises(StoreError):
        await store.create_project(replace(NEWS, id=SHOP.id))
    assert await store.projects() == [DEFAULT, SHOP]


async def test_a_change_is_stored_and_default_gets_its_row(store: Store) -> None:
    after = await store.change_project("default", lambda one: replace(one, weight=5), NOW)
    assert after == await store.project("default") == replace(DEFAULT, weight=5)
    assert await store.projects() == [after]


async def test_an_unseen_project_is_not_changed(store: Store) -> None:
    await store.create_project(SHOP)
    for name, seen_by in (("shop", "prj_news"), ("unknown", None)):
        with pytest.raises(ProjectNotFoundError):
            await store.change_project(
                name, lambda one: replace(one, weight=5), NOW, seen_by=seen_by
            )
    assert await store.project("shop") == SHOP


# -- the default endpoint --------------------------------------------------------------------------


async def with_url(
    store: Store, url: str | None, *, trusted: bool = False, by_operator: bool = True
) -> None:
    await store.change_project(
        "shop",
        lambda one: replace(one, webhook_url=url),
        NOW,
        trusted=trusted,
        by_operator=by_operator,
    )


async def test_a_webhook_url_makes_the_projects_default_endpoint(store: Store) -> None:
    await store.create_project(SHOP)
    await with_url(store, "https://shop.example/", trusted=True)
    endpoint = await store.endpoint(default_id("prj_shop"))
    assert endpoint.id == "default_prj_shop"
    assert (endpoint.kind, endpoint.project) == (EndpointKind.DEFAULT, "prj_shop")
    assert (endpoint.url, endpoint.trusted) == ("https://shop.example/", True)
    await with_url(store, "https://moved.example/")
    endpoint = await store.endpoint(default_id("prj_shop"))
    assert (endpoint.url, endpoint.trusted) == ("https://moved.example/", False)
    await with_url(store, "https://moved.example/", trusted=True)
    assert (await store.endpoint(default_id("prj_shop"))).trusted is True
    with pytest.raises(EndpointNotFoundError):
        await store.endpoint("default")


async def test_only_the_operator_takes_the_values_of_its_headers_to_another_server(
    store: Store,
) -> None:
    await store.create_project(SHOP)
    await with_url(store, "https://shop.example/", by_operator=False)
    headers = (("X-Key", "secret"),)
    await store.change_endpoint(default_id("prj_shop"), lambda one: replace(one, headers=headers))
    await with_url(store, "https://shop.example/other", by_operator=False)
    await with_url(store, None, by_operator=False)
    with pytest.raises(InvalidRequestError, match="default_prj_shop"):
        await with_url(store, "https://moved.example/", by_operator=False)
    project = await store.project("shop")
    assert project is not None
    assert project.webhook_url is None
    assert (await store.endpoint(default_id("prj_shop"))).url == "https://shop.example/other"
    await with_url(store, "https://moved.example/")
    endpoint = await store.endpoint(default_id("prj_shop"))
    assert (endpoint.url, endpoint.headers) == ("https://moved.example/", headers)


async def destinations(store: Store, job_id: str) -> list[str]:
    return [found.endpoint_id for found in await store.destinations(job_id)]


async def test_only_a_job_without_destinations_gets_its_projects_default_one(store: Store) -> None:
    await store.create_project(SHOP)
    await store.create_project(NEWS)
    await with_url(store, "https://shop.example/")
    await store.create(new("job_1", urls=(), project="prj_shop"))
    await store.create(new("job_2", project="prj_shop"))
    await store.create(new("job_3", urls=(), project="prj_news"))
    await store.create(new("job_4", urls=()))
    assert await destinations(store, "job_1") == ["default_prj_shop"]
    assert len(await destinations(store, "job_2")) == 1
    assert await destinations(store, "job_2") != ["default_prj_shop"]
    assert await destinations(store, "job_3") == await destinations(store, "job_4") == []
    await with_url(store, None)
    await store.create(new("job_5", urls=(), project="prj_shop"))
    assert await destinations(store, "job_5") == []


# -- a closed project ------------------------------------------------------------------------------


async def closed(store: Store) -> None:
    await store.create_project(SHOP)
    await store.change_project("shop", lambda one: one.closed(NOW, delete_data=False), NOW)


async def test_a_closed_project_takes_no_new_jobs(store: Store, sql: Sql) -> None:
    await closed(store)
    with pytest.raises(ProjectClosedError) as refused:
        await store.create(new("job_1", project="prj_shop"))
    assert refused.value.facts == {"project": "prj_shop"}
    with pytest.raises(JobNotFoundError):
        await store.job("job_1")
    assert await sql("SELECT id FROM endpoints") == []
    await store.create(new("job_2"))


async def test_a_closed_project_takes_no_new_endpoints(store: Store) -> None:
    await closed(store)
    with pytest.raises(ProjectClosedError):
        await store.create_endpoint(replace(ENDPOINT, project="prj_shop"))
    assert await store.endpoints() == []


async def test_a_repeat_in_a_closed_project_is_answered(store: Store) -> None:
    await store.create_project(SHOP)
    await queued(store, new("job_1", project="prj_shop"), "video_1")
    await store.change_project("shop", lambda one: one.closed(NOW, delete_data=False), NOW)
    made = new("job_2", project="prj_shop")
    again = replace(made, job=made.job.accept("video_1", NOW))
    assert (await store.create(again)).job_id == "job_1"


async def test_a_video_in_doubt_can_be_adopted_in_a_closed_project(store: Store) -> None:
    await store.create_project(SHOP)
    job = (await queued(store, new("job_0", urls=(), project="prj_shop"), "video_0")).fail(
        "submission_unknown", "Nobody knows", NOW
    )
    await moved(store, job)
    await store.change_project("shop", lambda one: one.closed(NOW, delete_data=False), NOW)
    made = new("job_1", urls=(URL,), project="prj_shop")
    await store.create(replace(made, job=replace(made.job, adopted_from="job_0")))
    assert (await store.job("job_1")).job.adopted_from == "job_0"
