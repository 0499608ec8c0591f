from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.job import Status
from reelhook.ports import ALL_JOBS, JobFilter
from reelhook.storage.operation import Operation
from reelhook.storage.operations import (
    event_feed,
    in_doubt,
    job_reads,
    pending_jobs,
    submit_queue,
)
from reelhook.storage.sqlite.driver import connect
from reelhook.storage.sqlite.group_commit import run
from reelhook.storage.store import Store

from .samples import (
    ACCOUNT,
    CAT,
    FINISHED,
    NOW,
    RUNNING,
    moved,
    new,
    queued,
    registered,
    stored,
    submitting,
)


async def test_a_list_counts_references_whatever_characters_they_have(store: Store) -> None:
    made = new("job_1")
    odd = ('https://h/a", "b', "https://h/\\", 'https://h/\\"', "https://h/ü")
    await store.create(replace(made, request=replace(made.request, reference_images=odd)))
    await store.create(new("job_2"))
    counts = [one.reference_images for one in (await store.jobs(ALL_JOBS, 10, None)).jobs]
    assert sorted(counts) == [0, len(odd)]


# -- pages -----------------------------------------------------------------------------------------


async def pages(
    store: Store, status: Status | None, limit: int, *, oldest_first: bool = False
) -> list[list[str]]:
    """Follow the cursors to the end."""
    wanted = JobFilter(status=status, oldest_first=oldest_first)
    found: list[list[str]] = []
    cursor: str | None = None
    while True:
        page = await store.jobs(wanted, limit, cursor)
        found.append([one.job.id for one in page.jobs])
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_pages_go_from_the_newest_to_the_oldest_without_gap_or_repeat(store: Store) -> None:
    for number in range(7):  # two of each moment, so that the id must decide
        await store.create(new(f"job_{number}", at=NOW + number // 2))
    assert await pages(store, None, 3) == [
        ["job_6", "job_5", "job_4"],
        ["job_3", "job_2", "job_1"],
        ["job_0"],
    ]
    assert await pages(store, None, 7) == [[f"job_{number}" for number in range(6, -1, -1)]]
    assert await pages(store, None, 1) == [[f"job_{number}"] for number in range(6, -1, -1)]


async def test_pages_can_go_from_the_oldest_to_the_newest(store: Store) -> None:
    for number in range(7):
        await store.create(new(f"job_{number}", at=NOW + number // 2))
    in_order = [f"job_{number}" for number in range(7)]
    for status in (None, Status.ACCEPTED):
        found = await pages(store, status, 3, oldest_first=True)
        assert found == [in_order[:3], in_order[3:6], in_order[6:]]


async def test_a_store_without_jobs_has_one_empty_page(store: Store) -> None:
    assert await pages(store, None, 3) == [[]]


async def test_pages_can_be_of_one_status(store: Store) -> None:
    for number in range(6):
        job = await queued(store, new(f"job_{number}", at=NOW + number), f"video_{number}")
        if number % 2:
            await moved(store, job.apply(RUNNING, NOW))
    assert await pages(store, Status.PROCESSING, 2) == [["job_5", "job_3"], ["job_1"]]
    assert await pages(store, Status.QUEUED, 2) == [["job_4", "job_2"], ["job_0"]]
    assert await pages(store, Status.FAILED, 2) == [[]]


async def test_a_cursor_survives_that_its_job_changed_and_that_new_ones_came(store: Store) -> None:
    for number in range(4):
        await store.create(new(f"job_{number}", at=NOW + number))
    first = await store.jobs(JobFilter(status=Status.ACCEPTED), 2, None)
    assert first.next_cursor is not None
    job = (await store.job(first.next_cursor)).job
    await moved(store, job.cancel(NOW))
    await store.create(new("job_9", at=NOW + 9))
    second = await store.jobs(JobFilter(status=Status.ACCEPTED), 2, first.next_cursor)
    assert [one.job.id for one in second.jobs] == ["job_1", "job_0"]


@pytest.mark.parametrize("cursor", ["", "job_9", "' OR 1=1 --"])
async def test_a_cursor_that_was_never_given_out_is_refused(store: Store, cursor: str) -> None:
    await store.create(new())
    with pytest.raises(InvalidRequestError, match="earlier page") as refused:
        await store.jobs(ALL_JOBS, 2, cursor)
    assert refused.value.field == "cursor"


async def test_counts_name_every_status(store: Store) -> None:
    assert await store.counts() == dict.fromkeys(map(str, Status), 0)
    await store.create(new("job_1"))
    await moved(store, (await queued(store, new("job_2"), "video_2")).apply(FINISHED, NOW))
    await queued(store, new("job_3"), "video_3")
    counts = await store.counts()
    assert {status: n for status, n in counts.items() if n} == {
        "accepted": 1,
        "completed": 1,
        "queued": 1,
    }


# -- jobs to submit --------------------------------------------------------------------------------


async def test_accepted_jobs_are_submitted_oldest_first(store: Store) -> None:
    for number in (2, 0, 1):
        await store.create(new(f"job_{number}", at=NOW + number))
    due, later = await store.jobs_to_submit(ACCOUNT, NOW + 9, 2)
    assert ([one.job.id for one in due], later) == (["job_0", "job_1"], None)
    assert due[0].request == new().request


async def test_jobs_with_large_images_are_read_a_few_at_a_time(store: Store) -> None:
    image = "data:image/png;base64," + "A" * 978
    large = replace(CAT, image=image, options={"a": "b"})
    for number in range(4):
        await store.create(new(f"job_{number}", at=NOW + number, request=large))
    await store.create(new("job_4", at=NOW + 4))
    for bytes_max, count in ((1, 1), (1000, 1), (1011, 2), (3100, 4), (10_000, 5)):
        due, _ = await store.jobs_to_submit(ACCOUNT, NOW + 9, 9, bytes_max)
        assert [one.job.id for one in due] == [f"job_{number}" for number in range(count)]
        assert due[0].request == large
        taken = await store.jobs_waiting_elsewhere("other", [ACCOUNT], NOW + 9, 9, bytes_max)
        assert [one.job.id for one in taken] == [f"job_{number}" for number in range(count)]


LARGE = frozenset({"script", "direction", "image", "provider_options"})
LISTS: dict[str, Callable[[], Operation[Any]]] = {
    "jobs": lambda: job_reads.page(JobFilter(status=Status.ACCEPTED), 9, None),
    "jobs in doubt": lambda: in_doubt.page(9, None),
    "jobs with fallbacks": lambda: submit_queue.with_fallbacks(ACCOUNT, NOW, 9),
    "jobs to watch": lambda: pending_jobs.rows(ACCOUNT),
    "jobs that no provider took": lambda: job_reads.unsubmitted_before(NOW),
    "jobs that are followed": lambda: event_feed.sequences(["job_1"]),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_read_neither_texts_nor_images_nor_options(migrated: Path, name: str) -> None:
    def guard(action: int, table: str | None, column: str | None, *_: str | None) -> int:
        reads = action == apsw.SQLITE_READ and table == "jobs"
        return apsw.SQLITE_DENY if reads and column in LARGE else apsw.SQLITE_OK

    connection = connect(migrated, read_only=True)
    try:
        connection.execute("SELECT image FROM jobs")
        connection.authorizer = guard
        with pytest.raises(apsw.AuthError):
            connection.execute("SELECT image FROM jobs")
        run(connection, LISTS[name]())
    finally:
        connection.close()


async def test_a_job_that_waits_for_its_next_submit_is_told_by_its_time(store: Store) -> None:
    for number in (1, 2):
        job = await submitting(store, new(f"job_{number}"))
        await moved(store, (job.submit_again(NOW + 100 * number, NOW), ()))
    assert await store.jobs_to_submit(ACCOUNT, NOW + 99, 9) == ([], NOW + 100)
    due, later = await store.jobs_to_submit(ACCOUNT, NOW + 100, 9)
    assert ([one.job.id for one in due], later) == (["job_1"], NOW + 200)


async def test_a_job_whose_intent_is_stored_is_not_submitted_but_resolved(store: Store) -> None:
    job = await submitting(store, new("job_1"))
    await store.create(new("job_2", account="other"))
    await queued(store, new("job_3"), "video_3")
    assert await store.jobs_to_submit(ACCOUNT, NOW, 9) == ([], None)
    assert await store.jobs_submitting(ACCOUNT) == [job]
    assert await store.jobs_submitting("other") == []


async def test_jobs_that_no_provider_took_are_found_by_age(store: Store) -> None:
    await stored(store, new("accepted", at=NOW))
    await submitting(store, new("submitting", at=NOW))
    await queued(store, new("queued", at=NOW), "video_1")
    await moved(store, (await stored(store, new("ended", at=NOW))).cancel(NOW))
    assert await store.jobs_unsubmitted_before(NOW) == []
    old = await store.jobs_unsubmitted_before(NOW + 1)
    assert sorted(job.id for job in old) == ["accepted", "submitting"]


# -- jobs to watch ---------------------------------------------------------------------------------


async def test_the_jobs_that_the_provider_has_are_watched_newest_first(store: Store) -> None:
    for number in range(3):
        await store.create(registered(f"job_{number}", f"video_{number}", at=NOW + number))
    job = (await store.job("job_1")).job
    await moved(store, job.apply(RUNNING, NOW))
    await stored(store, new("unsubmitted"))
    await queued(store, new("elsewhere", account="other"), "video_0")
    watched = await store.jobs_to_watch(ACCOUNT)
    assert [one.id for one in watched] == ["job_2", "job_1", "job_0"]
    assert watched[1] == (await store.job("job_1")).job
    recent = await store.versions_to_watch(ACCOUNT, NOW + 1)
    assert [one.partition(":")[0] for one in recent.split(",")] == ["job_2", "job_1"]


async def test_an_ended_job_is_watched_no_more(store: Store) -> None:
    job = await queued(store, new(), "video_1")
    await moved(store, job.apply(FINISHED, NOW))
    assert await store.jobs_to_watch(ACCOUNT) == []


async def test_versions_tell_every_write_of_a_watched_job_and_which_are_watched(
    store: Store,
) -> None:
    assert await store.versions_to_watch(ACCOUNT) == ""
    for number in range(3):
        await store.create(registered(f"job_{number}", f"video_{number}", at=NOW + number))
    before = await store.versions_to_watch(ACCOUNT)
    assert [one.partition(":")[0] for one in before.split(",")] == ["job_2", "job_1", "job_0"]
    assert await store.versions_to_watch(ACCOUNT) == before
    await moved(store, (await store.job("job_1")).job.apply(RUNNING, NOW))
    await moved(store, (await store.job("job_0")).job.apply(FINISHED, NOW))
    await queued(store, new("elsewhere", account="other"), "video_0")
    versions = dict(one.split(":") for one in before.split(","))
    assert await store.versions_to_watch(ACCOUNT) == (
        f"job_2:{versions['job_2']},job_1:{int(versions['job_1']) + 1}"
    )


async def test_watched_jobs_are_read_by_id_unless_they_ended(store: Store) -> None:
    for number in range(3):
        await store.create(registered(f"job_{number}", f"video_{number}", at=NOW + number))
    await moved(store, (await store.job("job_0")).job.apply(FINISHED, NOW))
    found = await store.watched_jobs(["job_0", "job_1", "nowhere"])
    assert found == [(await store.job("job_1")).job]
