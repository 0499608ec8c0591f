"""Replicate's listing: pages that can begin behind any entry, and pass nothing over."""

import itertools
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from providers.upstreams import Upstream
from reelhook.domain.doubt import Doubt
from reelhook.domain.errors import CursorRefusedError, ListingUnsupportedError, ProviderError
from reelhook.domain.listing import Listing as ReadListing
from reelhook.domain.listing import ListingFacts
from reelhook.domain.reconciliation import resolve
from reelhook.domain.report import Accepted, Finished, Progress
from reelhook.domain.request import VideoRequest
from reelhook.providers.replicate.cursor_cache import CursorCache
from reelhook.providers.replicate.prediction import entry
from reelhook.providers.replicate.provider import Replicate

VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
START = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Listing:
    """Serves predictions as Replicate lists them; `shown` is how exactly it tells moments."""

    def __init__(self, moments: Sequence[datetime], page_size: int, shown: str) -> None:
        ordered = sorted(enumerate(moments), key=lambda one: (one[1], one[0]), reverse=True)
        self.lines = [(f"p{number}", at) for number, at in ordered]
        self.page_size = page_size
        self.shown = shown
        self.refuses_cursors = False
        self.tells_next = True

    async def response(self, request: web.Request) -> web.Response:
        if request.path.startswith("/v1/predictions/"):
            return self._one(request.path.rpartition("/")[2])
        lines = self.lines
        if before := request.query.get("created_before"):
            limit = datetime.fromisoformat(before)
            lines = [line for line in lines if line[1] < limit]
        if cursor := request.query.get("cursor"):
            if self.refuses_cursors:
                return web.json_response({"detail": "Invalid cursor"}, status=404)
            lines = self.lines[int(cursor) :]
        page = lines[: self.page_size]
        end = self.lines.index(page[-1]) + 1 if page else 0
        more = len(lines) > self.page_size
        # As behind a proxy: the address is another than the one that was asked.
        following = f"https://api.replicate.com/v1/predictions?cursor={end}" if more else None
        body = {"previous": None, "results": [self._shown(*line) for line in page]}
        return web.json_response(body | ({"next": following} if self.tells_next else {}))

    def _one(self, asked: str) -> web.Response:
        for line in self.lines:
            if line[0] == asked:
                return web.json_response(self._shown(*line))
        return web.json_response({"detail": "not found"}, status=404)

    def _shown(self, named: str, at: datetime) -> dict[str, object]:
        moment = at.isoformat(timespec=self.shown).replace("+00:00", "Z")
        return {"id": named, "status": "processing", "created_at": moment, "input": {}}


def listing(
    server: Upstream,
    moments: Sequence[datetime],
    page_size: int = 100,
    shown: str = "microseconds",
) -> Listing:
    one = Listing(moments, page_size, shown)
    server.respond = one.response
    return one


def seconds(count: int) -> list[datetime]:
    return [START + timedelta(seconds=number) for number in range(count)]


@pytest.fixture
async def replicate(server: Upstream) -> AsyncIterator[Replicate]:
    async with Replicate(f"{server.url}/v1", "r8_key") as one:
        yield one


async def read_to_the_end(replicate: Replicate) -> list[str]:
    """Read page after page, as a lost submit is looked up."""
    ids: list[str] = []
    after = None
    while True:
        page = await replicate.page(after, 100)
        fresh = [one.provider_job_id for one in page.entries if one.provider_job_id not in ids]
        ids += fresh
        if not page.more or not fresh:
            return ids
        after = fresh[-1]


async def test_the_listing_is_read_page_after_page(server: Upstream, replicate: Replicate) -> None:
    lines = listing(server, seconds(250)).lines
    assert await read_to_the_end(replicate) == [named for named, _ in lines]
    assert len(server.seen) == 3
    assert {one.path for one in server.seen} == {"/v1/predictions"}


async def test_a_thousand_jobs_cost_ten_requests_a_round_wherever_pages_begin(
    server: Upstream, replicate: Replicate
) -> None:
    ids = [named for named, _ in listing(server, seconds(1000)).lines]
    await read_to_the_end(replicate)
    for begin in (99, 49):  # the ends of the pages that were read, and their middles
        server.seen.clear()
        seen = set(ids[: begin + 1])
        for after in ids[begin::100]:
            page = await replicate.page(after, 100)
            seen.update(one.provider_job_id for one in page.entries)
            begun = ids.index(after) + 1
            assert [one.provider_job_id for one in page.entries] == ids[begun : begun + 100]
        assert seen == set(ids)
        assert len(server.seen) == 10


async def test_without_a_next_the_pages_follow_by_their_moments(
    server: Upstream, replicate: Replicate
) -> None:
    one = listing(server, seconds(250))
    one.tells_next = False
    assert await read_to_the_end(replicate) == [named for named, _ in one.lines]
    assert len(server.seen) == 3


async def test_a_next_that_is_refused_is_replaced_by_the_moment(
    server: Upstream, replicate: Replicate
) -> None:
    one = listing(server, seconds(250))
    one.refuses_cursors = True
    assert await read_to_the_end(replicate) == [named for named, _ in one.lines]


async def test_next_leads_nowhere_else_than_to_the_own_base(
    server: Upstream, replicate: Replicate
) -> None:
    listing(server, seconds(101))
    first = await replicate.page(None, 100)
    await replicate.page(first.entries[-1].provider_job_id, 100)
    assert server.seen[1].query == {"cursor": "100"}


@pytest.mark.parametrize("shown", ["microseconds", "milliseconds", "seconds"])
@pytest.mark.parametrize("tells_next", [True, False])
async def test_entries_of_one_moment_are_not_passed_over(
    server: Upstream, replicate: Replicate, shown: str, tells_next: bool
) -> None:
    # Pages of 5 end within groups of three with the same shown time, stored more precisely.
    moments = [
        START + timedelta(seconds=number // 3, microseconds=100 * (number % 3))
        for number in range(40)
    ]
    one = listing(server, moments, page_size=5, shown=shown)
    one.tells_next = tells_next
    for after in [named for named, _ in one.lines]:
        # Behind every entry, by what is known of it so far.
        at = one.lines.index(next(line for line in one.lines if line[0] == after))
        page = await replicate.page(after, 100)
        ids = [entry.provider_job_id for entry in page.entries]
        expected = [named for named, _ in one.lines[at + 1 : at + 3]]
        assert set(expected) <= set(ids)
        assert after not in ids


async def test_an_entry_that_was_never_seen_is_asked_for_once(
    server: Upstream, replicate: Replicate
) -> None:
    ids = [named for named, _ in listing(server, seconds(300)).lines]
    page = await replicate.page(ids[150], 100)
    assert [one.provider_job_id for one in page.entries] == ids[151:250]
    assert [one.path for one in server.seen] == [f"/v1/predictions/{ids[150]}", "/v1/predictions"]
    server.seen.clear()
    page = await replicate.page(ids[150], 100)
    assert [one.provider_job_id for one in page.entries] == ids[151:251]
    assert len(server.seen) == 1


async def test_the_answer_to_a_create_is_a_place_too(
    server: Upstream, replicate: Replicate
) -> None:
    server.answers(
        201, {"id": "p2", "status": "starting", "created_at": "2026-11-20T12:00:02.000000Z"}
    )
    assert isinstance(await replicate.submit(VideoRequest(prompt="A fox", model="a/b")), Accepted)
    listing(server, seconds(4))
    server.seen.clear()
    page = await replicate.page("p2", 100)
    assert [one.provider_job_id for one in page.entries] == ["p1", "p0"]
    assert len(server.seen) == 1


async def test_a_place_that_nobody_knows_is_refused(server: Upstream, replicate: Replicate) -> None:
    listing(server, seconds(3))
    with pytest.raises(CursorRefusedError):
        await replicate.page("nobody", 100)
    server.answers(200, {"id": "p", "status": "starting", "created_at": "yesterday"})
    with pytest.raises(CursorRefusedError):
        await replicate.page("p", 100)


@pytest.mark.parametrize(("status", "kind"), [(404, ListingUnsupportedError), (500, ProviderError)])
async def test_a_listing_that_fails_raises(
    server: Upstream, replicate: Replicate, status: int, kind: type[Exception]
) -> None:
    server.answers(status, {"detail": "no"})
    with pytest.raises(kind):
        await replicate.page(None, 100)
    server.answers(200, {"results": {}})
    with pytest.raises(ProviderError):
        await replicate.page(None, 100)


async def test_a_line_shows_what_was_asked_for(server: Upstream, replicate: Replicate) -> None:
    server.answers(
        200,
        {
            "previous": None,
            "next": None,
            "results": [
                {
                    "id": "p1",
                    "model": "google/veo-3-fast",
                    "version": VERSION,
                    "status": "succeeded",
                    "output": "https://h/v.mp4",
                    "created_at": "2026-11-20T12:00:00.5Z",
                    "input": {"prompt": "A fox", "duration": 8, "aspect_ratio": "16:9"},
                },
                {"id": "p0", "status": "processing", "input": {}, "data_removed": True},
                {"status": "processing"},
                "a text",
            ],
        },
    )
    page = await replicate.page(None, 100)
    first, second = page.entries
    assert (first.prompt, first.seconds, first.model) == ("A fox", "8", "google/veo-3-fast")
    assert first.report == Finished("https://h/v.mp4")
    assert first.created_at == round(START.timestamp() * 1000) + 500
    assert (second.prompt, second.created_at, second.report) == (None, None, Progress(True))
    assert (page.more, page.unreadable) == (False, 2)


@pytest.mark.parametrize(
    "model", ["google/veo-3-fast", f"google/veo-3-fast:{VERSION}", VERSION, "other/model"]
)
async def test_a_lost_submit_is_found_by_whatever_name_its_model_was_asked_for(
    server: Upstream, replicate: Replicate, model: str
) -> None:
    line = {
        "id": "p1",
        "model": "google/veo-3-fast",
        "version": VERSION,
        "status": "starting",
        "created_at": "2026-11-20T12:00:01Z",
        "input": {"prompt": "A fox", "duration": 8},
    }
    server.answers(200, {"next": None, "results": [line]})
    page = await replicate.page(None, 100)
    request = VideoRequest(prompt="A fox", model=model, seconds="8")
    sent_at = round(START.timestamp() * 1000)
    doubt = Doubt("job", request, sent_at, sent_at)
    shown = ReadListing(
        page.entries, ended=True, readable=True, read_at=sent_at, facts=ListingFacts("here")
    )
    resolution = resolve([doubt], shown, now=sent_at, settle_milliseconds=60_000)
    assert set(resolution.found) == (set() if model == "other/model" else {"job"})


# -- places ---------------------------------------------------------------------------------------


def test_places_are_bounded_and_the_oldest_go_first() -> None:
    places = CursorCache(entries_max=3)
    for number in range(5):
        places.seen(f"p{number}", f"2026-11-20T12:00:0{number}Z")
    assert [bool(places.before(f"p{number}")) for number in range(5)] == [False] * 2 + [True] * 3
    page = [(f"q{number}", None) for number in range(9)]
    for one in page:
        places.seen_page([one], "cursor=1")
    assert sum(places.next_of(named) is not None for named, _ in page) <= 3


@given(
    st.lists(
        st.sampled_from(["2026-11-20T12:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
        | st.datetimes().map(lambda one: one.isoformat() + "Z")
        | st.text()
        | st.none()
        | st.integers(),
        max_size=6,
    )
)
def test_no_moment_breaks_the_places(moments: list[object]) -> None:
    places = CursorCache()
    names = [f"p{number}" for number in range(len(moments))]
    places.seen_page(zip(names, moments, strict=True), None)
    for named, moment in zip(names, moments, strict=True):
        before = places.before(named)
        if before is not None:
            shown = datetime.fromisoformat(str(moment))
            assert datetime.fromisoformat(before) >= shown


def test_what_was_learnt_of_a_follower_stays() -> None:
    places = CursorCache()
    moments = [f"2026-11-20T12:00:0{second}.000000Z" for second in (3, 2, 1)]
    places.seen_page(zip("abc", moments, strict=True), None)
    exact = places.before("a")
    assert exact == moments[0]
    for again in itertools.repeat("a", 2):
        places.seen(again, moments[0])
        places.seen_page([(again, moments[0])], "cursor=1")
    assert places.before("a") == exact
    assert places.next_of("a") == "cursor=1"
    places.forget_next("a")
    assert places.next_of("a") is None


@pytest.mark.parametrize(
    ("urls", "page"),
    [
        ({"web": "https://replicate.com/p/p1"}, "https://replicate.com/p/p1"),
        ({"web": "p1"}, None),
        ({"get": "https://api.replicate.com/v1/predictions/p1"}, None),
        (None, None),
        ("https://replicate.com/p/p1", None),
    ],
)
def test_an_entry_has_the_page_where_a_person_sees_it(urls: object, page: str | None) -> None:
    read = entry({"id": "p1", "status": "starting", "urls": urls})
    assert read is not None
    assert read.page == page
