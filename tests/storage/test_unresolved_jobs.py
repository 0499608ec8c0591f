"""Jobs that a provider may or may not have."""

import asyncio
from dataclasses import replace

import pytest

from reelhook.domain.conflicts import DoubtSettledError
from reelhook.domain.endpoint import DEFAULT_ENDPOINT, EndpointKind, url_id
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.job import Job
from reelhook.ports import Created, Destination
from reelhook.storage.store import Store

from .samples import ACCOUNT, ENDPOINT, NOW, URL, moved, new, queued, registered, submitting


async def unknown(store: Store, job_id: str, *, at: int = NOW) -> Job:
    job = await submitting(store, new(job_id, at=at))
    return await moved(store, job.fail("submission_unknown", "Nobody knows", NOW))


async def test_jobs_in_doubt_are_those_that_ended_so_then_those_looked_up(store: Store) -> None:
    await unknown(store, "second", at=NOW + 1)
    await unknown(store, "first")
    looked_up = await submitting(store, new("looked up", at=NOW - 1))
    await moved(store, (looked_up.in_doubt(NOW), ()))
    await submitting(store, new("under way"))
    failed = await submitting(store, new("refused"))
    await moved(store, failed.fail("quota", "No money", NOW))
    await queued(store, new("queued"), "video_1")
    found = (await store.jobs_in_doubt(99, None)).jobs
    assert [one.job.id for one in found] == ["first", "second", "looked up"]
    assert all(one.job.in_doubt_now for one in found)


async def test_pages_of_jobs_in_doubt_have_each_of_them_once_in_the_same_order(
    store: Store,
) -> None:
    for number in (3, 1, 2):
        await unknown(store, f"open_{number}", at=NOW + number // 2)
        looked_up = await submitting(store, new(f"sent_{number}", at=NOW - number))
        await moved(store, (looked_up.in_doubt(NOW), ()))
    expected = [one.job.id for one in (await store.jobs_in_doubt(99, None)).jobs]
    assert len(expected) == 6
    for limit in range(1, 8):
        found: list[str] = []
        cursor = None
        while True:
            page = await store.jobs_in_doubt(limit, cursor)
            assert len(page.jobs) <= limit
            found += [one.job.id for one in page.jobs]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == expected
    with pytest.raises(InvalidRequestError) as caught:
        await store.jobs_in_doubt(5, "nowhere")
    assert caught.value.field == "cursor"


async def test_a_doubt_is_closed_once_and_leaves_the_list(store: Store) -> None:
    job = await unknown(store, "job_1")
    assert await store.close_doubt("job_1", NOW + 5)
    assert not await store.close_doubt("job_1", NOW + 6)
    read = (await store.job("job_1")).job
    assert (read.doubt_closed_at, read.version) == (NOW + 5, job.version + 1)
    assert (read.status, read.code) == (job.status, job.code)
    assert not read.in_doubt_now
    assert (await store.jobs_in_doubt(99, None)).jobs == ()


async def test_only_a_doubt_can_be_closed(store: Store) -> None:
    await queued(store, new("job_1"), "video_1")
    looked_up = await submitting(store, new("job_2"))
    await moved(store, (looked_up.in_doubt(NOW), ()))
    for name in ("job_1", "job_2", "nobody"):
        assert not await store.close_doubt(name, NOW)


async def test_the_destinations_of_a_job_are_those_it_was_stored_with(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    await store.keep_default_endpoint(
        replace(ENDPOINT, id=DEFAULT_ENDPOINT, kind=EndpointKind.DEFAULT)
    )
    own = "https://h.example:443/hook?job=1"
    named = [DEFAULT_ENDPOINT, ENDPOINT.id]
    await store.create(new("job_1", urls=(own,), endpoints=named))
    found = await store.destinations("job_1")
    assert set(found) == {
        Destination(url_id(own), own),
        Destination(DEFAULT_ENDPOINT),
        Destination(ENDPOINT.id),
    }
    await store.create(new("job_2", urls=()))
    assert await store.destinations("job_2") == []


async def test_the_destinations_of_one_job_serve_another(store: Store) -> None:
    await store.create(new("job_1", urls=(URL,)))
    found = await store.destinations("job_1")
    again = new("job_2", urls=())
    await store.create(replace(again, webhook_url=URL, destinations=tuple(found)))
    assert await store.destinations("job_2") == found


async def test_a_job_that_was_adopted_from_a_doubt_says_so(store: Store) -> None:
    await unknown(store, "job_1")
    made = new("job_2")
    job = replace(made.job.accept("video_1", NOW, adopted=True), adopted_from="job_1")
    await store.create(replace(made, job=job))
    assert (await store.job("job_2")).job.adopted_from == "job_1"


async def test_a_doubt_is_adopted_from_once(store: Store) -> None:
    await unknown(store, "job_1")

    async def adopt(name: str) -> object:
        made = new(name)
        accepted = made.job.accept(f"video of {name}", NOW)
        return await store.create(replace(made, job=replace(accepted, adopted_from="job_1")))

    told = await asyncio.gather(*map(adopt, ["job_2", "job_3"]), return_exceptions=True)
    assert {type(one) for one in told} == {Created, DoubtSettledError}
    assert (await store.counts())["queued"] == 1
    assert not await store.close_doubt("job_1", NOW + 1)
    assert not (await store.job("job_1")).job.in_doubt_now


async def test_a_video_of_another_account_s_job_is_not_adopted_again(store: Store) -> None:
    """Accounts of one server have the same videos: it would be counted twice."""
    await unknown(store, "job_1")
    await store.create(registered("job_2", "video_1"))
    made = new("job_3", account="acme_2")
    adopted = replace(made.job, adopted_from="job_1").accept("video_1", NOW)
    made = replace(made, job=adopted, sharing=(ACCOUNT,))
    assert await store.create(made) == Created("job_2", replayed=True)
    assert (await store.job("job_1")).job.in_doubt_now
