import asyncio
from typing import Any

import pytest
from aiohttp import web

from providers.upstreams import Raw, Upstream, raw_upstream, unused_port
from reelhook.domain.errors import (
    CursorRefusedError,
    ListingUnsupportedError,
    ProviderError,
    ProviderUnauthorizedError,
    SettingsError,
)
from reelhook.domain.report import (
    Entry,
    Failed,
    Finished,
    Missing,
    Page,
    Progress,
    Reading,
    Report,
    Unknown,
)
from reelhook.ports import Provider
from reelhook.providers.openai.provider import OpenAI

VIDEO: dict[str, Any] = {
    "id": "video_1",
    "object": "video",
    "model": "sora-2",
    "status": "in_progress",
    "progress": 40,
    "created_at": 1_700_000_000,
    "completed_at": None,
    "expires_at": None,
    "prompt": "A fox",
    "size": "720x1280",
    "seconds": "4",
    "remixed_from_video_id": None,
    "error": None,
}


def test_the_adapter_is_a_provider() -> None:
    provider: type[Provider] = OpenAI  # the type checker holds this
    assert (provider.name, provider.traits.page_size_max) == ("openai", 100)


# -- addresses and keys ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "path"),
    [
        ("", "/v1/videos/video_1"),
        ("/", "/v1/videos/video_1"),
        ("/v1", "/v1/videos/video_1"),
        ("/v1/", "/v1/videos/video_1"),
        ("/openai/v1", "/openai/v1/videos/video_1"),
        ("/a%20b/v2", "/a%20b/v2/videos/video_1"),
    ],
)
async def test_the_base_url_may_leave_out_the_version(
    server: Upstream, suffix: str, path: str
) -> None:
    server.answers(200, VIDEO)
    async with OpenAI(server.url + suffix, " sk-1\n") as wire:
        await wire.get("video_1")
    [seen] = server.seen
    assert seen.path == path
    assert seen.headers["Authorization"] == "Bearer sk-1"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com/v1",
        "ftp://h/v1",
        "http://",
        "http://h:99999/v1",
        "http://h:x/v1",
        "http://u:p@h/v1",
        "http://h/v1?api-version=1",
        "http://h/v1#x",
    ],
)
async def test_a_wrong_base_url_stops_the_start(url: str) -> None:
    with pytest.raises(SettingsError):
        OpenAI(url)


@pytest.mark.parametrize("key", ["a\nb", "clé", "a\0"])
async def test_a_key_that_no_header_carries_stops_the_start(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        OpenAI("http://127.0.0.1", key)
    assert key not in caught.value.message


@pytest.mark.parametrize("id_", ["a/b", "a?b#c", "a b", "%2e%2e", "é", "video_=="])
async def test_an_id_is_one_segment_of_the_path(server: Upstream, wire: OpenAI, id_: str) -> None:
    server.answers(200, VIDEO)
    await wire.get(id_)
    [seen] = server.seen
    assert seen.path.count("/") == 3
    assert not seen.query


@pytest.mark.parametrize("id_", ["", ".", "..", "a\nb", "x" * 300, "\ud800"])
async def test_what_is_no_id_is_not_asked_for(server: Upstream, wire: OpenAI, id_: str) -> None:
    for call in (wire.get, wire.cancel):
        with pytest.raises(ProviderError):
            await call(id_)
    assert server.seen == []


# -- one job --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "report"),
    [
        ({"status": "queued", "progress": 0}, Progress(running=False, percent=0)),
        ({"status": "queued", "progress": None}, Progress(running=False)),
        ({}, Progress(running=True, percent=40)),
        ({"progress": "55"}, Progress(running=True, percent=55)),
        ({"progress": 12.9}, Progress(running=True, percent=12)),
        ({"progress": 250}, Progress(running=True, percent=100)),
        ({"progress": -3}, Progress(running=True, percent=0)),
        ({"progress": "half"}, Progress(running=True)),
        ({"progress": True}, Progress(running=True)),
        ({"progress": [1]}, Progress(running=True)),
        ({"status": "NOT_START"}, Unknown("NOT_START")),
        ({"status": "cancelling"}, Unknown("cancelling")),
        ({"status": "completed soon"}, Unknown("completed soon")),
        ({"status": "x" * 500}, Unknown("x" * 100)),
        ({"id": "another"}, Progress(running=True, percent=40)),
    ],
)
async def test_a_status_is_read(
    server: Upstream, wire: OpenAI, fields: dict[str, object], report: Report
) -> None:
    server.answers(200, VIDEO | fields)
    assert await wire.get("video_1") == Reading(report)


GONE = "The video was canceled or deleted at the provider."
EXPIRED = "The provider reports that the video has expired."


@pytest.mark.parametrize(
    ("words", "report"),
    [
        (
            "in_progress processing running generating postprocessing in-progress IN_PROGRESS",
            Progress(running=True, percent=40),
        ),
        ("queued pending submitted QUEUED Pending", Progress(running=False, percent=40)),
        ("failed error FAILED", Failed("provider_error", "The provider gave no reason.")),
        ("cancelled canceled deleted", Failed("canceled", GONE)),
        ("expired", Failed("expired", EXPIRED)),
    ],
)
async def test_servers_have_words_of_their_own_for_a_status(
    server: Upstream, wire: OpenAI, words: str, report: Report
) -> None:
    for word in words.split():
        server.answers(200, VIDEO | {"status": word})
        assert (await wire.get("video_1")).report == report, word


@pytest.mark.parametrize("word", ["completed", "succeeded", "success", "done", "COMPLETED"])
async def test_all_words_for_completed_lead_to_the_file(
    server: Upstream, wire: OpenAI, word: str
) -> None:
    server.answers(200, VIDEO | {"status": word})
    url = f"{server.url}/v1/videos/video_1/content"
    assert await wire.get("video_1") == Reading(Finished(url))


@pytest.mark.parametrize(
    ("status", "error", "failed"),
    [
        ("failed", "CUDA out of memory", Failed("provider_error", "CUDA out of memory")),
        (
            "failed",
            "An invalid value in cast",
            Failed("provider_error", "An invalid value in cast"),
        ),
        ("error", "insufficient_quota", Failed("quota", "insufficient_quota")),
        ("cancelled", "by the operator's hand", Failed("canceled", "by the operator's hand")),
        ("canceled", {"code": "moderation_blocked", "message": "No"}, Failed("moderation", "No")),
        ("expired", {"message": "Too old"}, Failed("expired", "Too old")),
    ],
)
async def test_an_ended_job_keeps_the_servers_words(
    server: Upstream, wire: OpenAI, status: str, error: object, failed: Failed
) -> None:
    for http_status in (200, 500):
        server.answers(http_status, VIDEO | {"status": status, "error": error})
        assert (await wire.get("video_1")).report == failed


@pytest.mark.parametrize(
    ("fields", "url", "expires_at"),
    [
        ({}, None, None),
        ({"video_url": "http://t.example/v"}, "http://t.example/v", None),
        ({"video_url": "/v", "outputs": {"video_url": "http://t/v"}}, "http://t/v", None),
        ({"url": "http://t/u", "video_url": "http://t/v"}, "http://t/u", None),
        ({"id": "another", "url": None, "outputs": None}, None, None),
        ({"expires_at": 1_800_000_000}, None, 1_800_000_000),
        ({"expires_at": "1800000000.7"}, None, 1_800_000_000),
        ({"expires_at": 1e300}, None, None),
        ({"expires_at": "2026-01-01"}, None, None),
        ({"url": "https://cdn.example/a.mp4?X=%2B"}, "https://cdn.example/a.mp4?X=%2B", None),
        ({"outputs": {"video_url": "http://t.example/v"}}, "http://t.example/v", None),
        ({"url": "", "outputs": {"video_url": "http://t/v"}}, "http://t/v", None),
        ({"url": "/files/a.mp4"}, None, None),
        ({"url": "file:///etc/passwd"}, None, None),
        ({"url": "data:video/mp4;base64,AAAA"}, None, None),
        ({"url": "http://h/\n"}, None, None),
        ({"url": "http://[::1"}, None, None),
        ({"url": 7, "outputs": ["http://t/v"]}, None, None),
    ],
)
async def test_a_finished_job_tells_where_its_file_is(
    server: Upstream,
    wire: OpenAI,
    fields: dict[str, object],
    url: str | None,
    expires_at: int | None,
) -> None:
    server.answers(200, VIDEO | {"status": "completed", "progress": 100} | fields)
    expected = url or f"{server.url}/v1/videos/video_1/content"
    assert await wire.get("video_1") == Reading(Finished(expected, expires_at))


NONE = "The provider gave no reason."


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ({"code": "moderation_blocked", "message": "No"}, "moderation", "No"),
        ({"code": "content_policy_violation", "message": "No"}, "moderation", "No"),
        ({"code": "SAFETY.INPUT.TEXT", "message": "No"}, "moderation", "No"),
        ({"code": "input_moderation", "message": None}, "moderation", "input_moderation"),
        (
            {"message": "Stopped by our content policy"},
            "moderation",
            "Stopped by our content policy",
        ),
        ({"code": "insufficient_quota", "message": "No"}, "quota", "No"),
        ({"code": "invalid_request_error", "message": "No"}, "invalid_request", "No"),
        ({"code": "video_expired", "message": "No"}, "expired", "No"),
        ({"code": "server_error", "message": "Oops"}, "provider_error", "Oops"),
        ({"code": None, "type": "billing_error", "message": "No"}, "quota", "No"),
        ({"code": 500, "message": "CUDA"}, "provider_error", "CUDA"),
        ({"code": 422, "message": "bad"}, "invalid_request", "bad"),
        ({"code": "402", "message": "pay"}, "quota", "pay"),
        ({"message": "only words"}, "provider_error", "only words"),
        ({"message": {"detail": ["a", "b"]}}, "provider_error", "a; b"),
        ("only a text", "provider_error", "only a text"),
        (["one", 2], "provider_error", "one"),
        (None, "provider_error", NONE),
        ({}, "provider_error", NONE),
        ("", "provider_error", NONE),
        (500, "provider_error", NONE),
        (True, "provider_error", NONE),
        ({"code": {}, "message": []}, "provider_error", NONE),
        ({"message": "\0\ud800x"}, "provider_error", "?x"),
    ],
)
async def test_a_failed_job_has_a_code_of_ours_and_the_providers_words(
    server: Upstream, wire: OpenAI, error: object, code: str, message: str
) -> None:
    server.answers(200, VIDEO | {"status": "failed", "error": error})
    assert await wire.get("video_1") == Reading(Failed(code, message))


async def test_a_failed_job_without_an_error_gave_no_reason(server: Upstream, wire: OpenAI) -> None:
    server.answers(200, {"id": "video_1", "status": "failed"})
    assert await wire.get("video_1") == Reading(Failed("provider_error", NONE))


@pytest.mark.parametrize("status", [400, 404, 422, 500, 503])
async def test_a_failed_job_is_believed_though_it_comes_with_an_error_status(
    server: Upstream, wire: OpenAI, status: int
) -> None:
    error = {"code": 500, "message": "Engine died"}
    server.answers(status, VIDEO | {"status": "failed", "error": error})
    assert await wire.get("video_1") == Reading(Failed("provider_error", "Engine died"))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"status": "failed"}),
        (500, {"id": "video_1", "status": "failed", "error": {"message": "gateway"}}),
        (500, VIDEO | {"status": "completed"}),
        (500, VIDEO | {"status": "failed", "object": "error"}),
        (401, VIDEO | {"status": "failed"}),
        (403, VIDEO | {"status": "failed"}),
        (429, VIDEO | {"status": "failed"}),
        (302, VIDEO | {"status": "failed"}),
    ],
)
async def test_an_error_that_is_no_failed_video_ends_nothing(
    server: Upstream, wire: OpenAI, status: int, body: object
) -> None:
    server.answers(status, body)
    with pytest.raises(ProviderError):
        await wire.get("video_1")


async def test_the_poll_hint_is_handed_on(server: Upstream, wire: OpenAI) -> None:
    server.answers(200, VIDEO, headers={"openai-poll-after-ms": "2500"})
    assert (await wire.get("video_1")).poll_after_seconds == 2.5


@pytest.mark.parametrize("hint", ["", "soon", "-1", "nan", "1e9", "1" * 40])
async def test_a_poll_hint_that_is_no_number_is_none(
    server: Upstream, wire: OpenAI, hint: str
) -> None:
    server.answers(200, VIDEO, headers={"openai-poll-after-ms": hint})
    assert (await wire.get("video_1")).poll_after_seconds == 0


async def test_an_unknown_job_is_missing(server: Upstream, wire: OpenAI) -> None:
    for body in ({"error": {"message": "No such video"}}, {"status": "failed"}, {}):
        server.answers(404, body)
        assert await wire.get("video_1") == Reading(Missing())


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_told_apart(server: Upstream, wire: OpenAI, status: int) -> None:
    server.answers(status, {"error": {"message": "Bad key"}})
    for call in (wire.get("v"), wire.cancel("v")):
        with pytest.raises(ProviderUnauthorizedError, match="Bad key"):
            await call


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "3"}, 3.0),
        (503, {"Retry-After": "Tue, 14 Nov 2023 22:13:25 GMT"}, 5.0),
        (500, {}, None),
        (301, {"Location": "/v1/videos/x"}, None),
    ],
)
async def test_a_read_that_fails_says_how_long_to_wait(
    server: Upstream,
    wire: OpenAI,
    status: int,
    headers: dict[str, str],
    seconds: float | None,
) -> None:
    server.answers(status, {"error": {"message": "Busy"}}, headers=headers)
    for call in (wire.get("v"), wire.page(None, 10), wire.cancel("v")):
        with pytest.raises(ProviderError, match=f"HTTP {status}: Busy") as caught:
            await call
        assert caught.value.retry_after_seconds == seconds
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    "text", ["", "<html>", '{"id": "video_1", "sta', "[]", "{}", '{"status": 1}']
)
async def test_a_malformed_answer_is_no_answer(server: Upstream, wire: OpenAI, text: str) -> None:
    server.answers(200, text=text)
    for call in (wire.get("v"), wire.page(None, 10)):
        with pytest.raises(ProviderError):
            await call


async def test_a_provider_that_is_not_there_is_a_provider_error() -> None:
    async with OpenAI(f"http://127.0.0.1:{unused_port()}") as wire:
        for call in (wire.get("v"), wire.page(None, 10), wire.cancel("v")):
            with pytest.raises(ProviderError):
                await call


async def test_an_answer_that_breaks_off_is_a_provider_error() -> None:
    async def half(raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await raw.read_request(reader)
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"status": "completed"}')
        await writer.drain()

    async with raw_upstream(half) as raw, OpenAI(raw.url) as wire:
        for call in (wire.get("v"), wire.page(None, 10)):
            with pytest.raises(ProviderError):
                await call


async def test_reads_share_kept_connections(server: Upstream, wire: OpenAI) -> None:
    server.answers(200, VIDEO)
    for _ in range(5):
        await wire.get("video_1")
    assert len({seen.peer for seen in server.seen}) == 1


# -- the listing ----------------------------------------------------------------------------------


async def test_a_page_is_asked_newest_first(server: Upstream, wire: OpenAI) -> None:
    server.answers(200, {"object": "list", "data": [VIDEO], "has_more": True})
    page = await wire.page(None, 100)
    await wire.page("video_&1", 500)
    first, second = server.seen
    assert (first.path, first.query) == ("/v1/videos", {"limit": "100", "order": "desc"})
    assert second.query == {"limit": "100", "order": "desc", "after": "video_&1"}
    entry = Entry(
        "video_1",
        Progress(running=True, percent=40),
        created_at=1_700_000_000_000,
        prompt="A fox",
        model="sora-2",
        seconds="4",
        size="720x1280",
        remix_of="",
    )
    assert page == Page((entry,), more=True)


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"seconds": 4}, {"seconds": "4"}),
        ({"seconds": 4.0}, {"seconds": "4"}),
        ({"seconds": 4.5}, {"seconds": "4.5"}),
        ({"seconds": "4s"}, {"seconds": "4s"}),
        ({"seconds": 0}, {"seconds": None}),
        ({"seconds": [4]}, {"seconds": None}),
        ({"seconds": None, "duration": 4}, {"seconds": "4"}),
        ({"created_at": 1700000000.25}, {"created_at": 1_700_000_000_250}),
        ({"created_at": "1700000000"}, {"created_at": 1_700_000_000_000}),
        ({"created_at": None}, {"created_at": None}),
        ({"created_at": 10**400}, {"created_at": None}),
        ({"prompt": None, "model": None, "size": None}, dict.fromkeys(("prompt", "model", "size"))),
        ({"prompt": "", "model": "", "size": ""}, dict.fromkeys(("prompt", "model", "size"))),
        ({"prompt": 3, "model": {}, "size": 7}, dict.fromkeys(("prompt", "model", "size"))),
        ({"status": None}, {"report": Unknown("")}),
        ({"id": 5}, {"provider_job_id": "5"}),
    ],
)
async def test_an_entry_shows_what_the_provider_shows(
    server: Upstream, wire: OpenAI, fields: dict[str, object], shown: dict[str, object]
) -> None:
    server.answers(200, {"data": [VIDEO | fields], "has_more": False})
    [entry] = (await wire.page(None, 10)).entries
    assert {name: getattr(entry, name) for name in shown} == shown


async def test_a_length_may_be_called_a_duration(server: Upstream, wire: OpenAI) -> None:
    line = {name: value for name, value in VIDEO.items() if name != "seconds"} | {"duration": 5.0}
    server.answers(200, {"data": [line], "has_more": False})
    [entry] = (await wire.page(None, 10)).entries
    assert entry.seconds == "5"


async def test_a_finished_entry_points_to_its_own_content(server: Upstream, wire: OpenAI) -> None:
    done = VIDEO | {"status": "completed"}
    server.answers(200, {"data": [done | {"id": "a"}, done | {"id": "b", "url": "http://c/b"}]})
    entries = (await wire.page(None, 10)).entries
    assert [entry.report for entry in entries] == [
        Finished(f"{server.url}/v1/videos/a/content"),
        Finished("http://c/b"),
    ]


async def test_entries_without_an_id_are_left_out(server: Upstream, wire: OpenAI) -> None:
    server.answers(200, {"data": [None, 1, "x", [], {}, {"id": None}, VIDEO], "has_more": False})
    page = await wire.page(None, 10)
    assert [entry.provider_job_id for entry in page.entries] == ["video_1"]


@pytest.mark.parametrize(
    ("has_more", "limit", "more"),
    [(True, 9, True), (False, 2, False), (None, 2, True), (None, 3, False), ("no", 2, True)],
)
async def test_without_has_more_a_full_page_means_more(
    server: Upstream, wire: OpenAI, has_more: object, limit: int, more: bool
) -> None:
    server.answers(200, {"data": [VIDEO, {}], "has_more": has_more})
    assert (await wire.page(None, limit)).more is more


@pytest.mark.parametrize(
    ("status", "after", "error"),
    [
        *[(status, None, ListingUnsupportedError) for status in (400, 403, 404, 405, 422, 501)],
        *[(status, "v", CursorRefusedError) for status in (400, 404, 422)],
        *[(status, "v", ListingUnsupportedError) for status in (403, 405, 501)],
        (401, None, ProviderUnauthorizedError),
        (401, "v", ProviderUnauthorizedError),
        (429, None, ProviderError),
        (500, "v", ProviderError),
    ],
)
async def test_a_refused_listing_says_what_was_refused(
    server: Upstream,
    wire: OpenAI,
    status: int,
    after: str | None,
    error: type[ProviderError],
) -> None:
    server.answers(status, {"detail": "no"})
    with pytest.raises(ProviderError) as caught:
        await wire.page(after, 10)
    assert type(caught.value) is error


@pytest.mark.parametrize("body", [{"data": None}, {"data": {}}, {"object": "list"}, [VIDEO], VIDEO])
async def test_what_is_no_list_is_a_provider_error(
    server: Upstream, wire: OpenAI, body: object
) -> None:
    server.answers(200, body)
    with pytest.raises(ProviderError):
        await wire.page(None, 10)


# -- canceling ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "canceled"),
    [
        (200, True),
        (202, True),
        (204, True),
        *[(status, False) for status in (400, 404, 405, 409, 422, 501)],
    ],
)
async def test_canceling_deletes_where_the_provider_can(
    server: Upstream, wire: OpenAI, status: int, canceled: bool
) -> None:
    async def respond(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response(VIDEO)
        deleted = {"id": "video_1", "deleted": True, "object": "video.deleted"}
        return web.json_response(deleted, status=status)

    server.respond = respond
    assert await wire.cancel("video_1") is canceled
    asked = [(seen.method, seen.path) for seen in server.seen]
    assert asked == [("GET", "/v1/videos/video_1"), ("DELETE", "/v1/videos/video_1")]


async def test_a_video_that_is_finished_is_not_deleted(server: Upstream, wire: OpenAI) -> None:
    server.answers(200, VIDEO | {"status": "completed"})
    assert not await wire.cancel("video_1")
    assert [seen.method for seen in server.seen] == ["GET"]
