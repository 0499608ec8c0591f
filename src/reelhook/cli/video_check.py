"""A check that a file is a playable video."""

from dataclasses import dataclass
from pathlib import Path

from reelhook.domain.errors import ReelhookError


class VideoUnplayableError(ReelhookError):
    """The file can't be decoded."""

    code = "video_unplayable"


@dataclass(frozen=True, slots=True)
class CheckedVideo:
    """The properties of a file whose frames were all decoded."""

    path: Path
    size_bytes: int
    seconds: float
    width: int
    height: int
    frames: int

    def summary(self) -> str:
        """Return size, length and dimensions in one line."""
        megabytes = self.size_bytes / 1_000_000
        return f"{megabytes:.2f} MB, {self.seconds:.1f} s, {self.width}x{self.height}"


def examine(path: Path) -> CheckedVideo:
    """Decode the whole file. Raises `VideoUnplayableError`. Slow; run it in a thread."""
    import av  # noqa: PLC0415 - FFmpeg, which no other command loads

    frames = 0
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            frames = sum(1 for _ in container.decode(stream))
            seconds = float((container.duration or 0) / av.time_base)
            width, height = stream.codec_context.width, stream.codec_context.height
    except (av.FFmpegError, IndexError) as error:
        raise VideoUnplayableError(f"{path} can't be decoded: {error}") from None
    if not frames:
        raise VideoUnplayableError(f"{path} has no frame in it")
    return CheckedVideo(path, path.stat().st_size, seconds, width, height, frames)
