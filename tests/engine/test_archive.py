"""Archive: a completed job's file is fetched whole, verified and recorded."""

from pathlib import Path
from typing import Any

from archive_files import MIB, SourceFile, archiving, spooled, video
from engine_stage import ACCOUNT, Played

from reelhook.domain.archive import FileState
from reelhook.domain.catalog import Account
from reelhook.domain.endpoint import EventName
from reelhook.domain.errors import AccountUnavailableError
from reelhook.engine.archive.fetch import STRANGE_TIMES
from reelhook.providers.openai.provider import OpenAI


class WithKey(OpenAI):
    """An account that has a key, which its server refuses."""

    def __init__(self, base_url: str, **options: Any) -> None:
        super().__init__(base_url, "a key", **options)


async def test_a_completed_jobs_file_is_in_the_archive_unchanged(tmp_path: Path) -> None:
    source = SourceFile(video(3 * MIB))
    async with archiving(tmp_path, source) as one:
        await one.complete("job_1")
        file = await one.settled_file("job_1")
        assert await one.stored_bytes("job_1") == source.content
        assert (file.key, file.content_type) == ("videos/job_1.mp4", "video/mp4")
        assert (file.stored_at, file.attempts) == (one.here.clock.now(), 0)
        assert spooled(tmp_path) == []
        assert source.asked == [None]


async def test_a_file_that_broke_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    source = SourceFile(video(20 * MIB), breaks_after=9 * MIB)
    async with archiving(tmp_path, source) as one:
        await one.complete("job_1")
        assert (await one.settled_file("job_1")).state is FileState.WAITING
        await one.engine.pass_time(30)
        assert await one.stored_bytes("job_1") == source.content
        assert len(source.asked) == 3
        assert all(wanted and wanted.startswith("bytes=") for wanted in source.asked[1:])


async def test_a_download_starts_over_if_the_source_has_another_file_now(tmp_path: Path) -> None:
    source = SourceFile(video(20 * MIB), breaks_after=9 * MIB)
    async with archiving(tmp_path, source) as one:
        await one.complete("job_1")
        await one.engine.settled()
        source.content, source.etag, source.breaks_after = video(20 * MIB, seed=2), '"2"', None
        await one.engine.pass_time(10)
        assert await one.stored_bytes("job_1") == source.content
        assert source.asked[1] is not None
        assert source.asked[2:] == [None]


async def test_a_download_starts_over_if_the_source_has_no_ranges(tmp_path: Path) -> None:
    source = SourceFile(video(20 * MIB), breaks_after=9 * MIB, ranges=False)
    async with archiving(tmp_path, source) as one:
        await one.complete("job_1")
        await one.engine.settled()
        source.breaks_after = None
        await one.engine.pass_time(10)
        assert await one.stored_bytes("job_1") == source.content


async def test_a_truncated_file_is_never_stored(tmp_path: Path) -> None:
    source = SourceFile(video(MIB), breaks_after=1000)
    async with archiving(tmp_path, source) as one:
        await one.complete("job_1")
        file = await one.settled_file("job_1")
        assert (file.state, file.attempts) == (FileState.WAITING, 1)
        assert "broke off" in (file.error or "")
        assert [found async for found in one.objects.list("videos")] == []


async def test_a_file_without_a_length_is_stored_once_two_downloads_agree(tmp_path: Path) -> None:
    source = SourceFile(video(MIB), lengths=False)
    async with archiving(tmp_path, source) as one:
        await one.complete("job_1")
        assert (await one.settled_file("job_1")).state is FileState.WAITING
        await one.engine.pass_time(10)
        assert await one.stored_bytes("job_1") == source.content
        assert len(source.asked) == 2


async def test_an_error_page_in_place_of_the_video_is_not_stored(tmp_path: Path) -> None:
    source = SourceFile(b"<html>Please try again</html>")
    async with archiving(tmp_path, source) as one:
        await one.complete("job_1")
        file = await one.settled_file("job_1")
        assert (file.state, file.attempts) == (FileState.WAITING, 1)
        assert "does not begin like a video" in (file.error or "")
        source.content = video(MIB)
        await one.engine.pass_time(10)
        assert await one.stored_bytes("job_1") == source.content


async def test_a_file_of_an_unknown_kind_is_stored_once_four_downloads_agree(
    tmp_path: Path,
) -> None:
    source = SourceFile(b"a video of a kind to come")
    async with archiving(tmp_path, source) as one:
        await one.complete("job_1")
        await one.engine.settled()
        await one.engine.pass_time(60)
        assert await one.stored_bytes("job_1") == source.content
        assert len(source.asked) == STRANGE_TIMES + 1


async def test_a_file_is_lost_once_its_provider_has_not_known_it_for_ten_minutes(
    tmp_path: Path,
) -> None:
    source = SourceFile(b"", missing=True)
    async with archiving(tmp_path, source) as one:
        await one.complete("job_1")
        await one.engine.settled()
        await one.engine.pass_time(9 * 60)
        assert (await one.file("job_1")).state is FileState.WAITING
        await one.engine.pass_time(12 * 60)
        file = await one.file("job_1")
        assert (file.state, file.due_at) == (FileState.LOST, None)


async def test_a_provider_that_fails_is_asked_again_after_growing_waits(tmp_path: Path) -> None:
    source = SourceFile(video(1000), status=500)
    async with archiving(tmp_path, source) as one:
        await one.complete("job_1")
        await one.engine.settled()
        await one.engine.pass_time(3600)
        assert len(source.asked) == 12
        source.status = 200
        await one.engine.pass_time(600)
        assert await one.stored_bytes("job_1") == source.content


async def test_why_a_provider_refuses_the_account_is_not_kept_with_the_file(tmp_path: Path) -> None:
    # A project reads that, and gets it in a webhook if the file is lost.
    account = Played(Account(ACCOUNT, "openai"), WithKey)
    source = SourceFile(video(MIB), status=401)
    async with archiving(tmp_path, source, accounts=(account,)) as one:
        await one.complete("job_1")
        file = await one.settled_file("job_1")
        assert (file.state, file.attempts) == (FileState.WAITING, 1)
        assert file.error == AccountUnavailableError().message
        [line] = [line for line in one.here.logs if line["event"] == "archive.account_refused"]
        assert "401" in line["error"]


async def test_many_files_are_fetched_a_few_at_a_time(tmp_path: Path) -> None:
    source = SourceFile(video(1000))
    async with archiving(tmp_path, source) as one:
        ids = [f"job_{number}" for number in range(40)]
        await one.complete(*ids)
        await one.engine.settled()
        await one.engine.pass_time(10)
        for job_id in ids:
            assert (await one.file(job_id)).state is FileState.STORED
        assert len(source.asked) == 40


async def test_endpoints_that_ask_for_it_hear_that_a_file_was_lost(tmp_path: Path) -> None:
    source = SourceFile(b"", missing=True)
    async with archiving(tmp_path, source) as one:
        await one.engine.endpoint(one.here.hook, events=frozenset({EventName.ARCHIVE_FAILED}))
        await one.complete("job_1")
        await one.engine.settled()
        await one.engine.pass_time(25 * 60)
        assert (await one.file("job_1")).state is FileState.LOST
        *_, event = await one.engine.store.events(["job_1"], {})
        assert b"archive.failed" in event.body
