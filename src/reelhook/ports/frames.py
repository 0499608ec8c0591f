"""Port to posters, last frames and facts of videos."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reelhook.domain.archive import VideoFacts


@dataclass(frozen=True, slots=True)
class Looked:
    """The facts and the poster, a JPEG, that a video's file shows; None: it shows none."""

    facts: VideoFacts | None = None
    poster: bytes | None = None


class Frames(Protocol):
    """Decodes videos. No file can do harm, whatever its bytes are.

    Both methods raise `FramesUnavailableError` if the reason is not the file.
    """

    async def look(self, file: Path) -> Looked:
        """Return a video's facts and its poster."""
        ...

    async def last_frame(self, file: Path) -> bytes | None:
        """Return a video's last frame as a PNG, or as a JPEG if that is large; None: no frame."""
        ...
