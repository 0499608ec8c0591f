"""Old records are removed with all that belongs to them; newer or waiting ones stay."""

from collections.abc import Sequence

import pytest

from reelhook.domain.endpoint import Endpoint, EndpointKind, url_id
from reelhook.domain.errors import JobNotFoundError
from reelhook.domain.job import Job
from reelhook.ports import DeliveryFilter, IdempotencyKey, Position, Removal, Resend
from reelhook.storage.operations import retention
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import FINISHED, NOW, RUNNING, URL, moved, new, queued, submitting

DAY = 24 * 3600 * 1000
TABLES = ("jobs", "events", "deliveries", "attempts", "undelivered", "idempotency_keys")


async def ended(
    store: Store, job_id: str, *, at: int = NOW, urls: Sequence[str] = (URL,), key: str = ""
) -> Job:
    """Store a job that was completed at that time; its webhook waits."""
    idempotency = IdempotencyKey("holder", key, "print") if key else None
    job = await queued(store, new(job_id, at=NOW, urls=urls, key=idempotency), f"video_{job_id}")
    running = await moved(store, job.apply(RUNNING, at))
    return await moved(store, running.apply(FINISHED, at))


async def delivered(sql: Sql, *job_ids: str, attempts: int = 1) -> None:
    """Note that the job's webhooks are through, in so many attempts."""
    for job_id in job_ids:
        await sql(
            "UPDATE deliveries SET due_at = NULL, status_sequence = NULL, terminal_at = NULL,"
            " outcome = 'delivered', delivered_sequence = 2 WHERE job_id = ?1",
            job_id,
        )
        for number in range(attempts):
            await sql(
                "INSERT INTO attempts (delivery_id, event_id, sequence, number, started_at,"
                " duration_ms, http_status, answer) SELECT id, job_id || '-2', 2, ?2, ?3, 5, 200,"
                " 'ok' FROM deliveries WHERE job_id = ?1",
                job_id,
                number + 1,
                NOW + number,
            )


async def counts(sql: Sql) -> dict[str, int]:
    rows = {table: await sql("SELECT count(*) FROM " + table) for table in TABLES}  # noqa: S608 - names of ours
    return {table: found[0][0] for table, found in rows.items()}


async def remove_jobs(store: Store, before: int, waiting_before: int = 0) -> int:
    """Remove all that go, batch by batch; return how many."""
    removed, position = 0, Position()
    for _ in range(1000):
        removal = await store.remove_jobs(position, before, waiting_before)
        removed += removal.removed
        if removal.position is None:
            return removed
        position = removal.position
    raise AssertionError("it never comes to an end")


async def job_ids(sql: Sql) -> list[str]:
    return [row[0] for row in await sql("SELECT id FROM jobs ORDER BY id")]


async def test_a_job_goes_with_all_that_belongs_to_it(store: Store, sql: Sql) -> None:
    await ended(store, "a", key="k")
    await delivered(sql, "a", attempts=3)
    assert 0 not in (await counts(sql)).values()
    assert await remove_jobs(store, NOW + 1) == 1
    assert set((await counts(sql)).values()) == {0}
    with pytest.raises(JobNotFoundError):
        await store.job("a")


async def test_only_what_ended_before_the_moment_goes(store: Store, sql: Sql) -> None:
    await ended(store, "old", at=NOW)
    await ended(store, "new", at=NOW + DAY)
    await delivered(sql, "old", "new")
    await submitting(store, new("submitting"))
    await store.create(new("accepted"))
    await queued(store, new("queued"), "video_9")
    assert await remove_jobs(store, NOW + DAY) == 1
    assert await job_ids(sql) == ["accepted", "new", "queued", "submitting"]


async def test_a_job_whose_webhook_waits_is_kept_but_not_for_ever(store: Store, sql: Sql) -> None:
    await ended(store, "a")
    assert await remove_jobs(store, NOW + DAY, NOW) == 0
    assert await remove_jobs(store, NOW + DAY, NOW + 1) == 1
    assert await job_ids(sql) == []


async def test_a_job_whose_file_is_still_being_fetched_is_kept_but_not_for_ever(
    store: Store, sql: Sql
) -> None:
    """Its video is paid for, and nowhere else."""
    await ended(store, "a")
    await delivered(sql, "a")
    file = await store.archived_file("a")
    assert file is not None
    assert await store.record_file(file.failed("The provider is down", NOW + DAY))
    assert await remove_jobs(store, NOW + DAY) == 0
    assert await remove_jobs(store, NOW + 2 * DAY) == 1  # nobody has tried for a day


async def test_a_job_that_is_looked_at_once_more_is_kept(store: Store, sql: Sql) -> None:
    job = await queued(store, new("a", urls=()), "video_a")
    await moved(store, job.fail("expired", "It took too long", NOW))
    assert await remove_jobs(store, NOW + DAY) == 0
    await sql("DELETE FROM late_checks")
    assert await remove_jobs(store, NOW + DAY) == 1


async def test_many_jobs_go_in_batches_that_pass_over_what_is_kept(store: Store, sql: Sql) -> None:
    await ended(store, "waiting")
    for number in range(5):
        await ended(store, f"job_{number}")
        await delivered(sql, f"job_{number}")
    copies = retention.JOBS_SCANNED * 3
    await sql(
        "INSERT INTO jobs (id, account, status, script, title, model, render_version, created_at,"
        " updated_at) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)"
        " SELECT 'copy_' || i, account, 'failed', script, title, model, render_version,"
        " created_at, updated_at FROM jobs, n WHERE jobs.id = 'waiting'",
        copies,
    )
    first = await store.remove_jobs((), NOW + 1, 0)
    assert 0 < first.removed <= retention.JOBS_SCANNED
    assert first.removed + await remove_jobs(store, NOW + 1) == 5 + copies
    assert await job_ids(sql) == ["waiting"]


async def test_a_job_with_a_great_many_attempts_goes_piece_by_piece(
    store: Store, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROWS_MAX", 10)
    await ended(store, "large")
    await delivered(sql, "large", attempts=35)
    await ended(store, "small", at=NOW)
    await delivered(sql, "small")
    left = []
    position: Position | None = ()
    while position is not None:
        removal = await store.remove_jobs(position, NOW + 1, 0)
        left.append((await counts(sql))["attempts"])
        position = removal.position
    assert left == [26, 16, 6, 1, 0]  # never more than ten at a time
    assert await job_ids(sql) == []


async def test_old_records_of_attempts_go_and_the_delivery_stays(store: Store, sql: Sql) -> None:
    await ended(store, "a")
    await delivered(sql, "a", attempts=5)
    removal = await store.remove_attempts((), NOW + 3)
    assert (removal.removed, removal.position is not None) == (3, True)
    assert await store.remove_attempts(removal.position or (), NOW + 3) == Removal(0, None)
    assert (await counts(sql))["attempts"] == 2
    await store.remove_attempts((), NOW + 10)
    (one,) = (await store.deliveries(DeliveryFilter(), 10, None)).deliveries
    assert (one.last, one.delivery.state) == (None, "delivered")


async def test_an_event_that_arrived_does_not_turn_into_one_that_did_not(
    store: Store, sql: Sql
) -> None:
    await ended(store, "a")
    await delivered(sql, "a")
    (row,) = await sql("SELECT delivery_id FROM attempts")
    # It was superseded while its attempt was under way, and arrived all the same.
    await sql("DELETE FROM undelivered")
    for sequence in (1, 2):
        await sql(
            "INSERT INTO undelivered (delivery_id, sequence, fate, at)"
            " VALUES (?1, ?2, 'superseded', 0)",
            row[0],
            sequence,
        )
    assert [one.sequence for one in await store.undelivered(row[0])] == [1]
    await store.remove_attempts((), NOW + 10)
    assert [one.sequence for one in await store.undelivered(row[0])] == [1]


async def test_finished_runs_of_sending_anew_go_when_they_are_old(store: Store, sql: Sql) -> None:
    await store.start_resend(Resend("resend_1", 0, NOW))
    await store.start_resend(Resend("resend_2", 0, NOW))
    await sql("UPDATE resends SET finished_at = ?1 WHERE id = 'resend_1'", NOW)
    assert await store.remove_resends(NOW) == Removal(0, None)
    assert await store.remove_resends(NOW + 1) == Removal(1, None)
    assert [one.id for one in await store.unfinished_resends()] == ["resend_2"]


async def test_endpoints_go_when_nothing_names_them_any_more(store: Store, sql: Sql) -> None:
    urls = ["https://used.example/", "https://unused.example/", "https://stopped.example/"]
    await ended(store, "a", urls=urls)
    await delivered(sql, "a")
    await ended(store, "b", urls=urls[:1])
    await sql("UPDATE endpoints SET disabled = 'operator' WHERE id = ?1", url_id(urls[2]))
    for name, deleted_at in (("here", None), ("gone", NOW), ("just_gone", NOW + DAY)):
        kind = EndpointKind.REGISTERED
        await store.create_endpoint(Endpoint(name, kind, "https://r.example/", True, created_at=0))
        await sql("UPDATE endpoints SET deleted_at = ?2 WHERE id = ?1", name, deleted_at)
    assert (await store.remove_endpoints((), NOW + DAY)).removed == 1  # `gone`
    assert await remove_jobs(store, NOW + 1) == 1
    assert (await store.remove_endpoints((), NOW)).removed == 0  # none is that old
    assert await store.remove_endpoints((), NOW + DAY) == Removal(1, None)
    left = {row[0] for row in await sql("SELECT id FROM endpoints")}
    assert left == {url_id(urls[0]), url_id(urls[2]), "here", "just_gone"}


async def test_an_endpoint_that_a_job_takes_up_meanwhile_stays(store: Store, sql: Sql) -> None:
    await ended(store, "a")
    await delivered(sql, "a")
    await remove_jobs(store, NOW + 1)
    ids, _ = await store._database.read(lambda: retention.unused_endpoints((), NOW + DAY))
    assert ids == [url_id(URL)]
    await store.create(new("late"))
    assert await store._database.background(lambda: retention.endpoints(ids), lock="endpoints") == 0
    assert (await store.endpoint(url_id(URL))).id == url_id(URL)
