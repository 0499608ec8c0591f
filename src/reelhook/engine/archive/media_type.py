"""The kind of a video file, by its first bytes."""

from pathlib import Path

HEAD_BYTES = 64
UNKNOWN = "application/octet-stream"
_EXTENSIONS = {"video/mp4": "mp4", "video/quicktime": "mov", "video/webm": "webm"}


def media_type(path: Path, declared: str | None) -> str:
    """Return a file's media type by its bytes, else the video type that its source declared."""
    shown = _shown_type(path)
    if shown is not None:
        return shown
    plain = (declared or "").partition(";")[0].strip().lower()
    return plain if plain.startswith("video/") else UNKNOWN


def is_video(path: Path) -> bool:
    """Return True if a file begins like a video of a known kind."""
    return _shown_type(path) is not None


def _shown_type(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head[4:8] == b"ftyp":  # ISO/IEC 14496-12, 4.3
        return "video/quicktime" if head[8:12] == b"qt  " else "video/mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3"):  # EBML, RFC 8794
        return "video/webm" if b"webm" in head else "video/x-matroska"
    return None


def object_key(job_id: str, media_type: str) -> str:
    """Return the key of a job's file in the archive."""
    return f"videos/{job_id}.{_EXTENSIONS.get(media_type, 'mp4')}"
