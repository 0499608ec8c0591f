"""Ark: reading many tasks with few requests, and paging through the listing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from providers.upstreams import Upstream
from reelhook.domain.errors import CursorRefusedError, ProviderError
from reelhook.domain.report import Failed, Finished, Page, Progress, Reading, Unknown
from reelhook.providers.ark.provider import Ark

START = 1_700_000_000
RUNNING, QUEUED = Reading(Progress(running=True)), Reading(Progress(running=False))


@dataclass
class Listing:
    """Lists tasks as Ark does: newest first, one tier, by the number of a page."""

    tasks: list[dict[str, object]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    """What happens just before a request is answered."""
    tells_total: bool = True
    at_once: int = 0
    at_once_max: int = 0

    def add(self, count: int, status: str, *, tier: str = "default", every: int = 1) -> list[str]:
        """Add tasks, each `every` seconds younger than the one before; return their ids."""
        ids = []
        for _ in range(count):
            number = len(self.tasks)
            self.tasks.insert(
                0,
                {
                    "id": f"cgt-20261123131127-{number:05}",
                    "model": "m",
                    "status": status,
                    "tier": tier,
                    "created_at": START + number * every,
                    "content": {"video_url": f"https://h/{number}"},
                },
            )
            ids.append(str(self.tasks[0]["id"]))
        return ids

    async def respond(self, request: web.Request) -> web.StreamResponse:
        self.at_once += 1
        self.at_once_max = max(self.at_once, self.at_once_max)
        await asyncio.sleep(0)
        self.before()
        self.asked.append(request.raw_path)
        query = request.query
        ids = set(query.getall("filter.task_ids", []))
        found = [
            one
            for one in self.tasks
            if one["tier"] == query.get("filter.service_tier", "default")
            and query.get("filter.status") in {None, one["status"]}
            and (not ids or one["id"] in ids)
        ]
        number, size = int(query["page_num"]), int(query["page_size"])
        assert size <= 500
        total = {"total": len(found)} if self.tells_total else {}
        self.at_once -= 1
        return web.json_response({"items": found[(number - 1) * size : number * size], **total})


@pytest.fixture
def listing(server: Upstream) -> Listing:
    one = Listing()
    server.respond = one.respond
    return one


@pytest.fixture
async def ark(server: Upstream) -> AsyncIterator[Ark]:
    async with Ark(server.url, "key") as one:
        yield one


# -- reading many ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("running", "queued", "ended", "requests_max"),
    [
        (1, 0, 0, 1),
        (100, 50, 0, 1),
        (200, 100, 50, 2),
        (500, 500, 0, 2),
        (600, 400, 0, 3),
        (1000, 0, 0, 3),
        (0, 1000, 0, 3),
        (501, 499, 0, 3),
        (600, 300, 100, 4),
        (560, 260, 180, 4),
        (501, 130, 369, 5),
        (300, 200, 500, 4),
        (0, 0, 1000, 4),
    ],
)
async def test_a_thousand_tasks_are_read_with_five_requests_at_most(
    listing: Listing, ark: Ark, running: int, queued: int, ended: int, requests_max: int
) -> None:
    expected: dict[str, Reading] = {}
    expected |= dict.fromkeys(listing.add(queued, "queued"), QUEUED)
    expected |= dict.fromkeys(listing.add(running, "running"), RUNNING)
    for one in listing.add(ended, "succeeded"):
        expected[one] = Reading(Finished(f"https://h/{int(one[-5:])}"))
    assert await ark.get_many(list(expected)) == expected
    assert len(listing.asked) <= requests_max <= 5
    assert all(len(f"https://ark.cn-beijing.volces.com{path}") < 8000 for path in listing.asked)


async def test_ten_thousand_tasks_are_read_by_pages_some_at_once(
    listing: Listing, ark: Ark
) -> None:
    ids = listing.add(4000, "queued") + listing.add(6000, "running")
    assert len(await ark.get_many(ids)) == 10_000
    assert len(listing.asked) == 20
    assert 2 <= listing.at_once_max <= 8


async def test_few_tasks_among_many_of_others_are_asked_for_by_their_ids(
    listing: Listing, ark: Ark
) -> None:
    ids = listing.add(400, "running")
    listing.add(9_000, "running")
    assert len(await ark.get_many(ids)) == 400
    assert len(listing.asked) <= 2 + 1 + 3


async def test_a_task_that_goes_on_between_two_pages_is_not_lost(
    listing: Listing, ark: Ark
) -> None:
    ids = listing.add(700, "queued") + listing.add(300, "running")

    def goes_on() -> None:
        # The oldest waiting task begins, the oldest running one ends: pages shift both ways.
        for status, following in (("running", "succeeded"), ("queued", "running")):
            oldest = [one for one in listing.tasks if one["status"] == status][-1]
            oldest["status"] = following

    listing.before = goes_on
    result = await ark.get_many(ids)
    assert set(result) == set(ids)
    assert len(listing.asked) <= 5


async def test_what_no_listing_shows_is_left_out(listing: Listing, ark: Ark) -> None:
    ids = listing.add(3, "running")
    gone = ["cgt-old", "odd id/?&", "", "x" * 300]
    assert await ark.get_many([*ids, *gone]) == dict.fromkeys(ids, RUNNING)


async def test_no_task_is_read_without_a_request(listing: Listing, ark: Ark) -> None:
    assert await ark.get_many([]) == {}
    assert listing.asked == []


async def test_tasks_of_the_flexible_tier_are_found_and_then_paged(
    listing: Listing, ark: Ark
) -> None:
    ids = listing.add(1000, "running", tier="flex")
    assert await ark.get_many(ids) == dict.fromkeys(ids, RUNNING)
    listing.asked.clear()
    assert await ark.get_many(ids) == dict.fromkeys(ids, RUNNING)
    assert len(listing.asked) == 5


async def test_a_listing_that_tells_no_total_costs_more_and_loses_nothing(
    listing: Listing, ark: Ark
) -> None:
    listing.tells_total = False
    ids = listing.add(700, "queued") + listing.add(700, "running")
    assert set(await ark.get_many(ids)) == set(ids)


async def test_a_status_that_is_not_known_is_told_and_one_that_is_not_there_is_left_out(
    server: Upstream, ark: Ark
) -> None:
    server.answers(200, {"items": [{"id": "a", "status": "paused"}, {"id": "b"}], "total": 2})
    assert await ark.get_many(["a", "b"]) == {"a": Reading(Unknown("paused"))}


async def test_what_was_not_asked_for_is_not_told(server: Upstream, ark: Ark) -> None:
    server.answers(200, {"items": [{"id": "b", "status": "failed"}], "total": 1})
    assert await ark.get_many(["a"]) == {}


@pytest.mark.parametrize("status", [400, 404, 405, 414, 501])
async def test_a_gateway_without_a_listing_leaves_all_to_single_reads(
    server: Upstream, ark: Ark, status: int
) -> None:
    server.answers(status, {"error": {"message": "no"}})
    assert await ark.get_many([f"cgt-{number}" for number in range(1000)]) == {}


@pytest.mark.parametrize("status", [403, 429, 500])
async def test_a_failing_listing_is_an_error(server: Upstream, ark: Ark, status: int) -> None:
    server.answers(status, {"error": {"message": "no"}}, headers={"Retry-After": "7"})
    with pytest.raises(ProviderError) as caught:
        await ark.get_many([f"cgt-{number}" for number in range(1000)])
    assert caught.value.retry_after_seconds == (None if status == 403 else 7)


# -- the listing ----------------------------------------------------------------------------------


async def _all(ark: Ark) -> list[Page]:
    pages = [await ark.page(None, 500)]
    while pages[-1].more:
        pages.append(await ark.page(pages[-1].entries[-1].provider_job_id, 500))
    return pages


def _ids(pages: list[Page]) -> list[str]:
    return [entry.provider_job_id for page in pages for entry in page.entries]


async def test_the_listing_is_paged_newest_first_without_prompts(
    listing: Listing, ark: Ark
) -> None:
    ids = listing.add(1200, "succeeded")
    pages = await _all(ark)
    assert _ids(pages) == ids[::-1]
    assert [len(page.entries) for page in pages] == [500, 500, 200]
    first = pages[0].entries[0]
    assert (first.prompt, first.model, first.size) == (None, "m", None)
    assert first.created_at == (START + 1199) * 1000
    assert isinstance(first.report, Finished)


async def test_both_tiers_are_merged_by_time(listing: Listing, ark: Ark) -> None:
    for _ in range(4):
        listing.add(300, "succeeded", tier="flex")
        listing.add(150, "failed")
    pages = await _all(ark)
    shown = _ids(pages)
    assert shown == [one["id"] for one in listing.tasks]
    assert any(isinstance(entry.report, Failed) for page in pages for entry in page.entries)


async def test_a_tier_with_few_tasks_neither_hides_nor_holds_up_the_other(
    listing: Listing, ark: Ark
) -> None:
    old = listing.add(3, "succeeded", tier="flex")
    ids = listing.add(700, "succeeded")
    new = listing.add(1, "succeeded", tier="flex")
    pages = await _all(ark)
    assert [len(page.entries) for page in pages] == [501, 203]
    assert _ids(pages) == [*new, *ids[::-1], *old[::-1]]


async def test_new_tasks_between_two_pages_hide_nothing(listing: Listing, ark: Ark) -> None:
    ids = listing.add(1100, "running")
    first = await ark.page(None, 500)
    listing.add(30, "queued")
    second = await ark.page(first.entries[-1].provider_job_id, 500)
    third = await ark.page(second.entries[-1].provider_job_id, 500)
    shown = _ids([first, second, third])
    assert set(shown) >= set(ids)
    assert len(shown) == len(set(shown))


async def test_records_deleted_between_two_pages_hide_nothing(listing: Listing, ark: Ark) -> None:
    ids = listing.add(1100, "running")
    first = await ark.page(None, 500)
    del listing.tasks[10:40]
    second = await ark.page(first.entries[-1].provider_job_id, 500)
    third = await ark.page(second.entries[-1].provider_job_id, 500)
    shown = _ids([first, second, third])
    assert set(shown) == set(ids)
    assert len(shown) == len(set(shown))


async def test_an_id_that_ended_no_page_is_no_cursor(listing: Listing, ark: Ark) -> None:
    ids = listing.add(600, "running")
    await ark.page(None, 500)
    with pytest.raises(CursorRefusedError):
        await ark.page(ids[-1], 500)


async def test_a_cursor_that_is_gone_is_refused(listing: Listing, ark: Ark) -> None:
    listing.add(600, "running")
    last = (await ark.page(None, 500)).entries[-1].provider_job_id
    listing.tasks = [one for one in listing.tasks if one["id"] != last]
    with pytest.raises(CursorRefusedError):
        await ark.page(last, 500)


async def test_a_full_last_page_is_followed_by_an_empty_one(listing: Listing, ark: Ark) -> None:
    listing.add(500, "running")
    first = await ark.page(None, 500)
    assert first.more
    assert await ark.page(first.entries[-1].provider_job_id, 500) == Page((), more=False)


async def test_an_empty_listing_may_be_null(server: Upstream, ark: Ark) -> None:
    server.answers(200, {"total": 0, "items": None})
    assert await ark.page(None, 500) == Page((), more=False)


async def test_entries_without_an_id_are_counted(server: Upstream, ark: Ark) -> None:
    server.answers(200, {"items": [{"id": None}, 7, {"id": "a", "created_at": START}], "total": 3})
    page = await ark.page(None, 500)
    assert [entry.provider_job_id for entry in page.entries] == ["a"]
    assert page.unreadable == 4  # of both tiers
