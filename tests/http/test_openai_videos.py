"""Videos by the official `openai` client: requested, polled, listed, downloaded."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, SMALL, until
from openai import BadRequestError, NotFoundError, UnprocessableEntityError
from openai.types import Video
from openai_clients import QUIET, posted, served, told, video_when

from reelhook.domain.errors import JobNotFoundError
from reelhook.doors.openai.ids import job_id_of, video_id
from reelhook.doors.openai.response import poll_milliseconds
from reelhook.simulator.faults import Faults
from reelhook.simulator.flavours import FLAVOURS

pytestmark = QUIET


async def test_a_video_is_requested_polled_and_downloaded(tmp_path: Path) -> None:
    async with served(tmp_path, AT_ONCE) as (server, sdk):
        response = await posted(sdk)
        in_openais_values = {"size": "720x1280", "seconds": "4"}
        Video.model_validate(response | in_openais_values, strict=True)
        created = Video.model_construct(**response)
        assert (created.object, created.status, created.progress) == ("video", "queued", 0)
        assert (created.seconds, created.size, created.prompt) == ("1", "64x64", "A fox")
        video = await sdk.videos.poll(created.id)
        assert (video.status, video.progress, video.error) == ("completed", 100, None)
        assert video.model == "openai/sora-2"
        assert video.completed_at is not None
        assert video.expires_at is not None
        assert video.created_at <= video.completed_at < video.expires_at
        target = tmp_path / "fox.mp4"
        async with sdk.videos.with_streaming_response.download_content(video.id) as response:
            await response.stream_to_file(target)
        assert target.read_bytes()[4:8] == b"ftyp"
        assert server.simulator.creations == 1


async def test_the_id_is_that_of_the_job(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, sdk):
        job_id = await server.submit("A fox", metadata={"order": "7"}, externalId="mine")
        video = await sdk.videos.retrieve(f"video_{job_id.removeprefix('job_')}")
        assert (video.id, video.prompt) == (video_id(job_id), "A fox")
        assert video.to_dict()["metadata"] == {"order": "7"}
        assert video.to_dict()["external_id"] == "mine"


def test_every_job_has_one_id_here_and_no_two_jobs_the_same() -> None:
    jobs = ["job_1", "1", "job_job_1", "video_1", "job_", "job_video_1"]
    videos = [video_id(one) for one in jobs]
    assert len(set(videos)) == len(jobs)
    assert [job_id_of(one) for one in videos] == jobs
    for nothing in ("", "job_1", "1", "video_~job_1", "a video_1"):
        with pytest.raises(JobNotFoundError):
            job_id_of(nothing)


async def test_poll_waits_as_long_as_the_provider_is_polled(tmp_path: Path) -> None:
    async with served(tmp_path, poll_seconds=0.07) as (server, sdk):
        created = await server.post("/v1/videos", json={"prompt": "A fox"})
        assert created.headers["openai-poll-after-ms"] == "70"
        read = await sdk.videos.with_raw_response.retrieve(created.json()["id"])
        assert read.headers["openai-poll-after-ms"] == "70"


def test_poll_never_waits_longer_than_15_seconds() -> None:
    waits = [poll_milliseconds(seconds) for seconds in (0.0001, 5, 15, 60)]
    assert waits == [1, 5000, 15_000, 15_000]


async def test_the_response_to_a_create_is_what_is_read_of_it_later(tmp_path: Path) -> None:
    async with served(tmp_path, model_aliases="fox=openai/sora-2") as (server, _):
        await server.post("/api/watcher/pause")
        body = {"prompt": "A fox", "model": "fox", "seconds": 4, "metadata": {"order": "7"}}
        sent = {"json": body | {"external_id": "mine"}, "headers": {"Idempotency-Key": "1"}}
        created, replayed = [await server.post("/v1/videos", **sent) for _ in range(2)]
        assert created.json() == replayed.json()
        assert created.json()["model"] == "openai/sora-2"


async def test_without_a_model_the_only_one_of_the_server_is_shown(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, sdk):
        await server.get("/v1/models")  # which asks the server, as its start does
        created = await posted(sdk)
        await server.job_when(job_id_of(created["id"]), "queued")
        [listed] = (await sdk.videos.list()).data
        read = await sdk.videos.retrieve(created["id"])
        assert {created["model"], listed.model, read.model} == {"openai/sora-2"}


async def test_a_model_that_the_server_chooses_among_several_is_not_invented(
    tmp_path: Path,
) -> None:
    several = replace(FLAVOURS["sglang"], models=("fast", "slow"))
    async with served(tmp_path, flavour=several) as (server, sdk):
        await server.get("/v1/models")
        created = await posted(sdk)
        await server.job_when(job_id_of(created["id"]), "queued")
        assert (await sdk.videos.retrieve(created["id"])).model == created["model"] == ""


async def test_a_running_video_is_in_progress(tmp_path: Path) -> None:
    async with served(tmp_path, Faults(queue_seconds=0, render_seconds=10)) as (server, sdk):
        created = await posted(sdk)
        await video_when(sdk, created["id"], "in_progress")
        server.time.advance(5)
        while (video := await sdk.videos.retrieve(created["id"])).progress != 50:
            pass
        assert (video.completed_at, video.expires_at) == (None, None)


async def test_a_failed_video_says_why(tmp_path: Path) -> None:
    faults = Faults(moderation=1, queue_seconds=0, render_seconds=0)
    async with served(tmp_path, faults) as (_, sdk):
        video = await sdk.videos.poll((await posted(sdk))["id"])
        assert video.status == "failed"
        assert video.error is not None
        assert video.error.code == "moderation"
        assert "moderation blocked" in video.error.message


async def test_a_canceled_video_has_failed(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, sdk):
        job_id = await server.submit()
        await server.job_when(job_id, "queued")
        await server.post(f"/api/jobs/{job_id}/cancel")
        video = await sdk.videos.poll(video_id(job_id))
        assert video.status == "failed"
        assert video.error is not None
        assert video.error.code == "canceled"


# -- lists ----------------------------------------------------------------------------------------


async def test_lists_show_the_jobs_of_every_door_in_both_orders(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, sdk):
        ids = []
        for number in range(5):
            if number % 2:
                ids.append(video_id(await server.submit()))
            else:
                ids.append((await posted(sdk))["id"])
        assert [one.id async for one in sdk.videos.list(limit=2, order="asc")] == ids
        assert [one.id async for one in sdk.videos.list(limit=2)] == ids[::-1]
        assert [one.id async for one in sdk.videos.list(after=ids[3], order="asc")] == ids[4:]
        page = (await server.get("/v1/videos?limit=2")).json()
        assert (page["object"], page["has_more"]) == ("list", True)
        assert (page["first_id"], page["last_id"]) == (ids[4], ids[3])


async def test_a_list_without_videos_is_a_list(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, _):
        assert (await server.get("/v1/videos")).json() == {
            "object": "list",
            "data": [],
            "first_id": None,
            "last_id": None,
            "has_more": False,
        }


async def test_a_list_says_which_parameter_is_wrong(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, sdk):
        wrong: tuple[dict[str, Any], ...] = (
            *({"after": "video_0"}, {"after": "x"}),
            *({"limit": 0}, {"limit": 101}, {"order": "up"}),
        )
        for query in wrong:
            with pytest.raises(BadRequestError) as refused:
                await sdk.videos.list(extra_query=query)
            [name] = query
            assert told(refused.value) == (400, "invalid_request_error", name, "invalid_request")
            assert refused.value.message.partition(" - ")[2].startswith(f"{name} must be")


# -- files ----------------------------------------------------------------------------------------


async def test_a_part_of_the_file_is_sent_and_its_size(tmp_path: Path) -> None:
    async with served(tmp_path, AT_ONCE) as (server, sdk):
        video = await sdk.videos.poll((await posted(sdk))["id"])
        whole = await (await sdk.videos.download_content(video.id)).aread()
        path = f"/v1/videos/{video.id}/content"
        part = await server.get(path, headers={"Range": "bytes=4-7"})
        assert (part.status, part.body) == (206, b"ftyp")
        head = await server.request("HEAD", path)
        assert (head.status, head.headers["Content-Length"]) == (200, str(len(whole)))
        explicit = await sdk.videos.download_content(video.id, variant="video")
        assert await explicit.aread() == whole


async def test_a_variant_that_no_provider_makes_is_not_found(tmp_path: Path) -> None:
    async with served(tmp_path, AT_ONCE) as (_, sdk):
        video = await sdk.videos.poll((await posted(sdk))["id"])
        with pytest.raises(NotFoundError, match="This video has no spritesheet") as refused:
            await sdk.videos.download_content(video.id, variant="spritesheet")
        assert told(refused.value)[3] == "variant_not_found"


async def test_before_the_end_there_is_no_file(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, sdk):
        created = await posted(sdk)
        with pytest.raises(NotFoundError) as refused:
            await sdk.videos.download_content(created["id"])
        assert told(refused.value)[3] == "content_not_ready"


# -- deleting -------------------------------------------------------------------------------------


async def test_a_deleted_video_is_gone(tmp_path: Path) -> None:
    async with served(tmp_path, AT_ONCE) as (_, sdk):
        video = await sdk.videos.poll((await posted(sdk))["id"])
        deleted = await sdk.videos.delete(video.id)
        assert deleted.to_dict() == {"id": video.id, "object": "video.deleted", "deleted": True}
        for call in (sdk.videos.retrieve, sdk.videos.delete, sdk.videos.download_content):
            with pytest.raises(NotFoundError):
                await call(video.id)
        assert [one.id async for one in sdk.videos.list()] == []
        assert (await posted(sdk))["id"] != video.id


async def test_a_running_video_is_canceled_before_it_is_deleted(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, sdk):
        created = await posted(sdk)
        await server.job_when(f"job_{created['id'].removeprefix('video_')}", "queued")
        assert (await sdk.videos.delete(created["id"])).deleted
        assert server.simulator.jobs == {}


async def test_a_running_video_whose_provider_can_not_cancel_stays(tmp_path: Path) -> None:
    async with served(tmp_path, providers=["xai"]) as (server, sdk):
        created = await posted(sdk, model="xai/grok-imagine-video", seconds="4", size=None)

        async def accepted() -> bool:
            job = await server.job(job_id_of(created["id"]))
            return job["soraJobId"] is not None

        await until(accepted)
        with pytest.raises(BadRequestError) as refused:
            await sdk.videos.delete(created["id"])
        assert told(refused.value)[0] == 400
        assert (await sdk.videos.retrieve(created["id"])).status in {"queued", "in_progress"}


# -- sending again --------------------------------------------------------------------------------


async def test_with_an_idempotency_key_a_request_gets_its_video_again(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, sdk):
        with_key = sdk.with_options(default_headers={"Idempotency-Key": "one"})
        first, again = [await posted(with_key) for _ in range(2)]
        assert first["id"] == again["id"]
        assert await server.total() == 1
        with pytest.raises(UnprocessableEntityError) as refused:
            await posted(with_key, prompt="A cat")
        assert told(refused.value)[3] == "idempotency_key_reused"
        other = await server.post(
            "/api/generate",
            json={"script": "A fox", **SMALL},
            headers={"Idempotency-Key": "one"},
        )
        assert other.status == 422
