"""Jobs through servers that nobody here wrote, to the end: `make check-peers`."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from providers.upstreams import unused_port

import reelhook
from peers.processes import LITELLM_KEY, aimock, litellm
from reelhook.domain.job import Status
from reelhook.doors.compat.functions import Hook
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import running

pytestmark = pytest.mark.peers

# One row a provider: its model, the path of its base URL, and the headers that its gateway wants.
ROWS = {
    "xai": ("xai/grok-imagine-video", "/v1", ""),
    "ark": ("ark/seedance-1-0-pro-250528", "/api/v3", ""),
    "fal": (
        "fal/fal-ai/veo3/fast",
        "/fal",
        'headers = {"x-fal-target-host" = "queue.fal.run"}',
    ),
}


@asynccontextmanager
async def hook_with(folder: Path, accounts: str) -> AsyncIterator[Hook]:
    path = folder / "accounts.toml"
    path.write_text(accounts)
    settings = reelhook.Settings.of(
        data_dir=folder / "data", accounts_file=path, poll_seconds=0.1, webhook_secret="secret"
    )
    async with reelhook.open(settings) as hook:
        yield hook


def account(name: str, url: str, headers: str = "", key: str = "key") -> str:
    return f'[accounts.{name}]\nprovider = "{name}"\nkey = "{key}"\nbase_url = "{url}"\n{headers}\n'


async def told(hook: Hook, job_id: str) -> list[dict[str, object]]:
    """Wait for the job's end; return its events."""

    async with asyncio.timeout(60):
        while True:
            changed = hook.service.changed
            if (await hook.service.job(job_id)).job.status.terminal:
                break
            await changed.wait()
    return [json.loads(event.body) for event in await hook.service.events([job_id])]


@pytest.mark.parametrize("name", ROWS)
async def test_a_job_of_aimocks_runs_to_its_end_with_progress(name: str, tmp_path: Path) -> None:
    model, path, headers = ROWS[name]
    async with aimock() as url, hook_with(tmp_path, account(name, url + path, headers)) as hook:
        job_id = await hook.submit("A fox in the snow", model=model)
        events = await told(hook, job_id)
        assert [event["status"] for event in events][-1] == "completed", events
        assert "processing" in {event["status"] for event in events}
        assert events[-1]["providerVideoUrl"] == "https://example.com/video.mp4"


@pytest.mark.parametrize("name", ["xai", "ark"])
async def test_a_job_that_fails_at_aimock_fails_in_its_words(name: str, tmp_path: Path) -> None:
    model, path, headers = ROWS[name]
    async with aimock() as url, hook_with(tmp_path, account(name, url + path, headers)) as hook:
        job_id = await hook.submit("A broken vase", model=model)
        events = await told(hook, job_id)
        assert (events[-1]["status"], events[-1]["error"]) == ("failed", "It broke.")


async def test_a_job_runs_through_litellms_proxy(tmp_path: Path) -> None:
    port = unused_port()
    faults = Faults(queue_seconds=0.5, render_seconds=2)
    async with running(faults) as simulator:
        config = tmp_path / "litellm.yaml"
        config.write_text(
            json.dumps(
                {
                    "model_list": [
                        {
                            "model_name": "sora-2",
                            "litellm_params": {
                                "model": "openai/sora-2",
                                "api_base": simulator.base_url,
                                "api_key": "simulated",
                            },
                        }
                    ]
                }
            )
        )
        async with (
            litellm(config, port, tmp_path / "litellm.log") as url,
            hook_with(tmp_path, account("openai", f"{url}/v1", key=LITELLM_KEY)) as hook,
        ):
            job_id = await hook.submit("A fox in the snow", model="sora-2", seconds="4")
            events = await told(hook, job_id)
            assert events[-1]["status"] == "completed", events
            stored = await hook.service.job(job_id)
            assert stored.job.status is Status.COMPLETED
            async with await hook.service.content(job_id) as content:
                video = b"".join([chunk async for chunk in content.chunks])
            assert video[4:8] == b"ftyp"
            assert len(simulator.simulator.jobs) == 1
