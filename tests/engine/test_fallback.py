"""Fallback: the next model is tried where the one before definitely did not take the job."""

import asyncio
import errno
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import TCPConnector
from engine_stage import Engine, Played, Stage, stage, until
from engine_upstream import Respond, Upstream, answers, never, reset, upstream
from image_hosts import FOX, after, fetcher, image_host

from reelhook.domain.caller import OPERATOR
from reelhook.domain.catalog import ANY_MODEL, Account
from reelhook.domain.job import Status
from reelhook.domain.media import File
from reelhook.domain.price import ModelPrice, PriceLine
from reelhook.engine.submitting.submit import SUBMITS_AT_ONCE
from reelhook.providers.openai.provider import OpenAI

NAMES = ("openai", "second", "third")
FALLBACKS = ("second/m2", "third/m3")


@dataclass
class Providers:
    """A stage, and three providers that speak the same."""

    here: Stage
    servers: dict[str, Upstream]
    urls: dict[str, str]

    @asynccontextmanager
    async def engine(self, *names: str, **options: Any) -> AsyncIterator[Engine]:
        played = tuple(
            Played(Account(name, name), OpenAI, self.urls[name]) for name in names or NAMES
        )
        async with self.here.engine(accounts=played, **options) as engine:
            yield engine

    @property
    def creations(self) -> tuple[int, ...]:
        return tuple(one.creations for one in self.servers.values())

    def refuse(self, *names: str, by: Respond) -> None:
        for name in names:
            self.servers[name].on_create = by


@asynccontextmanager
async def providers(tmp_path: Path, **options: Any) -> AsyncIterator[Providers]:
    async with stage(tmp_path, **options) as here, AsyncExitStack() as stack:
        servers = {"openai": here.upstream}
        for name in NAMES[1:]:
            servers[name] = await stack.enter_async_context(
                upstream(lambda: here.clock.now() / 1000)
            )
        yield Providers(here, servers, {name: one.url for name, one in servers.items()})


async def history(engine: Engine, job_id: str) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in await engine.service.events([job_id])]


def refusal(status: int, words: str, **headers: str) -> Respond:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answers(status, {"error": {"message": words}}, named)


# -- when -----------------------------------------------------------------------------------------


async def test_a_refused_connection_leads_on_at_once(tmp_path: Path, unused_tcp_port: int) -> None:
    async with providers(tmp_path) as here:
        here.urls["openai"] = f"http://127.0.0.1:{unused_tcp_port}/v1"
        async with here.engine() as engine:
            job_id = await engine.submit("a fox", fallbacks=FALLBACKS)
            await engine.settled()
            job = await engine.job(job_id)
            assert (job.status, job.provider, job.account) == (Status.QUEUED, "second", "second")
            assert (job.model, job.fallback) == ("m2", 1)
            assert here.creations == (0, 1, 0)


async def test_the_estimate_follows_the_model(tmp_path: Path) -> None:
    table = ModelPrice("USD", (PriceLine(0.5),), "https://prices.example", "2026-11-29")
    dear = Account("openai", "openai", prices={ANY_MODEL: replace(table, minimum=9)})
    cheap = Account("second", "second", prices={"m2": table})
    async with providers(tmp_path) as here:
        here.refuse("openai", by=refusal(400, "no such model"))
        played = [Played(one, OpenAI, here.urls[one.id]) for one in (dear, cheap)]
        async with here.here.engine(accounts=tuple(played)) as engine:
            job_id = await engine.submit("a fox", seconds="4", fallbacks=("second/m2",))
            accepted = await engine.job(job_id)
            assert (accepted.estimated_amount, accepted.estimated_unit) == (9, "USD")
            await engine.settled()
            moved = await engine.job(job_id)
            assert (moved.provider, moved.model) == ("second", "m2")
            assert (moved.estimated_amount, moved.estimated_unit) == (2, "USD")


@pytest.mark.parametrize(
    "trouble",
    [
        OSError(errno.EMFILE, "Too many open files"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        RuntimeError("can't start new thread"),
    ],
)
async def test_trouble_of_our_own_leads_nowhere_and_passes(
    tmp_path: Path, trouble: Exception
) -> None:
    troubles: list[Exception] = [trouble]

    class Exhausted(OpenAI):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            connector = self.paid._session.connector
            assert isinstance(connector, TCPConnector)
            connector._socket_factory = self.socket

        def socket(self, address: Any) -> socket.socket:
            for one in troubles:
                raise one
            return socket.socket(family=address[0], type=address[1], proto=address[2])

    async with providers(tmp_path) as here:
        played = tuple(Played(Account(one, one), Exhausted, here.urls[one]) for one in NAMES)
        async with here.here.engine(accounts=played) as engine:
            job_id = await engine.submit("a fox", fallbacks=FALLBACKS)
            await engine.pass_time(60)
            job = await engine.job(job_id)
            assert (job.status, job.fallback) == (Status.ACCEPTED, 0)
            troubles.clear()
            await engine.pass_time(20)

            job = await engine.job(job_id)
            assert (job.status, job.provider) == (Status.QUEUED, "openai")
            assert here.creations == (1, 0, 0)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422])
async def test_a_refusal_leads_on_at_once(tmp_path: Path, status: int) -> None:
    async with providers(tmp_path) as here, here.engine() as engine:
        here.refuse("openai", by=refusal(status, "not this"))
        job_id = await engine.submit("a fox", fallbacks=FALLBACKS)
        await engine.settled()
        job = await engine.job(job_id)
        assert (job.status, job.provider, job.model) == (Status.QUEUED, "second", "m2")
        assert here.creations == (1, 1, 0)


async def test_the_models_are_tried_in_order_and_each_with_its_own_name(tmp_path: Path) -> None:
    async with providers(tmp_path) as here, here.engine() as engine:
        here.refuse("openai", "second", by=refusal(400, "not this"))
        await engine.submit("a fox", fallbacks=FALLBACKS)
        await engine.settled()
        assert here.creations == (1, 1, 1)
        assert [video.model for video in here.servers["third"].videos.values()] == ["m3"]


async def test_where_all_refuse_the_job_fails_in_the_last_one_s_words(tmp_path: Path) -> None:
    async with providers(tmp_path) as here, here.engine() as engine:
        here.refuse("openai", "second", by=refusal(422, "not this"))
        here.refuse("third", by=refusal(402, "no money left"))
        job_id = await engine.submit("a fox", here.here.hook, fallbacks=FALLBACKS)
        await engine.settled()
        job = await engine.job(job_id)
        assert (job.status, job.code, job.error) == (Status.FAILED, "quota", "no money left")
        [webhook] = here.here.receivers.of(job_id)
        assert webhook.body["soraJobId"] is None
        assert webhook.body["error"] == "no money left"


async def test_a_429_that_asks_for_more_than_the_wait_leads_on_at_once(tmp_path: Path) -> None:
    async with providers(tmp_path, fallback_wait_seconds=30) as here, here.engine() as engine:
        here.refuse("openai", by=refusal(429, "busy", Retry_After="31"))
        job_id = await engine.submit("a fox", fallbacks=FALLBACKS)
        await engine.settled()
        assert (await engine.job(job_id)).provider == "second"
        assert here.creations == (1, 1, 0)


async def test_a_429_within_the_wait_is_waited_for(tmp_path: Path) -> None:
    async with providers(tmp_path, fallback_wait_seconds=30) as here, here.engine() as engine:
        here.refuse("openai", by=refusal(429, "busy", Retry_After="10"))
        job_id = await engine.submit("a fox", fallbacks=FALLBACKS)
        await engine.pass_time(9)
        assert here.creations == (1, 0, 0)
        here.servers["openai"].on_create = None
        await engine.pass_time(2)
        job = await engine.job(job_id)
        assert (job.status, job.provider, job.sequence) == (Status.QUEUED, "openai", 0)
        assert here.creations == (2, 0, 0)


async def test_429s_that_go_on_beyond_the_wait_lead_on(tmp_path: Path) -> None:
    async with providers(tmp_path, fallback_wait_seconds=30) as here, here.engine() as engine:
        here.refuse("openai", by=refusal(429, "busy", Retry_After="10"))
        job_id = await engine.submit("a fox", fallbacks=FALLBACKS)
        await engine.pass_time(40)
        assert (await engine.job(job_id)).provider == "second"
        assert here.creations[1:] == (1, 0)


async def test_those_behind_one_that_was_refused_wait_no_longer_either(tmp_path: Path) -> None:
    async with providers(tmp_path, fallback_wait_seconds=30) as here, here.engine() as engine:
        here.refuse("openai", by=refusal(429, "busy", Retry_After="600"))
        await engine.submit("first")
        await engine.settled()
        behind = await engine.submit("behind", fallbacks=FALLBACKS)
        await engine.pass_time(28)
        assert here.creations == (1, 0, 0)
        await engine.pass_time(5)
        job = await engine.job(behind)
        assert (job.status, job.provider) == (Status.QUEUED, "second")
        assert here.creations == (1, 1, 0)


async def test_those_without_another_model_hide_none_that_has_one(tmp_path: Path) -> None:
    async with providers(tmp_path, fallback_wait_seconds=30) as here, here.engine() as engine:
        here.refuse("openai", by=refusal(429, "busy", Retry_After="600"))
        await engine.submit("first")
        await engine.settled()
        await asyncio.gather(*(engine.submit(f"patient {n}") for n in range(SUBMITS_AT_ONCE)))
        last = await engine.submit("impatient", fallbacks=FALLBACKS)
        await engine.pass_time(35)
        assert (await engine.job(last)).provider == "second"
        assert here.creations == (1, 1, 0)


async def test_each_model_is_waited_for_as_long_as_the_first(tmp_path: Path) -> None:
    async with providers(tmp_path, fallback_wait_seconds=30) as here, here.engine() as engine:
        here.refuse("openai", "second", by=refusal(429, "busy", Retry_After="20"))
        job_id = await engine.submit("a fox", fallbacks=FALLBACKS)
        await engine.pass_time(21)
        assert (await engine.job(job_id)).provider == "second"
        here.servers["second"].on_create = None
        await engine.pass_time(21)
        job = await engine.job(job_id)
        assert (job.status, job.provider) == (Status.QUEUED, "second")


async def test_a_job_waits_for_its_model_only_once_its_image_is_stored(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with (
        providers(tmp_path, fallback_wait_seconds=30) as here,
        image_host(after(gate)) as host,
        fetcher(tmp_path) as fetch,
        here.engine(fetch=fetch) as engine,
    ):
        here.refuse("openai", by=refusal(429, "busy", Retry_After="600"))
        await engine.submit("first")
        await until(lambda: here.creations[0])
        text, image = [
            await engine.submit("a fox", image=url, fallbacks=FALLBACKS) for url in (None, host.url)
        ]
        await until(lambda: host.asked)
        here.here.time.advance(40)
        await engine.job_when(text, Status.QUEUED)
        assert (await engine.job(image)).provider == "openai"
        gate.set()
        await engine.settled()
        await engine.pass_time(25)
        assert (await engine.job(image)).provider == "openai"
        await engine.pass_time(10)
        job = await engine.job(image)
        assert (job.status, job.provider) == (Status.QUEUED, "second")
        assert here.creations == (1, 2, 0)


async def test_a_missing_file_leads_nowhere_because_every_model_needs_it(tmp_path: Path) -> None:
    async with providers(tmp_path) as here:
        async with here.engine(loops=frozenset()) as engine:
            job_id = await engine.submit(
                "a fox", image=File("image/png", FOX).uri, fallbacks=FALLBACKS
            )
        here.here.query("DELETE FROM job_files")
        here.here.query("DELETE FROM files")
        async with here.engine() as engine:
            job = await engine.job_when(job_id, Status.FAILED)
            assert (job.code, job.fallback) == ("file_missing", 0)
            assert here.creations == (0, 0, 0)


# -- never after doubt ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "respond", [answers(500), answers(408), answers(409), answers(200, {}), reset, never()]
)
async def test_what_may_have_been_accepted_is_never_sent_to_another(
    tmp_path: Path, respond: Respond
) -> None:
    async with providers(tmp_path, submit_timeout_seconds=0.3) as here, here.engine() as engine:
        server = here.servers["openai"]
        server.on_create, server.on_list = respond, answers(405)
        job_id = await engine.submit("a fox", fallbacks=FALLBACKS)
        await engine.job_when(job_id, Status.SUBMITTING)
        await engine.pass_time(240)
        job = await engine.job(job_id)
        assert (job.status, job.code) == (Status.FAILED, "submission_unknown")
        assert here.creations == (1, 0, 0)
        assert [one["status"] for one in await history(engine, job_id)] == ["failed"]


async def test_a_worker_that_died_within_the_paid_call_leads_nowhere(tmp_path: Path) -> None:
    async with providers(tmp_path) as here:
        here.servers["openai"].on_create = never()
        here.servers["openai"].on_list = answers(405)
        async with here.engine(submit_timeout_seconds=60) as engine:
            job_id = await engine.submit("a fox", fallbacks=FALLBACKS)
            await engine.job_when(job_id, Status.SUBMITTING)
        async with here.engine() as engine:
            await engine.pass_time(240)
            assert (await engine.job(job_id)).code == "submission_unknown"
            assert here.creations[1:] == (0, 0)


async def test_an_adopted_job_has_given_up_the_models_before_its_own(tmp_path: Path) -> None:
    async with providers(tmp_path) as here, here.engine() as engine:
        here.refuse("openai", by=refusal(400, "not this"))
        here.refuse("second", by=answers(500))
        second = here.servers["second"]
        second.on_list = answers(405)
        job_id = await engine.submit("a fox", fallbacks=FALLBACKS)
        await engine.job_when(job_id, Status.SUBMITTING)
        await engine.pass_time(240)
        assert (await engine.job(job_id)).code == "submission_unknown"
        second.add("video_1")
        adopted = await engine.gateway.in_doubt.adopt(OPERATOR, job_id, "video_1")
        job = await engine.job(adopted.job_id)
        assert (job.account, job.fallback) == ("second", 1)


# -- what is reported -----------------------------------------------------------------------------


async def test_each_step_is_in_the_history_and_no_webhook_tells_it(tmp_path: Path) -> None:
    async with providers(tmp_path) as here, here.engine() as engine:
        here.refuse("openai", by=refusal(400, "not this"))
        here.refuse("second", by=refusal(402, "no money"))
        job_id = await engine.submit("a fox", here.here.hook, fallbacks=FALLBACKS)
        await engine.settled()
        assert not here.here.receivers.webhooks
        [video] = here.servers["third"].videos
        here.servers["third"].change(video, status="completed")
        await engine.pass_time(5)

        told = await history(engine, job_id)
        assert [one["sequence"] for one in told] == [1, 2, 3]
        first, second, last = told
        assert (first["fallback"], first["error"], first["code"]) == (
            "second/m2",
            "not this",
            "invalid_request",
        )
        assert (second["fallback"], second["error"], second["code"]) == (
            "third/m3",
            "no money",
            "quota",
        )
        assert first["soraJobId"] is second["soraJobId"] is None
        assert last["status"] == "completed"
        [webhook] = here.here.receivers.of(job_id)
        assert (webhook.body["status"], webhook.body["sequence"]) == ("completed", 3)


async def test_a_model_whose_account_is_gone_is_passed_over(tmp_path: Path) -> None:
    async with providers(tmp_path) as here:
        async with here.engine(loops=frozenset()) as engine:
            job_id = await engine.submit("a fox", fallbacks=FALLBACKS)
        here.refuse("openai", by=refusal(400, "not this"))
        async with here.engine("openai", "third") as engine:
            await engine.pass_time(5)
            job = await engine.job(job_id)
            assert (job.status, job.provider, job.fallback) == (Status.QUEUED, "third", 2)


async def test_a_restart_goes_on_where_the_fallbacks_stood(tmp_path: Path) -> None:
    async with providers(tmp_path) as here:
        here.refuse("openai", by=refusal(400, "not this"))
        here.refuse("second", by=refusal(429, "busy", Retry_After="20"))
        async with here.engine() as engine:
            job_id = await engine.submit("a fox", fallbacks=FALLBACKS)
            await engine.settled()
            assert (await engine.job(job_id)).provider == "second"
        here.refuse("second", by=refusal(400, "nor this"))
        async with here.engine() as engine:
            await engine.pass_time(25)
            job = await engine.job(job_id)
            assert (job.status, job.provider) == (Status.QUEUED, "third")
            assert here.creations == (1, 2, 1)
