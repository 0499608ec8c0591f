"""Serves FastVideo's own application: `python -m servers.start_fastvideo PORT FOLDER MODEL`.

The vendor's are `create_app`, its routes and stores; ours is the generator. Like the vendor's it
takes no lock, so that as many renders run at once as the application asks for.
"""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from servers import absent, engine

PORT, FOLDER, MODEL = int(sys.argv[1]), Path(sys.argv[2]).resolve(), sys.argv[3]


class Generator:
    def generate_video(self, prompt: str, output_path: str, **asked: Any) -> dict[str, float]:
        with engine.rendering(prompt, **{**asked, "image": asked.get("image_path")}):
            engine.render(prompt, output_path)
        return {"generation_time": 1.0, "peak_memory_mb": 12.0}

    def shutdown(self) -> None:
        """Leave at once."""


def main() -> None:
    absent.stand_in_for(
        *("torchvision", "torchaudio", "triton", "flashinfer", "ray", "moviepy", "wandb")
    )
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.chdir(FOLDER)
    import uvicorn  # noqa: PLC0415 - the stand-ins come first
    from fastvideo.entrypoints.openai import api_server  # noqa: PLC0415 - see above

    api_server.VideoGenerator = SimpleNamespace(from_fastvideo_args=lambda _: Generator())
    app = api_server.create_app(SimpleNamespace(model_path=MODEL), output_dir=str(FOLDER / "out"))
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="info", timeout_keep_alive=300)


if __name__ == "__main__":
    main()
