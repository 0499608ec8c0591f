"""The finished file, under both inherited addresses."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from gateways import AT_ONCE, Gateway, gateway
from providers.upstreams import Raw, raw_upstream
from stub_providers import StubProvider, stub_provider

from reelhook.simulator.faults import Faults

ADDRESSES = ["/api/sora/videos/{}/download", "/api/download?jobId={}"]


async def finished(server: Gateway) -> str:
    job_id = await server.submit()
    await server.job_when(job_id, "completed")
    return job_id


async def finished_at(provider: StubProvider, server: Gateway) -> str:
    job_id = await server.submit()
    await server.job_when(job_id, "processing")
    provider.video("video_1", status="completed")
    await server.job_when(job_id, "completed")
    return job_id


@pytest.mark.parametrize("address", ADDRESSES)
async def test_there_is_no_video_before_the_job_is_completed(tmp_path: Path, address: str) -> None:
    async with gateway(tmp_path) as server:
        job_id = await server.submit()
        reply = await server.get(address.format(job_id))
        assert reply.refusal == (404, "content_not_ready", None)
        assert reply.json()["error"].startswith("The job is ")
        assert reply.json()["error"].count("there is a video once it is completed") == 1


@pytest.mark.parametrize("address", ADDRESSES)
async def test_an_unknown_job_has_no_video(tmp_path: Path, address: str) -> None:
    async with gateway(tmp_path) as server:
        reply = await server.get(address.format("job_nowhere"))
        assert reply.refusal == (404, "job_not_found", None)
        assert reply.json()["error"] == "Job not found"


async def test_a_failed_job_has_no_video(tmp_path: Path) -> None:
    async with gateway(tmp_path, Faults(moderation=1, queue_seconds=0, render_seconds=0)) as server:
        job_id = await server.submit()
        await server.job_when(job_id, "failed")
        reply = await server.get(f"/api/sora/videos/{job_id}/download")
        assert reply.refusal == (404, "content_not_ready", None)
        assert "failed" in reply.json()["error"]


async def test_both_addresses_give_the_video(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        job_id = await finished(server)
        one, other = [await server.get(address.format(job_id)) for address in ADDRESSES]
        assert one.status == other.status == 200
        assert one.body == other.body
        assert one.body[4:8] == b"ftyp"
        assert one.headers["Content-Type"] == "video/mp4"
        assert int(one.headers["Content-Length"]) == len(one.body)
        assert one.headers["Content-Disposition"] == 'inline; filename="A fox.mp4"'


@pytest.mark.parametrize("address", ADDRESSES)
async def test_ranges_of_it_can_be_asked_for(tmp_path: Path, address: str) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        url = address.format(await finished(server))
        video = (await server.get(url)).body
        size = len(video)
        for asked, start, end in (("4-7", 4, 8), ("100-", 100, size), ("-9", size - 9, size)):
            part = await server.get(url, headers={"Range": f"bytes={asked}"})
            assert (part.status, part.body) == (206, video[start:end])
            assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"


@pytest.mark.parametrize("address", ADDRESSES)
async def test_head_answers_as_get_without_the_video(tmp_path: Path, address: str) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        url = address.format(await finished(server))
        for asked in ({}, {"Range": "bytes=4-7"}, {"Range": "bytes=99999999-"}):
            full = await server.get(url, headers=asked)
            async with server.session.head(f"{server.url}{url}", headers=asked) as head:
                assert (head.status, await head.read()) == (full.status, b"")
                headers = dict(head.headers)
            for name in ("Content-Type", "Content-Length", "Content-Range", "Content-Disposition"):
                assert headers.get(name) == full.headers.get(name)
        async with server.session.head(f"{server.url}{address.format('job_nowhere')}") as head:
            assert (head.status, await head.read()) == (404, b"")


async def test_head_leaves_the_video_at_the_provider(tmp_path: Path) -> None:
    async with stub_provider() as provider, gateway(tmp_path, upstream=provider.url) as server:
        video = provider.content = EndlessVideo()
        video.begin.set()
        job_id = await finished_at(provider, server)
        url = f"{server.url}/api/sora/videos/{job_id}/download"
        async with server.session.head(url) as head:
            assert head.status == 200
            assert "Content-Length" not in head.headers
        await asyncio.wait_for(video.left.wait(), 60)


async def test_a_range_that_makes_no_sense_gives_the_whole_video(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        url = f"/api/sora/videos/{await finished(server)}/download"
        assert (await server.get(url, headers={"Range": "fathoms=1-2"})).status == 200


async def test_a_range_behind_the_end_is_416(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        url = f"/api/sora/videos/{await finished(server)}/download"
        reply = await server.get(url, headers={"Range": "bytes=99999999-"})
        assert reply.refusal == (416, "range_not_satisfiable", None)
        assert re.fullmatch(r"bytes \*/\d+", reply.headers["Content-Range"])


async def test_a_video_that_the_provider_has_dropped_is_gone(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        job_id = await finished(server)
        server.time.advance(24 * 3600)
        reply = await server.get(f"/api/sora/videos/{job_id}/download")
        assert reply.refusal == (410, "content_missing", None)


async def test_a_provider_that_fails_is_502(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        job_id = await finished(server)
        server.simulator.faults = Faults(server_error=1)
        reply = await server.get(f"/api/sora/videos/{job_id}/download")
        assert reply.refusal == (502, "provider_unavailable", None)


async def test_a_video_that_breaks_off_never_passes_for_a_whole_one(tmp_path: Path) -> None:
    async def half_a_video(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "2000"})
        await response.prepare(request)
        await response.write(b"x" * 1000)
        assert request.transport is not None
        request.transport.abort()
        return response

    async with stub_provider() as provider, gateway(tmp_path, upstream=provider.url) as server:
        provider.content = half_a_video
        job_id = await finished_at(provider, server)
        with pytest.raises(aiohttp.ClientPayloadError):
            await server.get(f"/api/sora/videos/{job_id}/download")


class EndlessVideo:
    """Its first bytes come when `begin` is set; `left` is set when the client is gone."""

    def __init__(self) -> None:
        self.asked, self.begin, self.left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.asked.set()
        try:
            await self.begin.wait()
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"x" * 1000)
            await asyncio.Event().wait()
        finally:
            self.left.set()
        return response


async def test_a_client_that_leaves_ends_the_provider_s_stream(tmp_path: Path) -> None:
    video = EndlessVideo()
    video.begin.set()
    async with stub_provider() as provider, gateway(tmp_path, upstream=provider.url) as server:
        provider.content = video
        url = f"{server.url}/api/sora/videos/{await finished_at(provider, server)}/download"
        async with server.session.get(url) as response:
            assert await response.content.readexactly(1000) == b"x" * 1000
        async with asyncio.timeout(60):
            await video.left.wait()


async def test_a_client_that_leaves_before_the_first_byte_does_so_too(tmp_path: Path) -> None:
    video = EndlessVideo()
    async with stub_provider() as provider, gateway(tmp_path, upstream=provider.url) as server:
        provider.content = video
        job_id = await finished_at(provider, server)
        download = asyncio.create_task(server.get(f"/api/sora/videos/{job_id}/download"))
        await video.asked.wait()
        download.cancel()
        await asyncio.gather(download, return_exceptions=True)
        video.begin.set()
        async with asyncio.timeout(60):
            await video.left.wait()


# -- heads that no honest server sends ------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        'Content-Type: video/mp4\r\nETag: "\u20ac"\r\nContent-Length: 3',
        "Content-Type: video/\u20ac\r\nContent-Length: 3",
        "Content-Type: text/html\r\nLast-Modified: \u202e\r\nContent-Length: 3",
        "Content-Type: image/svg+xml\r\nAccept-Ranges: \u20ac\r\nContent-Length: 3",
        "Content-Range: bytes \u0660-2/3\r\nContent-Length: 3",
        "X-\u20ac: 1\r\nContent-Length: 3",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_no_header_of_the_files_server_breaks_a_download(
    tmp_path: Path, head: str, method: str
) -> None:
    async def answers(raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await raw.read_request(reader)
        if b"/content " in raw.requests[-1]:
            writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\nConnection: close\r\n\r\nmp4".encode())
        else:
            body = b'{"id":"video_1","object":"video","status":"completed"}'
            lines = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(lines.encode() + body)
        await writer.drain()

    async with raw_upstream(answers) as raw, gateway(tmp_path, upstream=raw.url) as server:
        reply = await server.post("/api/jobs/register", json={"soraJobId": "video_1"})
        job_id = reply.json()["jobId"]
        await server.job_when(job_id, "completed")
        reply = await server.request(method, f"/api/sora/videos/{job_id}/download")
        # The client may take a header's name that is none for no HTTP at all.
        assert reply.status == (502 if head.startswith("X-") else 200)
        if reply.status == 200:
            assert reply.body == (b"mp4" if method == "GET" else b"")
            assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_file_in_an_encoding_that_nobody_can_spell_is_a_clear_502(tmp_path: Path) -> None:
    async def encoded(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x", headers={"Content-Encoding": "\udcff\u20ac"})

    async with stub_provider() as provider, gateway(tmp_path, upstream=provider.url) as server:
        provider.content = encoded
        job_id = await finished_at(provider, server)
        reply = await server.get(f"/api/sora/videos/{job_id}/download")
        assert reply.refusal == (502, "provider_unavailable", None)


# -- servers that send the whole file, whatever is asked for --------------------------------------

WHOLE = bytes(range(256)) * 40


def _sends(tag: str | None, *, cuts: bool) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def send(request: web.Request) -> web.Response:
        headers = {} if tag is None else {"ETag": tag}
        asked = request.headers.get("Range") if cuts else None
        if asked is None:
            return web.Response(body=WHOLE, headers=headers)
        first, last = map(int, asked.removeprefix("bytes=").split("-"))
        headers["Content-Range"] = f"bytes {first}-{last}/{len(WHOLE)}"
        return web.Response(status=206, body=WHOLE[first : last + 1], headers=headers)

    return send


async def test_a_browser_can_seek_in_a_video_whose_server_knows_no_ranges(tmp_path: Path) -> None:
    async with stub_provider() as provider, gateway(tmp_path, upstream=provider.url) as server:
        provider.content = _sends(None, cuts=False)
        url = f"/api/sora/videos/{await finished_at(provider, server)}/download"
        whole = await server.get(url)
        assert (whole.status, whole.body) == (200, WHOLE)
        assert whole.headers["Accept-Ranges"] == "bytes"
        for asked, first, last in (("300-999", 300, 999), ("0-", 0, 10239), ("-9", 10231, 10239)):
            for method in ("GET", "HEAD"):
                part = await server.request(method, url, headers={"Range": f"bytes={asked}"})
                assert part.status == 206
                assert part.body == (WHOLE[first : last + 1] if method == "GET" else b"")
                assert part.headers["Content-Range"] == f"bytes {first}-{last}/10240"
                assert part.headers["Content-Length"] == str(last - first + 1)
        after_end = await server.get(url, headers={"Range": "bytes=10240-"})
        assert (after_end.status, after_end.headers["Content-Range"]) == (416, "bytes */10240")


@pytest.mark.parametrize("cuts", [True, False])
@pytest.mark.parametrize(
    ("tag", "if_range", "status"),
    [('"a"', '"a"', 206), ('"b"', '"a"', 200), (None, '"a"', 200), ('W/"a"', 'W/"a"', 200)],
)
async def test_a_range_of_another_version_of_the_video_is_answered_with_the_whole(
    tmp_path: Path, cuts: bool, tag: str | None, if_range: str, status: int
) -> None:
    async with stub_provider() as provider, gateway(tmp_path, upstream=provider.url) as server:
        provider.content = _sends(tag, cuts=cuts)
        url = f"/api/sora/videos/{await finished_at(provider, server)}/download"
        reply = await server.get(url, headers={"Range": "bytes=9-19", "If-Range": if_range})
        assert (reply.status, reply.body) == (status, WHOLE[9:20] if status == 206 else WHOLE)
        assert ("Content-Range" in reply.headers) is (status == 206)
