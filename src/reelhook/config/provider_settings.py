"""The settings of the environment's accounts, made from the registry of built-in providers."""

from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model

from reelhook.config.accounts import JOBS_MAX
from reelhook.config.server_limits import ServerLimitSettings
from reelhook.config.validators import BaseUrl, Key, Secret, Switch
from reelhook.providers.registry import BUILT_IN

_ACCOUNT_FIELDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "key": (Key | None, {"default": None, "repr": False, "description": "text"}),
    "base_url": (BaseUrl | None, {"default": None, "description": "a URL"}),
    "webhook_secret": (Secret | None, {"default": None, "repr": False, "description": "text"}),
    "jobs_max": (
        int | None,
        {
            "default": None,
            "ge": 1,
            "le": JOBS_MAX,
            "description": f"a whole number from 1 to {JOBS_MAX}",
        },
    ),
    "resubmit_forgotten": (Switch, {"default": False, "description": "true or false"}),
}
"""The type and the limits of each field of an account that has a setting."""

PROVIDER_SECRETS = tuple(
    setting
    for entry in BUILT_IN.values()
    for name, setting in entry.settings.items()
    if name in {"key", "webhook_secret"}
)
"""The settings that no log may show."""


def _fields() -> dict[str, Any]:
    return {
        setting: (_ACCOUNT_FIELDS[name][0], Field(**_ACCOUNT_FIELDS[name][1]))
        for entry in BUILT_IN.values()
        for name, setting in entry.settings.items()
    }


if TYPE_CHECKING:

    class ProviderSettings(ServerLimitSettings):
        """The class below for mypy, which accepts no class made by a call as a base."""

else:
    ProviderSettings = create_model("ProviderSettings", __base__=ServerLimitSettings, **_fields())
