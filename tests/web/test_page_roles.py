"""Every page and action by every role. Rules are written here by hand, not read off the routes.

A new page has no row in `RULES`, so the first test fails until someone decides who may use it.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from browsing import Browsing, browsing, new_key
from declared_routes import routes_of
from gateways import AT_ONCE, Gateway, Reply, gateway, until
from receivers import receiver

from reelhook.domain.api_key import token_hash
from reelhook.domain.caller import Scope
from reelhook.doors.app import PAGES
from reelhook.doors.context import HttpOptions
from reelhook.doors.policy import Policy, PolicyRoute, need_of
from reelhook.doors.sessions import Sessions

pytestmark = pytest.mark.asyncio(loop_scope="module")
KEY = "a-long-random-text"
BEARER = {"Authorization": f"Bearer {KEY}"}
SCRIPT = "A fox that nobody else may see"
RULES: dict[str, Scope | Policy] = {
    "GET /": Scope.READ,
    "GET /jobs": Scope.READ,
    "POST /jobs/selected": Scope.SUBMIT,
    "POST /jobs/matching": Scope.SUBMIT,
    "GET /jobs/{job_id}": Scope.READ,
    "GET /jobs/{job_id}/deliveries/{delivery_id}": Scope.READ,
    "POST /jobs/{job_id}/check": Scope.OPERATE,
    "POST /jobs/{job_id}/cancel": Scope.SUBMIT,
    "POST /jobs/{job_id}/stop": Scope.SUBMIT,
    "POST /jobs/{job_id}/delete": Scope.SUBMIT,
    "POST /jobs/{job_id}/adopt": Scope.OPERATE,
    "POST /jobs/{job_id}/abandon": Scope.OPERATE,
    "POST /jobs/{job_id}/resend/{delivery_id}": Scope.OPERATE,
    "GET /webhooks": Scope.READ,
    "GET /webhooks/{endpoint_id}": Scope.READ,
    "POST /webhooks": Scope.OPERATE,
    "POST /webhooks/{endpoint_id}/change": Scope.OPERATE,
    "POST /webhooks/{endpoint_id}/enable": Scope.OPERATE,
    "POST /webhooks/{endpoint_id}/disable": Scope.OPERATE,
    "POST /webhooks/{endpoint_id}/test": Scope.OPERATE,
    "POST /webhooks/{endpoint_id}/rotate": Scope.OPERATE,
    "POST /webhooks/{endpoint_id}/remove": Scope.OPERATE,
    "POST /webhooks/{endpoint_id}/resend": Scope.OPERATE,
    "GET /providers": Scope.READ,
    "GET /costs": Scope.READ,
    "GET /costs.csv": Scope.READ,
    "POST /costs/raise": Scope.OPERATOR,
    "GET /keys": Scope.ADMIN,
    "POST /keys": Scope.ADMIN,
    "POST /keys/{key_id}/rotate": Scope.ADMIN,
    "POST /keys/{key_id}/revoke": Scope.ADMIN,
    "POST /keys/projects": Scope.OPERATOR,
    "POST /keys/projects/{project_id}/close": Scope.OPERATOR,
    "GET /archive": Scope.READ,
    "GET /system": Scope.READ,
    "POST /system/doctor": Scope.OPERATOR,
    "POST /system/pause": Scope.OPERATOR,
    "POST /system/resume": Scope.OPERATOR,
    "GET /try": Scope.SUBMIT,
    "POST /try": Scope.SUBMIT,
    "GET /login": Policy.OPEN_PAGE,
    "POST /login": Policy.OPEN_PAGE,
    "POST /logout": Policy.OPEN_PAGE,
    "POST /theme": Policy.OPEN_PAGE,
    "GET /static/{name}": Policy.OPEN,
}
WITHOUT_SESSION = ("nobody", "bearer", "forged", "expired", "revoked")
RANK = (Scope.READ, Scope.SUBMIT, Scope.OPERATE, Scope.ADMIN, Scope.OPERATOR)
UNKNOWN = {
    "job_id": "job_unknown",
    "delivery_id": "999999",
    "endpoint_id": "ep_unknown",
    "key_id": "key_unknown",
}
LABELS = [label for label, rule in RULES.items() if isinstance(rule, Scope)]
LISTS = [label for label in LABELS if label.startswith("GET") and "{" not in label]
NAMED = [
    label
    for label in LABELS
    if RULES[label] is not Scope.OPERATOR and any(f"{{{name}}}" in label for name in UNKNOWN)
]


@dataclass
class Stage:
    """A server with records of `default`, and a browser for every role."""

    server: Gateway
    visitors: dict[str, Browsing]
    headers: dict[str, dict[str, str]]
    ids: dict[str, str]

    async def send(self, label: str, role: str, ids: Mapping[str, str] | None = None) -> Reply:
        method, _, path = label.partition(" ")
        for name, value in {**self.ids, **(ids or {})}.items():
            path = path.replace(f"{{{name}}}", value)
        visitor = self.visitors[role]
        if method == "POST":
            fields = {"name": "x", "hours": "1", "provider_job_id": "video_x"}
            return await visitor.post(path, fields)
        return await visitor.get(path, **self.headers.get(role, {}))


def session_of(server: Gateway, key: str) -> dict[str, str]:
    """Return the cookie of a session that a key began before it expired."""
    app: Any = server.hook.asgi
    options: HttpOptions = app.state.options
    sessions = Sessions(options.access)
    return {sessions.cookie: sessions.begin(token_hash(key), options.clock.now()).text}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        folder = tmp_path_factory.mktemp("roles")
        server = await stack.enter_async_context(
            gateway(folder, AT_ONCE, api_key=KEY, headers=BEARER)
        )
        client = await stack.enter_async_context(receiver())
        endpoint = await server.endpoint(client.url, description="The shop")
        job = await server.submit(SCRIPT, endpoints=[endpoint["id"]])
        await server.job_when(job, "completed")
        delivery = await server.delivery_when("delivered", jobId=job)
        await server.post("/api/projects", json={"name": "studio"})
        keys = {one.value: await new_key(server, {}, scopes=[one]) for one in RANK[:-1]}
        keys["expired"] = await new_key(server, {}, scopes=["admin"], expires="1s")
        keys["revoked"] = await new_key(server, {}, scopes=["admin"])
        keys["other_project"] = await new_key(server, {}, scopes=["admin"], project="studio")
        texts = {role: key["key"] for role, key in keys.items()} | {"operator": KEY}
        visitors = {
            role: await stack.enter_async_context(browsing(server))
            for role in (*texts, *WITHOUT_SESSION)
        }
        for role, text in texts.items():
            if role != "expired":
                assert (await visitors[role].log_in(text)).status == 303
        visitors["expired"].session.cookie_jar.update_cookies(session_of(server, texts["expired"]))
        await server.post(f"/api/keys/{keys['revoked']['id']}/revoke")
        (cookie,) = visitors["read"].session.cookie_jar
        forged = {cookie.key: cookie.value[:-1] + ("0" if cookie.value[-1] != "0" else "1")}
        visitors["forged"].session.cookie_jar.update_cookies(forged)
        ids = {"job_id": job, "delivery_id": str(delivery["id"]), "endpoint_id": endpoint["id"]}
        ids |= {"key_id": keys["read"]["id"], "project_id": "studio"}
        one = Stage(server, visitors, {"bearer": BEARER}, ids)

        async def ended() -> bool:
            replies = [await one.send("GET /jobs", role) for role in ("expired", "revoked")]
            return {reply.status for reply in replies} == {303}

        await until(ended)
        yield one


async def test_every_page_has_a_rule_and_declares_it() -> None:
    found = routes_of(PAGES)
    assert set(found) == set(RULES), "decide who may use a new page, and write it into RULES"
    for label, route in found.items():
        need = need_of(route)
        assert isinstance(route, PolicyRoute)
        assert (route.policy if need is None else need.scope) is RULES[label], label
        assert need is None or route.policy is Policy.PAGE, label


@pytest.mark.parametrize("role", WITHOUT_SESSION)
async def test_without_a_session_there_is_only_the_login(stage: Stage, role: str) -> None:
    for label in LABELS:
        for query in ("", "?live=stream", "?live=poll"):
            reply = await stage.send(label + query, role)
            if query and label.startswith("GET"):
                assert (reply.status, reply.body.startswith(b"<")) == (401, False), label
            else:
                assert reply.status in {303, 401}, (label, reply.status)
            assert SCRIPT.encode() not in reply.body


@pytest.mark.parametrize("role", [scope.value for scope in RANK[:-1]])
async def test_a_role_is_refused_what_needs_more(stage: Stage, role: str) -> None:
    await stage.visitors[role].get("/")
    held = RANK.index(Scope(role))
    for label in LABELS:
        if RANK.index(RULES[label]) > held:
            assert (await stage.send(label, role)).status == 403, label


@pytest.mark.parametrize("label", NAMED)
async def test_another_projects_records_do_not_exist(stage: Stage, label: str) -> None:
    await stage.visitors["other_project"].get("/")
    foreign = await stage.send(label, "other_project")
    unknown = await stage.send(label, "other_project", UNKNOWN)
    assert unknown.status == 404
    assert (foreign.status, _plain(stage.ids, foreign)) == (404, _plain(UNKNOWN, unknown))


def _plain(ids: Mapping[str, str], reply: Reply) -> str:
    """Return a page without the ids that were sent, the mark of its forms, and its times."""
    html = re.sub(r'name="once" value="[^"]*"', "", reply.body.decode())
    html = re.sub(r"<time[^>]*>[^<]*</time>", "", html)
    html = re.sub(r"newest=\d+", "", html)
    for name in ("job_id", "endpoint_id", "key_id"):
        html = html.replace(ids[name], name)
    return re.sub(rf"/(resend|deliveries)/{ids['delivery_id']}\b", "", html)


@pytest.mark.parametrize("label", LISTS)
@pytest.mark.parametrize("query", ["", "?live=poll", "?project=default"])
async def test_no_page_shows_another_projects_records(stage: Stage, label: str, query: str) -> None:
    reply = await stage.send(label + query, "other_project")
    assert reply.status == (404 if "project" in query else 200)
    shown = reply.body.decode()
    for hidden in (SCRIPT, "The shop", stage.ids["job_id"], stage.ids["endpoint_id"]):
        assert hidden not in shown
    assert stage.ids["key_id"] not in shown


@pytest.mark.parametrize("label", LISTS)
async def test_what_an_open_page_gets_has_no_secret_of_its_session(
    stage: Stage, label: str
) -> None:
    # Sessions of the same key share it.
    for role in ("operator", "admin"):
        parts = (await stage.send(f"{label}?live=poll", role)).body
        assert b"form_token" not in parts
        assert b"once" not in re.findall(rb'name="([^"]+)"', parts)


async def test_a_filter_names_no_other_project(stage: Stage) -> None:
    visitor = stage.visitors["other_project"]
    foreign = await visitor.get("/jobs?q=project:default")
    unknown = await visitor.get("/jobs?q=project:unknown")
    assert foreign.status == unknown.status == 200
    shown = _plain(UNKNOWN, foreign).replace("default", "unknown")
    assert shown == _plain(UNKNOWN, unknown)
