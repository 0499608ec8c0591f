"""Serves vLLM-Omni's own application: `python -m servers.start_vllm_omni PORT FOLDER MODEL`.

The vendor's are the arguments, the application, its middleware and error handlers, the reading of
forms, `OmniOpenAIServingVideo`, the stores and the way of an abort; ours is the object in the place
of `AsyncOmni`, which renders one job at a time. `kill -USR1` makes it say that its engine is dead.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

from servers import absent, engine

PORT, FOLDER, MODEL = int(sys.argv[1]), Path(sys.argv[2]).resolve(), sys.argv[3]
_ASKED = ("width", "height", "num_frames", "fps", "seed", "guidance_scale", "num_inference_steps")
_HANDLERS_OF_OTHERS = {"renderer", "input_processor", "io_processor", "tokenizer", "engine"}
"""What the handlers of chat and speech keep, and never use here."""


class Engine:
    """In the place of `AsyncOmni`."""

    is_running = True
    vllm_config = None
    model_config = None
    endpoint_restrictions = ()
    default_sampling_params_list: tuple[()] = ()
    stage_configs = (
        SimpleNamespace(
            stage_type="diffusion",
            final_output=True,
            final_output_type="video",
            engine_args=SimpleNamespace(model_class_name="WanPipeline"),
        ),
    )

    def __init__(self) -> None:
        self.errored = False
        self._gpu = asyncio.Lock()
        self._aborted: set[str] = set()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.die)

    @property
    def dead_error(self) -> Exception:
        from vllm.v1.engine.exceptions import EngineDeadError  # noqa: PLC0415 - stand-ins first

        error: Exception = EngineDeadError()
        return error

    def die(self) -> None:
        self.errored, self.is_running = True, False

    async def get_supported_tasks(self) -> tuple[str, ...]:
        return ("generate",)

    async def get_vllm_config(self) -> None:
        """Have none."""

    async def check_health(self) -> None:
        if self.errored:
            raise self.dead_error

    async def abort(self, request_id: str, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the vendor's
        engine.log("abort", "", id=request_id)
        self._aborted.add(request_id)

    async def generate(
        self, *, prompt: Any, request_id: str, sampling_params_list: Any, **_: Any
    ) -> AsyncIterator[Any]:
        from vllm_omni.diffusion.data import (  # noqa: PLC0415 - stand-ins first
            DIFFUSION_REQUEST_LIFECYCLE_KEY,
            DIFFUSION_REQUEST_STARTED,
        )

        words = prompt.get("prompt", "")
        async with self._gpu:
            await self.check_health()
            sampling = sampling_params_list[0]
            image = (prompt.get("multi_modal_data") or {}).get("image")
            asked = {name: getattr(sampling, name, None) for name in _ASKED}
            with engine.rendering(words, id=request_id, image=image and str(image), **asked):
                yield SimpleNamespace(
                    custom_output={DIFFUSION_REQUEST_LIFECYCLE_KEY: DIFFUSION_REQUEST_STARTED}
                )
                for _step in range(engine.STEPS):
                    await asyncio.sleep(engine.seconds(words) / engine.STEPS)
                    await self.check_health()
                    if request_id in self._aborted:
                        raise asyncio.CancelledError
                engine.check(words)
            video = self._video(request_id)
            yield SimpleNamespace(
                images=[video], multimodal_output={}, metrics={}, custom_output={}
            )

    @staticmethod
    def _video(request_id: str) -> bytes:
        path = FOLDER / f"{request_id}.mp4"
        engine.write_video(str(path))
        video = path.read_bytes()
        path.unlink()
        return video

    def shutdown(self) -> None:
        """Leave at once."""

    def __getattr__(self, name: str) -> Any:
        if name in _HANDLERS_OF_OTHERS:
            return MagicMock(name=name)
        raise AttributeError(name)


@asynccontextmanager
async def build_engine(_args: Any, **_: Any) -> AsyncIterator[Engine]:
    yield Engine()


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.environ |= {
        "VLLM_OMNI_SERVER_STORAGE__PATH": str(FOLDER / "storage"),
        "HF_HUB_OFFLINE": "1",
        "VLLM_TARGET_DEVICE": "cpu",
        "VLLM_NO_USAGE_STATS": "1",
    }
    absent.stand_in_for(
        *("vllm._C", "vllm._C_stable_libtorch", "vllm._moe_C"),
        *("vllm.vllm_flash_attn._vllm_fa2_C", "vllm.vllm_flash_attn._vllm_fa3_C"),
        installed=True,
    )
    absent.stand_in_for(
        *("torchvision", "torchaudio", "triton", "flashinfer", "ray", "moviepy", "wandb"),
        *("librosa", "resampy", "torchsde", "cache_dit", "fa3_fwd", "whisper", "x_transformers"),
        *("onnxruntime", "s3tokenizer", "cosmos_guardrail", "accelerate", "torchcodec", "quack"),
        *("numba", "outlines"),
    )
    os.chdir(FOLDER)
    from vllm.entrypoints.launchers.cli_args import make_arg_parser  # noqa: PLC0415 - see above
    from vllm_omni.entrypoints.openai import api_server  # noqa: PLC0415 - see above
    from vllm_omni.utils.tracking_parser import TrackingArgumentParser  # noqa: PLC0415 - see above

    api_server.build_async_omni = build_engine
    parser = make_arg_parser(TrackingArgumentParser(description="vLLM-Omni"))
    parser.add_argument("--omni", action="store_true")
    args = parser.parse_args(["--model", MODEL, "--host", "127.0.0.1", "--port", str(PORT)])
    asyncio.run(api_server.omni_run_server(args))


if __name__ == "__main__":
    main()
