"""What reaches the engine of each server that the simulator plays."""

import json
from dataclasses import replace

import aiohttp
import pytest

from reelhook.simulator.flavour import Flavour
from reelhook.simulator.flavours import FLAVOURS, SGLANG
from simulator.flavour_probes import PICTURE
from simulator.flavour_stage import playing

EVERY = [pytest.param(one, id=name) for name, one in FLAVOURS.items()]

IMAGES = {  # by file, by reference_url, by image_reference: what each one takes in a form
    "sglang": (True, True, False),
    "fastvideo": (True, True, False),
    "vllm-omni": (True, False, True),
    "aquiles": (True, False, False),
    "tensorrt-llm": (True, None, True),
    "litellm": (True, False, True),
}


@pytest.mark.parametrize("flavour", EVERY)
async def test_an_image_reaches_the_engine_by_the_names_that_it_takes(flavour: Flavour) -> None:
    url = "https://example.com/fox.png"
    ways: list[dict[str, str | bytes]] = [
        {"input_reference": PICTURE},
        {"reference_url": url},
        {"image_reference": json.dumps({"image_url": url})},
    ]
    model = {"model": flavour.models[0]}
    async with playing(flavour, render_seconds=0, queue_seconds=0) as stage:
        for way, taken in zip(ways, IMAGES[flavour.name], strict=True):
            if taken is not None:
                video = await stage.create(**model, **way)
                assert bool(stage.engine(video).get("image")) is taken, way


async def test_a_text_only_model_refuses_an_image() -> None:
    async with playing(replace(SGLANG, models=("Wan-AI/Wan2.1-T2V-1.3B-Diffusers",))) as stage:
        form = aiohttp.FormData({"prompt": "x", "reference_url": "https://example.com/a.png"})
        form.add_field("input_reference", PICTURE, filename="a.png", content_type="image/png")
        status, told = await stage.ask("POST", "videos", data=form)
        assert (status, told["detail"]) == (
            400,
            "input_reference is not supported for T2V models.",
        )


FRAMES = {"sglang": 96, "vllm-omni": 1, "fastvideo": 96, "litellm": 1}


@pytest.mark.parametrize("name", FRAMES)
async def test_a_create_without_seconds_gets_the_servers_own_length(name: str) -> None:
    async with playing(FLAVOURS[name]) as stage:
        assert stage.engine(await stage.create())["num_frames"] == FRAMES[name]


@pytest.mark.parametrize("name", ["sglang", "vllm-omni", "fastvideo", "litellm"])
async def test_options_reach_the_engine_and_others_are_dropped(name: str) -> None:
    async with playing(FLAVOURS[name]) as stage:
        video = await stage.create(num_inference_steps="7", seed="5", nothing="1", seconds="2")
        engine = stage.engine(video)
        assert (engine["num_inference_steps"], engine["seed"]) == (7, 5)
        assert engine["num_frames"] == 48
        assert "nothing" not in engine
