"""The response to a COMMIT is lost on its way from PostgreSQL: nothing is paid twice or lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from engine_stage import stage
from engine_stubs import Receiver, Upstream
from engine_waiting import until, until_job, watched
from lossy_proxy import LossyProxy, lossy
from storage.postgres_databases import emptied_database

import reelhook
from reelhook import bootstrap
from reelhook.bootstrap.serving import Running
from reelhook.domain.job import Status
from reelhook.engine import runner
from reelhook.ports import Change, DeliveryFilter, Lease
from reelhook.storage.postgres import commit_outcome as verdict
from reelhook.storage.postgres import pool
from reelhook.storage.store import Store

# A value as it is sent, after its length: SQL that has the word does not match.
INTENT = b"\x00\x00\x00\x0asubmitting"


@dataclass(slots=True)
class Here:
    """A server, its client, and what stands between it and its database."""

    running: Running
    proxy: LossyProxy
    session: aiohttp.ClientSession

    async def post(self, path: str, **body: Any) -> tuple[int, Any, Any]:
        async with self.session.post(f"{self.running.url}{path}", json=body) as answer:
            return answer.status, await answer.json(), answer.headers

    async def submit(self, script: str) -> str:
        status, body, _ = await self.post("/api/generate", script=script)
        assert status == 200, body
        return str(body["jobId"])


@pytest.fixture
async def here(
    settings: reelhook.Settings,
    postgres_url: str,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Here]:
    """A provider without a listing: what it is not known to have is never found again."""
    upstream.listing = False
    # However long a test takes to deliver a COMMIT after all, the server waits for it.
    monkeypatch.setitem(pool._SESSION, "idle_in_transaction_session_timeout", "0")
    async with AsyncExitStack() as stack:
        direct = await stack.enter_async_context(emptied_database(postgres_url))
        proxy, url = stack.enter_context(lossy(direct))
        on_postgres = settings.model_copy(update={"database_url": url, "port": 0})
        running = await stack.enter_async_context(bootstrap.server(on_postgres))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Here(running, proxy, session)


@pytest.fixture
def at_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found out about a transaction in time."""
    monkeypatch.setattr(verdict, "FIND_OUT_SECONDS", 0.0)


async def test_a_request_that_was_committed_is_answered_as_such(
    here: Here, upstream: Upstream
) -> None:
    here.proxy.lose(b"A fox", delivered=True)
    job_id = await here.submit("A fox")
    assert here.proxy.cut == 1
    await until_job(here.running.hook, job_id, watched)
    assert upstream.counts["create"] == 1


async def test_a_request_that_was_not_committed_may_be_sent_again(
    here: Here, upstream: Upstream
) -> None:
    here.proxy.lose(b"A fox", delivered=False)
    status, body, headers = await here.post("/api/generate", script="A fox")
    assert (status, body["code"]) == (503, "store_unavailable")
    assert headers["Retry-After"] == "5"
    job_id = await here.submit("A fox")
    here.proxy.release()
    await until_job(here.running.hook, job_id, watched)
    assert upstream.counts["create"] == 1


@pytest.mark.usefixtures("at_a_loss")
@pytest.mark.parametrize("delivered", [True, False])
async def test_what_is_not_known_says_so_and_that_it_must_not_be_sent_again(
    here: Here, upstream: Upstream, *, delivered: bool
) -> None:
    here.proxy.lose(b"A fox", delivered=delivered)
    status, body, headers = await here.post("/api/generate", script="A fox")
    assert (status, body["code"]) == (500, "acceptance_unknown")
    assert body["jobId"].startswith("job_")
    assert headers["x-should-retry"] == "false"
    assert "Retry-After" not in headers
    here.proxy.release()
    await until(lambda: upstream.counts["create"] == 1)
    await until_job(here.running.hook, body["jobId"], watched)
    assert upstream.counts["create"] == 1


@pytest.mark.usefixtures("at_a_loss")
async def test_a_key_replays_what_was_not_known(here: Here, upstream: Upstream) -> None:
    here.proxy.lose(b"A fox", delivered=True)
    here.session.headers["Idempotency-Key"] = "a key"
    first, again = [await here.post("/api/generate", script="A fox") for _ in range(2)]
    assert (first[0], again[0]) == (500, 200)
    assert first[1]["jobId"] == again[1]["jobId"]
    await until(lambda: upstream.counts["create"] == 1)


@pytest.mark.usefixtures("at_a_loss")
@pytest.mark.parametrize(
    ("path", "body", "mark", "named"),
    [
        ("/api/jobs/register", {"soraJobId": "video_9"}, b"video_9", "jobId"),
        ("/api/endpoints", {"url": "https://8.8.8.8/mark"}, b"8.8.8.8/mark", "endpointId"),
        ("/api/endpoints/{endpoint}/rotate", {"secret": "w" * 24}, b"w" * 24, "endpointId"),
        (
            "/api/deliveries/resend",
            {"since": "2026-01-01T00:00:00Z", "endpointId": "{endpoint}"},
            b"resend_",
            "resendId",
        ),
    ],
)
async def test_whatever_is_created_says_so_when_that_is_not_known(
    here: Here, path: str, body: dict[str, str], mark: bytes, named: str
) -> None:
    _, endpoint, _ = await here.post("/api/endpoints", url="https://8.8.8.8/other")
    fill = partial(str.format, endpoint=endpoint["id"])
    here.proxy.lose(mark, delivered=True)
    status, told, headers = await here.post(
        fill(path), **{name: fill(value) for name, value in body.items()}
    )
    assert (status, told["code"], named in told) == (500, "acceptance_unknown", True)
    assert headers["x-should-retry"] == "false"
    assert "Retry-After" not in headers


async def _created_once(here: Here, upstream: Upstream) -> None:
    job_id = await here.submit("A fox")
    await until(lambda: here.proxy.cut == 1)
    stored = await until_job(here.running.hook, job_id, watched)
    assert (stored.job.submit_attempts, stored.job.provider_job_id) == (1, "video_1")
    assert upstream.counts["create"] == 1


async def test_an_intent_whose_response_is_lost_is_begun_by_its_owner(
    here: Here, upstream: Upstream
) -> None:
    here.proxy.lose(INTENT, delivered=True)
    await _created_once(here, upstream)


@pytest.mark.usefixtures("at_a_loss")
@pytest.mark.parametrize("delivered", [True, False])
async def test_an_intent_of_which_nothing_is_known_is_begun_once_it_is(
    here: Here, upstream: Upstream, *, delivered: bool
) -> None:
    here.proxy.lose(INTENT, delivered=delivered)
    releasing = asyncio.create_task(_after(lambda: here.proxy.cut == 1, here.proxy))
    await _created_once(here, upstream)
    await releasing


async def _after(condition: Callable[[], bool], proxy: LossyProxy) -> None:
    await until(condition)
    proxy.release()


@pytest.mark.parametrize("seconds", [6.0, 0.0])
async def test_an_acceptance_whose_response_is_lost_is_one(
    here: Here, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(verdict, "FIND_OUT_SECONDS", seconds)
    here.proxy.lose(b"video_1", delivered=True)
    await _created_once(here, upstream)


@pytest.mark.parametrize("seconds", [6.0, 0.0])
async def test_an_attempt_whose_response_is_lost_counts_once(
    here: Here,
    upstream: Upstream,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
) -> None:
    monkeypatch.setattr(verdict, "FIND_OUT_SECONDS", seconds)
    receiver.statuses = [500]
    here.proxy.lose(b"INSERT INTO attempts", delivered=True)
    await here.submit("A fox")
    await until(lambda: bool(upstream.videos))
    upstream.videos["video_1"].update(status="completed", progress=100)
    await until(lambda: len(receiver.bodies) == 2)
    hook = here.running.hook

    async def recorded() -> list[int]:
        (delivery,) = (await hook.deliveries.page(DeliveryFilter())).deliveries
        return [one.number for one in await hook.deliveries.attempts(delivery.delivery.id)]

    async with asyncio.timeout(10):
        while await recorded() != [2, 1]:  # noqa: ASYNC110 - the database's state
            await asyncio.sleep(0.01)
    assert here.proxy.cut == 1


# -- a tick that is cut off ------------------------------------------------------------------------


class Slow(Store):
    """Says what it has recorded once it may."""

    may_tell: asyncio.Event
    recorded = 0

    async def record(self, changes: list[Change], lease: Lease | None) -> list[str]:  # type: ignore[override] # a list here
        written = await super().record(changes, lease)
        self.recorded += 1
        await self.may_tell.wait()
        return written


async def test_an_intent_is_begun_though_its_tick_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "TICK_SECONDS", 0.05)
    Slow.may_tell = asyncio.Event()
    async with stage(tmp_path, store=Slow, loops=frozenset({"submit"})) as here:
        async with here.engine() as engine:
            store = engine.store
            assert isinstance(store, Slow)
            job_id = await engine.submit("a fox")
            await until(lambda: store.recorded == 1)
            stopping = asyncio.create_task(engine.runner.remove(list(engine.loops.values()), 10))
            await until(lambda: len(engine.loops["submit"].tasks) == 1)
            Slow.may_tell.set()
            await stopping
            job = await engine.job(job_id)
            assert (job.status, job.submit_attempts) == (Status.QUEUED, 1)
        assert here.upstream.creations == 1
