"""Images of every page of the dashboard, from the real program with the simulated provider.

`python -m bench.screenshots [FOLDER] [--pages jobs,overview] [--states busy]` writes
`STATE-PAGE-THEME-WIDTH.png`. The states are `empty`, `busy` and `bad` (a bad day).
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import aiohttp
from aiohttp import web
from playwright.async_api import Browser, async_playwright

from reelhook import bootstrap
from reelhook.config import Settings
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import running

WIDTHS = {"wide": (1440, 900), "tablet": (1024, 768), "phone": (390, 844)}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
STATES = ("empty", "busy", "bad")
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
KEY = "a-long-random-text-of-the-images"
MODELS = ("xai/grok-imagine-video", "runway/gen4.5", "xai/grok-imagine-video", "openai/sora-2")
PROMPTS = (
    *("A lighthouse at dusk, waves rolling in", "Paper boats on a rain-wet street"),
    *("A fox crossing a snowy field at dawn", "Macro of ink dispersing in water"),
    *("Night train through a neon city", "Bees around lavender, shallow depth of field"),
    *("A potter's hands shaping clay", "Drone flight over terraced rice fields"),
    *("An old cinema projector starting up", "Clouds forming above a mountain pass"),
)


@asynccontextmanager
async def _receiver() -> AsyncIterator[tuple[str, dict[str, int]]]:
    """Receive webhooks; `answers` has the status by path."""
    answers: dict[str, int] = {}

    async def receive(request: web.Request) -> web.Response:
        await request.read()
        status = answers.get(request.path, 200)
        return web.Response(status=status, text="ok" if status == 200 else "upstream timed out")

    application = web.Application()
    application.router.add_post("/{name}", receive)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server: Any = site._server
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", answers
    finally:
        await runner.cleanup()


class Stage:
    """A running program, filled for one state."""

    def __init__(self, session: aiohttp.ClientSession, url: str, hooks: str) -> None:
        self.session, self.url, self.hooks = session, url, hooks
        self.answers: dict[str, int] = {}
        self.shown_job = ""
        self.shown_endpoint = ""

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        async with self.session.request(method, self.url + path, json=body) as response:
            text = await response.text()
            assert response.status < 300, (path, response.status, text)
            return json.loads(text) if text else None

    async def submit(self, prompt: str, **fields: Any) -> str:
        model = MODELS[len(prompt) % len(MODELS)]
        body = {"script": prompt, "seconds": 5, "model": model, **fields}
        return str((await self.call("POST", "/api/generate", body))["jobId"])

    async def done(self, job_id: str, *statuses: str) -> None:
        async with asyncio.timeout(60):
            while (await self.call("GET", f"/api/jobs/{job_id}"))["status"] not in statuses:  # noqa: ASYNC110 - read over HTTP
                await asyncio.sleep(0.1)


async def fill(stage: Stage, simulator: Any, state: str) -> None:
    """Make the jobs, endpoints, keys and budgets of a state."""
    if state == "empty":
        return
    for name, about in (("shop", "Shop backend"), ("editor", "Editor"), ("archive", "Archiver")):
        await stage.call(
            "POST",
            "/api/endpoints",
            {"url": f"{stage.hooks}/{name}", "description": about, "broadcast": True},
        )
    endpoints = (await stage.call("GET", "/api/endpoints"))["endpoints"]
    stage.shown_endpoint = endpoints[0]["id"]
    if state == "bad":
        stage.answers["/shop"] = 503
    await stage.call("POST", "/api/projects", {"name": "studio"})
    await stage.call("POST", "/api/keys", {"name": "shop backend", "scopes": ["submit", "read"]})
    await stage.call("POST", "/api/keys", {"name": "grafana", "scopes": ["read"]})
    budget = {"jobsPerDay": 200, "moneyPerDay": {"USD": 25}, "moneyPerMonth": {"USD": 400}}
    budget["unknownPrice"] = {"USD": 0.4}
    await stage.call("PUT", "/api/projects/default/budgets", budget)
    simulator.faults(Faults(queue_seconds=0, render_seconds=0.2))
    first = [await stage.submit(prompt) for prompt in PROMPTS]
    for job in first:
        await stage.done(job, "completed")
    stage.shown_job = first[0]
    simulator.faults(Faults(queue_seconds=0, render_seconds=0.2, moderation=1.0))
    refused = await stage.submit("Something that the provider refuses")
    await stage.done(refused, "failed")
    simulator.faults(Faults(queue_seconds=1, render_seconds=60))
    for prompt in PROMPTS[:6]:
        await stage.submit(prompt, metadata={"customer": "4711"})
    await asyncio.sleep(6)
    if state == "bad":
        simulator.faults(Faults(rate_limited=1.0, retry_after_seconds=120))
        for prompt in PROMPTS[6:]:
            await stage.submit(prompt)
        await asyncio.sleep(6)


@asynccontextmanager
async def stage(state: str, **overrides: Any) -> AsyncIterator[Stage]:
    """Run the program in a state until the block ends."""
    async with AsyncExitStack() as stack:
        hooks, answers = await stack.enter_async_context(_receiver())
        simulated = await stack.enter_async_context(running(Faults(render_seconds=0.5)))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="reelhook-images-"))
        settings = Settings.of(
            port=0,
            data_dir=folder,
            allow_networks="127.0.0.0/8",
            webhook_secret="a secret of the images",
            poll_seconds=0.5,
            **{"api_key": KEY, **overrides},
        )
        server = await stack.enter_async_context(
            bootstrap.server(settings, simulator_url=simulated.root_url)
        )
        headers = {"Authorization": f"Bearer {KEY}"}
        session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
        made = Stage(session, server.url, hooks)
        made.answers = answers
        await fill(made, _Faults(simulated), state)
        yield made


class _Faults:
    def __init__(self, simulated: Any) -> None:
        self._simulated = simulated

    def __call__(self, faults: Faults) -> None:
        self._simulated.simulator.faults = faults

    faults = __call__


def pages_of(made: Stage) -> dict[str, str]:
    """Return the pages by the names of their images."""
    pages = {
        "overview": "/",
        "jobs": "/jobs",
        "webhooks": "/webhooks",
        "providers": "/providers",
        "costs": "/costs",
        "keys": "/keys",
        "archive": "/archive",
        "system": "/system",
        "try": "/try",
        "filter": "/jobs?q=status%3Afailed+colour%3Ared",
        "missing": "/jobs/job_unknown",
    }
    if made.shown_job:
        pages["job"] = f"/jobs/{made.shown_job}"
        pages["endpoint"] = f"/webhooks/{made.shown_endpoint}"
    return pages


async def shoot(
    browser: Browser, made: Stage, state: str, folder: Path, wanted: Sequence[str]
) -> None:
    """Write the images of a state."""
    for theme in THEMES:
        for width, (across, down) in WIDTHS.items():
            context = await browser.new_context(
                viewport={"width": across, "height": down}, color_scheme=theme
            )
            page = await context.new_page()
            await page.goto(f"{made.url}/login")
            await page.screenshot(path=folder / f"{state}-login-{theme}-{width}.png")
            await page.fill("#key", KEY)
            await page.click("text=Log in >> nth=-1")
            for name, path in pages_of(made).items():
                if wanted and name not in wanted:
                    continue
                await page.goto(made.url + path)
                await page.wait_for_timeout(400)
                image = folder / f"{state}-{name}-{theme}-{width}.png"
                await page.screenshot(path=image, full_page=width != "wide" or name != "overview")
            await context.close()


async def main() -> None:
    """Write the images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("screenshots"))
    parser.add_argument("--pages", default="")
    parser.add_argument("--states", default=",".join(STATES))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        for state in options.states.split(","):
            async with stage(state) as made:
                wanted = [name for name in options.pages.split(",") if name]
                await shoot(browser, made, state, options.folder, wanted)
        await browser.close()
    count = len(list(options.folder.glob("*.png")))
    print(f"{count} images in {options.folder}, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    asyncio.run(main())
