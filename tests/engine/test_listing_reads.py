"""Reading a listing to look something up, and measuring how soon it shows a video."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from engine_stage import ACCOUNT, Stage, stage
from engine_upstream import answers

from reelhook.core.account_health import AccountHealth
from reelhook.domain.catalog import Account
from reelhook.domain.listing import ListingFacts
from reelhook.engine.leased_account import LeasedAccount
from reelhook.engine.submitting.listing_pages import ListingPages
from reelhook.engine.submitting.retry_after import ReadPause
from reelhook.ports import Lease
from reelhook.providers.openai.provider import OpenAI


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(tmp_path) as one:
        yield one


async def read(here: Stage, *, patient: bool = False) -> ListingPages:
    async with OpenAI(here.upstream.url) as provider:
        held = LeasedAccount(Account(ACCOUNT, "openai"), provider, Lease("account:openai", 1))
        pages = ListingPages(held, ReadPause(ACCOUNT, AccountHealth(), here.time), patient=patient)
        assert await pages.read(lambda _: False) is not patient
        return pages


@pytest.mark.parametrize("entries", [0, 1, 99, 100, 101, 200, 250])
@pytest.mark.parametrize("tells_more", [True, False])
async def test_a_listing_is_read_to_its_end_however_it_tells_that_there_is_more(
    here: Stage, entries: int, tells_more: bool
) -> None:
    here.upstream.add(*(f"video_{number}" for number in range(entries)))

    def end_without_a_word(listing: dict[str, Any]) -> dict[str, Any]:
        return listing if tells_more else {"object": "list", "data": listing["data"]}

    here.upstream.wraps = end_without_a_word
    pages = await read(here)
    assert (len(pages.entries), pages.ended, pages.readable) == (entries, True, True)


async def test_a_cursor_that_is_answered_by_an_empty_page_is_no_end(here: Stage) -> None:
    # SGLang and vLLM-Omni answer a cursor that they don't know so.
    here.upstream.add(*(f"video_{number}" for number in range(150)))
    page = here.upstream.list_page

    async def knows_no_cursor(request: web.Request) -> web.Response:
        if "after" in request.query:
            return web.json_response({"object": "list", "data": [], "has_more": False})
        return await page(request)

    here.upstream.on_list = knows_no_cursor
    pages = await read(here)
    assert (len(pages.entries), pages.ended, pages.readable) == (100, False, False)


async def test_an_entry_without_an_id_is_passed_over_and_the_rest_is_read(here: Stage) -> None:
    here.upstream.add(*(f"video_{number}" for number in range(150)))
    here.upstream.shows = lambda video: {**video, "id": None} if video["id"] == "video_9" else video
    pages = await read(here)
    assert (len(pages.entries), pages.ended, pages.readable) == (149, True, False)


async def test_where_there_is_no_listing_that_is_said_unless_it_may_come_back(here: Stage) -> None:
    here.upstream.on_list = answers(405)
    pages = await read(here)
    assert (pages.supported, pages.readable) == (False, False)
    assert (await read(here, patient=True)).supported


# -- how soon it shows a video ---------------------------------------------------------------------


async def test_a_new_listing_is_read_once_and_its_newest_entry_kept(here: Stage) -> None:
    here.upstream.add("older", "newer", prompt="of others")
    async with here.engine() as engine:
        await engine.settled()
        facts = await engine.store.listing_facts(ACCOUNT)
        fingerprint = engine.provider.fingerprint
        assert facts == ListingFacts(fingerprint, "newer", first_read_at=here.time.now())
        await engine.pass_time(600)
    async with here.engine() as engine:
        await engine.settled()
    assert here.upstream.count("list") == 1


async def test_the_delay_is_measured_after_creates_but_not_after_each(here: Stage) -> None:
    async with here.engine(loops=frozenset({"submit", "listing"})) as engine:
        for number in range(40):
            await engine.submit(f"a fox, number {number}")
            await engine.settled()
            here.time.advance(3)
        facts = await engine.store.listing_facts(ACCOUNT)
        assert facts is not None
        assert (facts.delay_max, facts.models) == (0, frozenset({"sora-2"}))
    assert here.upstream.count("list") <= 2 + 40 * 3 / 30


async def test_each_model_is_seen_once_at_least(here: Stage) -> None:
    async with here.engine(loops=frozenset({"submit", "listing"})) as engine:
        await engine.settled()
        models = [f"model-{number}" for number in range(5)]
        await asyncio.gather(*(engine.submit("a fox", model=one) for one in models))
        await engine.settled()
        facts = await engine.store.listing_facts(ACCOUNT)
        assert facts is not None
        assert facts.models == set(models)


async def test_a_video_that_is_never_listed_makes_the_listing_useless_as_a_proof(
    here: Stage,
) -> None:
    here.upstream.listed = lambda video: "hen" in video.prompt
    async with here.engine(loops=frozenset({"submit", "listing"})) as engine:
        await engine.submit("a hen")
        await engine.settled()
        await engine.pass_time(40)
        await engine.submit("a fox")
        await engine.pass_time(700)
        facts = await engine.store.listing_facts(ACCOUNT)
        assert facts is not None
        assert (facts.delay_max or 0) >= 600_000


async def test_what_an_outage_hides_is_no_delay(here: Stage) -> None:
    async with here.engine(loops=frozenset({"submit", "listing"})) as engine:
        await engine.settled()
        here.upstream.on_list = answers(503)
        await engine.submit("a fox")
        await engine.pass_time(300)
        here.upstream.on_list = None
        await engine.submit("a hen")
        await engine.pass_time(60)
        facts = await engine.store.listing_facts(ACCOUNT)
        assert facts is not None
        assert facts.delay_max == 0


async def test_after_a_read_that_failed_the_delay_is_measured_soon(here: Stage) -> None:
    fails = iter((429, 500, 502))

    async def sometimes(request: web.Request) -> web.StreamResponse:
        status = next(fails, None)
        if status is None:
            return await here.upstream.list_page(request)
        return web.json_response({"error": {"message": "try again"}}, status=status)

    here.upstream.on_list = sometimes
    async with here.engine(loops=frozenset({"submit", "listing"})) as engine:
        await engine.submit("a fox")
        await engine.pass_time(4)
        facts = await engine.store.listing_facts(ACCOUNT)
        assert facts is not None
        assert facts.delay_max is not None
        assert facts.delay_max <= 4000


async def test_a_page_that_ends_above_the_video_shows_no_delay(here: Stage) -> None:
    here.upstream.page_size_max = 3
    here.upstream.add(*(f"older_{number}" for number in range(9)), prompt="of others")
    async with here.engine(loops=frozenset({"submit", "listing"})) as engine:
        await engine.settled()
        newer: list[str] = []

        async def bury(request: web.Request) -> web.StreamResponse:
            video = here.upstream.create(await request.json())
            newer.extend(f"newer_{number}" for number in range(9))
            here.upstream.add(*newer, prompt="of others")
            return web.json_response(video.shown())

        here.upstream.on_create = bury
        await engine.submit("a fox")
        await engine.pass_time(700)
        facts = await engine.store.listing_facts(ACCOUNT)
        assert facts is not None
        assert facts.delay_max is None
