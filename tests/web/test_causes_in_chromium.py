"""A cause on an open page: it appears with the provider's words, and goes once it has ended."""

from pathlib import Path

import pytest
from gateways import gateway
from stub_providers import stub_provider
from test_in_chromium import CHROMIUM, Watched, browser

from reelhook.doors.web.assets import assets

WORDS = "Incorrect API key provided: sk-…7f."

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is missing"),
    pytest.mark.skipif("htmx.js" not in assets(), reason="npm was missing at the build"),
]


async def test_a_refused_key_becomes_a_cause_and_disappears_once_it_works(tmp_path: Path) -> None:
    async with (
        stub_provider() as provider,
        gateway(tmp_path, upstream=provider.url) as server,
        browser() as one,
    ):
        await server.job_when(await server.submit("A fox"), "processing")
        page = await one.new_page()
        watched = Watched(page, server.url)
        await page.goto(server.url)
        await page.wait_for_selector("#livestate[data-state=live]")
        assert "All well" in await page.inner_text("#verdict")
        provider.key_refusal = WORDS
        await page.wait_for_selector(f"#attention >> text={WORDS}")
        assert "The provider refuses the key of openai" in await page.inner_text("#attention")
        provider.key_refusal = None
        await page.wait_for_selector("#verdict >> text=All well")
        assert watched.foreign == []
