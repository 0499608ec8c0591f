"""The settings: one frozen `Settings`, read from flags, the environment and `.env`, in that order.

`docs/settings.md` lists them all. Every error is one sentence that names the environment variable
and the remedy, and never shows a secret.
"""

from reelhook.config.accounts import Credential
from reelhook.config.misspelt import unknown_variables
from reelhook.config.settings import Settings
from reelhook.config.validators import environment_name

__all__ = ["Credential", "Settings", "environment_name", "unknown_variables"]
