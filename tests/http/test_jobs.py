"""Jobs over HTTP: reading, listing, registering those that were created elsewhere."""

from pathlib import Path
from typing import Any

from gateways import AT_ONCE, Gateway, gateway, until
from receivers import receiver

from reelhook.simulator.faults import Faults
from reelhook.simulator.job import VideoSpec

VIDEO = VideoSpec(prompt="made elsewhere", model="m", width=64, height=64, seconds=1)


def created_elsewhere(server: Gateway) -> str:
    return server.simulator.create(VIDEO, id_prefix="video_").id


async def register(server: Gateway, **fields: Any) -> Any:
    reply = await server.post("/api/jobs/register", json=fields)
    assert reply.status == 200, reply.body
    return reply.json()


# -- reading --------------------------------------------------------------------------------------


async def test_a_job_is_shown_whole(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        job_id = await server.submit("A fox", webhookUrl=client.url, seconds=1, size="64x64")
        job = await server.job_when(job_id, "completed")
        [provider_id] = server.simulator.jobs
        assert job.pop("createdAt") <= job.pop("updatedAt") <= job.pop("lastCheckedAt")
        assert job == {
            "jobId": job_id,
            "status": "completed",
            "progress": 100,
            "title": "A fox",
            "model": "sora-2",
            "seconds": "1",
            "size": "64x64",
            "aspectRatio": None,
            "seed": None,
            "provider": "openai",
            "account": "openai",
            "fallbacks": [],
            "queuePosition": None,
            "cost": None,
            "adoptedFrom": None,
            "inDoubt": False,
            "soraJobId": provider_id,
            "error": None,
            "code": None,
            "webhookUrl": client.url,
            "videoUrl": f"{server.url}/api/sora/videos/{job_id}/download",
            "posterUrl": None,
            "sequence": 1,
        }


async def test_a_job_s_history_is_its_webhooks_with_their_ids(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, Faults(queue_seconds=0)) as server:
        job_id = await server.submit(webhookUrl=client.url)
        await server.job_when(job_id, "processing")
        server.time.advance(100)
        ending = await client.ending(job_id)
        events = (await server.get(f"/api/jobs/{job_id}/events")).json()["events"]
        assert [event["sequence"] for event in events] == [1, 2]
        assert [event["status"] for event in events] == ["processing", "completed"]
        assert events[-1] == {"id": ending.headers["webhook-id"], **ending.body}


async def test_a_place_in_the_provider_s_queue_is_shown(tmp_path: Path) -> None:
    async with gateway(tmp_path, Faults(), providers=["fal"]) as server:
        job_id = await server.submit(model="fal/fal-ai/veo3/fast", seconds=8, size=None)
        await server.job_when(job_id, "queued")

        async def is_shown() -> bool:
            return bool((await server.job(job_id))["queuePosition"] == 0)

        await until(is_shown)
        server.time.advance(1000)
        assert (await server.job_when(job_id, "completed"))["queuePosition"] is None


async def test_an_unknown_job_is_404(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        for path in ("/api/jobs/{}", "/api/jobs/{}/events"):
            for job_id in ("job_nowhere", "%00", "%ff", "x" * 5000):
                reply = await server.get(path.format(job_id))
                assert reply.refusal == (404, "job_not_found", None)
            assert (await server.get(path.format("a%2Fb"))).refusal == (404, "not_found", None)


# -- listing --------------------------------------------------------------------------------------


async def pages(server: Gateway, query: str) -> list[list[str]]:
    """Follow the cursors to the end; return the titles of every page."""
    titles, cursor = [], ""
    while True:
        page = (await server.get(f"/api/jobs?{query}{cursor}")).json()
        titles.append([job["title"] for job in page["jobs"]])
        if page["nextCursor"] is None:
            return titles
        cursor = f"&cursor={page['nextCursor']}"


async def test_the_list_is_newest_first_and_paged(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        for number in range(7):
            await server.submit(str(number))
        assert await pages(server, "limit=3") == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
        assert await pages(server, "limit=7") == [["6", "5", "4", "3", "2", "1", "0"]]


async def test_an_empty_list_is_a_page_too(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        assert (await server.get("/api/jobs")).json() == {"jobs": [], "nextCursor": None}


async def test_new_jobs_do_not_shift_the_pages(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        for title in ("1", "2", "3"):
            await server.submit(title)
        first = (await server.get("/api/jobs?limit=2")).json()
        await server.submit("4")
        second = (await server.get(f"/api/jobs?limit=2&cursor={first['nextCursor']}")).json()
        assert [job["title"] for job in second["jobs"]] == ["1"]


async def test_the_list_can_be_filtered_by_status(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        done = [await server.submit(str(number)) for number in range(3)]
        for job_id in done:
            await server.job_when(job_id, "completed")
        server.simulator.faults = Faults()
        await server.job_when(await server.submit("runs"), "queued")
        assert await pages(server, "status=completed&limit=2") == [["2", "1"], ["0"]]
        assert await pages(server, "status=queued") == [["runs"]]
        assert await pages(server, "status=failed") == [[]]


async def test_a_bad_query_names_its_parameter(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        for query, words in (
            ("cursor=job_nowhere", "nextCursor"),
            ("cursor=", "nextCursor"),
            ("status=done", "status must be one of accepted"),
            ("limit=0", "at least 1"),
            ("limit=501", "at most 500"),
            ("limit=many", "whole number"),
            ("limit=" + "9" * 5000, "limit"),
        ):
            reply = await server.get(f"/api/jobs?{query}")
            assert reply.refusal == (400, "invalid_request", query.partition("=")[0])
            assert words in reply.json()["error"]


# -- registering ----------------------------------------------------------------------------------


async def test_a_registered_job_is_watched_to_its_end(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path) as server:
        provider_id = created_elsewhere(server)
        job = await register(server, soraJobId=provider_id, jobId="my-job_1", webhookUrl=client.url)
        assert (job["jobId"], job["soraJobId"], job["status"]) == (
            "my-job_1",
            provider_id,
            "queued",
        )
        server.time.advance(100)
        ending = (await client.ending("my-job_1")).body
        assert (ending["status"], ending["soraJobId"]) == ("completed", provider_id)
        video = await server.get("/api/sora/videos/my-job_1/download")
        assert video.body[4:8] == b"ftyp"
        assert server.simulator.creations == 1


async def test_registering_twice_is_once(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        provider_id = created_elsewhere(server)
        first = await register(server, soraJobId=provider_id, jobId="mine")
        again = await register(server, soraJobId=provider_id, jobId="mine")
        without_id = await register(server, soraJobId=provider_id)
        assert first["jobId"] == again["jobId"] == without_id["jobId"] == "mine"
        assert await server.total() == 1


async def test_registering_twice_without_an_id_is_once_too(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        provider_id = created_elsewhere(server)
        first = await register(server, soraJobId=provider_id)
        again = await register(server, soraJobId=provider_id)
        assert first["jobId"] == again["jobId"]
        assert first["jobId"].startswith("job_")
        assert await server.total() == 1


async def test_a_provider_s_job_can_not_have_two_ids(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        provider_id = created_elsewhere(server)
        await register(server, soraJobId=provider_id, jobId="mine")
        reply = await server.post(
            "/api/jobs/register", json={"soraJobId": provider_id, "jobId": "yours"}
        )
        assert reply.refusal == (409, "job_id_taken", None)
        assert "mine" in reply.json()["error"]
        assert await server.total() == 1


async def test_an_id_can_not_name_two_of_the_provider_s_jobs(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        await register(server, soraJobId=created_elsewhere(server), jobId="mine")
        reply = await server.post(
            "/api/jobs/register", json={"soraJobId": created_elsewhere(server), "jobId": "mine"}
        )
        assert reply.refusal == (409, "job_id_taken", None)
        assert await server.total() == 1


async def test_a_job_of_ours_that_is_registered_stays_what_it_is(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        job_id = await server.submit()
        provider_id = (await server.job_when(job_id, "queued"))["soraJobId"]
        assert (await register(server, soraJobId=provider_id))["jobId"] == job_id
