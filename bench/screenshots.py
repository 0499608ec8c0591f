"""Images of every page of the dashboard, from the real program with the simulated provider.

`python -m bench.screenshots [FOLDER] [--pages jobs,overview] [--states busy] [--readme docs]`
writes `STATE-PAGE-THEME-WIDTH.png`. The states are `empty`, `busy` and `bad` (a bad day).
With `--readme`, the image of the README is written to that folder, in both themes.
"""

import argparse
import asyncio
import io
import logging
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.async_api import Browser, Page, StorageState, async_playwright

from reelhook import bootstrap
from reelhook.bootstrap.doctor.child import examine_in_child
from reelhook.cli.client import Api, api_at
from reelhook.cli.demo_scene import FAILING, FINISHED, LATER, SETTINGS, Scene, receivers
from reelhook.config import Settings

from .shots import Shot, shots_of, shots_of_reader
from .yesterday import add_a_day

WIDTHS = {"wide": (1440, 900), "tablet": (1024, 768), "phone": (390, 844)}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
ON_ONE_SCREEN = frozenset({"overview", "help"})
"""Images of what a wide screen shows; the others are of whole pages."""
STATES = ("empty", "busy", "bad")
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
KEY = "a-long-random-text-of-the-images"


class Stage:
    """A running program, filled for one state."""

    def __init__(self, url: str, shots: Mapping[str, Mapping[str, Shot]]) -> None:
        self.url = url
        self.shots = shots
        """The images of each key."""


async def fill(api: Api, scene: Scene, state: str) -> None:
    """Make the jobs, endpoints, keys and budgets of a state."""
    await api.post("/api/projects", {"name": "studio"})
    await api.post("/api/keys", {"name": "shop backend", "scopes": ["submit", "read"]})
    await api.post("/api/keys", {"name": "grafana", "scopes": ["read"]})
    if state != "busy":
        await scene.add_endpoint(FAILING, "Partner's archive")
    await scene.finish(FINISHED[:-3])
    if state == "bad":
        await scene.go_wrong()
    await scene.begin()
    await scene.finish(FINISHED[-3:])
    await scene.posters()
    if state != "bad":
        return
    await scene.provider.patch("/simulator/faults", {"rate_limited": 1, "retry_after_seconds": 120})
    for script, model in LATER[3:]:
        await api.post("/api/generate", {"script": script, "model": model})
    await asyncio.sleep(6)


@asynccontextmanager
async def program(folder: Path, simulator: str, **overrides: Any) -> AsyncIterator[tuple[str, Api]]:
    """Run the program on the database of a folder."""
    settings = Settings.of(
        port=0,
        data_dir=folder,
        allow_networks="127.0.0.0/8",
        webhook_secret="a secret of the images",
        **{"api_key": KEY, **SETTINGS, **overrides},
    )
    async with (
        bootstrap.server(settings, simulator_url=simulator, examine=examine_in_child) as server,
        api_at(server.url, KEY) as api,
    ):
        yield server.url, api


@asynccontextmanager
async def stage(state: str, before: Path, simulator: str, hooks: str) -> AsyncIterator[Stage]:
    """Run the program in a state until the block ends; `before` has its day before."""
    with tempfile.TemporaryDirectory(prefix="reelhook-images-") as name:
        folder = Path(name)
        if state != "empty":
            shutil.copytree(before, folder, dirs_exist_ok=True)
        async with (
            program(folder, simulator) as (url, api),
            api_at(simulator) as provider,
        ):
            scene = Scene(api, provider, hooks)
            if state != "empty":
                await fill(api, scene, state)
            shots = {KEY: await shots_of(api, state, scene.shown)}
            if state == "bad":
                reader = await api.post("/api/keys", {"name": "support", "scopes": ["read"]})
                shots[str(reader.value["key"])] = shots_of_reader(scene.shown)
            yield Stage(url, shots)


async def make_a_day(folder: Path, simulator: str, hooks: str) -> None:
    """Fill a database with a day of jobs."""
    async with program(folder, simulator) as (_, api), api_at(simulator) as provider:
        scene = Scene(api, provider, hooks)
        await scene.set_up()
        await scene.finish()
        await scene.posters()
    add_a_day(folder / "reelhook.db", int(time.time() * 1000))


async def shoot(
    browser: Browser, made: Stage, state: str, folder: Path, wanted: Sequence[str]
) -> None:
    """Write the images of a state."""
    sessions = {key: await session(browser, made.url, key) for key in made.shots}
    for theme in THEMES:
        for width, (across, down) in WIDTHS.items():
            for key, shots in made.shots.items():
                context = await browser.new_context(
                    viewport={"width": across, "height": down},
                    color_scheme=theme,
                    storage_state=sessions[key],
                )
                page = await context.new_page()
                for name, shot in shots.items():
                    if wanted and name not in wanted:
                        continue
                    await page.goto(made.url + shot.path)
                    if shot.act is not None:
                        await shot.act(page)
                    await page.wait_for_timeout(400)
                    image = folder / f"{state}-{name}-{theme}-{width}.png"
                    whole = width != "wide" or name not in ON_ONE_SCREEN
                    await page.screenshot(path=image, full_page=whole)
                await context.close()


async def session(browser: Browser, url: str, key: str) -> StorageState:
    """Log in with a key once: the tries of a client are limited."""
    context = await browser.new_context()
    await log_in(await context.new_page(), url, key)
    kept = await context.storage_state()
    await context.close()
    return kept


async def log_in(page: Page, url: str, key: str) -> None:
    """Type a key into the login."""
    await page.goto(f"{url}/login")
    await page.fill("#key", key)
    await page.click("text=Log in >> nth=-1")
    await page.wait_for_load_state()


async def shoot_for_readme(browser: Browser, made: Stage, folder: Path) -> None:
    """Write the image of the README: the overview, once some renders are well ahead."""
    await asyncio.sleep(25)
    for theme in THEMES:
        context = await browser.new_context(
            viewport={"width": 1320, "height": 850}, color_scheme=theme, device_scale_factor=1.5
        )
        page = await context.new_page()
        await log_in(page, made.url, KEY)
        await page.wait_for_selector("#livestate[data-state=live]")
        await page.wait_for_timeout(800)
        image = Image.open(io.BytesIO(await page.screenshot()))
        image.convert("RGB").save(folder / f"dashboard-{theme}.webp", quality=86, method=6)
        await context.close()


async def main() -> None:
    """Write the images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("screenshots"))
    parser.add_argument("--pages", default="")
    parser.add_argument("--states", default=",".join(STATES))
    parser.add_argument("--readme", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        wanted = [name for name in options.pages.split(",") if name]
        async with bootstrap.simulator() as base, receivers() as hooks:
            simulator = base.removesuffix("/v1")
            with tempfile.TemporaryDirectory(prefix="reelhook-day-") as name:
                await make_a_day(Path(name), simulator, hooks)
                if options.readme is not None:
                    async with stage("readme", Path(name), simulator, hooks) as made:
                        await shoot_for_readme(browser, made, options.readme)
                for state in filter(None, options.states.split(",")):
                    async with stage(state, Path(name), simulator, hooks) as made:
                        await shoot(browser, made, state, options.folder, wanted)
        await browser.close()
    count = len(list(options.folder.glob("*.png")))
    print(f"{count} images in {options.folder}, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    asyncio.run(main())
