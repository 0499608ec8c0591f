"""Nobody sees or changes the endpoints, deliveries and resends of another project."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from reelhook.core.signing import Secrets, Signing
from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.endpoint import Disabled, Endpoint, url_id
from reelhook.domain.errors import (
    DeliveryNotFoundError,
    EndpointNotFoundError,
    InvalidRequestError,
    NotFoundError,
    ResendNotFoundError,
)
from reelhook.domain.signature import v1
from reelhook.ports import DeliveryFilter, Destination, Resend
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import (
    ENDPOINT,
    GONE,
    NOW,
    REFUSED,
    URL,
    due_now,
    exhausted,
    flat,
    look,
    new,
    settled,
    telling,
)
from .test_projects import NEWS, SHOP

OURS, THEIRS = (
    replace(ENDPOINT, id="ep_ours", project="prj_shop"),
    replace(ENDPOINT, id="ep_theirs", project="prj_news"),
)
SIGNING = Signing(Secrets("whsec_ZGVmYXVsdA=="), user_agent="reelhook/test")


async def projects(store: Store) -> None:
    await store.create_project(SHOP)
    await store.create_project(NEWS)
    await store.create_endpoint(OURS)
    await store.create_endpoint(THEIRS)


async def message_of(call: Callable[[], Awaitable[Any]], kind: type[NotFoundError]) -> str:
    with pytest.raises(kind) as refused:
        await call()
    return f"{refused.value.code} {refused.value.message}"


async def test_a_list_has_only_the_endpoints_of_the_project(store: Store) -> None:
    await projects(store)
    await store.create_endpoint(ENDPOINT)
    assert await ids(store.endpoints(project="prj_shop")) == ["ep_ours"]
    assert await ids(store.endpoints(project="default")) == ["ep_1"]
    assert await ids(store.endpoints()) == ["ep_1", "ep_ours", "ep_theirs"]


async def ids(reading: Awaitable[list[Endpoint]]) -> list[str]:
    return [endpoint.id for endpoint in await reading]


async def test_the_held_back_endpoints_are_listed_by_project(store: Store) -> None:
    await projects(store)
    await store.change_endpoint("ep_ours", lambda one: one.disable(NOW))
    probing = CircuitBreaker(5, NOW, NOW + 5)
    await store.change_endpoint("ep_theirs", lambda one: replace(one, health=probing))
    assert await ids(store.endpoints_held_back(project="prj_shop")) == ["ep_ours"]
    assert await ids(store.endpoints_held_back()) == ["ep_ours", "ep_theirs"]


@pytest.mark.parametrize("action", ["read", "change", "delete"])
async def test_a_foreign_endpoint_is_like_an_unknown_one(store: Store, action: str) -> None:
    await projects(store)

    async def act(endpoint_id: str) -> None:
        if action == "read":
            await store.endpoint(endpoint_id, project="prj_shop")
        elif action == "change":
            await store.change_endpoint(
                endpoint_id, lambda one: one.disable(NOW), project="prj_shop"
            )
        else:
            await store.delete_endpoint(endpoint_id, NOW, project="prj_shop")

    foreign = await message_of(lambda: act("ep_theirs"), EndpointNotFoundError)
    unknown = await message_of(lambda: act("ep_unknown"), EndpointNotFoundError)
    assert foreign == unknown
    assert (await store.endpoint("ep_theirs")).disabled is None
    await act("ep_ours")


async def test_a_job_can_name_only_endpoints_of_its_project(store: Store) -> None:
    await projects(store)
    for name in ("ep_theirs", "ep_unknown"):
        with pytest.raises(InvalidRequestError, match=f"There is no endpoint {name}"):
            await store.create(new(urls=(), endpoints=[name], project="prj_shop"))
    await store.create(new(urls=(), endpoints=["ep_ours"], project="prj_shop"))


async def test_a_broadcast_endpoint_gets_the_jobs_of_its_project_only(
    store: Store, sql: Sql
) -> None:
    await projects(store)
    await store.create(new("job_1", urls=(), project="prj_shop"))
    await store.create(new("job_2", urls=(), project="prj_news"))
    await store.create_endpoint(replace(OURS, id="ep_all", broadcast=True))
    await store.create(new("job_3", urls=(), project="prj_shop"))
    await store.create(new("job_4", urls=(), project="prj_news"))
    await store.create(new("job_5", urls=()))
    rows = await sql("SELECT job_id FROM deliveries WHERE endpoint_id = 'ep_all' ORDER BY job_id")
    assert [row[0] for row in rows] == ["job_1", "job_3"]
    await store.change_endpoint("ep_theirs", lambda one: replace(one, broadcast=True))
    rows = await sql(
        "SELECT job_id FROM deliveries WHERE endpoint_id = 'ep_theirs' ORDER BY job_id"
    )
    assert [row[0] for row in rows] == ["job_2", "job_4"]


# -- one URL in two projects -----------------------------------------------------------------------


def test_only_default_keeps_the_ids_of_urls() -> None:
    assert url_id(URL) == url_id(URL, "default") == Destination.to(URL).endpoint_id
    assert len({url_id(URL), url_id(URL, "prj_shop"), url_id(URL, "prj_news")}) == 3


async def same_url(store: Store) -> None:
    """One job in each project, both with the same URL."""
    await projects(store)
    await telling(store, "job_1", URL, project="prj_shop")
    await telling(store, "job_2", URL, project="prj_news")


async def test_a_failing_url_of_one_project_delays_no_other(store: Store) -> None:
    await same_url(store)
    ours, theirs = sorted(await due_now(store), key=lambda due: due.delivery.job_id)
    endpoint = await store.endpoint(url_id(URL, "prj_shop"))
    for _ in range(5):
        endpoint = endpoint.responded(REFUSED, NOW, probe=False)
    assert endpoint.health.open
    await settled(store, ours, REFUSED, endpoint=endpoint)
    other = await store.endpoint(url_id(URL, "prj_news"))
    assert other.health == CircuitBreaker()
    assert [due.delivery.job_id for due in await due_now(store)] == ["job_2"]
    assert (await store.delivery(theirs.delivery.id)).delivery.attempts == 0


@pytest.mark.parametrize("why", [Disabled.OPERATOR, Disabled.FAILING, Disabled.GONE])
async def test_a_url_disabled_in_one_project_is_not_in_another(store: Store, why: Disabled) -> None:
    await same_url(store)
    await store.change_endpoint(
        url_id(URL, "prj_shop"), lambda one: replace(one, disabled=why, disabled_at=NOW)
    )
    assert [due.delivery.job_id for due in await due_now(store)] == ["job_2"]


async def test_a_410_ends_the_delivery_of_one_project_only(store: Store) -> None:
    await same_url(store)
    ours, theirs = sorted(await due_now(store), key=lambda due: due.delivery.job_id)
    endpoint = await store.endpoint(url_id(URL, "prj_shop"))
    await settled(store, ours, GONE, endpoint=endpoint.responded(GONE, NOW, probe=False))
    assert (await store.delivery(ours.delivery.id)).delivery.ended
    assert not (await store.delivery(theirs.delivery.id)).delivery.ended
    assert [due.delivery.job_id for due in await due_now(store)] == ["job_2"]


async def test_each_project_signs_with_its_own_secret(store: Store) -> None:
    await same_url(store)
    await store.create_project(replace(SHOP, id="prj_third", name="third"))
    await telling(store, "job_3", URL)
    await telling(store, "job_4", endpoints=["ep_ours"], project="prj_shop")
    await store.change_endpoint("ep_ours", lambda one: replace(one, secret="the endpoint's own"))
    signed = {}
    for found in (await look(store)).endpoints:
        for due in found.deliveries:
            request = SIGNING.request(
                found.endpoint, b"{}", message_id="evt_1", now=NOW, timeout_seconds=1
            )
            signed[due.delivery.job_id] = request.headers["webhook-signature"]
    content = f"evt_1.{NOW // 1000}.{{}}".encode()
    assert signed == {
        "job_1": v1(SHOP.secret or "", content),
        "job_2": v1(NEWS.secret or "", content),
        "job_3": v1("whsec_ZGVmYXVsdA==", content),
        "job_4": v1("the endpoint's own", content),
    }


async def test_a_rotated_secret_signs_at_once_and_the_old_one_for_a_while(store: Store) -> None:
    await same_url(store)
    await store.change_project("shop", lambda one: one.rotated("whsec_bmV3ZXI=", NOW, 1000), NOW)
    content = f"evt_1.{NOW // 1000}.{{}}".encode()
    endpoint = await store.endpoint(url_id(URL, "prj_shop"))
    (due,) = [due for due in await due_now(store) if due.delivery.job_id == "job_1"]
    again = await store.due_delivery(due.delivery.id, NOW)
    assert again is not None
    assert again.endpoint == endpoint
    for now, entries in ((NOW, ["whsec_bmV3ZXI=", SHOP.secret]), (NOW + 1000, ["whsec_bmV3ZXI="])):
        content = f"evt_1.{now // 1000}.{{}}".encode()
        request = SIGNING.request(endpoint, b"{}", message_id="evt_1", now=now, timeout_seconds=1)
        assert request.headers["webhook-signature"] == " ".join(
            v1(entry or "", content) for entry in entries
        )


async def test_a_changed_endpoint_does_not_keep_its_projects_secret(store: Store, sql: Sql) -> None:
    await same_url(store)
    await store.change_endpoint(url_id(URL, "prj_shop"), lambda one: one.disable(NOW))
    assert await sql("SELECT DISTINCT secret FROM endpoints WHERE kind = 'url'") == [(None,)]


# -- deliveries and resends ------------------------------------------------------------------------


async def test_deliveries_are_listed_and_read_by_project(store: Store) -> None:
    await same_url(store)
    page = await store.deliveries(DeliveryFilter(project="prj_shop"), 10, None)
    (ours,) = page.deliveries
    assert ours.delivery.job_id == "job_1"
    (theirs,) = (await store.deliveries(DeliveryFilter(job_id="job_2"), 10, None)).deliveries
    both = DeliveryFilter(job_id="job_2", project="prj_shop")
    assert (await store.deliveries(both, 10, None)).deliveries == ()

    async def read(delivery_id: int) -> None:
        await store.delivery(delivery_id, project="prj_shop")

    foreign = await message_of(lambda: read(theirs.delivery.id), DeliveryNotFoundError)
    assert foreign == await message_of(lambda: read(999), DeliveryNotFoundError)
    await read(ours.delivery.id)


async def test_pages_of_a_projects_deliveries_follow_each_other(store: Store) -> None:
    await projects(store)
    for number in range(5):
        await telling(store, f"job_{number}", URL, project="prj_shop")
        await telling(store, f"other_{number}", URL, project="prj_news")
    wanted = DeliveryFilter(state="waiting", project="prj_shop")
    first = await store.deliveries(wanted, 3, None)
    second = await store.deliveries(wanted, 3, first.next_cursor)
    listed = [found.delivery.job_id for found in (*first.deliveries, *second.deliveries)]
    assert listed == ["job_4", "job_3", "job_2", "job_1", "job_0"]
    assert second.next_cursor is None


async def test_no_event_of_another_project_is_sent_again(store: Store) -> None:
    await same_url(store)
    found = {due.delivery.job_id: due for due in await due_now(store)}
    for due in found.values():
        await exhausted(store, due)
    with pytest.raises(DeliveryNotFoundError):
        await store.resend_one(found["job_2"].delivery.id, None, NOW, project="prj_shop")
    run = Resend("resend_1", 0, NOW + 1000, project="prj_shop")
    await store.start_resend(run)
    after = await store.advance_resend("resend_1", 10, NOW)
    assert (after.resent, after.project) == (1, "prj_shop")
    assert [due.delivery.job_id for due in flat(await look(store))] == ["job_1"]
    foreign = Resend("resend_2", 0, NOW + 1000, url_id(URL, "prj_news"), project="prj_shop")
    await store.start_resend(foreign)
    assert (await store.advance_resend("resend_2", 10, NOW)).resent == 0


async def test_a_run_is_seen_by_its_project_only(store: Store) -> None:
    await store.start_resend(Resend("resend_1", 0, NOW, project="prj_shop"))
    await store.start_resend(Resend("resend_2", 0, NOW))
    assert (await store.resend("resend_1", project="prj_shop")).id == "resend_1"
    for name, project in (("resend_1", "prj_news"), ("resend_2", "prj_news")):
        with pytest.raises(ResendNotFoundError):
            await store.resend(name, project=project)
    assert (await store.resend("resend_1")).id == "resend_1"
