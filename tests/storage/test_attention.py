"""What may be held up, read on both databases, and kept within a project."""

import pytest

from reelhook.domain.causes.cause import COUNTED_MAX
from reelhook.domain.delivery import Outcome
from reelhook.domain.endpoint import Disabled
from reelhook.domain.job import Status
from reelhook.storage.operations.attention import JOBS_READ
from reelhook.storage.store import Store
from reelhook.storage.write_times import WriteTimes

from .conftest import Sql

ADD_JOB = (
    "INSERT INTO jobs (id, account, project, status, script, title, render_version, created_at,"
    " updated_at, accepted_at, model, code, sequence) VALUES"
    " (?1, ?2, ?3, ?4, '', '', 'v3', ?5, ?6, ?5, 'sora', ?7, 1)"
)
ADD_ENDPOINT = (
    "INSERT INTO endpoints (id, kind, url, trusted, created_at, project, disabled, disabled_at,"
    " failures, probe_due_at) VALUES (?1, 'registered', 'https://a.example/secret', FALSE, 1, ?2,"
    " ?3, 2, ?4, ?5)"
)
ADD_DELIVERY = (
    "INSERT INTO deliveries (id, job_id, endpoint_id, lane, url, status_sequence, due_at,"
    " attempts, outcome) VALUES (?1, ?2, ?3, 0, '', ?4, ?5, ?6, ?7)"
)
ADD_ATTEMPT = (
    "INSERT INTO attempts (delivery_id, event_id, sequence, number, started_at, duration_ms,"
    " http_status, answer) VALUES (?1, 'evt', 1, ?2, ?3, 1, 503, '')"
)


async def test_the_oldest_jobs_of_each_kind_are_read_and_all_are_counted(
    store: Store, sql: Sql
) -> None:
    for number in range(JOBS_READ + 5):
        status = "queued" if number % 2 else "processing"
        await sql(ADD_JOB, f"job_{number}", "acme", "default", status, number, number, None)
    await sql(ADD_JOB, "waits", "acme", "ours", "accepted", 1, 1, None)
    waiting, watched = await store.unfinished_jobs(["acme", "other"])
    assert [job.id for job in waiting.jobs] == ["waits"]
    assert (watched.count, watched.more, len(watched.jobs)) == (JOBS_READ + 5, False, JOBS_READ)
    assert watched.jobs[0].id == "job_0"
    (ours,) = await store.unfinished_jobs(["acme"], "ours")
    assert (ours.account, ours.count, ours.jobs[0].status) == ("acme", 1, Status.ACCEPTED)
    assert await store.accounts_full({"acme": JOBS_READ, "other": 1}) == {"acme"}


async def test_jobs_in_doubt_and_the_times_of_renders_are_read(store: Store, sql: Sql) -> None:
    await sql(ADD_JOB, "one", "acme", "ours", "failed", 1, 5, "submission_unknown")
    await sql(ADD_JOB, "two", "acme", "default", "failed", 2, 5, "quota")
    await sql(ADD_JOB, "three", "acme", "default", "completed", 10, 70, None)
    found = await store.jobs_unresolved()
    assert ([job.id for job in found.jobs], found.count, found.more) == (["one"], 1, False)
    assert (await store.jobs_unresolved("default")).count == 0
    assert await store.render_times("sora", 10) == [60]


async def test_endpoints_that_hold_webhooks_back_are_read_with_the_last_response(
    store: Store, sql: Sql
) -> None:
    await sql(ADD_JOB, "one", "acme", "ours", "completed", 1, 5, None)
    await sql(ADD_ENDPOINT, "ep_1", "ours", None, 5, 900)
    await sql(ADD_ENDPOINT, "ep_2", "ours", "operator", 0, None)
    await sql(ADD_ENDPOINT, "ep_3", "theirs", None, 2, None)
    for number in (1, 2, 3):
        await sql(ADD_DELIVERY, number, "one", f"ep_{number}", 1, 100 + number, 2, None)
    await sql(ADD_ATTEMPT, 1, 1, 50)
    await sql(ADD_ATTEMPT, 1, 2, 60)
    receivers = {held.receiver.id: held for held in await store.held_receivers()}
    assert set(receivers) == {"ep_1", "ep_2", "ep_3"}
    (webhook,) = receivers["ep_1"].webhooks
    assert (webhook.job_id, webhook.due_at, webhook.attempts, webhook.tried_at) == (
        "one",
        101,
        2,
        50,
    )
    assert webhook.response is not None
    assert webhook.response.status == 503
    assert receivers["ep_1"].receiver.probe_due_at == 900
    assert receivers["ep_1"].receiver.origin == "https://a.example"
    assert receivers["ep_2"].receiver.disabled is Disabled.OPERATOR
    assert (receivers["ep_2"].count, receivers["ep_2"].more) == (1, False)
    assert {held.receiver.id for held in await store.held_receivers("theirs")} == {"ep_3"}
    of_job = await store.webhooks_of_jobs(["one", "unknown"])
    assert [found.delivery_id for found in of_job["one"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("due_at", "outcome", "held"),
    [(None, None, False), (101, None, True), (None, "exhausted", True), (None, "delivered", False)],
)
async def test_a_job_is_read_with_the_fact_whether_a_webhook_of_it_is_held(
    store: Store, sql: Sql, due_at: int | None, outcome: str | None, held: bool
) -> None:
    await sql(ADD_JOB, "one", "acme", "ours", "completed", 1, 5, None)
    await sql(ADD_ENDPOINT, "ep_1", "ours", None, 0, None)
    assert not (await store.job("one")).webhooks_held
    await sql(ADD_DELIVERY, 1, "one", "ep_1", None, due_at, 0, outcome)
    assert (await store.job("one")).webhooks_held is held


async def test_webhooks_that_failed_and_were_not_sent_again_are_read(
    store: Store, sql: Sql
) -> None:
    await sql(ADD_JOB, "one", "acme", "ours", "completed", 1, 5, None)
    await sql(ADD_ENDPOINT, "ep_1", "ours", None, 0, None)
    for number in (1, 2):
        await sql(
            ADD_DELIVERY, number, "one", f"ep_{number}", None, None, 0, Outcome.EXHAUSTED.value
        )
        await sql(
            "INSERT INTO undelivered (delivery_id, sequence, fate, at, resent_by)"
            " VALUES (?1, 1, 'exhausted', 7, ?2)",
            number,
            None if number == 1 else 9,
        )
    (webhook,) = (await store.exhausted_webhooks()).webhooks
    assert (webhook.delivery_id, webhook.failed_at) == (1, 7)
    assert not (await store.exhausted_webhooks("theirs")).webhooks


async def test_no_number_of_things_exceeds_what_is_counted(store: Store, sql: Sql) -> None:
    await sql(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1002)"
        " INSERT INTO jobs (id, account, project, status, model, script, title, render_version,"
        " created_at, updated_at) SELECT 'job_' || n, 'acme', 'default', 'accepted', '', '', '',"
        " 'v3', n, n FROM numbers"
    )
    (waiting,) = await store.unfinished_jobs(["acme"])
    assert (waiting.count, waiting.more) == (COUNTED_MAX, True)


async def test_files_and_budgets_are_read(store: Store, sql: Sql) -> None:
    await sql(ADD_JOB, "one", "acme", "ours", "completed", 1, 5, None)
    await sql(
        "INSERT INTO archive (job_id, project, account, state, due_at, expires_at, late, attempts)"
        " VALUES ('one', 'ours', 'acme', 'waiting', 1, 500, FALSE, 0)"
    )
    (file,) = await store.expiring_files(["acme"], 501)
    assert (file.job_id, file.expires_at) == ("one", 500)
    assert not await store.expiring_files(["acme"], 500)
    assert not await store.expiring_files(["acme"], 501, "theirs")
    assert set(await store.files_of_jobs(["one", "two"])) == {"one"}
    assert not await store.budgets_in_use(1)


def test_slow_writes_are_remembered_for_a_while() -> None:
    now = 0.0
    times = WriteTimes(1.0, lambda: now)
    times._note(0.0, 0.9)
    assert times.slow is None
    now = 5.0
    times._note(2.0, 5.0)
    now = 7.0
    assert times.slow == (5.0, 3.0)
    now = 15.0
    assert times.slow is None
