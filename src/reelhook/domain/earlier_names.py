"""Deprecated names, kept for one release: programs and provider packages still use them.

The fields of a request had the names of the first door. They can still be read, and
`reelhook.domain.job.VideoRequest` still takes them. `reelhook.domain.request` has the new names.
"""

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any


class EarlierNames:
    """Read access to a request's fields by their earlier names."""

    __slots__ = ()
    prompt: str
    options: Mapping[str, Any]
    door_fields: Mapping[str, str]

    @property
    def direction(self) -> str | None:
        """Return the text that the first door put before the script."""
        direction = self.door_fields.get("direction")
        return direction if self.prompt.startswith(f"{direction}\n\n") else None

    @property
    def script(self) -> str:
        """Return the prompt without that text."""
        return self.prompt.removeprefix(f"{self.direction}\n\n") if self.direction else self.prompt

    @property
    def wallet_address(self) -> str | None:
        """Return the owner that the first door received."""
        return self.door_fields.get("wallet_address")

    @property
    def render_version(self) -> str:
        """Return the version of the first door's renderer."""
        return self.door_fields.get("render_version", "v3")

    @property
    def provider_options(self) -> str | None:
        """Return the options as JSON text."""
        return json.dumps(dict(self.options), sort_keys=True) if self.options else None


def earlier_video_request() -> Any:
    """Return the class that takes the earlier names.

    It belongs to the door that uses them. Nothing else in the domain refers to a door.
    """
    return import_module("reelhook.doors.compat.request").ScriptRequest
