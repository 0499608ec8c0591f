"""Every route by every role: a matrix made from the application's own routes.

A new route has no row in `RULES`, so the first test fails until someone decides who may use it.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from declared_routes import routes_of
from fastapi.routing import APIRoute
from gateways import AT_ONCE, Gateway, Reply, gateway, until
from receivers import receiver

from reelhook.domain.caller import OPERATOR, Scope
from reelhook.doors.app import PAGES, ROUTERS
from reelhook.doors.openai.ids import video_id
from reelhook.doors.policy import Policy, PolicyRoute, need_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
KEY = "a-long-random-text"
VIDEO = {"script": "A fox", "seconds": 1, "size": "64x64"}
UNAUTHORIZED = (401, "unauthorized")
ROLES = (
    *("no_key", "malformed", "token", "expired", "revoked"),
    *("read", "submit", "operate", "admin", "other_project", "operator"),
)
RAISE = {"jobsPerDay": 2000, "until": "2100-01-01T00:00Z"}
BODIES: dict[str, Any] = {
    "POST /api/generate": VIDEO,
    "POST /v1/videos": {"prompt": "A fox", "seconds": 1, "size": "64x64"},
    "POST /v1/videos/{video_id}/remix": {"prompt": "A fox"},
    "POST /api/jobs/register": {"soraJobId": "video_unknown"},
    "POST /api/jobs/{job_id}/adopt": {"soraJobId": "video_unknown"},
    "POST /api/endpoints": {"url": "http://127.0.0.1:2/hook"},
    "PATCH /api/endpoints/{endpoint_id}": {"description": "changed"},
    "POST /api/endpoints/{endpoint_id}/rotate": {},
    "POST /api/deliveries/resend": {"since": "2026-01-31T10:00Z"},
    "POST /api/keys": {"name": "made", "scopes": ["read"]},
    "POST /api/projects": {"name": "made"},
    "POST /api/estimate": VIDEO,
    "PUT /api/projects/{project_id}/budgets": {"jobsPerDay": 1000},
    "POST /api/projects/{project_id}/budgets/raise": RAISE,
    "POST /v4/ai/video-model": {"prompt": "A fox"},
    "POST /v4/ai/video-model/start": {"prompt": "A fox"},
    "POST /v4/ai/video-model/status": {"operation": {"jobId": "job_unknown"}},
    "PUT /api/keys/{key_id}/budgets": {"jobsPerDay": 1000},
    "POST /api/keys/{key_id}/budgets/raise": RAISE,
}
RULES: dict[str, Scope | Policy] = {
    "GET /api/attention": Scope.READ,
    "GET /api/audit": Scope.ADMIN,
    "POST /api/generate": Scope.SUBMIT,
    "POST /api/uploads": Scope.SUBMIT,
    "GET /api/videos/status/{job_id}": Scope.READ,
    "GET /api/sora/videos/{job_id}/download": Scope.READ,
    "HEAD /api/sora/videos/{job_id}/download": Scope.READ,
    "GET /api/sora/videos/{job_id}/poster": Scope.READ,
    "HEAD /api/sora/videos/{job_id}/poster": Scope.READ,
    "GET /api/download": Scope.READ,
    "HEAD /api/download": Scope.READ,
    "GET /api/jobs/events": Scope.READ,
    "GET /api/jobs": Scope.READ,
    "POST /api/jobs/register": Scope.OPERATE,
    "GET /api/jobs/{job_id}": Scope.READ,
    "GET /api/jobs/{job_id}/events": Scope.READ,
    "POST /api/jobs/{job_id}/poll": Scope.OPERATE,
    "POST /api/jobs/{job_id}/cancel": Scope.SUBMIT,
    "DELETE /api/jobs/{job_id}": Scope.SUBMIT,
    "POST /api/jobs/{job_id}/adopt": Scope.OPERATE,
    "POST /api/jobs/{job_id}/abandon": Scope.OPERATE,
    "POST /api/jobs/{job_id}/token": Scope.READ,
    "POST /api/endpoints": Scope.OPERATE,
    "GET /api/endpoints": Scope.READ,
    "GET /api/endpoints/{endpoint_id}": Scope.READ,
    "PATCH /api/endpoints/{endpoint_id}": Scope.OPERATE,
    "DELETE /api/endpoints/{endpoint_id}": Scope.OPERATE,
    "POST /api/endpoints/{endpoint_id}/rotate": Scope.OPERATE,
    "POST /api/endpoints/{endpoint_id}/test": Scope.OPERATE,
    "GET /api/events": Scope.READ,
    "GET /api/deliveries": Scope.READ,
    "GET /api/deliveries/{delivery_id}": Scope.READ,
    "GET /api/deliveries/{delivery_id}/attempts": Scope.READ,
    "POST /api/deliveries/{delivery_id}/resend": Scope.OPERATE,
    "POST /api/deliveries/resend": Scope.OPERATE,
    "GET /api/deliveries/resend/{resend_id}": Scope.READ,
    "GET /api/models": Scope.READ,
    "GET /api/costs": Scope.READ,
    "GET /api/stats": Scope.READ,
    "POST /api/watcher/pause": Scope.OPERATOR,
    "POST /api/watcher/resume": Scope.OPERATOR,
    "POST /api/keys": Scope.ADMIN,
    "GET /api/keys": Scope.ADMIN,
    "GET /api/keys/{key_id}": Scope.ADMIN,
    "POST /api/keys/{key_id}/revoke": Scope.ADMIN,
    "POST /api/keys/{key_id}/rotate": Scope.ADMIN,
    "POST /api/projects": Scope.OPERATOR,
    "GET /api/projects": Scope.OPERATOR,
    "GET /api/projects/{project_id}": Scope.ADMIN,
    "PATCH /api/projects/{project_id}": Scope.ADMIN,
    "POST /api/projects/{project_id}/close": Scope.OPERATOR,
    "POST /api/projects/{project_id}/rotate": Scope.ADMIN,
    "POST /api/estimate": Scope.READ,
    "POST /api/encryption/reencrypt": Scope.OPERATOR,
    "POST /api/archive/prune": Scope.OPERATOR,
    "GET /api/projects/{project_id}/budgets": Scope.READ,
    "PUT /api/projects/{project_id}/budgets": Scope.OPERATOR,
    "POST /api/projects/{project_id}/budgets/raise": Scope.OPERATOR,
    "GET /api/keys/{key_id}/budgets": Scope.READ,
    "PUT /api/keys/{key_id}/budgets": Scope.ADMIN,
    "POST /api/keys/{key_id}/budgets/raise": Scope.ADMIN,
    "POST /v4/ai/video-model": Scope.SUBMIT,
    "POST /v4/ai/video-model/start": Scope.SUBMIT,
    "POST /v4/ai/video-model/status": Scope.READ,
    "GET /v4/ai/config": Scope.READ,
    "POST /v1/videos": Scope.SUBMIT,
    "GET /v1/videos": Scope.READ,
    "GET /v1/videos/{video_id}": Scope.READ,
    "DELETE /v1/videos/{video_id}": Scope.SUBMIT,
    "POST /v1/videos/{video_id}/remix": Scope.SUBMIT,
    "GET /v1/videos/{video_id}/content": Scope.READ,
    "HEAD /v1/videos/{video_id}/content": Scope.READ,
    "POST /v1/videos/edits": Scope.SUBMIT,
    "POST /v1/videos/extensions": Scope.SUBMIT,
    "POST /v1/videos/characters": Scope.SUBMIT,
    "GET /v1/videos/characters/{character_id}": Scope.READ,
    "GET /v1/models": Scope.READ,
    "GET /v1/models/{model:path}": Scope.READ,
    "POST /providers/{provider}/webhook/{token}": Policy.CALLBACK,
    "GET /providers/files/{token}": Policy.CALLBACK,
    "HEAD /providers/files/{token}": Policy.CALLBACK,
    "GET /.well-known/webhooks/jwks.json": Policy.OPEN,
    "GET /healthz": Policy.OPEN,
    "GET /readyz": Policy.OPEN,
}
OF_TOKENS = {
    "GET /api/videos/status/{job_id}",
    "GET /api/jobs/events",
    "GET /api/sora/videos/{job_id}/download",
    "HEAD /api/sora/videos/{job_id}/download",
    "GET /api/sora/videos/{job_id}/poster",
    "HEAD /api/sora/videos/{job_id}/poster",
    "GET /api/download",
    "HEAD /api/download",
}
UNKNOWN = {
    "job_id": "job_unknown",
    "video_id": "video_unknown",
    "endpoint_id": "ep_unknown",
    "delivery_id": "999999",
    "resend_id": "resend_unknown",
    "key_id": "key_unknown",
    "project_id": "prj_unknown",
}
LISTS = {
    *("GET /api/jobs", "GET /api/endpoints", "GET /api/events", "GET /api/deliveries"),
    *("GET /api/keys", "GET /api/costs", "GET /api/stats", "GET /v1/videos"),
    *("GET /api/attention", "GET /api/audit"),
}
"""The routes that name no record: another project's key sees none of this one's records there."""
_HELD = [Scope.READ, Scope.SUBMIT, Scope.OPERATE, Scope.ADMIN, Scope.OPERATOR]


def routes() -> dict[str, APIRoute]:
    """Return every route of the API, by its method and path. Those of pages: see `tests/web`."""
    return routes_of(router for router in ROUTERS if router not in PAGES)


@dataclass
class Stage:
    """A server with records of `default`, and a credential for every role."""

    server: Gateway
    ids: dict[str, str]
    headers: dict[str, dict[str, str]]

    async def send(self, label: str, role: str, ids: Mapping[str, str] | None = None) -> Reply:
        method, _, path = label.partition(" ")
        ids = {**self.ids, **(ids or {})}
        for name, value in ids.items():
            path = path.replace(f"{{{name}}}", value)
        parameters = {
            "/api/download": {"jobId": ids["job_id"]},
            "/api/jobs/events": {"jobIds": ids["job_id"]},
        }.get(path, {})
        options: dict[str, Any] = {"params": parameters, "headers": self.headers[role]}
        if method in {"POST", "PATCH", "PUT"}:
            options["json"] = BODIES.get(label, {})
        async with self.server.session.request(
            method, self.server.url + path, allow_redirects=False, **options
        ) as response:
            # A stream stays open, so only its beginning is read.
            live = response.headers.get("Content-Type", "").startswith("text/event-stream")
            body = await (response.content.readline() if live else response.read())
            return Reply(response.status, response.headers, body)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("roles")
    bearer = {"Authorization": f"Bearer {KEY}"}
    async with receiver() as hook, gateway(directory, AT_ONCE, api_key=KEY) as server:
        other = await server.hook.gateway.projects.create(OPERATOR, "other")
        wanted: dict[str, dict[str, Any]] = {
            "read": {"scopes": ["read"]},
            "submit": {"scopes": ["submit"]},
            "operate": {"scopes": ["operate"]},
            "admin": {"scopes": ["admin"]},
            "expired": {"scopes": ["admin"], "expires": "1s"},
            "revoked": {"scopes": ["admin"]},
            "other_project": {"scopes": ["admin"], "project": other.id},
        }
        keys = {}
        for role, fields in wanted.items():
            body = {"name": role, **fields}
            keys[role] = (await server.post("/api/keys", json=body, headers=bearer)).json()
        await server.post(f"/api/keys/{keys['revoked']['id']}/revoke", headers=bearer)
        ids = await records(server, bearer, hook.url)
        token = await server.post(
            f"/api/jobs/{ids['job_id']}/token",
            headers={"Authorization": f"Bearer {keys['read']['key']}"},
        )
        texts = {role: key["key"] for role, key in keys.items()}
        texts |= {"token": token.json()["token"], "operator": KEY}
        texts["malformed"] = texts["admin"][:-1] + "!"
        headers = {role: {"Authorization": f"Bearer {text}"} for role, text in texts.items()}
        one = Stage(server, ids, {"no_key": {}, **headers})

        async def expired() -> bool:
            return (await one.send("GET /api/models", "expired")).status == 401

        await until(expired)
        yield one


async def records(server: Gateway, bearer: dict[str, str], url: str) -> dict[str, str]:
    """Make one of everything that has an id, in `default`."""

    async def post(path: str, body: Any) -> Any:
        return (await server.post(path, json=body, headers=bearer)).json()

    endpoint = await post("/api/endpoints", {"url": "https://example.com/hook"})
    job = await post("/api/generate", {**VIDEO, "webhookUrl": url})

    async def delivered() -> Any:
        query = {"jobId": job["jobId"], "state": "delivered"}
        reply = await server.get("/api/deliveries", params=query, headers=bearer)
        status = await server.get(f"/api/jobs/{job['jobId']}", headers=bearer)
        found = reply.json()["deliveries"]
        return found if found and status.json()["status"] == "completed" else None

    [delivery] = await until(delivered)
    resend = await post("/api/deliveries/resend", {"since": "2026-01-31T10:00Z"})
    project = await post("/api/projects", {"name": "sample"})
    key = await post("/api/keys", {"name": "sample", "scopes": ["read"]})
    return {
        "job_id": job["jobId"],
        "video_id": video_id(job["jobId"]),
        "endpoint_id": endpoint["id"],
        "delivery_id": str(delivery["id"]),
        "resend_id": resend["id"],
        "key_id": key["id"],
        "project_id": project["id"],
        "provider": "openai",
        "token": "unknown",
    }


def expected(label: str, role: str) -> tuple[int, str] | None:
    """Return the refusal that a role gets from the guard; None: it is let in."""
    rule = RULES[label]
    if isinstance(rule, Policy):
        return None
    match role:
        case "no_key" | "malformed":
            return UNAUTHORIZED
        case "expired" | "revoked":
            return 401, f"key_{role}"
        case "token":
            return None if label in OF_TOKENS else (403, "forbidden")
        case "operator":
            return None
        case _:
            held = Scope.ADMIN if role == "other_project" else Scope(role)
            return None if _HELD.index(held) >= _HELD.index(rule) else (403, "scope_missing")


async def test_every_route_has_a_rule_and_declares_it() -> None:
    found = routes()
    assert set(found) == set(RULES), "decide who may use a new route, and write it into RULES"
    for label, route in found.items():
        need, rule = need_of(route), RULES[label]
        assert isinstance(route, PolicyRoute)
        assert (route.policy if need is None else need.scope) is rule, label
        assert (need is not None and need.one_job is not None) == (label in OF_TOKENS), label


LAST = ("DELETE", "POST /api/keys/{key_id}", "POST /api/projects/{project_id}/close")
"""These end a record that the other routes need."""
LABELS = sorted(RULES, key=lambda label: (label.startswith(LAST), label))


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_is_let_in_where_its_scope_allows_and_nowhere_else(
    stage: Stage, role: str
) -> None:
    for label in LABELS:
        reply = await stage.send(label, role)
        refusal = expected(label, role)
        if refusal is None:
            assert reply.status not in {401, 403}, (label, reply.body)
        elif label.startswith("HEAD"):
            assert reply.status == refusal[0], label
        else:
            assert (reply.status, code(reply)) == refusal, (label, reply.body)


NAMED = sorted(
    label
    for label, rule in RULES.items()
    if isinstance(rule, Scope)
    and rule is not Scope.OPERATOR
    and (any(f"{{{name}}}" in label for name in UNKNOWN) or label in OF_TOKENS)
)


@pytest.mark.parametrize("label", NAMED)
async def test_another_project_s_records_do_not_exist(stage: Stage, label: str) -> None:
    foreign = await stage.send(label, "other_project")
    unknown = await stage.send(label, "other_project", UNKNOWN)
    assert unknown.status == 404
    assert (foreign.status, foreign.body) == (unknown.status, unknown.body)


@pytest.mark.parametrize("label", sorted(LISTS))
async def test_no_list_shows_another_project_s_records(stage: Stage, label: str) -> None:
    reply = await stage.send(label, "other_project")
    assert reply.status == 200
    shown = reply.body.decode()
    # A delivery's id is a small number, but its job and its endpoint would show.
    named = UNKNOWN.keys() - {"delivery_id"}
    assert not [name for name in named if f'"{stage.ids[name]}"' in shown]


def code(reply: Reply) -> str:
    error = reply.json()
    return str(error["error"]["code"] if isinstance(error["error"], dict) else error["code"])
