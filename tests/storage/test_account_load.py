"""The load of accounts, the order of their jobs, and their costs."""

from dataclasses import replace

from reelhook.domain.event import DAY_MILLISECONDS
from reelhook.domain.job import Status
from reelhook.domain.report import Cost, Failed, Finished
from reelhook.domain.request import VideoRequest
from reelhook.ports import Acceptance, AccountLoad, CostLine, NewJob
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
    submitting,
    take,
)

DAY = NOW // DAY_MILLISECONDS


# -- at a provider, or waiting --------------------------------------------------------------------


async def test_in_flight_is_what_the_provider_has_or_may_have(store: Store) -> None:
    assert await store.in_flight(ACCOUNT) == 0
    await store.create(new("waits"))
    await submitting(store, new("submitting"))
    doubtful = await submitting(store, new("doubtful"))
    await moved(store, (doubtful.in_doubt(NOW), ()))
    await queued(store, new("queued"), "video_1")
    running = await queued(store, new("running"), "video_2")
    await moved(store, running.apply(RUNNING, NOW))
    done = await queued(store, new("done"), "video_3")
    await moved(store, done.apply(FINISHED, NOW))
    await queued(store, new("elsewhere", account="other"), "video_4")
    assert await store.in_flight(ACCOUNT) == 4
    assert await store.in_flight("other") == 1
    assert await store.account_loads() == {
        ACCOUNT: AccountLoad(waiting=1, in_flight=4),
        "other": AccountLoad(waiting=0, in_flight=1),
    }


async def test_a_job_is_ahead_that_was_made_before_or_at_once_with_a_smaller_id(
    store: Store,
) -> None:
    await store.create(new("job_b", at=NOW))
    await store.create(new("job_a", at=NOW))
    await store.create(new("job_0", at=NOW + 1))
    await store.create(new("elsewhere", at=NOW - 1, account="other"))
    await submitting(store, new("gone", at=NOW - 1))
    ahead = {
        name: await store.jobs_ahead((await store.job(name)).job)
        for name in ("job_a", "job_b", "job_0", "elsewhere")
    }
    assert ahead == {"job_a": 0, "job_b": 1, "job_0": 2, "elsewhere": 0}


# -- for siblings ---------------------------------------------------------------------------------


async def test_what_nothing_was_done_for_is_offered_to_siblings_oldest_first(store: Store) -> None:
    await store.create(new("b_second", at=NOW - 10, account="b"))
    await store.create(new("a_first", at=NOW - 20, account="a"))
    await store.create(new("a_third", at=NOW, account="a"))
    await store.create(new("a_young", at=NOW + 1, account="a"))
    await store.create(new("c_other", at=NOW - 30, account="c"))
    await submitting(store, new("a_paid", at=NOW - 40, account="a"))
    found = await store.jobs_waiting_elsewhere(["a", "b"], NOW, 9)
    assert [one.job.id for one in found] == ["a_first", "b_second", "a_third"]
    found = await store.jobs_waiting_elsewhere(["a", "b"], NOW, 2)
    assert [one.job.id for one in found] == ["a_first", "b_second"]
    assert await store.jobs_waiting_elsewhere([], NOW, 9) == []


async def test_a_job_that_waits_as_its_provider_asked_is_offered_too(store: Store) -> None:
    job = await submitting(store, new("refused"))
    await moved(store, (job.submit_again(NOW + 600_000, NOW + 5), ()))
    assert await store.jobs_waiting_elsewhere([ACCOUNT], NOW + 4, 9) == []
    [found] = await store.jobs_waiting_elsewhere([ACCOUNT], NOW + 5, 9)
    assert found.job.id == "refused"


async def test_of_two_accounts_that_begin_with_one_job_one_has_it(store: Store) -> None:
    leases = {one.id: one for one in await take(store, ["account:a", "account:b"], "w")}
    await store.create(new("job_1", account="a"))
    job = (await store.job("job_1")).job
    by_b = job.taken_over("b").submitting(NOW)
    by_a = job.submitting(NOW)
    assert await store.record([change((by_b, ()))], leases["account:b"]) == ["job_1"]
    assert await store.record([change((by_a, ()))], leases["account:a"]) == []
    read = (await store.job("job_1")).job
    assert (read.account, read.status) == ("b", Status.SUBMITTING)
    assert [one.id for one in await store.jobs_submitting("b")] == ["job_1"]
    assert await store.jobs_submitting("a") == []
    accepted = await store.accept(change((read.accept("video_1", NOW), ())), leases["account:b"])
    assert accepted is Acceptance.RECORDED
    assert [one.id for one in await store.jobs_to_watch("b")] == ["job_1"]
    assert await store.jobs_to_watch("a") == []


async def test_what_two_accounts_providers_call_the_same_are_two_jobs(store: Store) -> None:
    await queued(store, new("job_a", account="a"), "video_1")
    await queued(store, new("job_b", account="b"), "video_1")
    for account in ("a", "b"):
        found = await store.job_of_provider([account], "video_1")
        assert found is not None
        assert found.job.id == f"job_{account}"
    assert await store.job_of_provider(["c"], "video_1") is None
    assert await store.job_of_provider(["a", "b"], "video_2") is None


# -- for the next model ---------------------------------------------------------------------------


async def test_jobs_with_other_models_are_told_by_how_long_they_waited_for_theirs(
    store: Store,
) -> None:
    choosy = replace(CAT, fallbacks=("fal/veo",))
    await store.create(new("patient", at=NOW - 9))
    await store.create(new("second", at=NOW - 2, request=choosy))
    await store.create(new("first", at=NOW - 3, request=choosy))
    await store.create(new("young", at=NOW, request=choosy))
    await store.create(new("elsewhere", at=NOW - 9, request=choosy, account="other"))
    await submitting(store, new("paid", at=NOW - 9, request=choosy))
    sent_on = replace((await store.job("first")).job, model_since=NOW + 5)
    found = await store.jobs_with_fallbacks(ACCOUNT, NOW, 9)
    assert [one.job.id for one in found] == ["first", "second"]
    assert len(await store.jobs_with_fallbacks(ACCOUNT, NOW, 1)) == 1
    await moved(store, (sent_on, ()))
    found = await store.jobs_with_fallbacks(ACCOUNT, NOW, 9)
    assert [one.job.id for one in found] == ["second"]


# -- costs ----------------------------------------------------------------------------------------


def made(name: str, model: str, *, at: int = NOW, provider: str = "ark") -> NewJob:
    asked = VideoRequest(prompt="A cat", model=model)
    one = new(name, at=at, request=asked)
    return replace(one, job=replace(one.job, provider=provider))


async def charged(
    store: Store, asked: NewJob, quote: Cost | None, cost: Cost | None, *, fails: bool = False
) -> None:
    job = await submitting(store, asked)
    accepted = job.accept(f"video_{job.id}", NOW, quote=quote)
    assert await store.accept(change((accepted, ())), None) is Acceptance.RECORDED
    ending = Failed("moderation", "no", cost=cost) if fails else Finished("https://f", cost=cost)
    await moved(store, (await store.job(job.id)).job.apply(ending, NOW))


async def test_costs_are_told_by_day_model_and_unit(store: Store) -> None:
    tokens, dollars = Cost(100, "tokens"), Cost(0.5, "USD")
    await charged(store, made("a", "m"), None, tokens)
    await charged(store, made("b", "m"), None, Cost(50.5, "tokens"))
    await charged(store, made("c", "m"), dollars, None, fails=True)
    await charged(store, made("d", "m", provider="fal"), dollars, Cost(0.75, "USD"))
    await charged(store, made("e", "n", at=NOW + DAY_MILLISECONDS), None, None)
    await store.create(made("never accepted", "m"))
    lines = await store.costs(NOW, NOW + 2 * DAY_MILLISECONDS)
    assert sorted(lines, key=lambda one: (one.day, one.provider, one.unit or "")) == [
        CostLine(DAY, "ark", "m", "USD", 1, 0, 0.5, None),
        CostLine(DAY, "ark", "m", "tokens", 2, 2, None, 150.5),
        CostLine(DAY, "fal", "m", "USD", 1, 1, 0.5, 0.75),
        CostLine(DAY + 1, "ark", "n", None, 1, 1, None, None),
    ]


async def test_costs_are_those_of_the_jobs_made_between_the_moments(store: Store) -> None:
    for number, at in enumerate((NOW - 1, NOW, NOW + 9, NOW + 10)):
        await charged(store, made(f"job_{number}", "m", at=at), None, Cost(1, "USD"))
    lines = await store.costs(NOW, NOW + 10)
    assert sum(one.jobs for one in lines) == 2
    assert await store.costs(NOW + 11, NOW + 20) == []


async def test_a_new_job_costs_nothing_yet(store: Store) -> None:
    await store.create(replace(new(), request=CAT))
    assert await store.costs(NOW, NOW + 1) == []


def estimated(name: str, model: str, amount: float) -> NewJob:
    one = made(name, model)
    return replace(one, job=replace(one.job, estimated_amount=amount, estimated_unit="USD"))


async def test_an_estimate_counts_where_nothing_else_is_known(store: Store) -> None:
    await charged(store, estimated("a", "m", 0.25), None, None)
    await charged(store, estimated("b", "m", 0.5), None, None)
    await charged(store, estimated("failed", "m", 8), None, None, fails=True)
    await charged(store, estimated("quoted", "m", 16), Cost(1, "USD"), None)
    await charged(store, estimated("charged", "n", 32), None, Cost(2, "USD"))
    await store.create(estimated("never accepted", "m", 64))
    lines = await store.costs(NOW, NOW + DAY_MILLISECONDS)
    assert sorted(lines, key=lambda one: one.model) == [
        CostLine(DAY, "ark", "m", "USD", 4, 3, 1, None, 0.75),
        CostLine(DAY, "ark", "n", "USD", 1, 1, None, 2, None),
    ]
