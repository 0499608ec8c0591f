import asyncio
import gzip

import pytest
from aiohttp import web

from providers.upstreams import Raw, Upstream, raw_upstream, unused_port, upstream
from reelhook.domain.errors import ContentMissingError, ProviderError, ProviderUnauthorizedError
from reelhook.ports import Content
from reelhook.providers.openai.provider import OpenAI

VIDEO = bytes(range(256)) * 1000


async def read(
    wire: OpenAI, url: str, byte_range: str | None = None, id_: str = "video_1"
) -> tuple[Content, bytes]:
    async with wire.content(id_, url, byte_range) as content:
        return content, b"".join([chunk async for chunk in content.chunks])


def own_url(server: Upstream) -> str:
    return f"{server.url}/v1/videos/video_1/content"


async def test_a_finished_file_streams_from_its_content_path(
    server: Upstream, wire: OpenAI
) -> None:
    given = {
        "Content-Type": "video/mp4",
        "ETag": '"x"',
        "Last-Modified": "Tue, 14 Nov 2023 22:13:25 GMT",
        "Accept-Ranges": "bytes",
        "Set-Cookie": "a=b",
        "X-Request-Id": "secret",
    }
    server.answers(200, text=VIDEO, headers=given)
    content, body = await read(wire, own_url(server))
    assert body == VIDEO
    assert content.status == 200
    assert dict(content.headers) == {
        "content-type": "video/mp4",
        "content-length": str(len(VIDEO)),
        "accept-ranges": "bytes",
        "etag": '"x"',
        "last-modified": "Tue, 14 Nov 2023 22:13:25 GMT",
    }
    [seen] = server.seen
    assert (seen.method, seen.path) == ("GET", "/v1/videos/video_1/content")
    assert seen.headers["Accept"] == "application/binary"
    assert seen.headers["Accept-Encoding"] == "identity"
    assert seen.headers["Authorization"] == "Bearer sk-test"
    assert "Range" not in seen.headers


async def test_a_range_is_passed_through(server: Upstream, wire: OpenAI) -> None:
    server.answers(206, text=b"abc", headers={"Content-Range": "bytes 0-2/9"})
    content, body = await read(wire, "", "bytes=0-2")
    assert (content.status, body) == (206, b"abc")
    assert content.headers["content-range"] == "bytes 0-2/9"
    assert server.seen[0].headers["Range"] == "bytes=0-2"


async def test_a_file_elsewhere_is_fetched_without_the_key(wire: OpenAI) -> None:
    async with upstream() as cloud:
        cloud.answers(200, text=VIDEO)
        url = f"{cloud.url}/b/a.mp4?Signature=a%2Bb%2Fc+d&x=%7E"
        _, body = await read(wire, url, "bytes=0-")
        [seen] = cloud.seen
    assert body == VIDEO
    assert "Authorization" not in seen.headers
    assert seen.headers["Range"] == "bytes=0-"


async def test_a_signed_url_is_asked_for_exactly_as_written(wire: OpenAI) -> None:
    async def response(
        raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await raw.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()

    async with raw_upstream(response) as raw:
        path = "/b/a%20b.mp4?X-Sig=a%2Bb%2f%7E&e=%3D"
        _, body = await read(wire, raw.url + path)
        assert body == b"ok"
        assert raw.requests[0].startswith(f"GET {path} HTTP/1.1\r\n".encode())


async def test_an_expired_address_elsewhere_falls_back_to_the_content_path(
    server: Upstream, wire: OpenAI
) -> None:
    server.answers(200, text=VIDEO)
    async with upstream() as cloud:
        cloud.answers(403, text="expired")
        _, body = await read(wire, f"{cloud.url}/a.mp4")
    assert body == VIDEO


@pytest.mark.parametrize("status", [400, 404])
async def test_a_refused_content_path_falls_back_to_the_jobs_url(
    server: Upstream, wire: OpenAI, status: int
) -> None:
    async def respond(request: web.Request) -> web.Response:
        if request.path == "/files/a.mp4":
            return web.Response(body=VIDEO)
        return web.Response(status=status)

    server.respond = respond
    _, body = await read(wire, f"{server.url}/files/a.mp4")
    assert body == VIDEO
    assert [seen.path for seen in server.seen] == ["/v1/videos/video_1/content", "/files/a.mp4"]
    assert all("Authorization" in seen.headers for seen in server.seen)


# -- redirects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_elsewhere_loses_the_key(
    server: Upstream, wire: OpenAI, status: int
) -> None:
    async with upstream() as cloud:
        cloud.answers(200, text=VIDEO)
        server.answers(status, headers={"Location": f"{cloud.url}/a.mp4"})
        _, body = await read(wire, own_url(server), "bytes=0-")
        [seen] = cloud.seen
    assert body == VIDEO
    assert "Authorization" not in seen.headers
    assert seen.headers["Range"] == "bytes=0-"


async def test_a_redirect_at_home_keeps_the_key(server: Upstream, wire: OpenAI) -> None:
    async def respond(request: web.Request) -> web.Response:
        if request.path.endswith("/content"):
            return web.Response(status=302, headers={"Location": "../../blob?x=1"})
        return web.Response(body=VIDEO)

    server.respond = respond
    await read(wire, own_url(server))
    assert [seen.path for seen in server.seen][1:] == ["/v1/blob"]
    assert "Authorization" in server.seen[1].headers


async def test_the_key_does_not_come_back_from_elsewhere(server: Upstream, wire: OpenAI) -> None:
    async with upstream() as cloud:

        async def respond(request: web.Request) -> web.Response:
            if request.path == "/back":
                return web.Response(body=VIDEO)
            return web.Response(status=302, headers={"Location": f"{cloud.url}/a"})

        server.respond = respond
        cloud.answers(302, headers={"Location": f"{server.url}/back"})
        await read(wire, own_url(server))
    assert "Authorization" not in server.seen[-1].headers


@pytest.mark.parametrize(
    "location",
    [
        "/v1/videos/video_1/content",
        "ftp://h/a",
        "file:///a",
        "http://",
        "//",
        "http://h:99999/",
        "http://[::1",
    ],
)
async def test_a_redirect_that_leads_nowhere_is_a_provider_error(
    server: Upstream, wire: OpenAI, location: str
) -> None:
    server.answers(302, headers={"Location": location})
    with pytest.raises(ProviderError):
        await read(wire, own_url(server))
    assert len(server.seen) <= 7  # the last one asks for the job


async def test_a_refusal_by_the_store_behind_a_redirect_is_not_the_accounts(
    server: Upstream, wire: OpenAI
) -> None:
    async with upstream() as cloud:
        cloud.answers(403)
        server.answers(302, headers={"Location": f"{cloud.url}/a.mp4"})
        with pytest.raises(ProviderError) as caught:
            await read(wire, own_url(server))
    assert not isinstance(caught.value, ProviderUnauthorizedError)


# -- what can't be had ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, ContentMissingError),
        (410, ContentMissingError),
        (400, ProviderError),
        (401, ProviderUnauthorizedError),
        (403, ProviderUnauthorizedError),
        (422, ProviderError),
        (429, ProviderError),
        (500, ProviderError),
        (204, ProviderError),
        (304, ProviderError),
    ],
)
async def test_a_refused_file_is_an_error(
    server: Upstream, wire: OpenAI, status: int, error: type[Exception]
) -> None:
    server.answers(status, text="")
    with pytest.raises(error) as caught:
        await read(wire, own_url(server))
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("elsewhere", "own", "error"),
    [
        (404, 400, ContentMissingError),
        (403, 404, ContentMissingError),
        (403, 400, ProviderError),
        (404, 500, ProviderError),
    ],
)
async def test_a_file_is_missing_only_if_no_way_is_left(
    server: Upstream, wire: OpenAI, elsewhere: int, own: int, error: type[Exception]
) -> None:
    server.answers(own)
    async with upstream() as cloud:
        cloud.answers(elsewhere)
        with pytest.raises(error):
            await read(wire, f"{cloud.url}/a.mp4")


@pytest.mark.parametrize("authority", ["127.0.0.1:{port}", "127.0.0.1:99999", f"{'a' * 70}.test"])
async def test_an_unreachable_file_is_a_provider_error(wire: OpenAI, authority: str) -> None:
    url = f"http://{authority.format(port=unused_port())}/a.mp4"
    with pytest.raises(ProviderError):
        await read(wire, url)


@pytest.mark.parametrize(("encoding", "plain"), [("gzip", False), ("aws-chunked", True)])
async def test_encoded_bytes_are_never_taken_for_the_video(
    server: Upstream, wire: OpenAI, encoding: str, plain: bool
) -> None:
    body = b"video" if plain else gzip.compress(b"video")
    server.answers(200, text=body, headers={"Content-Encoding": encoding})
    if plain:
        assert (await read(wire, ""))[1] == b"video"
    else:
        with pytest.raises(ProviderError, match="gzip"):
            await read(wire, "")


async def test_a_file_that_breaks_off_is_an_error_and_never_a_short_file(wire: OpenAI) -> None:
    async def half(raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await raw.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nabc")
        await writer.drain()

    async with (
        raw_upstream(half) as raw,
        wire.content("video_1", f"{raw.url}/a.mp4", None) as content,
    ):
        chunks = aiter(content.chunks)
        assert await anext(chunks) == b"abc"
        with pytest.raises(ProviderError, match="broke off"):
            await anext(chunks)


async def test_leaving_early_frees_the_connection_and_the_next_file_streams(
    server: Upstream, wire: OpenAI
) -> None:
    server.answers(200, text=VIDEO * 20)
    async with wire.content("video_1", "", None) as content:
        async for _ in content.chunks:
            break
    _, body = await read(wire, "")
    assert body == VIDEO * 20
