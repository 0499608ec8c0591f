"""The audit trail over HTTP: every change by a client is on it, and no refused attempt."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from gateways import AT_ONCE, Gateway, gateway

from reelhook.cli.audit import audit
from reelhook.domain.audit import Action
from reelhook.domain.caller import OPERATOR, Caller, Scope, ScopeMissingError
from reelhook.doors.access import OPERATOR_HEADER, operator_proof
from reelhook.gateway import AuditFilter
from reelhook.simulator.faults import Faults
from reelhook.storage.sqlite.driver import read_key

pytestmark = pytest.mark.asyncio(loop_scope="module")
URL = "http://127.0.0.1:3000/hook"
SECRETS = ("hunter2", "whsec_")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    folder = tmp_path_factory.mktemp("audit")
    async with gateway(folder, AT_ONCE, allow_networks="127.0.0.0/8") as one:
        yield one


async def trail(server: Gateway, **wanted: Any) -> list[Any]:
    reply = await server.get("/api/audit", params=wanted)
    assert reply.status == 200, reply.body
    assert not any(secret in reply.body.decode() for secret in SECRETS)
    entries = reply.json()["entries"]
    assert isinstance(entries, list)
    return entries


async def test_the_life_of_an_endpoint_is_on_record(server: Gateway) -> None:
    made = await server.endpoint(URL, headers={"X-Token": "hunter2"})
    path = f"/api/endpoints/{made['id']}"
    await server.patch(path, json={"description": "mine", "enabled": False})
    await server.post(f"{path}/rotate", json={})
    await server.post(f"{path}/test", json={})
    await server.delete(path)
    entries = await trail(server, target=made["id"])
    assert [entry["action"] for entry in entries] == [
        "endpoint.removed",
        "endpoint.rotated",
        "endpoint.changed",
        "endpoint.created",
    ]
    removed, rotated, changed, created = entries
    assert (created["actor"], created["address"]) == ("operator", "127.0.0.1")
    assert (created["keyId"], created["keyName"]) == (None, None)
    assert created["project"] == "default"
    assert created["before"] is None
    assert created["after"]["headers.X-Token"] == "********"
    assert changed["before"] == {"description": None, "enabled": True}
    assert changed["after"] == {"description": "mine", "enabled": False}
    assert rotated["after"] == {"secret": "changed"}
    assert removed["after"] is None


async def test_a_cancel_and_a_registration_are_on_record(server: Gateway) -> None:
    server.simulator.faults = Faults()
    job_id = await server.submit()
    await server.job_when(job_id, "queued")
    assert (await server.post(f"/api/jobs/{job_id}/cancel", json={})).status == 200
    [canceled] = await trail(server, target=job_id)
    assert canceled["action"] == "job.canceled"
    assert canceled["before"]["status"] == "queued"
    assert canceled["after"]["status"] == "canceled"
    registered = await server.post("/api/jobs/register", json={"soraJobId": "video_elsewhere"})
    [entry] = await trail(server, target=registered.json()["jobId"])
    assert (entry["action"], entry["after"]["providerJobId"]) == (
        "job.registered",
        "video_elsewhere",
    )


async def test_a_pause_is_on_record_for_the_operator_alone(server: Gateway) -> None:
    await server.post("/api/watcher/pause", json={})
    await server.post("/api/watcher/resume", json={})
    resumed, paused = await trail(server, target="watcher")
    assert (paused["action"], resumed["action"]) == ("watcher.paused", "watcher.resumed")
    assert paused["project"] is None
    admin = Caller("default", frozenset({Scope.ADMIN}), key_id="key_1")
    page = await server.hook.gateway.audit.page(admin, AuditFilter(target="watcher"))
    assert page.entries == ()


async def test_nobody_sees_the_trail_of_another_project_or_without_the_scope(
    server: Gateway,
) -> None:
    reading = server.hook.gateway.audit
    await server.endpoint(URL)
    other = Caller("prj_other", frozenset({Scope.ADMIN}), key_id="key_2")
    assert (await reading.page(other, AuditFilter())).entries == ()
    assert (await reading.page(other, AuditFilter(project="default"))).entries == ()
    operating = replace(other, scopes=frozenset({Scope.OPERATE}))
    with pytest.raises(ScopeMissingError):
        await reading.page(operating, AuditFilter())


async def test_the_page_shows_an_entry_as_it_is(server: Gateway) -> None:
    made = await server.endpoint(URL)
    page = (Path(__file__).parents[2] / "docs" / "projects.md").read_text()
    section = page.partition("## The audit trail")[2]
    shown = json.loads(section.partition("```json")[2].partition("```")[0])
    real = (await server.get("/api/audit", params={"target": made["id"]})).json()
    assert shown.keys() == real.keys()
    assert shown["entries"][0].keys() == real["entries"][0].keys()
    assert all(f"`{action.value}`" in section for action in Action)


async def test_a_refused_attempt_is_not_on_record(server: Gateway) -> None:
    before = await trail(server, limit=500)
    assert (await server.patch("/api/endpoints/ep_none", json={"enabled": True})).status == 404
    assert (await server.post("/api/jobs/none/cancel", json={})).status == 404
    assert (await server.post("/api/endpoints", json={"url": "ftp://x"})).status == 400
    assert await trail(server, limit=500) == before


async def test_an_embedding_program_is_local(server: Gateway) -> None:
    endpoints = server.hook.gateway.endpoints
    made = await endpoints.register(OPERATOR, URL, {})
    [created] = await trail(server, target=made.id)
    assert (created["actor"], created["address"]) == ("operator", "local")


async def test_a_command_that_reads_the_database_is_named_so(server: Gateway) -> None:
    assert isinstance(server.settings.database, Path)
    key = read_key(server.settings.database, "operator")
    assert key is not None
    body = json.dumps({"url": URL}).encode()
    proof = operator_proof(key, int(time.time() * 1000), "POST", "/api/endpoints", body)
    headers = {"Content-Type": "application/json", OPERATOR_HEADER: proof}
    made = await server.post("/api/endpoints", data=body, headers=headers)
    [created] = await trail(server, target=made.json()["id"])
    assert created["actor"] == "operator_proof"


async def test_the_command_lists_changes(
    server: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    made = await server.endpoint(URL)
    await server.patch(f"/api/endpoints/{made['id']}", json={"concurrency": 3})
    capsys.readouterr()
    await asyncio.to_thread(audit, target=made["id"], since="1h", url=server.url)
    header, changed, created = capsys.readouterr().out.splitlines()
    assert header.split("\t") == ["AT", "WHO", "FROM", "ACTION", "TARGET", "CHANGE"]
    assert changed.split("\t")[1:] == [
        *("operator", "127.0.0.1", "endpoint.changed", made["id"]),
        "concurrency: none -> 3",
    ]
    assert "broadcast=False" in created
    await asyncio.to_thread(audit, target=made["id"], url=server.url, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown == (await server.get("/api/audit", params={"target": made["id"]})).json()


async def test_pages_follow_each_other(server: Gateway) -> None:
    for _ in range(3):
        await server.endpoint(URL)
    first = (await server.get("/api/audit", params={"limit": 2})).json()
    following = {"limit": 2, "cursor": first["nextCursor"]}
    second = (await server.get("/api/audit", params=following)).json()
    ids = [entry["id"] for entry in (*first["entries"], *second["entries"])]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"action": "endpoint.painted"}, "action"),
        ({"since": "2026-01-01T00:00"}, "since"),
        ({"since": "1901-01-01T00:00Z"}, "since"),
        ({"cursor": "0"}, "cursor"),
        ({"limit": "501"}, "limit"),
    ],
)
async def test_a_wrong_filter_is_refused_by_its_field(
    server: Gateway, wanted: dict[str, str], field: str
) -> None:
    reply = await server.get("/api/audit", params=wanted)
    assert reply.refusal == (400, "invalid_request", field)


async def test_adopting_and_abandoning_are_on_record(tmp_path: Path) -> None:
    lost = Faults(queue_seconds=0, render_seconds=30, lost_create=1)
    async with gateway(tmp_path, lost, providers=("xai",), submit_settle_seconds=0) as server:
        jobs = []
        for _ in range(2):
            job_id = await server.submit(model="xai/grok-imagine-video", size=None)
            await server.job_when(job_id, "failed")
            jobs.append(job_id)
        provider_job_id, *_ = server.simulator.jobs
        body = {"soraJobId": provider_job_id}
        adopted = (await server.post(f"/api/jobs/{jobs[0]}/adopt", json=body)).json()["jobId"]
        assert (await server.post(f"/api/jobs/{jobs[0]}/adopt", json=body)).status == 200
        assert (await server.post(f"/api/jobs/{jobs[1]}/abandon", json={})).status == 200
        assert (await server.post(f"/api/jobs/{jobs[1]}/abandon", json={})).status == 409
        abandoning, adopting = await trail(server)
        assert (adopting["action"], adopting["target"]) == ("job.adopted", jobs[0])
        assert adopting["after"] == {"adoptedAs": adopted, "providerJobId": provider_job_id}
        assert (abandoning["action"], abandoning["target"]) == ("job.abandoned", jobs[1])
