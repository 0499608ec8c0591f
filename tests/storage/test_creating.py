import asyncio
from dataclasses import fields, replace

import pytest

from reelhook.domain.conflicts import JobIdTakenError
from reelhook.domain.endpoint import lane_of, url_id
from reelhook.domain.errors import (
    IdempotencyKeyReusedError,
    InvalidRequestError,
    JobNotFoundError,
    StoreError,
)
from reelhook.domain.job import Job, Status
from reelhook.domain.request import VideoRequest
from reelhook.ports import SOLE_HOLDER, Created, IdempotencyKey
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import ACCOUNT, CAT, NOW, URL, moved, new, registered, stored, submitting

KEY = IdempotencyKey("alice", "key-1", "body-1")
FULL_REQUEST = VideoRequest(
    prompt="Slowly.\n\nA cat",
    model="sora-2-pro",
    title="A cat",
    seconds="8",
    size="720x1280",
    aspect_ratio="16:9",
    image="https://i.example/fox.png",
    seed=2**32 - 1,
    resolution="720p",
    negative_prompt="rain",
    audio=False,
    last_frame="https://i.example/end.png",
    remix_of="video_1",
    reference_images=("https://i.example/anna.png", "https://i.example/ben.png"),
    reference_videos=("https://i.example/walk.mp4",),
    reference_audios=("https://i.example/song.mp3",),
    options={"fps": 24},
    fallbacks=("fal/veo", "openai/Wan-AI/Wan2.2"),
    door_fields={"direction": "Slowly.", "wallet_address": "0xabc", "render_version": "v4"},
)
FULL_JOB = Job(
    id="job_full",
    account="other",
    status=Status.PROCESSING,
    created_at=NOW + 1,
    updated_at=NOW + 2,
    progress=33,
    sequence=4,
    version=5,
    provider_job_id="video_full",
    adopted=True,
    submit_attempts=6,
    submit_due_at=NOW + 7,
    submit_started_at=NOW + 8,
    doubt_since=NOW + 9,
    accepted_at=NOW + 10,
    missing_since=NOW + 11,
    error="words",
    code="word",
    content_url="https://cdn.example/full.mp4",
    content_expires_at=12_000,
    provider="ark",
    model=FULL_REQUEST.model,
    model_since=NOW + 13,
    fallback=1,
    quoted_amount=0.5,
    quoted_unit="USD",
    charged_amount=1.25,
    charged_unit="tokens",
    adopted_from="job_before",
    submit_fingerprint="a server and a key",
    submit_after="video_1 video_2",
    submit_marked=True,
    doubt_closed_at=NOW + 14,
    pinned=True,
    last_response="HTTP 503: busy",
    waiting_since=NOW + 15,
    creates_absent=2,
    exchange_ended=True,
    stopped=False,
    forgotten=1,
    project="prj_other",
    key_id="key_1",
    priority=1,
    external_id="order-4711",
    metadata='{"order": "4711"}',
    estimated_amount=0.25,
    estimated_unit="USD",
    recovered_at=NOW + 16,
    unprepared_since=NOW + 17,
)


def test_the_samples_leave_no_field_at_its_default() -> None:
    samples: list[tuple[Job, Job] | tuple[VideoRequest, VideoRequest]] = [
        (FULL_JOB, new().job),
        (FULL_REQUEST, VideoRequest(prompt="")),
    ]
    for full, bare in samples:
        for field in fields(full):
            assert getattr(full, field.name) != getattr(bare, field.name), field.name


async def test_a_job_is_read_as_it_was_stored(store: Store) -> None:
    doubtful = await submitting(store, new("job_before"))
    await moved(store, doubtful.fail("submission_unknown", "Nobody knows", NOW))
    made = replace(new(), job=FULL_JOB, request=FULL_REQUEST)
    assert await store.create(made) == Created("job_full")
    read = await store.job("job_full")
    assert (read.job, read.request, read.webhook_url) == (FULL_JOB, FULL_REQUEST, URL)


@pytest.mark.parametrize("script", ["", "\t\n", "naïve 😀", "x" * 32_000, "'; DROP TABLE jobs; --"])
async def test_any_text_comes_back_as_it_was(store: Store, script: str) -> None:
    await store.create(new(request=replace(CAT, prompt=script)))
    assert (await store.job("job_1")).request.prompt == script


async def test_a_door_field_that_has_no_column_is_refused_before_anything_is_stored(
    store: Store,
) -> None:
    with pytest.raises(InvalidRequestError, match="door_fields must be one of"):
        await store.create(new(request=replace(CAT, door_fields={"colour": "red"})))
    with pytest.raises(JobNotFoundError):
        await store.job("job_1")


async def test_a_direction_that_the_prompt_does_not_begin_with_changes_no_prompt(
    store: Store,
) -> None:
    await store.create(new(request=replace(CAT, door_fields={"direction": "Slowly."})))
    assert (await store.job("job_1")).request.prompt == CAT.prompt


async def test_a_job_comes_with_a_delivery_for_each_destination(store: Store, sql: Sql) -> None:
    urls = ["https://h.example/hook?job=1", "http://i.example:8080"]
    await store.create(new(urls=urls))
    rows = await sql("SELECT job_id, url, endpoint_id, lane, due_at FROM deliveries ORDER BY id")
    ids = [url_id(url) for url in urls]
    assert rows == [
        ("job_1", url, one, lane_of(one), None) for url, one in zip(urls, ids, strict=True)
    ]


async def test_a_job_without_a_destination_has_no_delivery(store: Store, sql: Sql) -> None:
    await store.create(new(urls=()))
    assert await sql("SELECT * FROM deliveries") == []
    assert (await store.job("job_1")).webhook_url is None


async def test_a_taken_id_is_refused_and_leaves_the_first_job_as_it_is(
    store: Store, sql: Sql
) -> None:
    first = await stored(store, new())
    with pytest.raises(JobIdTakenError, match="job_1"):
        await store.create(new(at=NOW + 1, urls=("https://other.example/",), key=KEY))
    assert (await store.job("job_1")).job == first
    assert await sql("SELECT url FROM deliveries") == [(URL,)]
    assert await sql("SELECT * FROM idempotency_keys") == []


async def test_an_unknown_job_is_not_found(store: Store) -> None:
    with pytest.raises(JobNotFoundError):
        await store.job("job_1")


async def test_a_status_that_does_not_exist_is_refused_by_the_database(
    store: Store, sql: Sql
) -> None:
    await store.create(new())
    with pytest.raises(StoreError):
        await sql("UPDATE jobs SET status = 'paused'")


# -- idempotency keys ------------------------------------------------------------------------------


async def test_the_same_key_with_the_same_body_is_answered_with_the_first_job(
    store: Store, sql: Sql
) -> None:
    assert await store.create(new("job_1", key=KEY)) == Created("job_1")
    assert await store.create(new("job_2", key=KEY)) == Created("job_1", replayed=True)
    assert await sql("SELECT id FROM jobs") == [("job_1",)]
    assert await sql("SELECT job_id FROM deliveries") == [("job_1",)]


async def test_the_same_key_with_another_body_is_refused_and_stores_nothing(
    store: Store, sql: Sql
) -> None:
    await store.create(new("job_1", key=KEY))
    with pytest.raises(IdempotencyKeyReusedError):
        await store.create(new("job_2", key=replace(KEY, fingerprint="body-2")))
    assert await sql("SELECT id FROM jobs") == [("job_1",)]


async def test_a_key_belongs_to_its_holder(store: Store) -> None:
    await store.create(new("job_1", key=KEY))
    bobs = replace(KEY, holder="bob", fingerprint="body-2")
    assert await store.create(new("job_2", key=bobs)) == Created("job_2")
    assert await store.create(new("job_3", key=bobs)) == Created("job_2", replayed=True)


async def test_keys_are_forgotten_by_age_and_their_jobs_stay(store: Store) -> None:
    await store.create(new("job_1", at=NOW, key=KEY))
    await store.create(new("job_2", at=NOW + 1, key=replace(KEY, key="key-2")))
    assert await store.forget_idempotency_keys(NOW + 1) == 1
    assert await store.create(new("job_3", key=KEY)) == Created("job_3")
    kept = await store.create(new("job_4", key=replace(KEY, key="key-2")))
    assert kept == Created("job_2", replayed=True)
    assert (await store.job("job_1")).job.id == "job_1"


# -- registered jobs -------------------------------------------------------------------------------


async def test_to_register_a_providers_job_twice_is_to_register_it_once(
    store: Store, sql: Sql
) -> None:
    assert await store.create(registered("job_1", "video_1")) == Created("job_1")
    for again in ("job_1", "job_2"):
        replayed = await store.create(registered(again, "video_1"))
        assert replayed == Created("job_1", replayed=True)
    assert await sql("SELECT count(*) FROM deliveries") == [(1,)]


async def test_a_registered_job_is_watched_and_was_not_created_by_us(store: Store) -> None:
    await store.create(registered("job_1", "video_1"))
    assert [job.id for job in await store.jobs_to_watch(ACCOUNT)] == ["job_1"]
    known = await store.known_entries([ACCOUNT], "here", ["video_1", "video_2"])
    assert {one: entry.created for one, entry in known.items()} == {"video_1": False}


async def test_the_id_of_another_job_can_not_be_registered(store: Store) -> None:
    await store.create(new("job_1"))
    with pytest.raises(JobIdTakenError):
        await store.create(registered("job_1", "video_1"))


async def test_accounts_have_ids_of_their_own(store: Store) -> None:
    await store.create(registered("job_1", "video_1"))
    elsewhere = registered("job_2", "video_1")
    elsewhere = replace(elsewhere, job=replace(elsewhere.job, account="other"))
    assert await store.create(elsewhere) == Created("job_2")


async def test_the_database_itself_refuses_a_providers_id_twice(store: Store, sql: Sql) -> None:
    await store.create(registered("job_1", "video_1"))
    await store.create(registered("job_2", "video_2"))
    with pytest.raises(StoreError):
        await sql("UPDATE jobs SET provider_job_id = 'video_1'")


async def test_a_key_of_one_client_and_of_the_sole_one_make_one_job_at_once(store: Store) -> None:
    keys = (IdempotencyKey(holder, "k1", "f") for holder in (SOLE_HOLDER, "h1"))
    made = [new(f"job_{number}", key=key) for number, key in enumerate(keys)]
    created = await asyncio.gather(*[store.create(one) for one in made])
    assert [one.replayed for one in created] == [False, True]
    assert created[0].job_id == created[1].job_id
