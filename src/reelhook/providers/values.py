"""Deprecated: moved to `reelhook.providers.http.json_fields`."""

from reelhook.providers.deprecated import warn_of_move
from reelhook.providers.http.json_fields import (
    ID_CHARACTERS_MAX,
    absent,
    encodable,
    is_segment,
    milliseconds,
    number,
    percent,
    readable_id,
    seconds,
    text,
    unknown,
    web_address,
)
from reelhook.providers.http.json_fields import unix_seconds as moment
from reelhook.providers.http.json_fields import unix_seconds_of_iso as iso_moment

__all__ = [
    "ID_CHARACTERS_MAX",
    "absent",
    "encodable",
    "is_segment",
    "iso_moment",
    "milliseconds",
    "moment",
    "number",
    "percent",
    "readable_id",
    "seconds",
    "text",
    "unknown",
    "web_address",
]

warn_of_move(__name__, "reelhook.providers.http.json_fields")
