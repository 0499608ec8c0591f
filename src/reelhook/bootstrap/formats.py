"""The formats of webhook bodies, each of which belongs to a door."""

from collections.abc import Callable, Mapping

from reelhook.core.payloads import FormatHeaders, Formats
from reelhook.doors.compat.payload import CompatPayload
from reelhook.doors.openai.payload import OpenAIPayload
from reelhook.doors.vercel.payload import VercelPayload, vercel_headers

HEADERS: Mapping[str, FormatHeaders] = {"vercel": vercel_headers}
"""The headers of formats that have their own, by name."""


def formats_at(video_url: Callable[[str], str]) -> Formats:
    """Return all formats. `video_url` returns the address at which a job's video is downloaded."""
    return Formats(CompatPayload(video_url), {"openai": OpenAIPayload(), "vercel": VercelPayload()})
