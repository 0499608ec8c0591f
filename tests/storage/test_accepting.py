from dataclasses import replace
from typing import Any

import pytest

from reelhook.domain.job import Job, Status
from reelhook.domain.report import Finished
from reelhook.ports import Acceptance, Change, Lease
from reelhook.storage.store import Store

from .samples import (
    ACCOUNT,
    CAT,
    FINISHED,
    NOW,
    RUNNING,
    change,
    moved,
    new,
    queued,
    registered,
    submitting,
    take,
)


def accepted(job: Job, provider_job_id: str = "video_1", *, adopted: bool = False) -> Change:
    return change((job.accept(provider_job_id, NOW + 9, adopted=adopted), ()))


async def adopting(store: Store, job_id: str, provider_job_id: str = "video_1") -> Job:
    """Store a job that was found in the provider's listing."""
    job = await submitting(store, new(job_id))
    told = accepted(job, provider_job_id, adopted=True)
    assert await store.accept(told, None) is Acceptance.RECORDED
    return (await store.job(job_id)).job


async def test_an_acceptance_is_recorded_with_the_providers_id(store: Store) -> None:
    job = await submitting(store, new())
    assert await store.accept(accepted(job), None) is Acceptance.RECORDED
    read = (await store.job("job_1")).job
    assert (read.status, read.provider_job_id, read.accepted_at) == (
        Status.QUEUED,
        "video_1",
        NOW + 9,
    )


async def test_what_the_answer_tells_beyond_acceptance_is_recorded_with_it(store: Store) -> None:
    job = await submitting(store, new())
    told = change(job.accept("video_1", NOW).apply(RUNNING, NOW))
    assert await store.accept(told, None) is Acceptance.RECORDED
    assert (await store.job("job_1")).job.status is Status.PROCESSING
    assert len(await store.events(["job_1"], {})) == 1


async def test_a_job_that_changed_meanwhile_is_stale(store: Store) -> None:
    job = await submitting(store, new())
    await moved(store, job.cancel(NOW))
    assert await store.accept(accepted(job), None) is Acceptance.STALE
    assert (await store.job("job_1")).job.provider_job_id is None


async def test_whoever_lost_the_lease_is_stale(store: Store) -> None:
    job = await submitting(store, new())
    (lost,) = await take(store, ["account:acme"], "one")
    (held,) = await take(store, ["account:acme"], "two")
    assert await store.accept(accepted(job), lost) is Acceptance.STALE
    assert await store.accept(accepted(job), held) is Acceptance.RECORDED


@pytest.mark.parametrize("adopted", [True, False])
async def test_a_second_acceptance_of_the_same_job_is_stale(store: Store, adopted: bool) -> None:
    job = await submitting(store, new())
    assert await store.accept(accepted(job, adopted=adopted), None) is Acceptance.RECORDED
    before = (await store.job("job_1")).job
    assert await store.accept(accepted(job), None) is Acceptance.STALE
    assert (await store.job("job_1")).job == before


# -- one entry, two jobs ---------------------------------------------------------------------------


@pytest.mark.parametrize("adopted", [True, False])
async def test_an_entry_that_a_job_created_is_taken(store: Store, adopted: bool) -> None:
    holder = await queued(store, new("holder"), "video_1")
    job = await submitting(store, new("late"))
    told = Acceptance.TAKEN if adopted else Acceptance.DUPLICATE
    assert await store.accept(accepted(job, adopted=adopted), None) is told
    assert (await store.job("holder")).job == holder
    assert (await store.job("late")).job == job


async def test_a_create_that_brings_a_registered_id_is_a_duplicate(store: Store) -> None:
    await store.create(registered("holder", "video_1"))
    job = await submitting(store, new("late"))
    assert await store.accept(accepted(job), None) is Acceptance.DUPLICATE


async def test_an_adoption_does_not_dislodge_another(store: Store) -> None:
    holder = await adopting(store, "holder")
    job = await submitting(store, new("late"))
    assert await store.accept(accepted(job, adopted=True), None) is Acceptance.TAKEN
    assert (await store.job("holder")).job == holder


async def test_a_creates_own_answer_dislodges_an_adoption(store: Store) -> None:
    await adopting(store, "holder")
    job = await submitting(store, new("creator"))
    assert await store.accept(accepted(job), None) is Acceptance.RECORDED
    creator, holder = [(await store.job(name)).job for name in ("creator", "holder")]
    assert (creator.provider_job_id, creator.adopted) == ("video_1", False)
    assert (holder.status, holder.provider_job_id) == (Status.SUBMITTING, None)
    assert holder.doubt_since == NOW + 9


async def test_a_dislodged_job_can_adopt_again_and_keeps_what_it_told(store: Store) -> None:
    holder = await adopting(store, "holder")
    await moved(store, holder.apply(RUNNING, NOW))
    await store.accept(accepted(await submitting(store, new("creator"))), None)
    holder = (await store.job("holder")).job
    told = change(holder.accept("video_2", NOW, adopted=True).apply(FINISHED, NOW))
    assert await store.accept(told, None) is Acceptance.RECORDED
    assert [one.sequence for one in await store.events(["holder"], {})] == [1, 2]


async def test_an_adoption_that_has_ended_is_not_dislodged(store: Store) -> None:
    ended = await moved(store, (await adopting(store, "holder")).apply(FINISHED, NOW))
    job = await submitting(store, new("creator"))
    assert await store.accept(accepted(job), None) is Acceptance.TAKEN
    assert (await store.job("holder")).job == ended


async def test_a_claim_that_comes_to_nothing_dislodges_nobody(store: Store) -> None:
    holder = await adopting(store, "holder")
    job = await submitting(store, new("creator"))
    await moved(store, job.cancel(NOW))
    assert await store.accept(accepted(job), None) is Acceptance.STALE
    assert (await store.job("holder")).job == holder


async def test_a_claim_under_a_lease_that_was_lost_dislodges_nobody(store: Store) -> None:
    holder = await adopting(store, "holder")
    job = await submitting(store, new("creator"))
    lost = Lease("account:acme", 1)
    assert await store.accept(accepted(job), lost) is Acceptance.STALE
    assert (await store.job("holder")).job == holder


async def test_other_accounts_entries_are_another_matter(store: Store) -> None:
    await queued(store, new("here"), "video_1")
    job = await submitting(store, new("there", account="other"))
    assert await store.accept(accepted(job), None) is Acceptance.RECORDED


async def test_an_entry_that_another_account_of_the_server_has_is_no_second_job(
    store: Store,
) -> None:
    holder = await adopting(store, "holder")
    job = await submitting(store, new("there", account="other"))
    told = await store.accept(accepted(job), None, [ACCOUNT])
    assert told is Acceptance.RECORDED  # the response to its own create dislodges the adoption
    assert (await store.job(holder.id)).job.status is Status.SUBMITTING
    again = await submitting(store, new("again"))
    assert await store.accept(accepted(again), None, ["other"]) is Acceptance.DUPLICATE


# -- entries of ours -------------------------------------------------------------------------------


async def test_known_entries_tell_which_are_ours_and_which_we_created(store: Store) -> None:
    await queued(store, new("created"), "video_1")
    await store.create(registered("registered", "video_2"))
    await moved(store, (await queued(store, new("ended"), "video_3")).apply(FINISHED, NOW))
    await queued(store, new("elsewhere", account="other"), "video_4")
    ids = [f"video_{number}" for number in range(6)]
    known = await store.known_entries([ACCOUNT], "here", ids)
    assert {one: entry.created for one, entry in known.items()} == {
        "video_1": True,
        "video_2": False,
        "video_3": True,
    }
    assert known["video_1"].request == CAT
    assert known["video_1"].sent_at is not None
    assert set(await store.known_entries([ACCOUNT, "other"], "here", ids)) == {*known, "video_4"}
    assert await store.known_entries([ACCOUNT], "here", []) == {}


async def test_a_known_entry_is_a_remix_if_its_request_was(store: Store) -> None:
    remix = replace(CAT, remix_of="video_0")
    await queued(store, new(request=remix), "video_1")
    known = await store.known_entries([ACCOUNT], "here", ["video_1"])
    assert known["video_1"].request == remix


async def test_a_version_that_moved_on_is_what_makes_a_change_stale(store: Store) -> None:
    job = await submitting(store, new())
    ahead = replace(job, version=job.version + 1)
    assert await store.accept(accepted(ahead), None) is Acceptance.STALE


# -- what a listing must show ----------------------------------------------------------------------

HERE = "here.key"


async def sent(store: Store, job_id: str, provider_job_id: str, **fields: Any) -> Job:
    """Store a job that this server accepted."""
    made = new(job_id)
    await store.create(made)
    intent = made.job.submitting(NOW, **{"fingerprint": HERE, "after": (), **fields})
    await moved(store, (intent, ()))
    job = replace(intent, version=1).accept(provider_job_id, NOW + 5)
    await moved(store, (job, ()))
    return replace(job, version=2)


async def test_what_we_created_must_be_listed_unless_it_failed_expired_or_is_too_new(
    store: Store,
) -> None:
    await sent(store, "running", "video_1")
    await moved(store, (await sent(store, "failed", "video_2")).fail("x", "y", NOW))
    await moved(store, (await sent(store, "canceled", "video_3")).cancel(NOW))
    expired = Finished("https://a/b", expires_at=NOW // 1000 - 1)
    await moved(store, (await sent(store, "expired", "video_4")).apply(expired, NOW))
    kept = Finished("https://a/b", expires_at=NOW // 1000 + 3600)
    await moved(store, (await sent(store, "kept", "video_5")).apply(kept, NOW))
    await sent(store, "elsewhere", "video_6", fingerprint="there.key")
    expected = await store.expected_entries(ACCOUNT, HERE, NOW, NOW + 5, 9)
    assert expected == {"video_1": NOW + 5, "video_5": NOW + 5}
    assert await store.expected_entries(ACCOUNT, HERE, NOW, NOW + 4, 9) == {}
    assert await store.expected_entries(ACCOUNT, HERE, NOW + 5, NOW + 9, 9) == {}
    assert len(await store.expected_entries(ACCOUNT, HERE, NOW, NOW + 5, 1)) == 1


async def test_the_newest_entries_are_this_servers_and_credentials(store: Store) -> None:
    for number in range(3):
        await sent(store, f"job_{number}", f"video_{number}")
    await sent(store, "elsewhere", "video_6", fingerprint="there.key")
    found = await store.newest_entries(ACCOUNT, HERE, 9)
    assert set(found) == {"video_0", "video_1", "video_2"}
    assert len(await store.newest_entries(ACCOUNT, HERE, 2)) == 2


async def test_an_id_that_another_server_gave_is_not_known_here(store: Store) -> None:
    await sent(store, "here", "video_1")
    await sent(store, "moved", "video_2", fingerprint="there.key")
    await sent(store, "rotated", "video_3", fingerprint="here.another key")
    known = await store.known_entries([ACCOUNT], "here", ["video_1", "video_2", "video_3"])
    assert set(known) == {"video_1", "video_3"}


async def test_what_was_known_before_a_create_is_kept_until_it_is_answered(store: Store) -> None:
    made = new("job_1")
    await store.create(made)
    await moved(store, (made.job.submitting(NOW, fingerprint=HERE, after=("a", "b")), ()))
    [job] = await store.jobs_submitting(ACCOUNT)
    assert (job.submit_fingerprint, job.older_entries) == (HERE, ("a", "b"))
    answered = job.accept("video_1", NOW)
    assert answered.older_entries is None
    assert answered.submit_fingerprint == HERE
    assert job.accept("video_1", NOW, adopted=True).older_entries == ("a", "b")
    assert made.job.submitting(NOW, after=()).older_entries == ()
    assert made.job.submitting(NOW).older_entries is None


async def test_a_lookup_reads_the_hash_of_an_image_in_its_place(store: Store) -> None:
    image = "data:image/png;base64," + "A" * 10_000
    await store.create(new("job_1", request=replace(CAT, image=image, seed=3)))
    await store.create(new("job_2"))
    found = {one.job.id: one.request for one in await store.jobs_to_look_up(["job_1", "job_2"])}
    assert found["job_2"] == CAT
    assert found["job_1"] == replace(CAT, image=found["job_1"].image, seed=3)
    assert len(found["job_1"].image or "") == 64
