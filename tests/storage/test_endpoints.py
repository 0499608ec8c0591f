from dataclasses import fields, replace
from functools import partial

import pytest

from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.endpoint import (
    DEFAULT_ENDPOINT,
    Disabled,
    Endpoint,
    EndpointKind,
    EventName,
    url_id,
)
from reelhook.domain.errors import (
    EndpointNotFoundError,
    InvalidRequestError,
    JobNotFoundError,
    StoreError,
)
from reelhook.domain.report import Progress
from reelhook.ports import IdempotencyKey
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import (
    ENDPOINT,
    FINISHED,
    NOW,
    RUNNING,
    URL,
    due_now,
    moved,
    new,
    queued,
    registered,
    submitting,
    telling,
)

FULL = Endpoint(
    id="ep_full",
    kind=EndpointKind.REGISTERED,
    url="https://full.example/hook",
    trusted=True,
    created_at=NOW + 1,
    description="The shop",
    events=frozenset({EventName.COMPLETED, EventName.FAILED}),
    headers=(("X-Shop", "ä b"), ("Authorization", "Bearer x")),
    concurrency=7,
    broadcast=True,
    secret="new",
    previous_secret="old",
    previous_until=NOW + 2,
    disabled=Disabled.GONE,
    disabled_at=NOW + 3,
    health_version=6,
    project="prj_full",
    format="openai",
    health=CircuitBreaker(4, NOW + 4, NOW + 5, 20_000, 2),
)
BROADCAST = replace(ENDPOINT, id="ep_all", broadcast=True)
DEFAULT = Endpoint(
    DEFAULT_ENDPOINT, EndpointKind.DEFAULT, "https://d.example/", trusted=True, created_at=NOW
)


async def told(sql: Sql) -> list[tuple[str, str]]:
    """Which job has a delivery to which endpoint."""
    rows = await sql("SELECT job_id, endpoint_id FROM deliveries ORDER BY job_id, endpoint_id")
    return [(job_id, endpoint_id) for job_id, endpoint_id in rows]


# -- keeping them ----------------------------------------------------------------------------------


def test_the_sample_leaves_no_field_at_its_default() -> None:
    for field in fields(FULL):
        if field.name not in {"kind", "project_secrets"}:
            assert getattr(FULL, field.name) != getattr(ENDPOINT, field.name), field.name


@pytest.mark.parametrize("endpoint", [ENDPOINT, FULL], ids=["bare", "full"])
async def test_an_endpoint_is_read_as_it_was_stored(store: Store, endpoint: Endpoint) -> None:
    await store.create_endpoint(endpoint)
    assert await store.endpoint(endpoint.id) == endpoint
    assert await store.endpoints() == [endpoint]


async def test_an_endpoint_that_wants_nothing_stays_so(store: Store) -> None:
    await store.create_endpoint(replace(ENDPOINT, events=frozenset()))
    assert (await store.endpoint("ep_1")).events == frozenset()


async def test_an_id_is_taken_once(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    with pytest.raises(StoreError):
        await store.create_endpoint(replace(ENDPOINT, url="https://other.example/"))
    assert await store.endpoints() == [ENDPOINT]


async def test_endpoints_are_listed_oldest_first_and_jobs_own_urls_not_at_all(
    store: Store,
) -> None:
    for name, at in (("ep_c", 3), ("ep_a", 9), ("ep_b", 3)):
        await store.create_endpoint(replace(ENDPOINT, id=name, created_at=NOW + at))
    await store.keep_default_endpoint(replace(DEFAULT, created_at=NOW + 5))
    await store.create(new())
    assert [one.id for one in await store.endpoints()] == ["ep_b", "ep_c", "default", "ep_a"]
    assert (await store.endpoint(url_id(URL))).kind is EndpointKind.URL


async def test_a_change_is_made_to_what_is_stored_by_then(store: Store) -> None:
    await store.create_endpoint(FULL)
    changed = await store.change_endpoint("ep_full", lambda one: replace(one, concurrency=None))
    assert changed == replace(FULL, concurrency=None)
    changed = await store.change_endpoint("ep_full", lambda one: one.enable())
    assert await store.endpoint("ep_full") == changed == replace(FULL, concurrency=None).enable()


async def test_a_change_that_is_refused_changes_nothing(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)

    def refuse(_: Endpoint) -> Endpoint:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        await store.change_endpoint("ep_1", refuse)
    assert await store.endpoint("ep_1") == ENDPOINT


async def test_an_unknown_endpoint_is_not_found(store: Store) -> None:
    for call in (
        store.endpoint("ep_1"),
        store.change_endpoint("ep_1", lambda one: one),
        store.delete_endpoint("ep_1", NOW),
    ):
        with pytest.raises(EndpointNotFoundError):
            await call


# -- deleting them ---------------------------------------------------------------------------------


async def test_a_deleted_endpoint_is_gone_and_keeps_no_secret(store: Store, sql: Sql) -> None:
    await store.create_endpoint(FULL)
    await store.delete_endpoint("ep_full", NOW)
    assert await store.endpoints() == []
    assert await store.endpoints_held_back() == []
    assert await store.endpoint_counts() == {"failing": 0, "disabled": 0}
    assert await sql("SELECT secret, previous_secret, headers FROM endpoints") == [
        (None, None, None)
    ]
    for call in (
        store.endpoint("ep_full"),
        store.change_endpoint("ep_full", lambda one: one.enable()),
        store.delete_endpoint("ep_full", NOW),
    ):
        with pytest.raises(EndpointNotFoundError):
            await call


async def test_nothing_is_sent_to_a_deleted_endpoint_not_even_what_comes_later(
    store: Store,
) -> None:
    await store.create_endpoint(BROADCAST)
    job = await telling(store, "job_1", "https://other.example/")
    assert len(await due_now(store)) == 2
    await store.delete_endpoint("ep_all", NOW)
    await moved(store, job.apply(FINISHED, NOW + 1))
    await telling(store, "job_2", "https://other.example/")
    due = await due_now(store, NOW + 1)
    assert {one.delivery.endpoint_id for one in due} == {url_id("https://other.example/")}
    assert len(due) == 2


async def test_what_was_sent_to_a_deleted_endpoint_stays_on_record(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    (due,) = await due_now(store)
    await store.delete_endpoint("ep_1", NOW)
    kept = await store.delivery(due.delivery.id)
    assert (kept.url, kept.delivery.state) == (URL, "ended")


# -- who is told -----------------------------------------------------------------------------------


async def test_a_job_may_name_several_endpoints_and_a_url_of_its_own(
    store: Store, sql: Sql
) -> None:
    for name in ("ep_1", "ep_2"):
        await store.create_endpoint(replace(ENDPOINT, id=name))
    await store.create(new(endpoints=["ep_1", "ep_2", "ep_1"]))
    assert await told(sql) == [("job_1", "ep_1"), ("job_1", "ep_2"), ("job_1", url_id(URL))]
    assert await sql("SELECT endpoint_id FROM deliveries WHERE url = ?1", URL) == [(url_id(URL),)]


@pytest.mark.parametrize("gone", ["never", "deleted", "a job's own"])
async def test_an_unknown_endpoint_refuses_the_whole_create(
    store: Store, sql: Sql, gone: str
) -> None:
    await store.create_endpoint(ENDPOINT)
    await store.create_endpoint(replace(ENDPOINT, id="deleted"))
    await store.delete_endpoint("deleted", NOW)
    await store.create(new("job_0", urls=["https://own.example/"]))
    name = url_id("https://own.example/") if gone == "a job's own" else gone
    before = await sql("SELECT id FROM endpoints ORDER BY id")
    with pytest.raises(InvalidRequestError, match=f"There is no endpoint {name}") as refused:
        await store.create(new(endpoints=["ep_1", name], key=IdempotencyKey("me", "k", "f")))
    assert refused.value.field == "endpoints"
    with pytest.raises(JobNotFoundError):
        await store.job("job_1")
    assert await told(sql) == [("job_0", url_id("https://own.example/"))]
    assert await sql("SELECT id FROM endpoints ORDER BY id") == before
    assert await sql("SELECT * FROM idempotency_keys") == []


async def test_a_broadcast_endpoint_gets_every_new_job_once_even_if_it_names_it(
    store: Store, sql: Sql
) -> None:
    await store.create_endpoint(BROADCAST)
    await store.create_endpoint(ENDPOINT)
    await store.create(new("job_1", urls=()))
    await store.create(new("job_2", urls=(), endpoints=["ep_all", "ep_1"]))
    await store.create(registered("job_3", "video_3"))
    assert await told(sql) == [
        ("job_1", "ep_all"),
        ("job_2", "ep_1"),
        ("job_2", "ep_all"),
        ("job_3", "ep_all"),
        ("job_3", url_id(URL)),
    ]


async def running_jobs(store: Store) -> None:
    """Store a job of every status; those that have not ended have `run` in their names."""
    await store.create(new("run_accepted", urls=()))
    await submitting(store, new("run_submitting", urls=()))
    await queued(store, new("run_queued", urls=()), "video_1")
    await telling(store, "run_processing")
    await moved(store, (await queued(store, new("done", urls=()), "v_2")).apply(FINISHED, NOW))
    await moved(store, (await queued(store, new("canceled", urls=()), "v_3")).cancel(NOW))


RUNNING_JOBS = ["run_accepted", "run_processing", "run_queued", "run_submitting"]


async def test_an_endpoint_that_is_registered_for_all_starts_with_the_running_jobs(
    store: Store, sql: Sql
) -> None:
    await running_jobs(store)
    await store.create_endpoint(BROADCAST)
    assert await told(sql) == [(name, "ep_all") for name in RUNNING_JOBS]
    assert await due_now(store) == []  # what happened before is not told
    job = (await store.job("run_queued")).job
    await moved(store, job.apply(RUNNING, NOW))
    assert [one.delivery.job_id for one in await due_now(store)] == ["run_queued"]


async def test_an_endpoint_that_becomes_one_for_all_starts_with_the_running_jobs(
    store: Store, sql: Sql
) -> None:
    await store.create_endpoint(ENDPOINT)
    await running_jobs(store)
    await store.create(new("run_named", urls=(), endpoints=["ep_1"]))
    for broadcast in (True, True, False, True):
        await store.change_endpoint("ep_1", partial(replace, broadcast=broadcast))
        assert await told(sql) == [(name, "ep_1") for name in sorted([*RUNNING_JOBS, "run_named"])]


async def test_an_endpoint_that_is_no_longer_for_all_gets_no_new_job(
    store: Store, sql: Sql
) -> None:
    await store.create_endpoint(BROADCAST)
    await store.change_endpoint("ep_all", lambda one: replace(one, broadcast=False))
    await store.create(new(urls=()))
    assert await told(sql) == []


async def test_an_event_waits_only_where_it_is_wanted(store: Store) -> None:
    wanted = {
        "ep_all": frozenset(EventName),
        "ep_end": frozenset({EventName.COMPLETED, EventName.FAILED}),
        "ep_progress": frozenset({EventName.PROGRESS}),
        "ep_none": frozenset[EventName](),
    }
    for name, names in wanted.items():
        await store.create_endpoint(replace(ENDPOINT, id=name, events=names))
    job = await queued(store, new(urls=(), endpoints=wanted), "video_1")

    async def waiting() -> dict[str, tuple[int | None, int | None]]:
        return {
            one.delivery.endpoint_id: (
                one.delivery.status_sequence,
                one.delivery.progress_sequence,
            )
            for one in await due_now(store, NOW)
        }

    job = await moved(store, job.apply(RUNNING, NOW))  # processing
    assert await waiting() == {"ep_all": (1, None)}
    job = await moved(store, job.apply(Progress(running=True, percent=50), NOW))
    assert await waiting() == {"ep_all": (1, 2), "ep_progress": (None, 2)}
    await moved(store, job.apply(FINISHED, NOW))
    assert await waiting() == {
        "ep_all": (3, None),
        "ep_progress": (None, 2),
        "ep_end": (3, None),
    }


# -- jobs' own URLs and the default ----------------------------------------------------------------


async def test_jobs_own_urls_that_differ_in_their_query_are_one_endpoint_that_is_not_trusted(
    store: Store, sql: Sql
) -> None:
    for number in range(3):
        await store.create(new(f"job_{number}", urls=[f"{URL}?job={number}"], at=NOW + number))
    assert await sql("SELECT id, kind, url, trusted, created_at FROM endpoints") == [
        (url_id(URL), "url", "https://h.example:443/hook", 0, NOW)
    ]
    assert await sql("SELECT url FROM deliveries ORDER BY id") == [
        (f"{URL}?job={number}",) for number in range(3)
    ]


async def test_a_jobs_own_url_never_takes_over_the_trust_of_another_endpoint(
    store: Store,
) -> None:
    await store.keep_default_endpoint(replace(DEFAULT, url=URL))
    await store.create_endpoint(replace(ENDPOINT, trusted=True))
    await telling(store, "job_1", URL, endpoints=["default", "ep_1"])
    trust = {
        one.delivery.endpoint_id: (await store.endpoint(one.delivery.endpoint_id)).trusted
        for one in await due_now(store)
    }
    assert trust == {"default": True, "ep_1": True, url_id(URL): False}


async def test_the_default_endpoint_is_kept_as_it_fares_while_its_url_stays(
    store: Store,
) -> None:
    await store.keep_default_endpoint(DEFAULT)
    failing = await store.change_endpoint(
        DEFAULT_ENDPOINT,
        lambda one: replace(one, health=CircuitBreaker(failures=3), description="Ours").disable(
            NOW
        ),
    )
    await store.keep_default_endpoint(replace(DEFAULT, created_at=NOW + 9))
    assert await store.endpoint(DEFAULT_ENDPOINT) == failing


async def test_another_default_url_is_trusted_anew_and_gets_what_waits(store: Store) -> None:
    await store.keep_default_endpoint(DEFAULT)
    await telling(store, "job_1", endpoints=[DEFAULT_ENDPOINT])
    await store.change_endpoint(
        DEFAULT_ENDPOINT,
        lambda one: replace(one, health=CircuitBreaker(failures=3), description="Ours").disable(
            NOW
        ),
    )
    await store.keep_default_endpoint(replace(DEFAULT, url="https://moved.example/"))
    moved_to = replace(DEFAULT, url="https://moved.example/", description="Ours", health_version=1)
    assert await store.endpoint(DEFAULT_ENDPOINT) == moved_to
    (due,) = await due_now(store)
    assert due.delivery.url is None  # the endpoint's


# -- held back -------------------------------------------------------------------------------------


async def test_endpoints_of_any_kind_that_are_held_back_are_listed_and_counted(
    store: Store,
) -> None:
    await store.create(new())
    for name in ("ep_1", "ep_2", "ep_3", "ep_4"):
        await store.create_endpoint(replace(ENDPOINT, id=name, created_at=NOW + 1))
    assert await store.endpoints_held_back() == []
    probing = CircuitBreaker(5, NOW, NOW + 5000, 5000)
    await store.change_endpoint("ep_2", lambda one: replace(one, health=probing))
    await store.change_endpoint("ep_3", lambda one: one.disable(NOW))
    await store.change_endpoint("ep_4", lambda one: replace(one, health=probing).disable(NOW))
    await store.change_endpoint(url_id(URL), lambda one: replace(one, health=probing))
    held_back = [one.id for one in await store.endpoints_held_back()]
    assert held_back == [url_id(URL), "ep_2", "ep_3", "ep_4"]
    assert await store.endpoint_counts() == {"failing": 2, "disabled": 2}
