"""The dashboard in a browser: live updates, the keyboard, accessibility, and no foreign request."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, Gateway, gateway, until
from moto_bucket import BUCKET, moto_bucket, variables
from playwright.async_api import Browser, Page, Request, async_playwright
from receivers import receiver

from reelhook.doors.web.assets import assets
from reelhook.simulator.faults import Faults

CHROMIUM = Path("/usr/bin/chromium")
AXE = Path(__file__).parents[1] / "javascript" / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
KEY = "a-long-random-text"
BEARER = {"Authorization": f"Bearer {KEY}"}
LOADED = """new Promise((done) => {
  const video = document.querySelector("video");
  if (video.readyState >= 1) done(); else video.addEventListener("loadedmetadata", () => done());
})"""
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
FAST = Faults(queue_seconds=0.1, render_seconds=0.2)
PATHS = (
    *("/", "/jobs", "/webhooks", "/providers", "/costs", "/keys", "/archive", "/system", "/try"),
    *("/jobs/{job}", "/webhooks/{endpoint}", "/jobs/unknown", "/jobs?q=colour%3Ared"),
    *("/jobs/{job}/deliveries/{delivery}", "/jobs?q=model%3Asora-2&all=cancel"),
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is missing"),
]


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield started
        await started.close()


class Watched:
    """What a page asked for, and what went wrong in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.foreign: list[str] = []
        self.wrong: list[str] = []
        self._url = url
        page.on("request", self._request)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda one: self.wrong.append(one.text) if one.type == "error" else None)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self._url, "data:", "blob:")):
            self.foreign.append(request.url)


async def log_in(page: Page, server: Gateway) -> None:
    await page.goto(f"{server.url}/login")
    await page.fill("#key", KEY)
    await page.press("#key", "Enter")
    await page.wait_for_url(f"{server.url}/")


@pytest.mark.skipif("htmx.js" not in assets(), reason="npm was missing at the build")
async def test_a_job_appears_moves_and_plays_without_a_reload(tmp_path: Path) -> None:
    async with gateway(tmp_path, FAST, api_key=KEY, headers=BEARER) as server, browser() as one:
        page = await one.new_page()
        watched = Watched(page, server.url)
        await log_in(page, server)
        await page.wait_for_selector("#livestate[data-state=live]")
        await page.evaluate("window.kept = true")
        job = await server.submit("A live fox")
        await server.job_when(job, "queued")
        server.time.advance(0.15)
        await page.wait_for_selector(f'#events a[href="/jobs/{job}"]')
        await page.goto(f"{server.url}/jobs/{job}")
        await page.evaluate("window.kept = true")
        server.time.advance(1)
        await page.wait_for_selector("#job-state .state.good")
        await page.wait_for_selector("video")
        await page.evaluate(LOADED)
        assert await page.evaluate("document.querySelector('video').duration") > 0
        assert await page.evaluate("window.kept")
        assert (watched.foreign, watched.wrong) == ([], [])


async def test_the_player_shows_a_video_whose_downloads_lead_to_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moto_bucket() as url:
        for name, value in variables(url).items():
            monkeypatch.setenv(name, value)
        options: dict[str, Any] = {
            "archive_url": f"s3://{BUCKET}",
            "archive_redirect": True,
            "api_key": KEY,
            "headers": BEARER,
        }
        async with gateway(tmp_path, AT_ONCE, **options) as server, browser() as one:
            job = await server.submit("A fox in a bucket")
            link = f"/api/sora/videos/{job}"

            async def leads_to_the_store(path: str) -> bool:
                return (await server.get(path)).status == 302

            await until(lambda: leads_to_the_store(f"{link}/download"))
            await until(lambda: leads_to_the_store(f"{link}/poster"))
            page = await one.new_page()
            watched = Watched(page, server.url)
            await log_in(page, server)
            await page.goto(f"{server.url}/jobs/{job}")
            await page.evaluate(LOADED)
            await page.goto(f"{server.url}/archive")
            image = page.locator("main img").first
            await image.scroll_into_view_if_needed()
            assert await image.evaluate("one => one.decode().then(() => one.naturalWidth)") > 0
            assert (watched.foreign, watched.wrong) == ([], [])


@pytest.mark.skipif("htmx.js" not in assets(), reason="npm was missing at the build")
async def test_a_page_has_one_stream_and_none_while_it_is_paused_or_hidden(tmp_path: Path) -> None:
    async with gateway(tmp_path, FAST, api_key=KEY, headers=BEARER) as server, browser() as one:
        page = await one.new_page()
        streams: list[Request] = []
        page.on("request", lambda one: streams.append(one) if "live=stream" in one.url else None)

        def ended(request: Request) -> None:
            if request in streams:
                streams.remove(request)

        page.on("requestfailed", ended)
        page.on("requestfinished", ended)
        await log_in(page, server)
        for path in ("/jobs", "/webhooks"):
            await page.goto(server.url + path)
            await page.wait_for_selector("#livestate[data-state=live]")
            assert len(streams) == 1

        async def none() -> bool:
            return not streams

        async def one_again() -> bool:
            return len(streams) == 1

        await page.keyboard.press("p")
        await until(none)
        await page.keyboard.press("p")
        await page.wait_for_selector("#livestate[data-state=live]")
        for _ in range(2):
            await page.evaluate(HIDE, True)
            await until(none)
            await page.evaluate(HIDE, False)
            await until(one_again)


@pytest.mark.skipif("htmx.js" not in assets(), reason="npm was missing at the build")
async def test_an_update_keeps_open_what_a_person_has_opened(tmp_path: Path) -> None:
    slow = Faults(queue_seconds=0.1, render_seconds=1000)
    async with (
        gateway(tmp_path, slow, api_key=KEY, headers=BEARER) as server,
        receiver() as client,
        browser() as one,
    ):
        job = await server.submit("A fox", webhookUrl=client.url)
        await server.job_when(job, "queued")
        server.time.advance(0.15)
        await server.job_when(job, "processing")
        await server.delivery_when("delivered", jobId=job)
        page = await one.new_page()
        await log_in(page, server)
        await page.goto(f"{server.url}/jobs/{job}")
        await page.click("#deliveries summary")
        await page.click("#job-events summary >> nth=0")
        await page.click("summary:has-text('Stop watching')")
        first = await page.inner_text("#job-events details[open] summary")
        await page.wait_for_selector("#livestate[data-state=live]")
        for percent in (20, 40):
            server.time.advance(200)
            await page.wait_for_selector(f"#video >> text={percent} %")
            for opened in ("#actions .confirm", "#deliveries details", "#job-events details"):
                assert await page.locator(f"{opened}[open]").count() == 1, (percent, opened)
            assert await page.inner_text("#job-events details[open] summary") == first


@pytest.mark.skipif("htmx.js" not in assets(), reason="npm was missing at the build")
async def test_new_jobs_are_counted_and_do_not_move_the_list(tmp_path: Path) -> None:
    async with gateway(tmp_path, FAST, api_key=KEY, headers=BEARER) as server, browser() as one:
        await server.submit("The first")
        page = await one.new_page()
        await log_in(page, server)
        await page.goto(f"{server.url}/jobs")
        await page.wait_for_selector("#livestate[data-state=live]")
        await server.submit("The second")
        await page.wait_for_selector("#news >> text=1 new")
        assert await page.locator("[data-row]").count() == 1
        await page.click("#news a")
        assert await page.locator("[data-row]").count() == 2


@pytest.mark.skipif("htmx.js" not in assets(), reason="npm was missing at the build")
@pytest.mark.parametrize("from_the_beginning", [True, False])
async def test_without_streams_a_page_is_read_every_5_s_and_says_since_when(
    tmp_path: Path, from_the_beginning: bool
) -> None:
    async with gateway(tmp_path, FAST, api_key=KEY, headers=BEARER) as server, browser() as one:
        page = await one.new_page()
        await page.clock.install()
        await log_in(page, server)
        state = page.locator("#livestate")
        if not from_the_beginning:
            await page.wait_for_selector("#livestate[data-state=live]")
        await page.route("**/*live=stream*", lambda route: route.abort())
        if from_the_beginning:
            await page.reload()
        else:
            server.hook.gateway.feed.stop()  # which ends the streams
        await seconds_pass(page, 10, until="#livestate[data-state=lost]")
        words = re.compile(r"since \d\d:\d\d")
        assert words.search(await state.inner_text())
        await seconds_pass(page, 30, until="[data-state=polling]")
        assert words.search(await state.inner_text())
        job = await server.submit("A fox that is polled")
        await server.job_when(job, "queued")
        server.time.advance(0.15)
        await server.job_when(job, "processing")
        await seconds_pass(page, 6, until=f'#events a[href="/jobs/{job}"]')
        await page.unroute("**/*live=stream*")
        await seconds_pass(page, 30, until="#livestate[data-state=live]")


async def seconds_pass(page: Page, seconds: int, *, until: str) -> None:
    """Let time pass in the page, a second at a time, until it shows something."""
    for _ in range(seconds):
        if await page.locator(until).count():
            return
        await page.clock.run_for(1000)
        await page.evaluate("new Promise((done) => requestIdleCallback(done))")
    await page.wait_for_selector(until)


async def test_the_keyboard_alone_reaches_a_job(tmp_path: Path) -> None:
    async with gateway(tmp_path, FAST, api_key=KEY, headers=BEARER) as server, browser() as one:
        job = await server.submit("A fox by keys")
        page = await one.new_page()
        await log_in(page, server)
        await page.keyboard.press("g")
        await page.keyboard.press("j")
        await page.wait_for_url(f"{server.url}/jobs")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{server.url}/jobs/{job}")
        await page.keyboard.press("?")
        assert await page.locator("#help").is_visible()
        await page.keyboard.press("Escape")
        await page.wait_for_selector("#help", state="hidden")
        await page.keyboard.press("t")
        assert await page.evaluate("document.documentElement.dataset.theme") == "dark"


async def test_a_person_without_javascript_cancels_a_job(tmp_path: Path) -> None:
    slow = Faults(queue_seconds=60, render_seconds=60)
    async with gateway(tmp_path, slow, api_key=KEY, headers=BEARER) as server, browser() as one:
        job = await server.submit("A fox that is canceled")
        await server.job_when(job, "queued")
        context = await one.new_context(java_script_enabled=False)
        page = await context.new_page()
        await log_in(page, server)
        await page.goto(f"{server.url}/jobs/{job}")
        await page.click("summary:has-text('Stop watching')")
        await page.click("button:has-text('Stop watching')")
        assert "The job is canceled" in await page.inner_text(".banner")
        assert (await server.job(job))["status"] == "canceled"


@pytest.mark.skipif(not AXE.exists(), reason="npm was missing: axe-core is not installed")
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_no_page_has_a_violation_that_axe_finds(tmp_path: Path, theme: Any) -> None:
    async with (
        gateway(tmp_path, AT_ONCE, api_key=KEY, headers=BEARER) as server,
        receiver() as client,
        browser() as one,
    ):
        endpoint = await server.endpoint(client.url, description="Shop", broadcast=True)
        job = await server.submit("A fox")
        await server.job_when(job, "completed")
        delivery = await server.delivery_when("delivered", jobId=job)
        await server.submit("Another fox")
        context = await one.new_context(color_scheme=theme)
        page = await context.new_page()
        watched = Watched(page, server.url)
        await page.goto(f"{server.url}/login")
        found = {"/login": await violations(page)}
        await log_in(page, server)
        for path in PATHS:
            await page.goto(
                server.url + path.format(job=job, endpoint=endpoint["id"], delivery=delivery["id"])
            )
            found[path] = await violations(page)
        assert {path: wrong for path, wrong in found.items() if wrong} == {}
        assert watched.foreign == []


async def violations(page: Page) -> list[str]:
    await page.evaluate(AXE.read_text())
    result = await page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for one in result["violations"]
        for node in one["nodes"][:3]
    ]
