"""The accounts at providers: from environment variables, and from a file.

The file is TOML, one table for each account:

    [accounts.fal-eu]
    provider = "fal"
    key_variable = "FAL_KEY_EU"   # or key = "..."
    weight = 2
    jobs_max = 10
    resubmit_forgotten = false
    file_networks = ["10.0.0.0/8"]
    file_origins = ["http://files:9000"]

    [aliases]
    fast = "fal/fal-ai/wan/v2.2-5b/text-to-video"

Prices and rates: see `config.prices`.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from reelhook.config.forms import formed
from reelhook.config.network_validators import Networks, Origins
from reelhook.config.prices import PriceTable, RateEntry, Rates, Tables
from reelhook.config.validators import BaseUrl, Key, environment_name
from reelhook.domain.errors import SettingsError
from reelhook.providers.registry import BUILT_IN

WEIGHT_MAX = 1000
JOBS_MAX = 1_000_000
Name = Annotated[
    str,
    formed(
        r"[a-z0-9][a-z0-9._-]{0,63}",
        "1 to 64 small letters, digits, dots, _ and -, a letter or digit first",
    ),
]
_IN_WORDS = {
    "extra_forbidden": "is not known here; correct its name, or remove it",
    "missing": "is required",
}
"""Words for errors of which pydantic's own message names no remedy."""

Value = TypeVar("Value")


def values_of(
    account: str,
    values: Sequence[tuple[str | None, Value]],
    accounts: Sequence[str],
    variable: str,
) -> tuple[Value, ...]:
    """Return the values that a variable has for one of the environment's accounts.

    A value without an account's name belongs to the only account. Raises `SettingsError`.
    """
    for owner, value in values:
        if owner is None and len(accounts) > 1:
            raise SettingsError(
                f"{variable}: the environment has the accounts {', '.join(accounts)}; write the "
                f"account before each value, like {accounts[0]}={value}"
            )
        if owner is not None and owner not in BUILT_IN:
            raise SettingsError(
                f"{variable}: {owner} is not an account of the environment; for an account in "
                "REELHOOK_ACCOUNTS_FILE set file_networks and file_origins there"
            )
    return tuple(value for owner, value in values if owner in {None, account})


def _text_values(value: Any) -> Any:
    return {k: str(v) for k, v in value.items()} if isinstance(value, dict) else value


class Credential(BaseModel):
    """One account: its server and its key. Jobs refer to it by its `id`.

    `file_networks` and `file_origins` are the addresses from which its finished files may be
    fetched, in addition to public addresses and its provider's own origin.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: Name
    provider: Name
    key: Key | None = Field(None, repr=False)
    key_variable: str | None = None
    base_url: BaseUrl | None = None
    headers: Annotated[dict[str, str], BeforeValidator(_text_values)] = Field({}, repr=False)
    webhook_secret: str | None = Field(None, repr=False)
    file_networks: Networks = ()
    file_origins: Origins = ()
    weight: int = Field(1, ge=0, le=WEIGHT_MAX)
    jobs_max: int | None = Field(None, ge=1, le=JOBS_MAX)
    resubmit_forgotten: bool = False
    prices: Tables = {}
    rates: Rates = {}

    @model_validator(mode="after")
    def _key_once(self) -> Self:
        if self.key is not None and self.key_variable is not None:
            raise ValueError("give key or key_variable, not both")
        return self

    @model_validator(mode="after")
    def _resubmits_only_to_own_servers(self) -> Self:
        provider = BUILT_IN.get(self.provider)
        if self.resubmit_forgotten and not (provider is not None and provider.self_hosted):
            raise ValueError(
                "resubmit_forgotten is only for your own servers (provider openai): others "
                "charge for a job that is sent again"
            )
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    accounts: dict[Name, dict[str, Any]] = {}
    aliases: dict[str, str] = {}
    prices: Tables = {}
    rates: Rates = {}


class AccountsFile(BaseModel):
    """The content of an accounts file."""

    model_config = ConfigDict(frozen=True)

    credentials: tuple[Credential, ...] = ()
    aliases: dict[str, str] = {}
    prices: dict[str, PriceTable] = {}
    rates: dict[str, RateEntry] = {}

    @classmethod
    def read(cls, path: Path, environment: Mapping[str, str] = os.environ) -> Self:
        """Read a file. Raises `SettingsError` with one sentence."""
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(
                f"REELHOOK_ACCOUNTS_FILE: {path} can't be read ({error.strerror}); "
                "correct the path or the file's mode"
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"REELHOOK_ACCOUNTS_FILE: {path} is not TOML: {error}") from None
        try:
            parsed = _File.model_validate(content)
            credentials = tuple(
                _with_key(_credential({**fields, "id": name}, path), environment, path)
                for name, fields in parsed.accounts.items()
            )
        except ValidationError as error:
            raise SettingsError(_sentence(path, error)) from None
        return cls(
            credentials=credentials,
            aliases=parsed.aliases,
            prices=parsed.prices,
            rates=parsed.rates,
        )


def _credential(fields: Mapping[str, Any], path: Path) -> Credential:
    try:
        return Credential(**fields)
    except SettingsError as error:  # its message names the field as a setting
        message = error.message
        for field in Credential.model_fields:
            message = message.replace(environment_name(field), field)
        place = f"accounts.{fields['id']}"
        raise SettingsError(f"REELHOOK_ACCOUNTS_FILE: {path}: {place}: {message}") from None


def _with_key(account: Credential, environment: Mapping[str, str], path: Path) -> Credential:
    if account.key_variable is None:
        return account
    key = environment.get(account.key_variable, "").strip()
    if not key:
        raise SettingsError(
            f"The account {account.id} of {path} takes its key from {account.key_variable}, "
            "which is not set; set it, or remove the account"
        )
    return _credential({**account.model_dump(), "key": key, "key_variable": None}, path)


_NAME_IN_TABLE = "[key]"
"""The end of the place of a problem with a name; pydantic gives the name before it."""


def _sentence(path: Path, error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"] if part != _NAME_IN_TABLE) or "an account"
    words = _IN_WORDS.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    words = words.replace("Input should be", "must be", 1)
    return f"REELHOOK_ACCOUNTS_FILE: {path}: {place} {words}"
