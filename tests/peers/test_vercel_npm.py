"""The `ai` package, unmodified, in front of a gateway: `make check-peers`."""

from pathlib import Path
from typing import Any

import pytest

from peers.processes import printed_by
from reelhook import bootstrap
from reelhook.config import Settings
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import running

pytestmark = pytest.mark.peers
KEY = "a-long-random-text"


async def called(url: str, *arguments: str) -> Any:
    """Run the client; return what it printed."""
    return await printed_by("vercel_ai.mjs", f"{url}/v4/ai", KEY, *arguments)


@pytest.mark.parametrize("model", ["openai/sora-2", "fal/fal-ai/veo3/fast"])
async def test_the_client_gets_videos_and_typed_errors(model: str, tmp_path: Path) -> None:
    async with running(Faults(queue_seconds=0, render_seconds=0)) as simulated:
        settings = Settings.of(
            openai_base_url=simulated.base_url,
            fal_base_url=f"{simulated.root_url}/fal",
            fal_key="simulated",
            data_dir=tmp_path,
            port=0,
            api_key=KEY,
            poll_seconds=0.05,
            allow_networks="127.0.0.0/8",
            webhook_secret="secret",
        )
        async with bootstrap.server(settings) as server:
            found = await called(server.url, model)
        assert simulated.simulator.creations == 4  # one for each call
    assert found["files"] == ["ftyp", "ftyp"]
    assert len(set(found["jobs"])) == 2
    assert found["started"] == ["completed", "base64", "video/mp4"]
    assert found["replayed"]
    assert model in found["models"]
    kinds = {name: failure[:2] for name, failure in found["failures"].items()}
    assert kinds == {
        "number": ["GatewayInvalidRequestError", 400],
        "model": ["GatewayModelNotFoundError", 404],
        "unknown": ["GatewayNotFoundError", 404],
        "stranger": ["GatewayAuthenticationError", 401],
    }
    assert "call n times" in found["failures"]["number"][2]
