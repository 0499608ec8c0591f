"""The formats of webhook bodies, each of which belongs to a door."""

from collections.abc import Mapping

from reelhook.core.payloads import FormatHeaders, Formats
from reelhook.doors.compat.payload import CompatPayload, FileUrl, PosterPayload
from reelhook.doors.openai.payload import OpenAIPayload
from reelhook.doors.vercel.payload import VercelPayload, vercel_headers

HEADERS: Mapping[str, FormatHeaders] = {"vercel": vercel_headers}
"""The headers of formats that have their own, by name."""


def formats_at(video_url: FileUrl, poster_url: FileUrl | None = None) -> Formats:
    """Return all formats, with the addresses of a job's video and of its poster.

    `poster_url` None: no posters are made.
    """
    return Formats(
        CompatPayload(video_url),
        {
            "reelhook+poster": PosterPayload(video_url, poster_url),
            "openai": OpenAIPayload(),
            "vercel": VercelPayload(),
        },
    )
