"""The built-in providers, one entry each.

The settings, the entry points and the simulated accounts are made from these entries. An entry is
plain data and imports no adapter, so reading the settings loads none. Packages outside reelhook add
providers by entry points instead: see `bootstrap/accounts.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BuiltInProvider:
    """A built-in provider, and the variables that describe an account at it.

    `adapter` is written like an entry point, `module:Class`. `key_variable` and
    `base_url_variable` are environment variables, named as the provider's own SDK names them;
    `other_variables` maps further fields of an account to theirs. `simulated_path` is the path of
    its API at the simulator. `self_hosted`: it has no public server, so its account needs a base
    URL and may need no key; the others need a key.
    """

    name: str
    adapter: str
    key_variable: str
    base_url_variable: str
    simulated_path: str
    other_variables: Mapping[str, str] = field(default_factory=dict)
    self_hosted: bool = False

    @property
    def settings(self) -> dict[str, str]:
        """Return the setting of each field of its account, e.g. `{"key": "fal_key"}`."""
        variables = {
            "key": self.key_variable,
            "base_url": self.base_url_variable,
            **self.other_variables,
        }
        return {name: variable.lower() for name, variable in variables.items()}

    @property
    def required_setting(self) -> str:
        """Return the setting without which the environment has no account here."""
        return self.settings["base_url" if self.self_hosted else "key"]


BUILT_IN = {
    entry.name: entry
    for entry in (
        BuiltInProvider(
            name="openai",
            adapter="reelhook.providers.openai.provider:OpenAI",
            key_variable="OPENAI_API_KEY",
            base_url_variable="OPENAI_BASE_URL",
            simulated_path="v1",
            other_variables={
                "jobs_max": "OPENAI_JOBS_MAX",
                "webhook_secret": "OPENAI_WEBHOOK_SECRET",
                "resubmit_forgotten": "OPENAI_RESUBMIT_FORGOTTEN",
            },
            self_hosted=True,
        ),
        BuiltInProvider(
            name="ark",
            adapter="reelhook.providers.ark.provider:Ark",
            key_variable="ARK_API_KEY",
            base_url_variable="ARK_BASE_URL",
            simulated_path="ark/api/v3",
        ),
        BuiltInProvider(
            name="fal",
            adapter="reelhook.providers.fal.provider:Fal",
            key_variable="FAL_KEY",
            base_url_variable="FAL_BASE_URL",
            simulated_path="fal",
        ),
        BuiltInProvider(
            name="replicate",
            adapter="reelhook.providers.replicate.provider:Replicate",
            key_variable="REPLICATE_API_TOKEN",
            base_url_variable="REPLICATE_BASE_URL",
            simulated_path="replicate/v1",
        ),
        BuiltInProvider(
            name="runway",
            adapter="reelhook.providers.runway.provider:Runway",
            key_variable="RUNWAYML_API_SECRET",
            base_url_variable="RUNWAYML_BASE_URL",
            simulated_path="runway/v1",
        ),
        BuiltInProvider(
            name="xai",
            adapter="reelhook.providers.xai.provider:XAI",
            key_variable="XAI_API_KEY",
            base_url_variable="XAI_BASE_URL",
            simulated_path="xai/v1",
        ),
    )
}
