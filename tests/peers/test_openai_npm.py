"""The official `openai` client for Node, unmodified, in front of a gateway: `make check-peers`."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from peers.processes import printed_by
from reelhook import bootstrap
from reelhook.config import Settings
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import running

pytestmark = pytest.mark.peers
KEY = "a-long-random-text"
MODELS = ["openai/sora-2", "fal/fal-ai/veo3/fast", "runway/veo3.1"]


async def called(url: str, *arguments: str) -> Any:
    """Run the client; return what it printed."""
    return await printed_by("openai_videos.mjs", f"{url}/v1", KEY, *arguments)


def image() -> str:
    written = BytesIO()
    Image.new("RGB", (1280, 720)).save(written, "PNG")
    return b64encode(written.getvalue()).decode()


@pytest.mark.parametrize("model", MODELS)
async def test_the_client_for_node_gets_a_video_and_typed_errors(
    model: str, tmp_path: Path
) -> None:
    async with running(Faults(queue_seconds=0, render_seconds=0)) as simulated:
        settings = Settings.of(
            openai_base_url=simulated.base_url,
            fal_base_url=f"{simulated.root_url}/fal",
            fal_key="simulated",
            runwayml_base_url=f"{simulated.root_url}/runway/v1",
            runwayml_api_secret="x",
            data_dir=tmp_path,
            port=0,
            api_key=KEY,
            poll_seconds=0.05,
            allow_networks="127.0.0.0/8",
            webhook_secret="secret",
        )
        async with bootstrap.server(settings) as server:
            found = await called(server.url, model, *([] if "fal" in model else [image()]))
    assert found["first"]["status"] == "queued"
    assert found["first"]["metadata"] == {"order": "7"}
    assert (found["video"]["status"], found["video"]["model"]) == ("completed", model)
    assert (found["file"], found["thumbnail"]) == ("ftyp", "image/jpeg")
    assert found["ids"] == [found["first"]["id"]]
    assert model in found["models"]
    if model == MODELS[0]:
        assert found["remix"]["remixed_from_video_id"] == found["video"]["id"]
        assert found["remix"]["status"] == "queued"
    else:
        assert found["remixing"] == ["BadRequestError", 400, "invalid_request", "video_id"]
    assert found["failures"] == {
        "unknown": ["NotFoundError", 404, "job_not_found", None],
        "wrong": ["BadRequestError", 400, "invalid_request", "seconds"],
        "variant": ["NotFoundError", 404, "variant_not_found", None],
        "edit": ["BadRequestError", 400, "not_offered", "video"],
        "reference": ["BadRequestError", 400, "invalid_request", "input_reference.file_id"],
        "stranger": ["AuthenticationError", 401, "unauthorized", None],
    }
