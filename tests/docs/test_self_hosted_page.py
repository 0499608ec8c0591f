"""What the page about self-hosted servers says of each, against the simulator that plays it."""

import re
from pathlib import Path
from random import Random

import pytest
import yaml

from reelhook.simulator.flavour import CreateBody
from reelhook.simulator.flavours import FLAVOURS

PAGE = (Path(__file__).parents[2] / "docs" / "providers" / "self-hosted.md").read_text()
HEADINGS = {
    "sglang": "SGLang Diffusion",
    "vllm-omni": "vLLM-Omni",
    "fastvideo": "FastVideo",
    "aquiles": "Aquiles-Image",
    "tensorrt-llm": "TensorRT-LLM",
    "litellm": "LiteLLM and other gateways",
}


def section(name: str) -> str:
    return PAGE.partition(f"\n## {HEADINGS[name]}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", FLAVOURS)
def test_every_server_that_can_be_played_has_a_section_and_its_name(name: str) -> None:
    assert "OPENAI_BASE_URL=" in section(name)
    assert f"`{name}`" in PAGE or f"--flavour {name}`" in PAGE


@pytest.mark.parametrize("name", ["sglang", "vllm-omni", "fastvideo", "tensorrt-llm"])
def test_the_options_of_a_section_reach_the_engine(name: str) -> None:
    (sentence,) = re.findall(r"`providerOptions`[^:]*:(.*?)(?:\.\s|\.$)", section(name), re.DOTALL)
    options = [one for one in re.findall(r"`(\w+)`", sentence) if one != "v1"]
    assert len(options) >= 6, options
    given = CreateBody(
        {"prompt": "A fox", **dict.fromkeys(options, 4)}, {}, form=name == "vllm-omni"
    )
    asked = FLAVOURS[name].read(given, FLAVOURS[name].models[0])
    assert set(options) <= set(asked.engine)


def test_the_gateway_of_the_page_pays_once() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert yaml.safe_load(example)["router_settings"] == {"num_retries": 0}


def test_ids_are_never_the_same() -> None:
    random = Random(1)
    for flavour in FLAVOURS.values():
        assert len({flavour.make_id(random) for _ in range(100)}) == 100
