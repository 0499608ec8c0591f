"""Serves Aquiles-Image's own application: `python -m servers.start_aquiles PORT FOLDER MODEL`.

The vendor's are the application, its configuration and its task store; ours is the pipeline.
"""

import json
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from servers import absent, engine

PORT, FOLDER, MODEL = int(sys.argv[1]), Path(sys.argv[2]).resolve(), sys.argv[3]


class Pipeline:
    def generate(self, prompt: str, save_result_path: str, **asked: Any) -> None:
        with engine.rendering(prompt, **asked):
            engine.render(prompt, save_result_path)


class PipelineInit:
    def __init__(self, name: str) -> None:
        """Load nothing."""

    def initialize_pipeline(self) -> SimpleNamespace:
        pipeline = Pipeline()
        return SimpleNamespace(start=lambda: None, pipeline=pipeline, generate=pipeline.generate)


def replace_pipelines() -> None:
    """Put our pipeline where the application imports the vendor's from."""
    package = ModuleType("aquilesimage.pipelines")
    package.__path__ = []
    module = ModuleType("aquilesimage.pipelines.video")
    module.__dict__["ModelVideoPipelineInit"] = PipelineInit
    sys.modules.update({package.__name__: package, module.__name__: module})


def main() -> None:
    os.environ["XDG_DATA_HOME"] = str(FOLDER / "data")
    absent.stand_in_for(
        *("torchvision", "bitsandbytes", "outlines", "peft", "tree", "pymongo", "triton"),
        *("xformers", "kernels"),
    )
    replace_pipelines()
    from aquilesimage.configs import configs  # noqa: PLC0415 - the stand-ins come first

    path = Path(configs.AQUILES_CONFIG)
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = {"model": MODEL, "load_model": True, "allows_users": [], "allows_api_keys": []}
    path.write_text(json.dumps(chosen))
    import uvicorn  # noqa: PLC0415 - see above
    from aquilesimage.main import app  # noqa: PLC0415 - it reads the configuration

    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="info")


if __name__ == "__main__":
    main()
