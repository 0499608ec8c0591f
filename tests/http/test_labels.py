"""Labels and priority over HTTP: accepted, shown wherever the job is, found again."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from gateways import AT_ONCE, Gateway, gateway
from receivers import receiver

from reelhook.simulator.job import VideoSpec

LABELS: dict[str, Any] = {"externalId": "shop/7 ü", "metadata": {"order": "4711", "a.b": ""}}
VIDEO = VideoSpec(prompt="made elsewhere", model="m", width=64, height=64, seconds=1)


def labels_in(body: Any) -> dict[str, Any]:
    return {name: body[name] for name in LABELS if name in body}


async def titles(server: Gateway, *pairs: tuple[str, str]) -> list[str]:
    reply = await server.get(f"/api/jobs?{urlencode(pairs)}")
    assert reply.status == 200, reply.body
    return [job["title"] for job in reply.json()["jobs"]]


async def test_labels_are_shown_wherever_the_job_is(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        job_id = await server.submit("A fox", webhookUrl=client.url, priority="high", **LABELS)
        job = await server.job_when(job_id, "completed")
        [listed] = (await server.get("/api/jobs")).json()["jobs"]
        status = (await server.get(f"/api/videos/status/{job_id}")).json()
        [event] = (await server.get(f"/api/jobs/{job_id}/events")).json()["events"]
        [entry] = (await server.get("/api/events")).json()["events"]
        webhook = (await client.ending(job_id)).body
        for body in (job, listed, status, event, entry, webhook):
            assert labels_in(body) == LABELS
        assert job["priority"] == listed["priority"] == "high"


async def test_a_job_without_labels_has_no_keys_for_them(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        job_id = await server.submit("A fox", webhookUrl=client.url, metadata={})
        job = await server.job_when(job_id, "completed")
        status = (await server.get(f"/api/videos/status/{job_id}")).json()
        for body in (job, status, (await client.ending(job_id)).body):
            assert not {"externalId", "metadata", "priority"} & set(body)


async def test_a_registered_job_has_labels_too(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        provider_id = server.simulator.create(VIDEO, id_prefix="video_").id
        body = {"soraJobId": provider_id, **LABELS}
        job = (await server.post("/api/jobs/register", json=body)).json()
        assert labels_in(job) == LABELS


async def test_labels_and_priority_belong_to_what_an_idempotency_key_stands_for(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path) as server:
        headers = {"Idempotency-Key": "k1"}
        body = {"script": "A fox"}
        first = await server.post("/api/generate", json=body | LABELS, headers=headers)
        again = await server.post("/api/generate", json=body | LABELS, headers=headers)
        assert (again.status, again.body) == (200, first.body)
        for other in (
            body,
            body | LABELS | {"externalId": "8"},
            body | LABELS | {"metadata": {"order": "4711"}},
            body | LABELS | {"priority": "low"},
        ):
            reply = await server.post("/api/generate", json=other, headers=headers)
            assert reply.refusal == (422, "idempotency_key_reused", None)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"externalId": ""}, "externalId"),
        ({"externalId": "x" * 129}, "externalId"),
        ({"externalId": 7}, "externalId"),
        ({"metadata": {f"n{number}": "" for number in range(17)}}, "metadata"),
        ({"metadata": {"x" * 65: ""}}, "metadata"),
        ({"metadata": {"order": "x" * 513}}, "metadata.order"),
        ({"metadata": {"order": 4711}}, "metadata.order"),
        ({"metadata": {"order": None}}, "metadata.order"),
        ({"metadata": "order"}, "metadata"),
        ({"priority": "urgent"}, "priority"),
        ({"priority": 1}, "priority"),
    ],
)
async def test_wrong_labels_are_refused_with_their_field_and_nothing_is_stored(
    tmp_path: Path, fields: dict[str, Any], field: str
) -> None:
    async with gateway(tmp_path) as server:
        reply = await server.post("/api/generate", json={"script": "A fox"} | fields)
        assert reply.refusal == (400, "invalid_request", field)
        assert await server.total() == 0


async def test_a_list_can_be_filtered(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        first = await server.submit("1", **LABELS)
        await server.submit("2", externalId="other", metadata={"order": "4711"})
        await server.submit("3", model="openai/veo")
        created = (await server.job_when(first, "completed"))["createdAt"]
        assert await titles(server, ("externalId", "shop/7 ü")) == ["1"]
        assert await titles(server, ("metadata.order", "4711")) == ["2", "1"]
        assert await titles(server, ("metadata.order", "4711"), ("metadata.a.b", "")) == ["1"]
        assert await titles(server, ("metadata.order", "4711"), ("externalId", "other")) == ["2"]
        assert await titles(server, ("model", "veo")) == ["3"]
        assert await titles(server, ("code", "quota")) == []
        assert await titles(server, ("createdBefore", created)) == []
        everything = await titles(server, ("createdAfter", "2001-01-01T00:00Z"), ("_", "1"))
        assert everything == ["3", "2", "1"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("title", "A fox"),
        ("account", "openai"),
        ("external_id", "7"),
        ("metadata", "7"),
        ("metadata[order]", "7"),
    ],
)
async def test_a_filter_without_an_index_is_refused_with_the_filters_there_are(
    tmp_path: Path, name: str, value: str
) -> None:
    async with gateway(tmp_path) as server:
        reply = await server.get(f"/api/jobs?{urlencode({name: value})}")
        assert reply.refusal[:2] == (400, "invalid_request")
        assert reply.json()["problem"] == "unknown_filter"
        assert "externalId, metadata.NAME, createdAfter" in reply.json()["error"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("externalId=", "externalId"),
        ("externalId=%00", "externalId"),
        ("model=%00", "model"),
        (f"metadata.order={'x' * 513}", "metadata.order"),
        ("metadata.=1", "metadata"),
        ("&".join(f"metadata.n{number}=1" for number in range(17)), "metadata"),
        ("createdAfter=2026-01-31", "createdAfter"),
        ("createdBefore=2026-01-31T10:00", "createdBefore"),
        ("createdBefore=1969-01-31T10:00Z", "createdBefore"),
        ("inDoubt=true&externalId=7", "inDoubt"),
    ],
)
async def test_a_filter_that_matches_nothing_for_sure_is_refused(
    tmp_path: Path, query: str, field: str
) -> None:
    async with gateway(tmp_path) as server:
        reply = await server.get(f"/api/jobs?{query}")
        assert reply.refusal == (400, "invalid_request", field)
