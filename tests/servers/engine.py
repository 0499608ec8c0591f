"""The engine in the place of a GPU: it sleeps, writes a real MP4 and logs what it was asked.

It reads `ENGINE_LOG` (a file of JSON lines) and `ENGINE_SECONDS` (how long one render takes). A
prompt with SLOW takes five times as long; one with BREAK fails.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STEPS = 10
WORDS = "CUDA out of memory. Tried to allocate 20.00 GiB."
"""What the engine says when a prompt has it break."""
_SIDE, _FRAMES, _FPS = 64, 8, 8


class EngineError(Exception):
    """What a broken render raises."""


def log(event: str, prompt: str, **asked: Any) -> None:
    """Write one line of what the engine was asked."""
    line = {"at": time.time(), "event": event, "prompt": prompt, **asked}
    with Path(os.environ["ENGINE_LOG"]).open("a") as file:
        file.write(json.dumps(line, default=str) + "\n")


@contextmanager
def rendering(prompt: str, **asked: Any) -> Iterator[None]:
    """Log the start of a render with what was asked, and how it ended."""
    log("start", prompt, **asked)
    try:
        yield
    except BaseException:
        log("failed", prompt)
        raise
    log("end", prompt)


def seconds(prompt: str) -> float:
    """Return how long a render of this prompt takes."""
    return float(os.environ.get("ENGINE_SECONDS", "1")) * (5 if "SLOW" in prompt else 1)


def check(prompt: str) -> None:
    """Raise `EngineError` where the prompt has the engine break."""
    if "BREAK" in prompt:
        raise EngineError(WORDS)


def render(prompt: str, path: str, step: Callable[[int], None] = lambda _: None) -> None:
    """Render to this path, telling each step. Raises `EngineError`."""
    for number in range(1, STEPS + 1):
        time.sleep(seconds(prompt) / STEPS)
        step(number)
    check(prompt)
    write_video(path)


def write_video(path: str) -> None:
    """Write a small video, so that no check waits for an encoder."""
    import av  # noqa: PLC0415 - the starters' own environments have it too

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w", format="mp4") as video:
        stream = video.add_stream("libx264", rate=_FPS)
        stream.width = stream.height = _SIDE
        stream.pix_fmt = "yuv420p"
        for number in range(_FRAMES):
            frame = av.VideoFrame(_SIDE, _SIDE, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([255 * number // _FRAMES]) * plane.buffer_size)
            video.mux(stream.encode(frame))
        video.mux(stream.encode())
