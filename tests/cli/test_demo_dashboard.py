"""`reelhook demo --dashboard`: jobs in every state, in a browser too."""

import json
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_programs import WAIT_SECONDS, Program, start
from playwright.sync_api import Position, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
CORNER: Position = {"x": 5, "y": 5}
"""A place on the poster, which leads to the job too."""
STATES = {"completed", "processing", "queued", "failed", "canceled"}
CAUSES = {"in_doubt", "endpoint_open"}

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("demo")
    temporary = tmp_path_factory.mktemp("temporary")
    with start(
        *("demo", "--dashboard"), directory=folder, says="Dashboard:", TMPDIR=str(temporary)
    ) as started:
        yield started
        assert started.stop(signal.SIGINT) == 0
    assert list(folder.iterdir()) == list(temporary.iterdir()) == []


def read(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=WAIT_SECONDS) as response:  # noqa: S310 - our own
        return json.load(response)


def test_it_has_jobs_in_every_state_and_says_what_needs_a_person(demo: Program) -> None:
    missing, deadline = STATES | CAUSES | {"poster"}, time.monotonic() + WAIT_SECONDS
    while missing and time.monotonic() < deadline:
        jobs = read(f"{demo.url}/api/jobs")["jobs"]
        causes = {row["cause"] for row in read(f"{demo.url}/api/attention")["causes"]}
        posters = {"poster" for job in jobs if job["posterUrl"]}
        missing = (STATES | CAUSES | {"poster"}) - {job["status"] for job in jobs}
        missing -= causes | posters
    assert missing == set()


@pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is missing")
def test_a_browser_shows_its_posters_progress_and_causes(demo: Program) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        page = browser.new_page()
        page.set_default_timeout(WAIT_SECONDS * 1000)
        page.goto(f"{demo.url}/")
        page.wait_for_selector(".causes >> text=It is not known whether xai")
        page.goto(f"{demo.url}/jobs")
        page.wait_for_selector(".state >> text=rendering")
        page.wait_for_selector(".progress")
        page.reload()
        page.click("tr:has-text('A lighthouse at dusk') .with-still:has(img)", position=CORNER)
        page.wait_for_selector("video[poster]")
        page.wait_for_function("document.querySelector('video').readyState >= 1")
        browser.close()
