"""The simulator as a client of the OpenAI wire meets it."""

import io
from collections.abc import AsyncIterator
from random import Random

import aiohttp
import av
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError

from reelhook.simulator.faults import Faults
from reelhook.simulator.server import RunningSimulator, running

# The SDK says that OpenAI's own service is gone; the protocol is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
async def simulator(clock: Hand) -> AsyncIterator[RunningSimulator]:
    async with running(
        Faults(queue_seconds=1, render_seconds=8), random=Random(1), clock=clock
    ) as server:
        yield server


@pytest.fixture
async def client(simulator: RunningSimulator) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=simulator.base_url, api_key="none", max_retries=0) as openai:
        yield openai


async def test_a_job_waits_renders_and_ends_as_time_goes_by(
    client: AsyncOpenAI, clock: Hand
) -> None:
    video = await client.videos.create(prompt="A fox in the snow", seconds="4", size="1280x720")
    seen = [(video.status, video.progress)]
    for _ in range(9):
        clock.seconds += 1
        video = await client.videos.retrieve(video.id)
        seen.append((video.status, video.progress))
    assert seen[0] == ("queued", 0)
    assert seen[-1] == ("completed", 100)
    assert [progress for _, progress in seen] == sorted(progress for _, progress in seen)
    assert {"queued", "in_progress", "completed"} == {status for status, _ in seen}


async def test_the_video_is_h264_of_the_size_and_length_asked_for(
    client: AsyncOpenAI, clock: Hand
) -> None:
    video = await client.videos.create(prompt="Ein Füchslein 🦊", seconds="4", size="720x1280")
    clock.seconds += 10
    content = await client.videos.download_content(video.id)
    with av.open(io.BytesIO(await content.aread()), "r") as opened:
        stream = opened.streams.video[0]
        frames = len(list(opened.decode(stream)))
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 720, 1280)
        assert stream.average_rate is not None
        assert frames / stream.average_rate == pytest.approx(4, abs=0.1)


async def test_a_read_of_the_id_that_is_never_given_is_a_404_and_not_counted(
    simulator: RunningSimulator, client: AsyncOpenAI
) -> None:
    with pytest.raises(NotFoundError):
        await client.videos.retrieve(f"video_{32 * '0'}")
    assert not simulator.simulator.requests["get"]


async def test_the_content_is_404_until_the_job_has_ended(
    simulator: RunningSimulator, client: AsyncOpenAI
) -> None:
    video = await client.videos.create(prompt="A fox")
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{simulator.base_url}/videos/{video.id}/content") as response,
    ):
        assert response.status == 404
        assert (await response.json())["error"]["message"]


async def test_the_listing_pages_newest_first_behind_a_cursor(
    simulator: RunningSimulator, client: AsyncOpenAI, clock: Hand
) -> None:
    ids = []
    for number in range(5):
        clock.seconds += 1
        ids.append((await client.videos.create(prompt=f"Fox {number}")).id)
    async with aiohttp.ClientSession(simulator.base_url + "/") as session:
        async with session.get("videos?limit=2") as response:
            first = await response.json()
        async with session.get(f"videos?limit=10&after={first['last_id']}") as response:
            second = await response.json()
    assert [one["id"] for one in first["data"]] == ids[:2:-1]
    assert [one["id"] for one in second["data"]] == ids[2::-1]
    assert (first["has_more"], second["has_more"]) == (True, False)


async def test_a_lost_create_is_carried_out_all_the_same(clock: Hand) -> None:
    async with (
        running(Faults(lost_create=1), random=Random(1), clock=clock) as server,
        aiohttp.ClientSession(server.base_url + "/") as session,
    ):
        with pytest.raises(aiohttp.ClientError):
            await session.post("videos", json={"prompt": "A fox"})
        async with session.get("videos") as response:
            assert [one["prompt"] for one in (await response.json())["data"]] == ["A fox"]


@pytest.mark.parametrize(
    ("refusal", "status"),
    [("500", 500), ("502", 502), ("503", 503), ("409", 409), ("page", 502)],
)
@pytest.mark.parametrize("fault", ["refused_create", "refused_after"])
async def test_a_create_is_refused_whether_it_was_carried_out_or_not(
    fault: str, refusal: str, status: int, clock: Hand
) -> None:
    faults = Faults(refusal=refusal, **{fault: 1})  # type: ignore[arg-type]  # the names and values are the parameters'
    async with (
        running(faults, random=Random(1), clock=clock) as server,
        aiohttp.ClientSession(server.base_url + "/") as session,
    ):
        async with session.post("videos", json={"prompt": "A fox"}) as response:
            assert response.status == status
            assert (response.content_type == "text/html") == (refusal == "page")
        async with session.get("videos") as response:
            listed = [one["prompt"] for one in (await response.json())["data"]]
        assert listed == (["A fox"] if fault == "refused_after" else [])
        assert server.simulator.injected[fault] == 1


@pytest.mark.parametrize(
    ("fault", "status"), [("rate_limited", 429), ("server_error", 500), ("listing", 405)]
)
async def test_faults_come_on_demand(fault: str, status: int, clock: Hand) -> None:
    faults = Faults(**{fault: False if fault == "listing" else 1})  # type: ignore[arg-type]  # the names and values are the parameters'
    async with (
        running(faults, random=Random(1), clock=clock) as server,
        aiohttp.ClientSession(server.base_url + "/") as session,
        session.get("videos") as response,
    ):
        assert response.status == status
        assert (status == 429) == ("Retry-After" in response.headers)


async def test_a_moderated_job_fails_with_its_code(clock: Hand) -> None:
    async with (
        running(Faults(moderation=1), random=Random(1), clock=clock) as server,
        AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client,
    ):
        video = await client.videos.create(prompt="A fox")
        clock.seconds += 60
        video = await client.videos.retrieve(video.id)
        assert video.status == "failed"
        assert video.error is not None
        assert video.error.code == "moderation_blocked"


async def test_a_deleted_job_is_gone(simulator: RunningSimulator, client: AsyncOpenAI) -> None:
    video = await client.videos.create(prompt="A fox")
    deleted = await client.videos.delete(video.id)
    assert deleted.deleted
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{simulator.base_url}/videos/{video.id}") as response,
    ):
        assert response.status == 404


async def test_a_remix_has_the_shape_of_its_source_and_names_it(
    client: AsyncOpenAI, clock: Hand
) -> None:
    source = await client.videos.create(prompt="A fox", seconds="8", size="1280x720")
    with pytest.raises(BadRequestError, match="there is no content"):
        await client.videos.remix(source.id, prompt="A fox at night")
    clock.seconds += 1000
    remix = await client.videos.remix(source.id, prompt="A fox at night")
    assert remix.remixed_from_video_id == source.id
    assert (remix.prompt, remix.seconds, remix.size) == ("A fox at night", "8", "1280x720")
    with pytest.raises(NotFoundError):
        await client.videos.remix("video_other", prompt="A fox at night")


# -- foreign addresses ----------------------------------------------------------------------------


async def test_videos_redirect_to_a_foreign_address_while_the_control_says_so(clock: Hand) -> None:
    faults = Faults(render_seconds=0, queue_seconds=0)
    async with (
        running(faults, random=Random(1), clock=clock) as server,
        aiohttp.ClientSession(server.root_url) as session,
    ):
        async with session.post("/v1/videos", json={"prompt": "A fox", "model": "m"}) as made:
            path = f"/v1/videos/{(await made.json())['id']}/content"
        wanted = {"foreign_redirect": 1, "foreign_url": "http://10.0.0.5/secret"}
        async with session.patch("/simulator/faults", json=wanted) as changed:
            assert changed.status == 200
        async with session.get(path, allow_redirects=False) as video:
            assert (video.status, video.headers["Location"]) == (302, "http://10.0.0.5/secret")
        async with session.get("/simulator/stats") as stats:
            assert (await stats.json())["faults"] == {"foreign_redirect": 1}


@pytest.mark.parametrize("url", [7, "http://\u20ac/", "a\r\nb"])
def test_a_foreign_address_must_fit_a_header(url: object) -> None:
    with pytest.raises(ValueError, match="foreign_url must be printable ASCII"):
        Faults(foreign_url=url)  # type: ignore[arg-type]  # what JSON may hold
