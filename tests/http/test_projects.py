"""Projects over HTTP: created, read, changed, rotated, closed."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from gateways import Gateway, gateway

from reelhook.doors.access import OPERATOR_HEADER, operator_proof
from reelhook.storage.sqlite.driver import read_key

pytestmark = pytest.mark.asyncio(loop_scope="module")
UNKNOWN = (404, "project_not_found", None)
NEW = {
    "webhookUrl": None,
    "models": None,
    "weight": 1,
    "priorityMax": "high",
    "archiveKeepDays": None,
    "archiveBytesMax": None,
    "previousSecretUntil": None,
    "closedAt": None,
    "deleteData": False,
    "dataDeletedAt": None,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path_factory.mktemp("projects"), allow_networks="") as one:
        yield one


async def created(server: Gateway, name: str) -> str:
    reply = await server.post("/api/projects", json={"name": name})
    assert reply.status == 201, reply.body
    return str(reply.json()["id"])


async def test_a_created_project_has_an_id_and_its_name(server: Gateway) -> None:
    reply = await server.post("/api/projects", json={"name": "shop-1"})
    assert reply.status == 201
    made = reply.json()
    assert made["id"].startswith("prj_")
    assert made == {"id": made["id"], "name": "shop-1"}
    for name in (made["id"], "shop-1"):
        read = (await server.get(f"/api/projects/{name}")).json()
        assert read.pop("createdAt").endswith("Z")
        assert read == made | NEW


async def test_default_is_always_listed_first(server: Gateway) -> None:
    await created(server, "listed")
    listed = (await server.get("/api/projects")).json()["projects"]
    assert listed[0] == {"id": "default", "name": "default", "createdAt": None} | NEW
    assert "listed" in [project["name"] for project in listed]


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("", (400, "invalid_request", "name")),
        ("a b", (400, "invalid_request", "name")),
        ("x" * 65, (400, "invalid_request", "name")),
        ("ä", (400, "invalid_request", "name")),
        ("shop\n", (400, "invalid_request", "name")),
        (7, (400, "invalid_request", "name")),
        ("default", (400, "invalid_request", "name")),
        ("prj_mine", (400, "invalid_request", "name")),
    ],
)
async def test_a_name_that_no_project_may_have_is_refused(
    server: Gateway, name: Any, refusal: tuple[int, str, str]
) -> None:
    assert (await server.post("/api/projects", json={"name": name})).refusal == refusal


async def test_a_taken_name_is_refused(server: Gateway) -> None:
    await created(server, "taken")
    other = await created(server, "other")
    for reply in (
        await server.post("/api/projects", json={"name": "taken"}),
        await server.patch(f"/api/projects/{other}", json={"name": "taken"}),
    ):
        assert reply.refusal == (409, "conflict", None)
        assert reply.json()["problem"] == "project_name_taken"
    await server.patch(f"/api/projects/{other}", json={"name": "other"})


async def test_an_unknown_project_is_not_found(server: Gateway) -> None:
    for name in ("prj_unknown", "unknown", "a%20b", "%00", "x" * 500):
        path = f"/api/projects/{name}"
        assert (await server.get(path)).refusal == UNKNOWN
        assert (await server.patch(path, json={"weight": 2})).refusal == UNKNOWN
        assert (await server.post(f"{path}/close", json={})).refusal == UNKNOWN
        assert (await server.post(f"{path}/rotate", json={})).refusal == UNKNOWN


async def test_the_given_fields_are_changed_and_null_restores_the_default(
    server: Gateway,
) -> None:
    path = f"/api/projects/{await created(server, 'changed')}"
    chosen = {
        "name": "renamed",
        "webhookUrl": "https://example.com/hook",
        "models": ["openai/sora-2", "runway/gen4"],
        "weight": 5,
        "priorityMax": "low",
        "archiveKeepDays": 90.5,
        "archiveBytesMax": 10**12,
    }
    first = (await server.patch(path, json=chosen)).json()
    assert first | chosen == first == (await server.get("/api/projects/renamed")).json()
    second = (await server.patch(path, json={"weight": 6})).json()
    assert second == first | {"weight": 6}
    nothing = dict.fromkeys(chosen)
    third = (await server.patch(path, json=nothing)).json()
    assert third == first | NEW


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"weight": 0}, "weight"),
        ({"archiveKeepDays": 0.5}, "archiveKeepDays"),
        ({"archiveBytesMax": 0}, "archiveBytesMax"),
        ({"weight": 1001}, "weight"),
        ({"weight": "2"}, "weight"),
        ({"priorityMax": "urgent"}, "priorityMax"),
        ({"models": []}, "models"),
        ({"models": [""]}, "models.0"),
        ({"models": ["x" * 201]}, "models.0"),
        ({"models": "sora-2"}, "models"),
        ({"name": "a/b"}, "name"),
        ({"webhookUrl": "ftp://example.com/"}, "webhookUrl"),
        ({"webhookUrl": "http://127.0.0.1/hook"}, "webhookUrl"),
    ],
)
async def test_a_wrong_field_changes_nothing(
    server: Gateway, change: dict[str, Any], field: str
) -> None:
    path = f"/api/projects/{await created(server, f'wrong-{field}-{len(str(change))}')}"
    before = (await server.get(path)).json()
    reply = await server.patch(path, json=change)
    assert (reply.status, reply.refusal[2]) == (400, field)
    assert (await server.get(path)).json() == before


async def test_default_keeps_its_name_its_settings_and_stays_open(server: Gateway) -> None:
    path = "/api/projects/default"
    for reply in (
        await server.patch(path, json={"name": "main"}),
        await server.patch(path, json={"webhookUrl": "https://example.com/hook"}),
        await server.post(f"{path}/close", json={}),
    ):
        assert reply.refusal == (409, "conflict", None)
        assert reply.json()["problem"] == "default_project"
    reply = await server.post(f"{path}/rotate", json={})
    assert reply.json()["problem"] == "installation_secret"
    assert (await server.patch(path, json={"weight": 2})).json()["weight"] == 2
    assert (await server.patch(path, json={"weight": None})).json()["weight"] == 1


async def test_a_webhook_url_becomes_an_endpoint_that_the_project_signs(server: Gateway) -> None:
    project = await created(server, "hooked")
    path = f"/api/projects/{project}"
    await server.patch(path, json={"webhookUrl": "https://example.com/hook"})
    endpoint = (await server.get(f"/api/endpoints/default_{project}")).json()
    assert endpoint["url"] == "https://example.com/hook"
    assert (endpoint["kind"], endpoint["trusted"]) == ("default", False)
    assert endpoint["project"] == project
    refused = await server.post(f"/api/endpoints/default_{project}/rotate", json={})
    assert (refused.status, refused.json()["problem"]) == (409, "project_secret")
    assert f"/api/projects/{project}/rotate" in refused.json()["error"]
    removed = await server.delete(f"/api/endpoints/default_{project}")
    assert removed.refusal == (409, "conflict", None)


async def test_the_operator_may_name_a_private_address(server: Gateway) -> None:
    project = await created(server, "private")
    path, body = f"/api/projects/{project}", {"webhookUrl": "http://127.0.0.1:9/hook"}
    assert isinstance(server.settings.database, Path)
    key = read_key(server.settings.database, "operator")
    assert key is not None
    raw = json.dumps(body).encode()
    proof = operator_proof(key, int(time.time() * 1000), "PATCH", path, raw)
    headers = {"Content-Type": "application/json", OPERATOR_HEADER: proof}
    reply = await server.patch(path, data=raw, headers=headers)
    assert reply.status == 200
    endpoint = (await server.get(f"/api/endpoints/default_{project}")).json()
    assert endpoint["trusted"] is True


async def test_a_rotated_secret_is_shown_once_and_overlaps(server: Gateway) -> None:
    path = f"/api/projects/{await created(server, 'rotated')}"
    first = (await server.post(f"{path}/rotate", json={"overlapHours": 2})).json()
    assert first["secret"].startswith("whsec_")
    assert first["previousSecretUntil"].endswith("Z")
    second = (
        await server.post(f"{path}/rotate", json={"secret": "a-secret-of-the-operator"})
    ).json()
    assert second["secret"] == "a-secret-of-the-operator"
    assert "secret" not in (await server.get(path)).json()
    short = await server.post(f"{path}/rotate", json={"secret": "short"})
    assert short.refusal == (400, "invalid_request", "secret")


async def test_a_closed_project_is_not_changed_any_more(server: Gateway) -> None:
    path = f"/api/projects/{await created(server, 'closed')}"
    closed = (await server.post(f"{path}/close")).json()
    assert closed["closedAt"].endswith("Z")
    assert closed["deleteData"] is False
    again = (await server.post(f"{path}/close", json={"deleteData": False})).json()
    assert again == closed
    for reply in (
        await server.patch(path, json={"weight": 2}),
        await server.post(f"{path}/rotate", json={}),
    ):
        assert reply.refusal == (403, "project_closed", None)
    assert (await server.post(f"{path}/close", json={"deleteData": True})).json()["deleteData"]


async def test_a_server_without_projects_names_none(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        assert "project" not in await server.endpoint("https://example.com/hook")
