"""Pages: who sees them, what they show, and that their forms act once and only from our pages."""

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import pytest_asyncio
from browsing import HTML, Browsing, browsing, buttons_in, new_key
from declared_routes import routes_of
from gateways import AT_ONCE, Gateway, gateway, until
from gateways import settings as gateway_settings
from receivers import receiver

from reelhook import bootstrap
from reelhook.config import Settings
from reelhook.doors.app import PAGES
from reelhook.doors.policy import Policy, PolicyRoute, need_of
from reelhook.doors.web import view
from reelhook.doors.web.assets import assets

pytestmark = pytest.mark.asyncio(loop_scope="module")
KEY = "a-long-random-text"
BEARER = {"Authorization": f"Bearer {KEY}"}
ROLES = ("read", "submit", "operate", "admin", "operator")
RANK = {role: rank for rank, role in enumerate(ROLES)}
XSS = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}"
OPEN = {"/login", "/logout", "/theme"}


class Stage:
    """A server with a finished job, an endpoint, and a visitor for every role."""

    def __init__(self, server: Gateway, visitors: dict[str, Browsing], ids: dict[str, str]) -> None:
        self.server, self.visitors, self.ids = server, visitors, ids

    def path(self, label: str) -> str:
        path = label.partition(" ")[2]
        for name, value in self.ids.items():
            path = path.replace(f"{{{name}}}", value)
        return path


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("pages")
    visitors: dict[str, Browsing] = {}
    async with (
        gateway(folder, AT_ONCE, api_key=KEY, headers=BEARER) as server,
        receiver() as client,
    ):
        endpoint = await server.endpoint(client.url, description=XSS, headers={"X-One": "<b>"})
        job = await server.submit(XSS, metadata={"note": XSS}, endpoints=[endpoint["id"]])
        await server.job_when(job, "completed")
        delivery = await server.delivery_when("delivered", jobId=job)
        project = (await server.post("/api/projects", json={"name": "studio"})).json()
        key = await new_key(server, {}, scopes=["read"])
        ids = {"job_id": job, "endpoint_id": endpoint["id"], "delivery_id": str(delivery["id"])}
        ids |= {"key_id": key["id"], "project_id": project["id"]}
        stack = [browsing(server) for _ in ROLES]
        for role, one in zip(ROLES, stack, strict=True):
            visitor = visitors[role] = await one.__aenter__()
            text = KEY if role == "operator" else (await new_key(server, {}, scopes=[role]))["key"]
            assert (await visitor.log_in(text)).status == 303
        yield Stage(server, visitors, ids)
        for one in stack:
            await one.__aexit__(None, None, None)


async def test_every_page_needs_a_session_except_these() -> None:
    routes = routes_of(PAGES).values()
    policies = {one.path: one.policy for one in routes if isinstance(one, PolicyRoute)}
    assert {path for path, policy in policies.items() if policy is Policy.OPEN_PAGE} == OPEN
    assert policies["/static/{name}"] is Policy.OPEN
    assert {policies[path] for path in policies.keys() - OPEN - {"/static/{name}"}} == {Policy.PAGE}


READ = [label for label, one in routes_of(PAGES).items() if need_of(one) and label[:3] == "GET"]
WRITE = [label for label, one in routes_of(PAGES).items() if need_of(one) and label[:4] == "POST"]


@pytest.mark.parametrize("label", READ)
async def test_a_page_is_shown_to_those_who_may_read_it(stage: Stage, label: str) -> None:
    need = need_of(routes_of(PAGES)[label])
    assert need is not None
    for role, visitor in stage.visitors.items():
        reply = await visitor.get(stage.path(label))
        expected = 200 if RANK[role] >= RANK[need.scope.value] else 403
        assert reply.status == expected, (role, reply.body.decode()[:500])
        if reply.status == 200 and not label.endswith(".csv"):
            policy = reply.headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            assert "unsafe" not in policy
            assert_no_inline(reply.body.decode())
    assert (await stage.server.get(stage.path(label), headers=HTML)).status == 303


class Tags(HTMLParser):
    """Keeps what a browser would run or apply."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if (tag == "script" and "src" not in named) or tag == "style":
            self.inline.append(tag)
        self.inline += [name for name in named if name == "style" or name.startswith("on")]


def assert_no_inline(html: str) -> None:
    tags = Tags()
    tags.feed(html)
    assert tags.inline == []
    assert "alert(1)</script>" not in html


@pytest.mark.parametrize("label", WRITE)
async def test_an_action_is_refused_without_its_scope(stage: Stage, label: str) -> None:
    need = need_of(routes_of(PAGES)[label])
    assert need is not None
    for role, visitor in stage.visitors.items():
        if RANK[role] < RANK[need.scope.value]:
            await visitor.get("/")
            assert (await visitor.post(stage.path(label))).status == 403, role


@pytest.mark.parametrize("label", WRITE)
async def test_an_action_from_another_page_is_refused(stage: Stage, label: str) -> None:
    visitor = stage.visitors["operator"]
    await visitor.get("/")
    assert (await visitor.post(stage.path(label), origin="http://evil.example")).status == 403
    assert (await visitor.post(stage.path(label), origin="null")).status == 403
    forged = {"form_token": "0" * 64}
    assert (await visitor.post(stage.path(label), forged)).status == 403


@pytest.mark.parametrize("label", [label for label in READ if not label.endswith(".csv")])
async def test_a_reader_sees_no_button_that_writes(stage: Stage, label: str) -> None:
    reply = await stage.visitors["read"].get(stage.path(label))
    if reply.status == 200:
        assert buttons_in(reply.body.decode()) <= {"/theme", "/logout"}


@pytest.mark.parametrize("label", [label for label in READ if not label.endswith(".csv")])
async def test_parts_of_a_page_are_polled(stage: Stage, label: str) -> None:
    reply = await stage.visitors["operator"].get(stage.path(label) + "?live=poll")
    assert reply.status == 200
    assert b"<html" not in reply.body
    assert reply.body.count(b"<hx-partial") == reply.body.count(b"</hx-partial>")


@pytest.mark.parametrize(
    "path", ["/", "/jobs/{job_id}", "/costs.csv", "/login", "/jobs/unknown", "/no"]
)
async def test_the_head_of_a_page_is_that_of_the_page(stage: Stage, path: str) -> None:
    visitor, url = stage.visitors["read"], stage.server.url + path.format(**stage.ids)
    page = await visitor.session.get(url, headers=HTML)
    head = await visitor.session.head(url, headers=HTML, allow_redirects=True)
    assert (head.status, await head.read()) == (page.status, b"")
    assert head.headers["Content-Type"] == page.headers["Content-Type"]
    stream = await visitor.session.head(f"{url}?live=stream", headers=HTML, allow_redirects=True)
    assert (stream.status, await stream.read()) == (page.status, b"")


async def test_a_head_without_a_session_leads_to_the_login(stage: Stage) -> None:
    reply = await stage.server.request("HEAD", "/jobs", headers=HTML)
    assert (reply.status, reply.headers["Location"]) == (303, "/login?next=/jobs")


async def test_the_stream_of_a_job_ends_with_the_job(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server, browsing(server) as visitor:
        job = await server.submit("A fox")
        await server.job_when(job, "completed")
        async with visitor.session.get(f"{server.url}/jobs/{job}?live=stream") as stream:
            assert await stream.content.readline() == b": following\n"
            assert (await server.delete(f"/api/jobs/{job}")).status == 204
            async with asyncio.timeout(10):
                assert b"job-state" in await stream.read()
        assert (await visitor.get(f"/jobs/{job}?live=stream")).status == 404


async def test_texts_of_strangers_are_shown_as_text(stage: Stage) -> None:
    for path in ("/", "/jobs", f"/jobs/{stage.ids['job_id']}", "/webhooks", "/archive"):
        html = (await stage.visitors["operator"].get(path)).body.decode()
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html, path
        assert "<img src=x" not in html
        assert "{{7*7}}" in unescape(html) or path != f"/jobs/{stage.ids['job_id']}"
    filtered = "/jobs?q=%3Cscript%3Ealert(1)%3C/script%3E"
    assert_no_inline((await stage.visitors["operator"].get(filtered)).body.decode())


async def test_an_unknown_job_is_a_page_and_a_404(stage: Stage) -> None:
    for path in ("/jobs/job_unknown", "/webhooks/ep_unknown", "/nowhere"):
        reply = await stage.visitors["operator"].get(path)
        assert (reply.status, b"<h1>Nothing here" in reply.body) == (404, True), path
    assert (
        'href="/webhooks">To the webhooks'
        in (await stage.visitors["operator"].get("/webhooks/ep_unknown")).body.decode()
    )
    # A program still gets JSON.
    assert (await stage.server.get("/nowhere")).json()["code"] == "not_found"


async def test_a_filter_that_cannot_be_parsed_is_shown_with_its_place(stage: Stage) -> None:
    html = await stage.visitors["read"].text("/jobs?q=status%3Afailed+colour%3Ared")
    assert "colour is no filter" in html
    assert "<mark>colour:red</mark>" in html


async def test_files_are_kept_for_ever_under_names_of_their_content(stage: Stage) -> None:
    html = await stage.visitors["read"].text("/")
    files = set(re.findall(r'/static/[^"#]+', html))
    assert any(name.startswith("/static/app.") for name in files)
    for name in files:
        reply = await stage.server.get(name)
        assert (reply.status, "immutable" in reply.headers["Cache-Control"]) == (200, True)
    assert (await stage.server.get("/static/app.css")).status == 404


async def test_a_form_that_is_sent_twice_is_done_once(stage: Stage) -> None:
    visitor, server = stage.visitors["operator"], stage.server
    await visitor.get("/try")
    before = await server.total()
    fields = {"model": "openai/sora-2", "prompt": "A fox", "do": "submit"}
    replies = await asyncio.gather(visitor.post("/try", fields), visitor.post("/try", fields))
    assert {reply.status for reply in replies} == {303}
    assert len({reply.headers["Location"] for reply in replies}) == 1
    assert await server.total() == before + 1
    await visitor.get("/try")
    await visitor.post("/try", fields)
    assert await server.total() == before + 2


async def test_a_secret_is_shown_once_and_again_to_the_same_form(stage: Stage) -> None:
    visitor = stage.visitors["operator"]
    path = f"/webhooks/{stage.ids['endpoint_id']}"
    await visitor.get(path)
    shown = [(await visitor.post(f"{path}/rotate")).body.decode() for _ in range(2)]
    secrets = [set(re.findall(r"whsec_[A-Za-z0-9+/=]+", html)) for html in shown]
    assert secrets[0] == secrets[1]
    assert len(secrets[0]) == 1
    assert "whsec_" not in await visitor.text(path)


async def test_actions_without_javascript(stage: Stage) -> None:
    visitor, server = stage.visitors["operator"], stage.server
    job, endpoint, delivery = (stage.ids[n] for n in ("job_id", "endpoint_id", "delivery_id"))

    async def done(path: str, page: str, **fields: str) -> Any:
        await visitor.get(page)
        reply = await visitor.post(path, fields)
        assert reply.status in {200, 303}, (path, reply.body.decode()[-3000:])
        return reply

    deliveries = len(await server.deliveries(jobId=job))
    await done(f"/jobs/{job}/resend/{delivery}", f"/jobs/{job}")
    assert len(await server.deliveries(jobId=job)) == deliveries + 1
    await done(f"/webhooks/{endpoint}/disable", f"/webhooks/{endpoint}")
    assert (await server.get(f"/api/endpoints/{endpoint}")).json()["disabled"] == "operator"
    await done(f"/webhooks/{endpoint}/enable", f"/webhooks/{endpoint}")
    tested = await done(f"/webhooks/{endpoint}/test", f"/webhooks/{endpoint}")
    assert b"The test got 200" in tested.body
    await done(f"/webhooks/{endpoint}/resend", f"/webhooks/{endpoint}", hours="24", count="0")
    await done("/system/pause", "/system")
    assert (await server.get("/readyz")).json()["watcher"] == "paused"
    await done("/system/resume", "/system")
    made = await done("/keys", "/keys", name="by page", scope="read", days="30")
    assert len(re.findall(rb"rhk_[A-Za-z0-9]+", made.body)) >= 1
    budget = {"jobsPerDay": 10}
    await server.request("PUT", "/api/projects/default/budgets", json=budget)
    await done("/costs/raise", "/costs", jobs_per_day="20", hours="2")
    raised = (await server.get("/api/projects/default/budgets")).json()["raised"]
    assert raised["jobsPerDay"] == 20
    await done("/jobs/selected", "/jobs", do="check", **{f"job.{job}": "on"})


async def test_an_action_that_comes_too_late_shows_the_job_as_it_is(stage: Stage) -> None:
    visitor, job = stage.visitors["operator"], stage.ids["job_id"]
    await visitor.get(f"/jobs/{job}")
    reply = await visitor.post(f"/jobs/{job}/cancel")
    html = reply.body.decode()
    assert reply.status == 409
    assert 'role="alert"' in html
    assert "completed" in html


async def test_another_projects_job_is_none(stage: Stage) -> None:
    server = stage.server
    made = await server.post(
        "/api/keys", json={"name": "theirs", "scopes": ["admin"], "project": "studio"}
    )
    async with browsing(server) as visitor:
        await visitor.log_in(made.json()["key"])
        assert (await visitor.get(f"/jobs/{stage.ids['job_id']}")).status == 404
        assert stage.ids["job_id"] not in await visitor.text("/jobs")
        assert stage.ids["job_id"] not in await visitor.text("/")
        assert (await visitor.post(f"/jobs/{stage.ids['job_id']}/delete")).status == 404


async def test_without_the_files_from_npm_pages_say_that_they_are_not_live(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = {
        name: one for name, one in assets().items() if name in {"app.css", "app.js", "icons.svg"}
    }
    monkeypatch.setattr(view, "assets", lambda: ours)
    html = await stage.visitors["operator"].text("/jobs")
    assert "not live" in html
    assert "htmx" not in re.sub(r"<meta[^>]*>", "", html)


async def test_the_system_page_shows_workers_and_what_the_doctor_finds(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server, browsing(server) as visitor:

        async def worked() -> bool:
            return "nobody" not in (html := await visitor.text("/system")) and "openai" in html

        await until(worked)
        assert "/system/doctor" not in buttons_in(await visitor.text("/system"))
        reply = await visitor.post("/system/doctor")
        assert (reply.status, b"reelhook doctor" in reply.body) == (400, True)


class Finding(NamedTuple):
    subject: str
    verdict: str
    message: str


async def test_the_findings_of_the_doctor_stay_on_the_page(tmp_path: Path) -> None:
    async def examine(settings: Settings) -> list[Finding]:
        return [Finding("settings", "ok", "are valid"), Finding("clocks", "failed", XSS)]

    chosen = gateway_settings(tmp_path, "http://127.0.0.1:1/v1", api_key=KEY)
    async with (
        bootstrap.server(chosen, examine=examine) as running,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        visitor = Browsing(session, running.url, {})
        await visitor.log_in(KEY)
        assert "/system/doctor" in buttons_in(await visitor.text("/system"))
        html = (await visitor.post("/system/doctor")).body.decode()
        assert "1 of 2 checks found something" in html
        assert "&lt;script&gt;alert(1)" in html
        assert "are valid" in await visitor.text("/system")
