"""What we send and read agrees with the official client."""

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI
from openai.types import Video

from providers.upstreams import Seen, Upstream
from reelhook.domain.report import Accepted, Failed, Finished, Progress, Reading
from reelhook.domain.request import VideoRequest
from reelhook.providers.openai.provider import OpenAI

VIDEO = Video.model_validate(
    {
        "id": "video_1",
        "object": "video",
        "model": "sora-2",
        "status": "completed",
        "progress": 100,
        "created_at": 1_700_000_000,
        "completed_at": 1_700_000_060,
        "expires_at": 1_700_086_400,
        "prompt": "A fox",
        "size": "720x1280",
        "seconds": "4",
    },
    strict=True,
)


# The client warns that the vendor's own service ends; other servers speak the wire on.
pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")


@pytest.fixture
async def sdk(server: Upstream) -> AsyncIterator[AsyncOpenAI]:
    base_url = f"{server.url}/v1"
    async with AsyncOpenAI(api_key="sk-test", base_url=base_url, max_retries=0) as client:
        yield client


def _asked(seen: Seen) -> tuple[str, str, dict[str, str], str]:
    return seen.method, seen.path, seen.query, seen.headers["Authorization"]


async def test_our_requests_are_those_of_the_official_client(
    server: Upstream, wire: OpenAI, sdk: AsyncOpenAI
) -> None:
    server.answers(200, VIDEO.model_dump())
    await wire.submit(VideoRequest(prompt="A fox", model="sora-2", seconds="4"))
    await sdk.videos.create(prompt="A fox", model="sora-2", seconds="4")
    await wire.submit(VideoRequest(prompt="At night", model="sora-2", remix_of="video_1"))
    await sdk.videos.remix("video_1", prompt="At night")
    assert server.seen[-2].json() == server.seen[-1].json() == {"prompt": "At night"}
    await wire.get("video_1")
    await sdk.videos.retrieve("video_1")
    server.answers(200, VIDEO.model_copy(update={"status": "in_progress"}).model_dump())
    await wire.cancel("video_1")
    server.seen.pop(-2)  # it looks before it deletes
    await sdk.videos.delete("video_1")
    server.answers(200, {"object": "list", "data": [VIDEO.model_dump()], "has_more": False})
    await wire.page("video_0", 100)
    await sdk.videos.list(after="video_0", limit=100, order="desc")
    server.answers(200, text=b"video")
    async with wire.content("video_1", "", None):
        pass
    await sdk.videos.download_content("video_1")
    ours, theirs = server.seen[::2], server.seen[1::2]
    assert len(ours) == len(theirs) == 6
    assert [_asked(seen) for seen in ours] == [_asked(seen) for seen in theirs]
    assert ours[5].headers["Accept"] == theirs[5].headers["Accept"]


async def test_the_official_clients_video_is_read_whole(server: Upstream, wire: OpenAI) -> None:
    server.answers(200, VIDEO.model_dump())
    url = f"{server.url}/v1/videos/video_1/content"
    finished = Finished(url, VIDEO.expires_at)
    assert await wire.get("video_1") == Reading(finished)
    assert await wire.submit(VideoRequest(prompt="A fox", model="m")) == Accepted(
        "video_1", finished
    )
    server.answers(200, {"object": "list", "data": [VIDEO.model_dump()], "has_more": False})
    [entry] = (await wire.page(None, 100)).entries
    assert (entry.prompt, entry.model, entry.seconds, entry.size) == (
        VIDEO.prompt,
        VIDEO.model,
        VIDEO.seconds,
        VIDEO.size,
    )
    assert entry.created_at == VIDEO.created_at * 1000


async def test_every_status_of_the_official_client_is_known(server: Upstream, wire: OpenAI) -> None:
    reports = []
    for status in ("queued", "in_progress", "failed"):
        fields = VIDEO.model_dump() | {"status": status, "progress": 5}
        server.answers(200, Video.model_validate(fields).model_dump())
        reports.append((await wire.get("video_1")).report)
    assert reports == [
        Progress(running=False, percent=5),
        Progress(running=True, percent=5),
        Failed("provider_error", "The provider gave no reason."),
    ]
