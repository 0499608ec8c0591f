"""Over HTTP, another project's job can't be distinguished from one that does not exist."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from callers import AS_OURS, AS_THEIRS, OURS, THEIRS, admit_callers, caller
from gateways import AT_ONCE, Gateway, Reply, gateway, until
from receivers import receiver

from reelhook.domain.account_status import AccountStatus
from reelhook.domain.request import VideoRequest
from reelhook.domain.waiting import Waiting
from reelhook.simulator.faults import Faults

FOX = VideoRequest("A fox", model="openai/sora-2", seconds="1", size="64x64")
VARYING = {"Date"}


@asynccontextmanager
async def admitting(
    tmp_path: Path, faults: Faults | None = AT_ONCE, **options: Any
) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path, faults, **options) as server:
        admit_callers(server)
        yield server


async def completed(server: Gateway, project: str) -> str:
    created = await server.hook.gateway.new_jobs.submit(caller(project), FOX)
    await server.job_when(created.job_id, "completed")
    return created.job_id


def shown(reply: Reply) -> tuple[int, bytes, dict[str, str]]:
    """Return everything that a client can compare."""
    headers = {name: value for name, value in reply.headers.items() if name not in VARYING}
    return reply.status, reply.body, headers


async def test_every_route_of_a_job_responds_as_if_a_foreign_one_did_not_exist(
    tmp_path: Path,
) -> None:
    async with admitting(tmp_path) as server:
        foreign = await completed(server, THEIRS)
        unknown = foreign[:-4] + "0000"
        routes: list[tuple[str, str, Any]] = [
            ("GET", "/api/jobs/{}", None),
            ("GET", "/api/jobs/{}/events", None),
            ("POST", "/api/jobs/{}/poll", {}),
            ("POST", "/api/jobs/{}/cancel", {"force": True}),
            ("DELETE", "/api/jobs/{}", None),
            ("POST", "/api/jobs/{}/adopt", {"soraJobId": "video_1"}),
            ("POST", "/api/jobs/{}/abandon", {}),
            ("GET", "/api/videos/status/{}", None),
            ("GET", "/api/sora/videos/{}/download", None),
            ("GET", "/api/download?jobId={}", None),
            ("GET", "/api/jobs/events?jobIds={}", None),
            ("GET", "/api/jobs?cursor={}", None),
            ("GET", "/api/jobs?inDoubt=true&cursor={}", None),
            ("GET", "/api/events?after=evt_{}_1", None),
        ]
        for method, path, body in routes:
            replies = [
                await server.request(method, path.format(job_id), json=body, headers=AS_OURS)
                for job_id in (foreign, unknown)
            ]
            # The feed returns `after` as the position to continue from.
            first, second = (
                (status, content.replace(job_id.encode(), b"ID"), headers)
                for job_id, (status, content, headers) in zip(
                    (foreign, unknown), map(shown, replies), strict=True
                )
            )
            assert first == second, path
            if "cursor" in path:
                assert replies[0].refusal == (400, "invalid_request", "cursor")
            elif "after" not in path:
                assert replies[0].refusal == (404, "job_not_found", None), path


async def test_a_provider_job_of_another_project_is_unknown_there(tmp_path: Path) -> None:
    async with admitting(tmp_path) as server:
        foreign = await server.job(await completed(server, THEIRS))
        video = foreign["soraJobId"]
        replies = [
            await server.post("/api/jobs/register", json={"soraJobId": wanted}, headers=AS_OURS)
            for wanted in (video, video[:-4] + "0000")
        ]
        assert replies[0].refusal == (400, "invalid_request", "soraJobId")
        first, second = (reply.json() for reply in replies)
        assert first["error"].replace(video, "ID") == second["error"].replace(
            video[:-4] + "0000", "ID"
        )
        assert {**first, "error": ""} == {**second, "error": ""}
        body = {"soraJobId": video, "jobId": "job-1"}
        named = await server.post("/api/jobs/register", json=body, headers=AS_THEIRS)
        assert named.json()["jobId"] == foreign["jobId"]
        assert named.json()["problem"] == "already_watched"
        reply = await server.post(
            "/api/jobs/register", json={"soraJobId": video}, headers=AS_THEIRS
        )
        assert reply.json()["jobId"] == foreign["jobId"]


async def test_a_job_id_of_another_project_names_no_job(tmp_path: Path) -> None:
    async with admitting(tmp_path) as server:
        foreign = await completed(server, THEIRS)
        # A video that was created elsewhere, with the same account.
        known = set(server.simulator.jobs)
        settings: Any = server.settings
        url = f"{settings.openai_base_url}/videos"
        made = await server.session.post(url, json={"prompt": "A fox", "model": "sora-2"})
        assert made.status == 200
        [video] = set(server.simulator.jobs) - known
        body = {"soraJobId": video, "jobId": foreign}
        reply = await server.post("/api/jobs/register", json=body, headers=AS_OURS)
        assert reply.refusal == (409, "job_id_taken", None)
        assert reply.json() == {
            "error": "This jobId can't be used; choose another one",
            "code": "job_id_taken",
            "problem": "job_id_unavailable",
        }
        registered = await server.post(
            "/api/jobs/register", json={"soraJobId": video}, headers=AS_OURS
        )
        assert registered.json()["project"] == OURS


async def test_the_operator_sees_which_project_each_thing_is_of(tmp_path: Path) -> None:
    async with admitting(tmp_path) as server:
        ours = await completed(server, OURS)
        default = await server.submit()
        await server.job_when(default, "completed")
        listed = (await server.get("/api/jobs")).json()["jobs"]
        assert {one["jobId"]: one.get("project") for one in listed} == {ours: OURS, default: None}
        assert "project" not in await server.job(default)
        events = (await server.get("/api/events")).json()["events"]
        assert {(one["jobId"], one.get("project")) for one in events} == {
            (ours, OURS),
            (default, None),
        }
        costs = (await server.get("/api/costs")).json()["costs"]
        assert [(line.get("project"), line["jobs"]) for line in costs] == [(None, 1), (OURS, 1)]


async def test_statistics_of_a_project_are_its_own_counts(tmp_path: Path) -> None:
    async with admitting(tmp_path) as server:
        await completed(server, THEIRS)
        own = (await server.get("/api/stats", headers=AS_OURS)).json()
        assert own.keys() == {"jobs", "deliveries", "endpoints"}
        assert set(own["jobs"].values()) == {0}
        theirs = (await server.get("/api/stats", headers=AS_THEIRS)).json()
        assert (theirs["jobs"]["total"], theirs["jobs"]["completed"]) == (1, 1)
        whole = (await server.get("/api/stats")).json()
        assert whole.keys() == {"jobs", "deliveries", "endpoints", "watcher", "accounts"}
        for action in ("pause", "resume"):
            reply = await server.post(f"/api/watcher/{action}", json={}, headers=AS_OURS)
            assert reply.refusal == (403, "scope_missing", None)


async def test_a_stream_has_the_projects_own_events(tmp_path: Path) -> None:
    async with admitting(tmp_path) as server:
        ours, theirs = await completed(server, OURS), await completed(server, THEIRS)
        both = f"/api/jobs/events?jobIds={ours},{theirs}"
        assert (await server.get(both, headers=AS_OURS)).refusal[:2] == (404, "job_not_found")
        path = f"{server.url}/api/jobs/events?jobIds={ours}"
        async with server.session.get(path, headers=AS_OURS) as response:
            async for line in response.content:
                if line.startswith(b"data: "):
                    assert json.loads(line[6:])["jobId"] == ours
                    break
        feed = (await server.get("/api/events", headers=AS_OURS)).json()
        assert {event["jobId"] for event in feed["events"]} == {ours}


async def test_responses_to_a_whole_account_are_the_operators(tmp_path: Path) -> None:
    """Other projects' jobs may have led to them."""
    async with admitting(tmp_path, Faults()) as server:
        created = await server.hook.gateway.new_jobs.submit(caller(OURS), FOX)
        await server.job_when(created.job_id, "queued")
        store: Any = server.hook.gateway.waiting._store
        status = AccountStatus(reads=Waiting(1_767_225_600_000, "HTTP 429: 17 jobs are running"))
        await store.save_account_status("openai", status, None)

        async def operator_sees_it() -> bool:
            return "17 jobs" in str(await server.job(created.job_id))

        await until(operator_sees_it)
        for path in ("/api/jobs/{}", "/api/videos/status/{}"):
            own = await server.get(path.format(created.job_id), headers=AS_OURS)
            assert "waiting" not in own.json()
        [listed] = (await server.get("/api/jobs", headers=AS_OURS)).json()["jobs"]
        assert "waiting" not in listed


async def test_a_signed_link_opens_the_video_of_any_project(tmp_path: Path) -> None:
    key = "a key of the tests, long enough"
    async with receiver() as client, gateway(tmp_path, AT_ONCE, api_key=key) as server:
        jobs = server.hook.gateway.new_jobs
        created = await jobs.submit(caller(OURS), FOX, client.url)
        link = urlsplit((await client.ending(created.job_id)).body["videoUrl"])
        reply = await server.get(f"{link.path}?{link.query}")
        assert (reply.status, reply.headers["Content-Type"]) == (200, "video/mp4")


async def test_why_a_provider_refuses_an_account_is_the_operators(tmp_path: Path) -> None:
    waiting = Faults(queue_seconds=1000)
    async with admitting(tmp_path, waiting) as server:
        job_id = (await server.hook.gateway.new_jobs.submit(caller(OURS), FOX)).job_id
        video = (await server.job_when(job_id, "queued"))["soraJobId"]
    async with admitting(tmp_path, waiting, provider_key="a key that we don't have") as server:
        calls: list[tuple[str, Any]] = [
            (f"/api/jobs/{job_id}/poll", {}),
            (f"/api/jobs/{job_id}/cancel", {}),
            ("/api/jobs/register", {"soraJobId": f"{video[:-4]}0000"}),
        ]
        for path, body in calls:
            refused = await server.post(path, json=body, headers=AS_OURS)
            assert refused.refusal == (502, "provider_unavailable", None)
            assert "key" not in refused.json()["error"]
        for path, body in calls[:2]:
            refused = await server.post(path, json=body)
            assert refused.refusal == (502, "provider_unauthorized", None)
