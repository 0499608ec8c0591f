from reelhook.domain.account_status import HEALTHY
from reelhook.domain.listing import ListingFacts
from reelhook.ports import AccountRecord, Lease
from reelhook.storage.store import Store

from .samples import ACCOUNT, NOW, new, queued, submitting, take


async def test_every_take_over_of_a_lease_raises_its_epoch(store: Store) -> None:
    ids = ["account:a", "account:b"]
    assert await take(store, ids, "one") == [
        Lease("account:a", 1),
        Lease("account:b", 1),
    ]
    assert await take(store, ids, "one") == [Lease("account:a", 2), Lease("account:b", 2)]
    assert await take(store, ids, "two") == [Lease("account:a", 3), Lease("account:b", 3)]


async def test_a_key_of_our_own_is_made_once(store: Store) -> None:
    assert await store.key("webhook", "first") == "first"
    assert await store.key("webhook", "second") == "first"
    assert await store.key("download", "third") == "third"


async def test_what_was_learned_of_a_listing_is_kept_for_its_account_alone(store: Store) -> None:
    assert await store.listing_facts(ACCOUNT) is None
    first = ListingFacts("here", first_id="video_1", first_read_at=NOW)
    later = first.with_delay(250).with_delay(40).with_model("sora-2", "other")
    for facts in (first, later, ListingFacts("elsewhere", first_id="")):
        await store.record_listing_facts(ACCOUNT, facts, None)
        assert await store.listing_facts(ACCOUNT) == facts
    assert later.delay_max == 250
    assert await store.listing_facts("other") is None


async def test_the_last_round_of_an_account_is_kept(store: Store) -> None:
    assert await store.account_records() == {}
    await store.record_round(ACCOUNT, NOW)
    await store.record_round(ACCOUNT, NOW + 5)
    assert await store.account_records() == {ACCOUNT: AccountRecord(HEALTHY, NOW + 5)}


async def test_a_job_counts_as_checked_by_a_round_or_by_its_own_read(store: Store) -> None:
    await store.record_round(ACCOUNT, NOW - 1)
    job = await queued(store, new(), "video_1")
    assert (await store.job(job.id)).checked_at is None  # that round was before its time
    await store.record_check(job.id, NOW + 10)
    assert (await store.job(job.id)).checked_at == NOW + 10
    await store.record_round(ACCOUNT, NOW + 20)
    assert (await store.job(job.id)).checked_at == NOW + 20
    await store.record_check(job.id, NOW + 30)
    assert (await store.job(job.id)).checked_at == NOW + 30
    assert (await store.job(job.id)).job == job  # looking changes no job, and no version


async def test_a_job_that_the_provider_does_not_have_was_never_checked(store: Store) -> None:
    job = await submitting(store, new())
    await store.record_round(ACCOUNT, NOW + 20)
    assert (await store.job(job.id)).checked_at is None


async def test_the_leases_of_accounts_that_were_removed_are_nobody_s_share(store: Store) -> None:
    for worker in ("one", "two"):  # before, there were more accounts
        await take(store, ["account:ark", "account:openai", "account:xai"], worker)
    assert await take(store, ["account:openai"], "three") == [Lease("account:openai", 3)]
    assert [one.id for one in await take(store, ["account:openai", "account:xai"], "four")] == [
        "account:openai",
        "account:xai",
    ]
