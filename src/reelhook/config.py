"""The settings: one frozen `Settings`, read from flags, the environment and `.env`, in that order.

`docs/settings.md` lists them all. Whatever is wrong becomes one sentence that names the environment
variable and the remedy, and never shows a secret.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from reelhook.domain.errors import SettingsError
from reelhook.domain.schedule import RetrySchedule
from reelhook.domain.signature import standard_key

_UNPREFIXED = frozenset(
    {
        "webhook_secret",
        "webhook_url",
        "openai_api_key",
        "openai_base_url",
        "verbose_logging",
        "database_url",
        "port",
    }
)
_DAY_SECONDS = 24 * 3600
_YEAR = 365 * _DAY_SECONDS
_TEN_YEARS_HOURS = 10 * 365 * 24
_WILDCARD_HOSTS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound
_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?")
_SQLITE = "sqlite:///"


def environment_name(field: str) -> str:
    """Return the environment variable of a field, e.g. `REELHOOK_POLL_SECONDS`."""
    return field.upper() if field in _UNPREFIXED else f"REELHOOK_{field.upper()}"


# -- what a value may be: each raises SettingsError with its own sentence -------------------------


def _name(info: ValidationInfo) -> str:
    return environment_name(info.field_name or "")


def _http_url(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    text, name = value.strip(), _name(info)
    try:
        parts = urlsplit(text)
        right = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    # The text itself may carry a password, so that no sentence repeats it.
    if not right or not text.isprintable() or " " in text:
        raise SettingsError(f"{name} is not a URL; write it like https://host/path")
    if "@" in parts.netloc:
        raise SettingsError(f"{name} contains a user or a password; remove them from the URL")
    return text


def _base_url(value: Any, info: ValidationInfo) -> Any:
    text = _http_url(value, info)
    if isinstance(text, str):
        if "?" in text or "#" in text:
            raise SettingsError(f"{_name(info)} must end with its path; remove `?` and `#`")
        return text.rstrip("/")
    return text


def _key(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text.isascii() or not text.isprintable():
        raise SettingsError(
            f"{_name(info)} has characters that no HTTP header can carry; copy the key anew"
        )
    return text


def _secret(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str):
        try:
            usable = bool(standard_key(value))
        except (SettingsError, ValueError):
            usable = False
        if not usable:
            raise SettingsError(
                f"{_name(info)} starts with whsec_ but what follows is not base64; "
                "correct it or choose a secret without that prefix"
            )
    return value


def _database_url(value: Any) -> Any:
    if isinstance(value, str):
        path = value.strip().removeprefix(_SQLITE)
        if path == value.strip() or not path or path == ":memory:" or "?" in path:
            raise SettingsError(
                "DATABASE_URL must be sqlite:///path/to/reelhook.db, the only kind of database "
                "this version uses; correct it, or leave it unset for a file in REELHOOK_DATA_DIR"
            )
        return value.strip()
    return value


def _parts(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part for part in (piece.strip() for piece in value.split(",")) if part]
    return list(value)


def _networks(value: Any, info: ValidationInfo) -> tuple[IPv4Network | IPv6Network, ...]:
    networks = []
    for part in _parts(value):
        try:
            networks.append(ip_network(part))
        except ValueError as error:
            raise SettingsError(
                f"{_name(info)}: {part!r} is not a network ({error}); "
                "write them like 10.0.0.0/8,127.0.0.1/32"
            ) from None
    return tuple(networks)


def _host(text: str) -> str | None:
    name = text.strip().lower().removeprefix("[").removesuffix("]")
    try:
        return str(ip_address(name))
    except ValueError:
        return name if _HOST_NAME.fullmatch(name) else None


def _bind_host(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    host = _host(value)
    if host is None:
        raise SettingsError(
            f"{_name(info)}: {value!r} is not a host; write an address or a name, without a port"
        )
    return host


def _host_names(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    hosts = []
    for part in _parts(value):
        host = _host(part)
        if host is None:
            raise SettingsError(
                f"{_name(info)}: {part!r} is not a host name; "
                "write names without scheme and port, like video.example.com,gateway"
            )
        hosts.append(host)
    return tuple(hosts)


def _schedule(value: Any, info: ValidationInfo) -> Any:
    schedule = RetrySchedule.parse(value) if isinstance(value, str) else value
    if isinstance(schedule, RetrySchedule) and max(schedule.waits_seconds, default=0) > _YEAR:
        raise SettingsError(f"{_name(info)} has a wait of more than a year; write a shorter one")
    return schedule


def _path(value: Any) -> Any:
    return Path(value.strip()).expanduser() if isinstance(value, str) else value


def _text(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _in_url(host: str) -> str:
    if host in _WILDCARD_HOSTS:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


_HttpUrl = Annotated[str, BeforeValidator(_http_url)]
_BaseUrl = Annotated[str, BeforeValidator(_base_url)]
_Key = Annotated[str, BeforeValidator(_key)]
_Secret = Annotated[str, BeforeValidator(_secret)]


# -- where values come from -----------------------------------------------------------------------


class _Variables(PydanticBaseSettingsSource):
    """Environment variables under our own names, and no others.

    pydantic-settings' aliases would either refuse flags by field name or read `HOST` and `URL`.
    """

    def __init__(self, settings: type[BaseSettings], source: PydanticBaseSettingsSource) -> None:
        super().__init__(settings)
        self._variables: Mapping[str, str | None] = (
            source.env_vars if isinstance(source, EnvSettingsSource) else {}
        )

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return a field's text, or None when it is unset or blank."""
        text = self._variables.get(environment_name(field_name)) or ""
        return (text if text.strip() else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the text of every field that is set."""
        fields = self.settings_cls.model_fields
        texts = {name: self.get_field_value(field, name)[0] for name, field in fields.items()}
        return {name: text for name, text in texts.items() if text is not None}


# -- the settings ---------------------------------------------------------------------------------


class Settings(BaseSettings):
    """Everything an operator can choose. `docs/settings.md` says what each field does.

    Make them with `load`. A field's `description` says what a right value is.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        case_sensitive=True,
        env_file=".env",
        env_file_encoding="utf-8",
        validate_default=False,
        hide_input_in_errors=True,
    )

    webhook_secret: _Secret | None = Field(None, repr=False, description="text")
    webhook_secret_previous: _Secret | None = Field(None, repr=False, description="text")
    webhook_url: _HttpUrl | None = Field(None, repr=False, description="a URL")

    openai_base_url: _BaseUrl | None = Field(None, description="a URL")
    openai_api_key: _Key | None = Field(None, repr=False, description="text")
    default_model: Annotated[str, BeforeValidator(_text)] = Field(
        "sora-2", min_length=1, max_length=200, description="a model's name"
    )

    host: Annotated[str, BeforeValidator(_bind_host)] = Field("127.0.0.1", description="a host")
    port: int = Field(3001, ge=0, le=65535, description="a port from 0 to 65535")
    public_url: _BaseUrl = Field(
        default_factory=lambda given: f"http://{_in_url(given['host'])}:{given['port']}",
        description="a URL",
    )
    allowed_hosts: Annotated[tuple[str, ...], BeforeValidator(_host_names)] = Field(
        (), description="host names, separated by commas"
    )
    api_key: _Key | None = Field(None, repr=False, description="text")
    url: _BaseUrl = Field(
        default_factory=lambda given: f"http://127.0.0.1:{given['port']}", description="a URL"
    )

    data_dir: Annotated[Path, BeforeValidator(_path)] = Field(
        Path("reelhook-data"), description="a directory's path"
    )
    database_url: Annotated[str, BeforeValidator(_database_url)] | None = Field(
        None, repr=False, description="sqlite:///path/to/reelhook.db"
    )

    poll_seconds: float = Field(
        5.0, ge=0.05, le=_DAY_SECONDS, allow_inf_nan=False, description="seconds from 0.05 to 86400"
    )
    max_age_hours: float = Field(
        24.0, gt=0, le=_TEN_YEARS_HOURS, allow_inf_nan=False, description="hours above 0, to 87600"
    )
    submit_timeout_seconds: float = Field(
        45.0, gt=0, le=_DAY_SECONDS, allow_inf_nan=False, description="seconds above 0, to 86400"
    )
    submit_settle_seconds: float = Field(
        60.0, ge=0, le=_DAY_SECONDS, allow_inf_nan=False, description="seconds from 0 to 86400"
    )

    retry_schedule: Annotated[RetrySchedule, BeforeValidator(_schedule)] = Field(
        RetrySchedule(), description="waits like 5s,30s,2m,1h"
    )
    allow_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)] = (
        Field((), description="networks like 10.0.0.0/8, separated by commas")
    )
    verbose_logging: Annotated[bool, BeforeValidator(_text)] = Field(
        default=False, description="true or false"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags win over the environment, which wins over `.env`."""
        return (
            init_settings,
            _Variables(settings_cls, env_settings),
            _Variables(settings_cls, dotenv_settings),
        )

    @classmethod
    def load(cls, *, env_file: Path | None = Path(".env"), **overrides: Any) -> Self:
        """Read the settings; `overrides` go by field name and win, and None is no override.

        Raises `SettingsError`, with one sentence.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls(_env_file=env_file, **given)
        except ValidationError as error:
            raise SettingsError(_sentence(error)) from None
        except (OSError, UnicodeDecodeError):
            raise SettingsError(
                f"The file {env_file} can't be read; make it readable UTF-8 text, or remove it"
            ) from None

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        if self.database_url is None:
            return self.data_dir / "reelhook.db"
        return Path(self.database_url.removeprefix(_SQLITE)).expanduser()

    def listening_on(self, port: int) -> Self:
        """Return the settings for the port that the system chose, where PORT was 0."""
        update: dict[str, Any] = {"port": port}
        if "public_url" not in self.model_fields_set:
            update["public_url"] = f"http://{_in_url(self.host)}:{port}"
        return self.model_copy(update=update)

    def check_for_serving(self, *, simulate: bool) -> None:
        """Raise `SettingsError` where these settings must not start a server."""
        if self.openai_base_url is None and not simulate:
            raise SettingsError(
                "OpenAI shut its Videos API down on 2026-09-24, without a successor: set "
                "OPENAI_BASE_URL to a server that speaks /v1/videos (SGLang Diffusion, vLLM-Omni, "
                "LiteLLM, new-api, Azure, ...), or try reelhook with `reelhook serve --simulate`"
            )
        if self.api_key is None and not self._is_loopback():
            raise SettingsError(
                f"REELHOOK_HOST is {self.host}, so others can reach this server and spend money: "
                "set REELHOOK_API_KEY to a long random text, or listen on 127.0.0.1"
            )

    def _is_loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    field = str(first["loc"][0])
    known = Settings.model_fields.get(field)
    if known is None:
        return f"{field} is not a setting; docs/settings.md lists them all"
    sentence = f"{environment_name(field)} must be {known.description}"
    value = first["input"]
    return f"{sentence}, not {value!r}" if known.repr and isinstance(value, str) else sentence
