"""The servers that are checked, what of each is a limit of its vendor, and their processes."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import aiohttp

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = os.environ.get("CHECK_SERVERS_PYTHON", str(ROOT / ".venv-servers" / "bin" / "python"))
LITELLM = os.environ.get("LITELLM", str(ROOT / ".venv-peers" / "bin" / "litellm"))
START_SECONDS_MAX = 400.0
KEY = "sk-of-a-check-alone"
_STOP_SECONDS = 10.0
_ALSO = os.environ.get("CHECK_SERVERS_PATH", "").split(os.pathsep)
"""Where the vendors' packages lie if not in the environment of `PYTHON`."""


@dataclass(frozen=True)
class Server:
    """One server. `limits` name, by scenario, what it can't do, whatever its client does."""

    name: str
    title: str
    model: str
    """Its own name of its model."""
    image_model: str
    """The model of the run in which images are checked."""
    starter: str = ""
    behind: str = ""
    """The server that this one, a gateway, stands in front of."""
    key: str = KEY
    told_options: Sequence[str] = ("seed", "num_inference_steps", "guidance_scale")
    stops: bool = False
    tells_percents: bool = False
    dead_words: str = ""
    """What it says without its engine; empty where that lives in the server's own process."""
    limits: Mapping[str, str] = field(default_factory=dict)


_FORGETS = "DELETE only forgets: it renders on"

SERVERS = (
    Server(
        name="sglang",
        title="SGLang Diffusion 0.5.23",
        model="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        image_model="Wan-AI/Wan2.1-I2V-14B-480P-Diffusers",
        starter="servers.start_sglang",
        tells_percents=True,
        dead_words="Offline request broker exited",
        limits={"cancel": _FORGETS},
    ),
    Server(
        name="vllm-omni",
        title="vLLM-Omni 0.30.0",
        model="Wan-AI/Wan2.2-TI2V-5B-Diffusers",
        image_model="Wan-AI/Wan2.2-TI2V-5B-Diffusers",
        starter="servers.start_vllm_omni",
        stops=True,
        dead_words="EngineCore encountered an issue",
    ),
    Server(
        name="fastvideo",
        title="FastVideo 0.2.1",
        model="FastVideo/FastWan2.1-T2V-1.3B-Diffusers",
        image_model="FastVideo/FastWan2.1-T2V-1.3B-Diffusers",
        starter="servers.start_fastvideo",
        limits={
            "progress": "it says queued until the end",
            "cancel": _FORGETS,
        },
    ),
    Server(
        name="aquiles",
        title="Aquiles-Image 0.8.3",
        model="ltx-2",
        image_model="ltx-2",
        starter="servers.start_aquiles",
        told_options=(),
        tells_percents=True,
        limits={
            "options": "it passes none on to its pipeline",
            "cancel": _FORGETS,
        },
    ),
    Server(
        name="litellm",
        title="LiteLLM 1.106.2 before vLLM-Omni",
        model="wan",
        image_model="wan",
        behind="vllm-omni",
        limits={
            "cancel": "it has no DELETE",
            "lost create alone": "it has no listing",
            "lost create among others": "it has no listing",
            "restart in the middle": "a 404 counts after ten minutes: who is behind it is unknown",
        },
    ),
)


class Running:
    """One server's processes; they can be killed and started again on the same port."""

    def __init__(self, server: Server, model: str, folder: Path, port: int) -> None:
        self.server, self.model, self.folder, self.port = server, model, folder, port
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "server.log"
        self._engine_log = folder / "engine.jsonl"
        self._processes: list[asyncio.subprocess.Process] = []
        self._backend: Running | None = None

    async def start(self) -> float:
        """Start it, and wait until it answers; return the seconds that took."""
        began = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._engine_log.touch()
        if self.server.behind:
            await self._start_gateway()
        else:
            await self._spawn(
                [PYTHON, "-m", self.server.starter, str(self.port), str(self.folder), self.model],
                {
                    "ENGINE_LOG": str(self._engine_log),
                    "PYTHONUNBUFFERED": "1",
                    "PYTHONPATH": os.pathsep.join([str(HERE.parent), *_ALSO]),
                },
            )
        await self._answering()
        return time.monotonic() - began

    async def kill(self) -> None:
        """End it as a crash does, with what it has in memory."""
        for process in self._processes:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        self._processes.clear()
        if self._backend is not None:
            await self._backend.kill()

    def lose_engine(self) -> None:
        """Have the application find its engine dead."""
        self._processes[0].send_signal(signal.SIGUSR1)

    @property
    def has_ended(self) -> bool:
        """Whether its process has ended by itself, as vLLM's does soon after its engine."""
        return self._processes[-1].returncode is not None

    def asked(self, prompt: str) -> list[dict[str, Any]]:
        """Return what the engine was asked to start for prompts that contain this text."""
        return self._events("start", prompt)

    def ended(self, prompt: str) -> list[dict[str, Any]]:
        """Return the renders that came to their end for prompts that contain this text."""
        return self._events("end", prompt)

    def at_once(self, prompt: str) -> int:
        """Return how many renders of such prompts ran at once at most."""
        changes = [(one["at"], 1) for one in self._events("start", prompt)]
        changes += [(one["at"], -1) for one in self._events("end", prompt)]
        running = accumulate(change for _, change in sorted(changes))
        return max(running, default=0)

    async def idle(self, seconds: float) -> None:
        """Wait until nothing renders, or for so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended = len(self._events("end", "")) + len(self._events("failed", ""))
            if len(self._events("start", "")) <= ended:
                return
            await asyncio.sleep(0.2)

    def _events(self, event: str, prompt: str) -> list[dict[str, Any]]:
        running = self if self._backend is None else self._backend
        lines = [json.loads(line) for line in running._engine_log.read_text().splitlines()]
        return [one for one in lines if one["event"] == event and prompt in one["prompt"]]

    async def _start_gateway(self) -> None:
        behind = next(one for one in SERVERS if one.name == self.server.behind)
        if self._backend is None:
            folder = self.folder / "backend"
            self._backend = Running(behind, self.model, folder, self.port + 1)
        await self._backend.start()
        parameters = {
            "model": f"openai/{self.model}",
            "api_base": f"{self._backend.url}/v1",
            "api_key": "none",
        }
        config = {
            "model_list": [{"model_name": self.model, "litellm_params": parameters}],
            "router_settings": {"num_retries": 0},
        }
        path = self.folder / "litellm.yaml"
        path.write_text(json.dumps(config))
        await self._spawn(
            [
                *(LITELLM, "--config", str(path), "--host", "127.0.0.1"),
                *("--port", str(self.port), "--telemetry", "False"),
            ],
            {"LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        )

    async def _spawn(self, command: list[str], environment: dict[str, str]) -> None:
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self.folder,
                env={**os.environ, **environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)

    async def _answering(self) -> None:
        headers = {"Authorization": f"Bearer {self.server.key}"}
        timeout = aiohttp.ClientTimeout(total=3)
        deadline = time.monotonic() + START_SECONDS_MAX
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            while time.monotonic() < deadline:
                if self._processes[-1].returncode is not None:
                    break
                try:
                    async with session.get(f"{self.url}/v1/models") as response:
                        if response.status == 200:
                            return
                except (aiohttp.ClientError, TimeoutError):
                    pass
                await asyncio.sleep(0.2)
        last = self.log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{self.server.title} did not start, see {self.log}:\n{last}")
