"""Serves SGLang Diffusion's own application: `python -m servers.start_sglang PORT FOLDER MODEL`.

The vendor's are `launch_http_server_only`, the routes, the stores, the listener for progress, the
client of the scheduler and the arguments of the model. Ours is the scheduler behind its ZeroMQ
socket, which renders one job at a time. `kill -USR1` makes the application believe that the process
which hands requests to the scheduler has ended.
"""

import json
import os
import pickle
import queue
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from servers import absent, engine

PORT, FOLDER, MODEL = int(sys.argv[1]), Path(sys.argv[2]).resolve(), sys.argv[3]
_ASKED = (
    *("negative_prompt", "width", "height", "num_frames", "fps", "seed", "guidance_scale"),
    *("num_inference_steps",),
)
_PARTS = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler", "image_encoder")


class Scheduler:
    """Takes what the application sends to its scheduler, and renders it in turn."""

    def __init__(self, endpoint: str, progress_endpoint: str) -> None:
        import zmq  # noqa: PLC0415 - only the servers' environment has it

        context = zmq.Context()
        self._router = context.socket(zmq.ROUTER)
        self._router.bind(endpoint)
        self._progress = context.socket(zmq.PUSH)
        self._progress.connect(progress_endpoint)
        self._waiting: queue.Queue[tuple[bytes, Any]] = queue.Queue()
        self._done: queue.Queue[tuple[bytes, Any]] = queue.Queue()

    def run(self) -> None:
        threading.Thread(target=self._render_all, daemon=True).start()
        while True:
            if self._router.poll(20):
                caller, _, message = self._router.recv_multipart()
                self._waiting.put((caller, pickle.loads(message)))  # noqa: S301 - of our child
            while not self._done.empty():
                caller, result = self._done.get()
                self._router.send_multipart([caller, b"", pickle.dumps(result)])

    def _render_all(self) -> None:
        while True:
            caller, asked = self._waiting.get()
            self._done.put((caller, self._result(asked[0] if isinstance(asked, list) else asked)))

    def _result(self, batch: Any) -> Any:
        from sglang.multimodal_gen.runtime.pipelines_core.schedule_batch import (  # noqa: PLC0415
            OutputBatch,
        )

        sampling = getattr(batch, "sampling_params", None)
        if sampling is None:  # a request for warming up or control
            return OutputBatch(output=[])
        prompt = sampling.prompt or ""
        asked = {name: getattr(sampling, name, None) for name in _ASKED}
        path = str(batch.output_file_path(1, 0))
        try:
            with engine.rendering(prompt, image=sampling.image_path, **asked):
                engine.render(prompt, path, partial(self._tell, batch.request_id))
        except engine.EngineError as error:
            return OutputBatch(error=str(error))
        return OutputBatch(output_file_paths=[path], peak_memory_mb=123.0)

    def _tell(self, request_id: str, step: int) -> None:
        self._progress.send_json([request_id, step, engine.STEPS])


def write_model(folder: Path) -> None:
    """Write the files by which the application knows what kind of model it has."""
    for part in _PARTS:
        (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / part / "config.json").write_text("{}")
    image = "I2V" in MODEL
    kind = "WanImageToVideoPipeline" if image else "WanPipeline"
    index = {"_class_name": kind, "_diffusers_version": "0.33.0"}
    (folder / "model_index.json").write_text(json.dumps(index))
    config = {"_class_name": "WanTransformer3DModel"}
    (folder / "transformer" / "config.json").write_text(json.dumps(config))


def main() -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    absent.stand_in_for(
        *("torchvision", "torchaudio", "triton", "sgl_kernel", "flashinfer", "decord"),
        *("torchcodec", "torchao", "kernels", "cache_dit", "st_attn", "xformers", "flash_attn"),
        *("sageattention", "tvm_ffi", "torchsde", "trimesh"),
    )
    folder = FOLDER / "models" / MODEL
    write_model(folder)
    os.chdir(FOLDER)
    from sglang.multimodal_gen.runtime import scheduler_client  # noqa: PLC0415 - stand-ins first
    from sglang.multimodal_gen.runtime.launch_server import (  # noqa: PLC0415 - see above
        launch_http_server_only,
    )
    from sglang.multimodal_gen.runtime.server_args import ServerArgs  # noqa: PLC0415 - see above

    args = ServerArgs.from_kwargs(
        model_path=str(folder),
        port=PORT,
        output_path=str(FOLDER / "out"),
        served_model_name=MODEL,
    )
    scheduler = Scheduler(args.scheduler_endpoints[0], args.progress_endpoint)
    threading.Thread(target=scheduler.run, daemon=True).start()

    def lose_the_broker(*_: object) -> None:
        words = "Offline request broker exited; restart the server."
        scheduler_client.async_scheduler_client.mark_failed(words)

    signal.signal(signal.SIGUSR1, lose_the_broker)
    launch_http_server_only(args)


if __name__ == "__main__":
    main()
