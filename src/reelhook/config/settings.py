"""The frozen `Settings`: its fields, and the values derived from them."""

import math
from functools import cached_property
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field
from pydantic.config import JsonDict
from pydantic_settings import SettingsConfigDict

from reelhook.config.accounts import AccountsFile, Credential, values_of
from reelhook.config.loading import GivenSettings
from reelhook.config.network_validators import (
    AccountNetworks,
    AccountOrigins,
    CorsOrigins,
    Host,
    HostNames,
    Networks,
)
from reelhook.config.prices import PriceTable, RateEntry
from reelhook.config.provider_settings import PROVIDER_SECRETS, ProviderSettings
from reelhook.config.validators import (
    DAY_SECONDS,
    OFF,
    SQLITE,
    Aliases,
    ArchiveUrl,
    BaseUrl,
    DatabaseUrl,
    Days,
    Directory,
    EncryptionKeys,
    HttpUrl,
    Key,
    LinkHours,
    PrivateKeys,
    Schedule,
    Secret,
    Switch,
    Text,
    environment_name,
)
from reelhook.domain.encryption import Keyring
from reelhook.domain.endpoint import CONCURRENCY_MAX, OVERLAP_HOURS_MAX
from reelhook.domain.errors import SettingsError
from reelhook.domain.keeping import GIB, FileLimits
from reelhook.domain.schedule import RetrySchedule
from reelhook.guard.hosts import is_loopback, local_url
from reelhook.providers.registry import BUILT_IN

_TEN_YEARS_HOURS = 10 * 365 * 24
_GIB_MAX = 1_000_000
_SECRET: JsonDict = {"secret": True}
"""Marks the fields that no log may show."""


class Settings(ProviderSettings):
    """All options of the operator; `docs/settings.md` describes each field.

    Create them with `load`. A field's `description` completes the sentence "… must be".
    """

    model_config = SettingsConfigDict(defer_build=False)

    webhook_secret: Secret | None = Field(
        None, repr=False, json_schema_extra=_SECRET, description="text"
    )
    webhook_secret_previous: Secret | None = Field(
        None, repr=False, json_schema_extra=_SECRET, description="text"
    )
    webhook_private_key: PrivateKeys = Field(
        (), repr=False, json_schema_extra=_SECRET, description="whsk_ keys, separated by commas"
    )
    webhook_url: HttpUrl | None = Field(None, repr=False, description="a URL")

    accounts_file: Directory | None = Field(None, description="a TOML file's path")
    file_networks: AccountNetworks = Field(
        (), description="networks like openai=10.0.0.0/8, separated by commas"
    )
    file_origins: AccountOrigins = Field(
        (), description="origins like openai=http://files:9000, separated by commas"
    )
    model_aliases: Aliases = Field((), description="aliases like fast=fal/…, separated by commas")
    default_model: Text | None = Field(
        None, min_length=1, max_length=200, description="a model's name"
    )

    host: Host = Field("127.0.0.1", description="a host")
    port: int = Field(3001, ge=0, le=65535, description="a port from 0 to 65535")
    public_url: BaseUrl = Field(
        default_factory=lambda values: local_url(values["host"], values["port"]),
        description="a URL",
    )
    fetch_images: Switch = Field(True, description="true or false")
    allowed_hosts: HostNames = Field((), description="host names, separated by commas")
    api_key: Key | None = Field(None, repr=False, json_schema_extra=_SECRET, description="text")
    cors_origins: CorsOrigins = Field(
        (), description="origins like https://app.example.com, separated by commas"
    )
    url: BaseUrl = Field(
        default_factory=lambda values: local_url(
            "::1" if values["host"] in {"::1", "::"} else "127.0.0.1", values["port"]
        ),
        description="a URL",
    )

    data_dir: Directory = Field(Path("reelhook-data"), description="a directory's path")
    database_url: DatabaseUrl | None = Field(
        None, repr=False, description="sqlite:///path/to/reelhook.db or postgresql://…"
    )
    encryption_keys: EncryptionKeys = Field(
        (),
        repr=False,
        json_schema_extra=_SECRET,
        description="rhek_ keys, newest first, separated by commas",
    )

    wake_ups: Switch = Field(default=True, description="true or false")
    database_wait_seconds: float = Field(
        30.0,
        ge=0,
        le=DAY_SECONDS,
        allow_inf_nan=False,
        description="a number of seconds from 0 to 86400",
    )

    poll_seconds: float = Field(
        5.0,
        ge=0.05,
        le=DAY_SECONDS,
        allow_inf_nan=False,
        description="a number of seconds from 0.05 to 86400",
    )
    max_age_hours: float = Field(
        24.0,
        gt=0,
        le=_TEN_YEARS_HOURS,
        allow_inf_nan=False,
        description="a number of hours above 0, up to 87600",
    )
    submit_timeout_seconds: float = Field(
        45.0,
        gt=0,
        le=DAY_SECONDS,
        allow_inf_nan=False,
        description="a number of seconds above 0, up to 86400",
    )
    submit_settle_seconds: float = Field(
        60.0,
        ge=0,
        le=DAY_SECONDS,
        allow_inf_nan=False,
        description="a number of seconds from 0 to 86400",
    )

    submit_retries: int = Field(3, ge=0, le=20, description="a whole number from 0 to 20")

    fallback_wait_seconds: float = Field(
        30.0,
        ge=0,
        le=DAY_SECONDS,
        allow_inf_nan=False,
        description="a number of seconds from 0 to 86400",
    )

    retry_schedule: Schedule = Field(RetrySchedule(), description="waits like 5s,30s,2m,1h")
    endpoint_concurrency: int = Field(
        4, ge=1, le=CONCURRENCY_MAX, description=f"a whole number from 1 to {CONCURRENCY_MAX}"
    )
    secret_overlap_hours: float = Field(
        24.0,
        ge=0,
        le=OVERLAP_HOURS_MAX,
        allow_inf_nan=False,
        description=f"a number of hours from 0 to {OVERLAP_HOURS_MAX}",
    )
    allow_networks: Networks = Field(
        (), description="networks like 10.0.0.0/8, separated by commas"
    )
    archive_url: ArchiveUrl | None = Field(
        None, repr=False, description="file:///path, s3://bucket/prefix, gs://…, az://… or off"
    )
    archive_redirect: Switch = Field(default=False, description="true or false")
    link_hours: LinkHours = Field(
        None, description="a number of hours above 0, up to 87600, or off"
    )
    archive_keep_days: Days = Field(math.inf, description="a number of days from 1, or forever")
    archive_max_gib: float | None = Field(
        None,
        gt=0,
        le=_GIB_MAX,
        allow_inf_nan=False,
        description="a number of GiB above 0, up to 1000000",
    )
    keep_jobs_days: Days = Field(30.0, description="a number of days from 1, or forever")
    keep_attempts_days: Days = Field(7.0, description="a number of days from 1, or forever")
    verbose_logging: Switch = Field(default=False, description="true or false")

    @classmethod
    def of(cls, **values: Any) -> "Settings":
        """Return settings of these values alone: neither the environment nor `.env` is read.

        Raises `SettingsError`.
        """
        return _GivenSettings.load(env_file=None, **values)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every value that no log may show."""
        fields = type(self).model_fields.items()
        marked = [name for name, field in fields if field.json_schema_extra == _SECRET]
        values = [getattr(self, name) for name in (*marked, *PROVIDER_SECRETS)]
        values.append(urlsplit(self.database_url or "").password)
        for account in self.credentials:
            values += [account.key, account.webhook_secret, *account.headers.values()]
        return tuple(
            text
            for value in values
            if value is not None
            for text in ((value,) if isinstance(value, str) else value)
        )

    @cached_property
    def keyring(self) -> Keyring:
        """The keys that encrypt secrets in the database, newest first."""
        return Keyring.parse(self.encryption_keys)

    @cached_property
    def _accounts(self) -> AccountsFile:
        return (
            AccountsFile() if self.accounts_file is None else AccountsFile.read(self.accounts_file)
        )

    @property
    def credentials(self) -> tuple[Credential, ...]:
        """The accounts at providers, those of the environment first. Raises `SettingsError`."""
        providers = [
            provider for provider in BUILT_IN.values() if getattr(self, provider.required_setting)
        ]
        names = [provider.name for provider in providers]
        credentials = {
            provider.name: Credential(
                id=provider.name,
                provider=provider.name,
                **{field: getattr(self, setting) for field, setting in provider.settings.items()},
                **{
                    field: values_of(
                        provider.name, getattr(self, field), names, environment_name(field)
                    )
                    for field in ("file_networks", "file_origins")
                },
            )
            for provider in providers
        }
        credentials |= {credential.id: credential for credential in self._accounts.credentials}
        return tuple(credentials.values())

    @property
    def aliases(self) -> dict[str, str]:
        """The operator's names of models; those of the environment win over those of the file."""
        return {**self._accounts.aliases, **dict(self.model_aliases)}

    @property
    def prices(self) -> dict[str, PriceTable]:
        """The operator's prices, by `provider/model`."""
        return self._accounts.prices

    @property
    def rates(self) -> dict[str, RateEntry]:
        """The worth of units of all providers."""
        return self._accounts.rates

    @property
    def database(self) -> Path | str:
        """The SQLite file, or the URL of a PostgreSQL database."""
        if self.database_url is None:
            return self.data_dir / "reelhook.db"
        if self.database_url.startswith(SQLITE):
            return Path(self.database_url.removeprefix(SQLITE)).expanduser()
        return self.database_url

    @property
    def archive(self) -> str | None:
        """The URL of the place where finished videos are kept; None: they are not kept.

        The default is a folder in the data directory. Processes on PostgreSQL may run on several
        machines, which share no folder, so there the operator has to choose.
        """
        if self.archive_url is None:
            folder = self.data_dir.absolute() / "archive"
            return folder.as_uri() if isinstance(self.database, Path) else None
        return None if self.archive_url == OFF else self.archive_url

    @property
    def archive_limits(self) -> FileLimits:
        """The limits of the archive."""
        most = self.archive_max_gib
        return FileLimits(self.archive_keep_days, None if most is None else round(most * GIB))

    @property
    def link_seconds(self) -> float | None:
        """The lifetime of signed links; None: they don't expire."""
        return None if self.link_hours is None else self.link_hours * 3600

    def listening_on(self, port: int) -> Self:
        """Return the settings with the port that the system chose, if PORT was 0."""
        update: dict[str, Any] = {"port": port}
        if "public_url" in self.model_fields_set:
            return self.model_copy(update=update)
        settings = self.model_copy(update=update | {"public_url": local_url(self.host, port)})
        settings.model_fields_set.discard("public_url")  # nobody chose it
        return settings

    def check_for_server(self, *, simulate: bool, work: bool = True) -> None:
        """Raise `SettingsError` if a server must not start with these settings."""
        if not work:
            self.check_for_worker()
        if not simulate and not self.credentials:
            keys = (
                provider.key_variable for provider in BUILT_IN.values() if not provider.self_hosted
            )
            raise SettingsError(
                "No provider is configured; to try reelhook without a key, run "
                "`reelhook serve --simulate`; for real videos, run `reelhook init`, which asks for "
                f"what it needs, or set a provider's key ({', '.join(keys)}), or OPENAI_BASE_URL "
                "to a server with a /v1/videos API, such as SGLang, vLLM-Omni or LiteLLM (OpenAI "
                "shut down its Videos API on 2026-09-24)"
            )

    @property
    def exposed(self) -> bool:
        """Return True if others can reach a server, and no REELHOOK_API_KEY is set."""
        hosts = (self.host, urlsplit(self.public_url).hostname or "")
        return self.api_key is None and not all(map(is_loopback, hosts))

    def check_exposure(self, *, has_key: bool) -> None:
        """Raise `SettingsError` if others can reach a server that asks for no key.

        `has_key`: the database has a project's key that is accepted now.
        """
        if not self.exposed or has_key:
            return
        remedy = "set REELHOOK_API_KEY to a long random text, or run `reelhook keys create` first"
        if not is_loopback(self.host):
            raise SettingsError(
                f"REELHOOK_HOST is {self.host}, so others can reach this server and spend money: "
                f"{remedy}, or set REELHOOK_HOST to 127.0.0.1"
            )
        public = urlsplit(self.public_url).hostname
        raise SettingsError(
            f"REELHOOK_PUBLIC_URL names {public}, so others can reach this server and spend "
            f"money: {remedy}, or remove REELHOOK_PUBLIC_URL"
        )

    def check_for_worker(self) -> None:
        """Raise `SettingsError` if a separate worker can't run with these settings."""
        if isinstance(self.database, Path):
            raise SettingsError(
                "Separate workers need a PostgreSQL database: set DATABASE_URL to "
                "postgresql://…, or run `reelhook serve` alone, which runs the jobs itself"
            )


class _GivenSettings(GivenSettings, Settings):
    """Settings that ignore the environment and `.env`."""
