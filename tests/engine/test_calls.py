"""Paid calls own what they may be creating, also when their lease was lost and taken again."""

import asyncio
from pathlib import Path
from random import Random

from aiohttp import web
from engine_stage import Engine, stage, until

from reelhook.core.facts import emitter
from reelhook.core.payloads import Formats
from reelhook.core.recording import Recording
from reelhook.domain.job import Status
from reelhook.doors.compat.payload import CompatPayload
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.runner import Runner
from reelhook.engine.submitting.account_listing import AccountListing
from reelhook.engine.submitting.fallback import Fallback
from reelhook.engine.submitting.paid_calls import PaidCalls
from reelhook.engine.submitting.resolve import Resolve
from reelhook.engine.submitting.resolved import Retrying
from reelhook.engine.submitting.submit import Submit
from reelhook.ports import Change, Lease
from reelhook.telemetry.facts import log_fact


def loops(engine: Engine, lease: Lease, calls: PaidCalls) -> tuple[Submit, Resolve]:
    """The loops of one lease on the account."""
    clock, random, emit = engine.clock, Random(1), emitter(log_fact)
    held = LeasedAccount(engine.catalog.accounts["openai"], engine.provider, lease)
    recording = Recording(engine.store, engine.signals, Formats(CompatPayload("{}".format)), emit)
    fallback = Fallback(
        engine.store,
        engine.catalog,
        recording,
        engine.signals,
        wait_seconds=30,
        emit=emit,
        clock=clock,
        random=random,
    )
    shared = (engine.store, held, recording, engine.signals)
    listing = AccountListing(engine.store, held, clock)
    submit = Submit(
        *shared,
        fallback,
        listing,
        calls=calls,
        max_age_hours=24,
        may_send=lambda: True,
        emit=emit,
        clock=clock,
        random=random,
    )
    resolve = Resolve(
        *shared,
        submit,
        listing,
        retrying=Retrying(fallback, 3, 60),
        clock=clock,
    )
    return submit, resolve


async def taken(engine: Engine) -> Lease:
    """Take the account's lease again, as after it was lost."""
    await engine.store.free_leases()
    (lease,), _ = await engine.store.heartbeat("test", ["account:openai"], 10**9)
    return lease


async def test_a_call_of_a_lost_lease_keeps_its_entry_from_an_identical_lost_create(
    tmp_path: Path,
) -> None:
    answered = asyncio.Event()
    async with stage(tmp_path) as here, here.engine(loops=frozenset()) as engine:

        async def answer_late(request: web.Request) -> web.Response:
            video = here.upstream.create(await request.json())
            await answered.wait()
            return web.json_response(video.shown())

        here.upstream.on_create = answer_late
        calls, runner = PaidCalls(), Runner([], engine.clock)
        before = loops(engine, await taken(engine), calls)
        runner.add(before)
        in_flight = await engine.submit("a fox")
        await until(lambda: here.upstream.videos)
        runner.remove_soon(before, 60)
        lease = await taken(engine)
        lost = await engine.job(await engine.submit("a fox"))
        now = here.time.now()
        await engine.store.record([Change(lost.submitting(now).in_doubt(now))], lease)
        after = loops(engine, lease, calls)
        runner.add(after)
        await until(lambda: here.upstream.count("list"))
        for _ in range(3):  # as often as it looks meanwhile
            here.time.advance(1)
            await until(lambda: here.time.awaits(after[0].signal))
        assert (await engine.job(in_flight)).doubt_since is None
        answered.set()
        job = await engine.job_when(in_flight, Status.QUEUED)
        await runner.stop(0.0)

        assert (job.provider_job_id, job.adopted) == (*here.upstream.videos, False)
        assert (await engine.job(lost.id)).provider_job_id is None
