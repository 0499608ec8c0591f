"""Where a finished file may be fetched from, whoever names its address."""

import asyncio
from collections.abc import Callable
from ipaddress import ip_address, ip_network

import pytest
from aiohttp import web
from plain_provider import Plain

from providers.upstreams import Raw, Upstream, raw_upstream, upstream
from reelhook.domain.errors import (
    ContentMissingError,
    FileAddressRefusedError,
    ProviderError,
    SettingsError,
)
from reelhook.guard.addresses import LookUp
from reelhook.guard.networks import IPAddress
from reelhook.ports import Content
from reelhook.providers.http import download
from reelhook.providers.http.file_access import FileAccess
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.openai.provider import OpenAI

VIDEO = b"video" * 100
OTHER_HOST = "127.0.0.2"


async def read(provider: HttpProvider, url: str, id_: str = "video_1") -> tuple[Content, bytes]:
    async with provider.content(id_, url, None) as content:
        return content, b"".join([chunk async for chunk in content.chunks])


def resolving(*texts: str) -> LookUp:
    async def look_up(_: str) -> list[IPAddress]:
        return [ip_address(text) for text in texts]

    return look_up


def provider_at(server: Upstream, files: FileAccess | None = None) -> Plain:
    return Plain(server.url, "the-key", files=files)


# -- what a provider names -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/iam",
        "http://127.0.0.1:{port}/secret",
        "http://[::1]:{port}/secret",
        "http://[::ffff:127.0.0.1]:{port}/secret",
        "http://[::127.0.0.1]:{port}/secret",
        "http://[64:ff9b::7f00:1]:{port}/secret",
        "http://[fe80::1%25lo]:{port}/secret",
        "http://2130706433:{port}/secret",
        "http://0x7f000001:{port}/secret",
        "http://127.1:{port}/secret",
        "http://0177.0.0.1:{port}/secret",
        "http://127.0.0.1.:{port}/secret",
        "http://0.0.0.0:{port}/secret",
        "http://\uff11\uff12\uff17.0.0.1:{port}/secret",
        "http://localhost:{port}/secret",
        "http://LOCALHOST.:{port}/secret",
        "http://files:{port}/secret",
        "http://files.internal:{port}/secret",
        "http://user:password@93.184.215.14/secret",
        "http://93.184.215.14:6379/../secret\r\nX: y",
        "http://93.184.215.14:22/secret",
        "http://93.184.215.14:99999/secret",
        "file:///etc/passwd",
        "data:text/html,<script>",
        "ftp://93.184.215.14/video.mp4",
        "gopher://127.0.0.1:{port}/secret",
        "//127.0.0.1:{port}/secret",
        "http:127.0.0.1:{port}/secret",
        "http:\\\\127.0.0.1:{port}\\secret",
        "http://93.184.215.14\\@127.0.0.1:{port}/secret",
        "http://\ud800/",
    ],
)
async def test_an_address_that_is_not_public_is_never_dialled(server: Upstream, url: str) -> None:
    async with upstream() as internal, provider_at(server) as provider:
        internal.answers(200, text=b"internal-only")
        with pytest.raises(FileAddressRefusedError):
            await read(provider, url.replace("{port}", internal.url.rpartition(":")[2]))
        assert internal.seen == []


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.5"],
        ["93.184.215.14", "127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["fd00:ec2::254"],
    ],
)
async def test_a_public_name_of_an_internal_address_is_never_dialled(
    server: Upstream, addresses: list[str]
) -> None:
    async with (
        upstream() as internal,
        provider_at(server, FileAccess(look_up=resolving(*addresses))) as provider,
    ):
        internal.answers(200, text=b"internal-only")
        port = internal.url.rpartition(":")[2]
        with pytest.raises(FileAddressRefusedError, match="not public"):
            await read(provider, f"http://cdn.example.com:{port}/video.mp4")
        assert internal.seen == []


async def test_a_refusal_names_the_address_and_the_settings_that_allow_it(
    server: Upstream,
) -> None:
    async with upstream(OTHER_HOST) as files, provider_at(server) as provider:
        with pytest.raises(FileAddressRefusedError) as refused:
            await read(provider, f"{files.url}/video.mp4")
    assert refused.value.code == "file_address_refused"
    for words in (OTHER_HOST, "file_networks", "file_origins", "REELHOOK_FILE_NETWORKS"):
        assert words in refused.value.message


# -- redirects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["{internal}/secret", "//{authority}/secret"])
async def test_a_redirect_to_an_internal_address_is_never_followed(
    server: Upstream, status: int, location: str
) -> None:
    async with upstream(OTHER_HOST) as internal, provider_at(server) as provider:
        internal.answers(200, text=b"internal-only")
        authority = internal.url.removeprefix("http://")
        to = location.format(internal=internal.url, authority=authority)
        server.answers(status, headers={"Location": to})
        with pytest.raises(FileAddressRefusedError):
            await read(provider, f"{server.url}/video.mp4")
        assert internal.seen == []


async def test_each_hop_is_judged(server: Upstream) -> None:
    allowed = FileAccess((ip_network("127.0.0.2/32"),))
    async with (
        upstream(OTHER_HOST) as one,
        upstream(OTHER_HOST) as two,
        upstream("127.0.0.3") as internal,
        provider_at(server, allowed) as provider,
    ):
        server.answers(302, headers={"Location": f"{one.url}/a"})
        one.answers(302, headers={"Location": f"{two.url}/b"})
        two.answers(302, headers={"Location": f"{internal.url}/secret"})
        with pytest.raises(FileAddressRefusedError, match=r"127\.0\.0\.3"):
            await read(provider, f"{server.url}/video.mp4")
        assert (len(one.seen), len(two.seen), len(internal.seen)) == (1, 1, 0)


async def test_a_stranger_leads_to_no_path_of_the_providers(server: Upstream) -> None:
    allowed = FileAccess((ip_network("127.0.0.2/32"),))
    async with upstream(OTHER_HOST) as stranger, provider_at(server, allowed) as provider:
        stranger.answers(302, headers={"Location": f"{server.url}/admin/keys"})
        with pytest.raises(FileAddressRefusedError, match=r"127\.0\.0\.1"):
            await read(provider, f"{stranger.url}/video.mp4")
        assert server.seen == []


@pytest.mark.parametrize("trusted", [True, False], ids=["an allowed origin", "a stranger"])
async def test_the_key_never_leaves_home_and_never_comes_back(
    server: Upstream, *, trusted: bool
) -> None:
    async with upstream(OTHER_HOST) as cloud:
        networks = () if trusted else (ip_network("127.0.0.0/8"),)
        files = FileAccess(networks, (cloud.url,) if trusted else ())
        async with OpenAI(server.url, "sk-test", files=files) as wire:

            async def respond(request: web.Request) -> web.Response:
                if request.path.startswith("/back"):
                    return web.Response(body=VIDEO)
                return web.Response(status=302, headers={"Location": f"{cloud.url}/a"})

            server.respond = respond
            cloud.answers(302, headers={"Location": f"{server.url}/back"})
            _, body = await read(wire, "")
    assert body == VIDEO
    first, back = server.seen
    assert first.headers["Authorization"] == "Bearer sk-test"
    assert "Authorization" not in back.headers
    assert "Authorization" not in cloud.seen[0].headers


async def test_a_redirect_to_itself_ends(server: Upstream) -> None:
    async with provider_at(server) as provider:
        server.answers(302, headers={"Location": f"{server.url}/video.mp4"})
        with pytest.raises(ProviderError, match="redirects too often"):
            await read(provider, f"{server.url}/video.mp4")
        assert len([one for one in server.seen if one.path == "/video.mp4"]) == 6


async def test_hops_that_hang_end_within_one_time_for_all(
    server: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "OPEN_SECONDS_MAX", 0.2)

    async def hang(raw: Raw, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await raw.read_request(reader)
        await reader.read()

    async with (
        raw_upstream(hang) as slow,
        provider_at(server, FileAccess(origins=(slow.url,))) as provider,
    ):
        server.answers(302, headers={"Location": f"{slow.url}/video.mp4"})
        with pytest.raises(ProviderError, match=r"did not start within 0\.2 s"):
            await read(provider, f"{server.url}/video.mp4")


# -- what the operator allows ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "files",
    [
        lambda url: FileAccess(networks=(ip_network("127.0.0.2/32"),)),
        lambda url: FileAccess(origins=(url,)),
    ],
    ids=["file_networks", "file_origins"],
)
async def test_files_of_another_private_host_are_fetched_where_that_is_allowed(
    server: Upstream, files: Callable[[str], FileAccess]
) -> None:
    async with upstream(OTHER_HOST) as store, provider_at(server, files(store.url)) as provider:
        store.answers(200, text=VIDEO)
        _, body = await read(provider, f"{store.url}/my video.mp4")
        assert body == VIDEO
        [seen] = store.seen
        assert seen.path == "/my%20video.mp4"
        assert "Authorization" not in seen.headers


@pytest.mark.parametrize("scheme_and_port", ["https://127.0.0.2:{port}", "http://127.0.0.2:9"])
async def test_an_origin_is_scheme_host_and_port(server: Upstream, scheme_and_port: str) -> None:
    async with upstream(OTHER_HOST) as store:
        allowed = scheme_and_port.format(port=store.url.rpartition(":")[2])
        async with provider_at(server, FileAccess(origins=(allowed,))) as provider:
            with pytest.raises(FileAddressRefusedError):
                await read(provider, f"{store.url}/video.mp4")
            assert store.seen == []


async def test_a_name_may_lie_in_an_allowed_network(server: Upstream) -> None:
    files = FileAccess((ip_network("127.0.0.2/32"),), look_up=resolving(OTHER_HOST))
    async with upstream(OTHER_HOST) as store, provider_at(server, files) as provider:
        store.answers(200, text=VIDEO)
        port = store.url.rpartition(":")[2]
        assert (await read(provider, f"http://files.internal:{port}/video.mp4"))[1] == VIDEO


async def test_the_providers_own_origin_needs_no_setting(server: Upstream) -> None:
    async with provider_at(server) as provider:
        server.answers(200, text=VIDEO)
        assert (await read(provider, f"{server.url}/files/video.mp4"))[1] == VIDEO


def test_what_is_no_origin_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="file_origins"):
        FileAccess(origins=("http://a b",))


async def test_a_file_that_is_refused_elsewhere_and_missing_at_home_is_said_to_be_refused(
    server: Upstream,
) -> None:
    server.answers(404)
    async with upstream(OTHER_HOST) as store, OpenAI(server.url, "k") as wire:
        with pytest.raises(FileAddressRefusedError):
            await read(wire, f"{store.url}/video.mp4")
    async with OpenAI(server.url, "k") as wire:
        with pytest.raises(ContentMissingError):
            await read(wire, "")


async def test_where_the_providers_own_path_has_the_file_a_refused_address_does_no_harm(
    server: Upstream,
) -> None:
    server.answers(200, text=VIDEO)
    async with upstream(OTHER_HOST) as store, OpenAI(server.url, "k") as wire:
        assert (await read(wire, f"{store.url}/video.mp4"))[1] == VIDEO
        assert store.seen == []


async def test_no_proxy_of_the_environment_is_asked(
    server: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with upstream() as proxy, provider_at(server) as provider:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        server.answers(200, text=VIDEO)
        assert (await read(provider, f"{server.url}/video.mp4"))[1] == VIDEO
        assert proxy.seen == []
