"""The main promise in a browser: the link of the first webhook plays and seeks, a day later too."""

from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, Gateway, gateway, until
from playwright.async_api import async_playwright
from receivers import receiver

from reelhook.domain.archive import FileState
from reelhook.simulator.render_process import Renderer

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--autoplay-policy=no-user-gesture-required",
)
KEY = "a-long-random-text"
PLAYED = """async (url) => {
  const video = document.createElement("video");
  const happens = (name) => new Promise((done, failed) => {
    video.addEventListener(name, done, { once: true });
    video.addEventListener("error", () => failed(new Error(video.error.message)), { once: true });
  });
  video.muted = true;
  video.src = url;
  document.body.append(video);
  await happens("loadedmetadata");
  const seeked = happens("seeked");
  video.currentTime = video.duration / 2;
  await seeked;
  const moved = happens("timeupdate");
  await video.play();
  await moved;
  return { duration: video.duration, width: video.videoWidth, at: video.currentTime };
}"""
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is missing"),
]


async def is_stored(server: Gateway, job_id: str) -> bool:
    contents: Any = server.hook.gateway.content
    return (await contents._store.archived_file(job_id)).state is FileState.STORED


async def test_chromium_plays_and_seeks_a_video_by_its_signed_link_alone(tmp_path: Path) -> None:
    bearer = {"Authorization": f"Bearer {KEY}"}
    async with (
        receiver() as hook,
        gateway(
            *(tmp_path, AT_ONCE),
            renderer=Renderer,
            api_key=KEY,
            headers=bearer,
            archive_url=None,
        ) as server,
        async_playwright() as playwright,
    ):
        job_id = await server.submit(seconds=4, size="320x180", webhookUrl=hook.url)
        webhook = await hook.first(lambda one: one.body["status"] == "completed")

        await until(lambda: is_stored(server, job_id))
        server.time.advance(24 * 3600)  # the provider has deleted its copy
        video_url = webhook.body["videoUrl"]
        assert "signature=" in video_url
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        page = await browser.new_page()
        await page.goto(f"{server.url}/healthz")  # a page of the same origin
        played = await page.evaluate(PLAYED, video_url)
        assert played["width"] == 320
        assert played["duration"] == pytest.approx(4, abs=0.5)
        assert played["at"] >= played["duration"] / 2
        alone = await browser.new_page()
        opened = await alone.goto(video_url)
        assert opened is not None
        assert opened.headers["content-security-policy"] == "sandbox"
        await browser.close()
