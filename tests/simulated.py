"""The simulator for tests: one process renders the videos of all, and each is small.

To start that process and to render four seconds take more CPU time than most tests do.
"""

from dataclasses import replace
from functools import partial

from reelhook.simulator import server
from reelhook.simulator.job import Variant, VideoSpec
from reelhook.simulator.render_process import Renderer

PIXELS_MAX = 64


class _SmallVideos(Renderer):
    async def render(self, video: VideoSpec, variant: Variant) -> bytes:
        """Return a video of a second, 64 pixels wide and high at most."""
        width, height = min(video.width, PIXELS_MAX), min(video.height, PIXELS_MAX)
        return await super().render(replace(video, width=width, height=height, seconds=1), variant)

    async def stop(self) -> None:
        """Leave the process to the next test: it ends with this one."""


_shared = _SmallVideos()


def small_videos() -> Renderer:
    """Return the renderer of all tests that only need some video."""
    return _shared


running = partial(server.running, renderer=small_videos)
