"""A provider's clock that is off, and listings that alter prompts."""

import json
from random import Random
from typing import Any

import aiohttp
import pytest

from reelhook.simulator.faults import Faults
from reelhook.simulator.prompts import Prompts
from reelhook.simulator.server import running

PROMPT = "Un cafe\u0301 & <b>a lighthouse</b> in 1926,  at dawn"
SHOWN = {
    "shown": PROMPT,
    "hidden": None,
    "shortened": "Un cafe\u0301 & <b>a ligh...",
    "masked": "Un cafe\u0301 & <b>a ***</b> in ***,  at dawn",
    "escaped": "Un cafe\u0301 &amp; &lt;b&gt;a lighthouse&lt;/b&gt; in 1926,  at dawn",
    "normalised": "Un caf\u00e9 & <b>a lighthouse</b> in 1926, at dawn",
    "extended": f"Cinematic, high detail. {PROMPT}",
}


def test_each_way_to_show_a_prompt_is_tested() -> None:
    assert set(SHOWN) == set(Prompts)


@pytest.mark.parametrize("prompts", SHOWN)
async def test_the_listing_shows_prompts_as_it_is_told(prompts: str) -> None:
    async with (
        running(random=Random(1)) as server,
        aiohttp.ClientSession(server.base_url + "/") as http,
    ):
        change = {"prompts": prompts}
        async with http.patch(f"{server.root_url}/simulator/faults", json=change) as response:
            assert (await response.json())["prompts"] == prompts
        async with http.post("videos", json={"prompt": PROMPT}) as response:
            assert response.status == 200
        async with http.get("videos") as response:
            [video] = (await response.json())["data"]
        assert video["prompt"] == SHOWN[prompts]


@pytest.mark.parametrize("offset", [-300.0, 0.0, 300.0])
async def test_moments_are_told_by_a_clock_that_is_off(offset: float) -> None:
    faults = Faults(clock_offset_seconds=offset)
    async with (
        running(faults, random=Random(1), clock=lambda: 1_800_000_000.0) as server,
        aiohttp.ClientSession(server.base_url + "/") as http,
        http.post("videos", json={"prompt": PROMPT}) as response,
    ):
        video: dict[str, Any] = json.loads(await response.read())
        assert video["created_at"] == 1_800_000_000 + offset


@pytest.mark.parametrize(
    "wrong", [{"prompts": "upside down"}, {"prompts": 3}, {"clock_offset_seconds": "late"}]
)
def test_wrong_settings_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Faults(**wrong)
