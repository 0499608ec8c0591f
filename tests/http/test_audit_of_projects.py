"""Changes of projects, keys and budgets on the audit trail, with secrets that are encrypted."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from gateways import Gateway, Reply, gateway

from reelhook.domain.encryption import key_text

pytestmark = pytest.mark.asyncio(loop_scope="module")
OPERATOR = "a-long-random-text"
URL = "http://127.0.0.1:3000/hook?token=hunter2"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("audit-of-projects")
    async with gateway(
        folder,
        api_key=OPERATOR,
        allow_networks="127.0.0.0/8",
        encryption_keys=key_text(bytes(range(32))),
    ) as one:
        yield one


async def call(
    server: Gateway, method: str, path: str, body: Any = None, key: str = OPERATOR
) -> Any:
    reply = await answer(server, method, path, body, key)
    assert reply.status < 300, reply.body
    return reply.json()


async def answer(server: Gateway, method: str, path: str, body: Any, key: str) -> Reply:
    headers = {"Authorization": f"Bearer {key}"}
    return await server.request(method, path, json=body, headers=headers)


async def trail(server: Gateway, target: str, key: str = OPERATOR) -> list[Any]:
    page = await call(server, "GET", f"/api/audit?target={target}", key=key)
    assert "hunter2" not in str(page)
    entries = page["entries"]
    assert isinstance(entries, list)
    return entries


async def test_the_life_of_a_project_is_on_record(server: Gateway) -> None:
    project = await call(server, "POST", "/api/projects", {"name": "shop"})
    path = "/api/projects/shop"
    await call(server, "PATCH", path, {"weight": 3})
    await call(server, "PATCH", path, {"weight": 3})
    await call(server, "PATCH", path, {"webhookUrl": URL})
    await call(server, "POST", f"{path}/rotate", {})
    await call(server, "POST", f"{path}/close", {})
    entries = await trail(server, project["id"])
    assert [entry["action"] for entry in entries] == [
        *("project.closed", "project.rotated", "project.changed", "project.changed"),
        "project.created",
    ]
    closed, rotated, moved, weighed, created = entries
    assert {entry["project"] for entry in entries} == {project["id"]}
    assert created["after"]["name"] == "shop"
    assert created["after"]["secret"] == "********"
    assert (weighed["before"], weighed["after"]) == ({"weight": 1}, {"weight": 3})
    assert moved["after"] == {"webhookUrl": "http://127.0.0.1:3000"}
    assert rotated["after"] == {"secret": "changed"}
    assert closed["after"] == {"closed": True}


async def test_a_key_is_named_by_its_id_and_name(server: Gateway) -> None:
    project = await call(server, "POST", "/api/projects", {"name": "blog"})
    body = {"name": "ci", "project": "blog", "scopes": ["admin"]}
    admin = await call(server, "POST", "/api/keys", body)
    made = await call(
        server, "POST", "/api/keys", {"name": "app", "scopes": ["submit"]}, admin["key"]
    )
    await call(server, "POST", f"/api/keys/{made['id']}/rotate", {}, admin["key"])
    await call(server, "POST", f"/api/keys/{made['id']}/revoke", {}, admin["key"])
    await call(server, "POST", f"/api/keys/{made['id']}/revoke", {}, admin["key"])
    entries = await trail(server, made["id"], admin["key"])
    assert [entry["action"] for entry in entries] == ["key.revoked", "key.rotated", "key.created"]
    for entry in entries:
        assert (entry["actor"], entry["keyId"], entry["keyName"]) == ("key", admin["id"], "ci")
        assert (entry["project"], entry["address"]) == (project["id"], "127.0.0.1")
        assert made["key"] not in str(entry)
    assert entries[0]["after"] == {"revoked": True}
    assert entries[2]["after"]["scopes"] == ["submit"]
    [by_operator] = await trail(server, admin["id"], admin["key"])
    assert by_operator["actor"] == "operator"


async def test_limits_are_on_record_as_they_were_and_are(server: Gateway) -> None:
    project = await call(server, "POST", "/api/projects", {"name": "budgeted"})
    path = "/api/projects/budgeted/budgets"
    await call(server, "PUT", path, {"jobsPerDay": 5, "moneyPerDay": {"USD": 2.5}})
    await call(server, "PUT", path, {"jobsPerDay": 6, "moneyPerDay": {"USD": 2.5}})
    raised = {"jobsPerDay": 9, "until": "2100-01-01T00:00:00Z"}
    await call(server, "POST", f"{path}/raise", raised)
    after, changed, first = await trail(server, f"project:{project['id']}")
    assert (first["before"], first["after"]) == (
        None,
        {"jobsPerDay": 5, "moneyPerDay.USD": 2.5},
    )
    assert (changed["before"], changed["after"]) == ({"jobsPerDay": 5}, {"jobsPerDay": 6})
    assert after["action"] == "budget.raised"
    assert after["after"]["raised.jobsPerDay"] == 9
    assert after["project"] == project["id"]


async def test_a_secret_that_stays_is_not_shown_as_changed(server: Gateway) -> None:
    body = {"url": URL, "headers": {"X-Token": "hunter2"}}
    made = await call(server, "POST", "/api/endpoints", body)
    path = f"/api/endpoints/{made['id']}"
    await call(server, "PATCH", path, {"concurrency": 3})
    await call(server, "PATCH", path, {"headers": {"X-Token": "hunter22"}})
    replaced, changed, _ = await trail(server, made["id"])
    assert (changed["before"], changed["after"]) == ({"concurrency": None}, {"concurrency": 3})
    assert replaced["after"] == {"headers.X-Token": "changed"}


async def test_the_operator_s_changes_of_a_project_s_endpoint_are_in_its_trail(
    server: Gateway,
) -> None:
    project = await call(server, "POST", "/api/projects", {"name": "watched"})
    body = {"name": "ci", "project": "watched", "scopes": ["admin"]}
    admin = await call(server, "POST", "/api/keys", body)
    made = await call(server, "POST", "/api/endpoints", {"url": URL}, admin["key"])
    await call(server, "PATCH", f"/api/endpoints/{made['id']}", {"enabled": False})
    disabled, created = await trail(server, made["id"], admin["key"])
    assert (disabled["actor"], disabled["project"]) == ("operator", project["id"])
    assert created["keyName"] == "ci"
    ours = await call(server, "GET", "/api/audit", key=admin["key"])
    assert {entry["project"] for entry in ours["entries"]} == {project["id"]}
    limited = {"name": "app", "scopes": ["operate"]}
    app = await call(server, "POST", "/api/keys", limited, admin["key"])
    assert (await answer(server, "GET", "/api/audit", None, app["key"])).status == 403
