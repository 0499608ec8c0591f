"""The name under which a browser saves a file (RFC 6266, RFC 8187)."""

import unicodedata
from collections.abc import Mapping
from urllib.parse import quote

_CHARACTERS_MAX = 80
_FORBIDDEN = frozenset('\\/:*?"<>|%')
"""No name of Windows has them, or old browsers misread them."""
_ENDINGS: Mapping[str, str] = {
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/quicktime": "mov",
    "video/x-matroska": "mkv",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
}
_EXTENDED = "!#$&+^`|"
"""The characters that stand for themselves in `filename*`, in addition to those of `quote`."""


def content_disposition(title: str, job_id: str, content_type: str, *, attachment: bool) -> str:
    """Return the header that names a file by its job's title, or by the job's id."""
    kind = "attachment" if attachment else "inline"
    ending = _ENDINGS.get(content_type, "mp4")
    name = _plain(title) or job_id
    fallback = _plain(unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode())
    header = f'{kind}; filename="{fallback or job_id}.{ending}"'
    if fallback == name:
        return header
    return f"{header}; filename*=UTF-8''{quote(f'{name}.{ending}', safe=_EXTENDED)}"


def _plain(title: str) -> str:
    """Return a title as a name without characters that are forbidden, invisible or change order."""
    composed = unicodedata.normalize("NFC", title)
    shown = "".join(
        " " if one in _FORBIDDEN or unicodedata.category(one)[0] in "CZ" else one
        for one in composed
    )
    return " ".join(shown.split())[:_CHARACTERS_MAX].strip(" .")
