from dataclasses import replace

import pytest

from reelhook.domain.job import Job, Status
from reelhook.ports import Acceptance, Change, Lease
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import (
    ACCOUNT,
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


# -- claimed ---------------------------------------------------------------------------------------


async def test_claimed_tells_which_entries_are_ours_and_which_we_created(
    store: Store, sql: Sql
) -> None:
    await queued(store, new("created"), "video_1")
    await store.create(registered("registered", "video_2"))
    await moved(store, (await queued(store, new("ended"), "video_3")).apply(FINISHED, NOW))
    ids = [f"video_{number}" for number in range(5)]
    assert await store.claimed(ACCOUNT, ids) == {
        "video_1": True,
        "video_2": False,
        "video_3": True,
    }
    assert await store.claimed("other", ids) == {}
    assert await store.claimed(ACCOUNT, []) == {}


async def test_a_version_that_moved_on_is_what_makes_a_change_stale(store: Store) -> None:
    job = await submitting(store, new())
    ahead = replace(job, version=job.version + 1)
    assert await store.accept(accepted(ahead), None) is Acceptance.STALE
