"""Checks of values: each returns the normalised value, or raises an error of one sentence."""

import math
import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ValidationInfo

from reelhook.domain.encryption import EncryptionKey
from reelhook.domain.errors import BadKeyError, SettingsError
from reelhook.domain.schedule import RetrySchedule
from reelhook.domain.signature import standard_key
from reelhook.domain.signing_keys import PrivateKey
from reelhook.providers.registry import BUILT_IN

SQLITE = "sqlite:///"
POSTGRESQL = ("postgresql://", "postgres://")
OFF = "off"
DAY_SECONDS = 24 * 3600
DAYS_MAX = 36500
LINK_HOURS_MAX = 87600
_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?")
# Not on the fields: the checks below need the names before the class of the fields exists.
_UNPREFIXED = frozenset(
    {
        "webhook_secret",
        "webhook_url",
        "verbose_logging",
        "database_url",
        "port",
        *(setting for provider in BUILT_IN.values() for setting in provider.settings.values()),
    }
)


def environment_name(field: str) -> str:
    """Return the environment variable of a field, e.g. `REELHOOK_POLL_SECONDS`."""
    return field.upper() if field in _UNPREFIXED else f"REELHOOK_{field.upper()}"


def _name(info: ValidationInfo) -> str:
    return environment_name(info.field_name or "")


def _http_url(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    text, name = value.strip(), _name(info)
    try:
        parts = urlsplit(text)
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    # The text may contain a password, so no message repeats it.
    if not valid or not text.isprintable() or " " in text:
        raise SettingsError(f"{name} is not a URL; write it like https://host/path")
    if "@" in parts.netloc:
        raise SettingsError(f"{name} contains a user or a password; remove them from the URL")
    return text


def _base_url(value: Any, info: ValidationInfo) -> Any:
    text = _http_url(value, info)
    if isinstance(text, str):
        if "?" in text or "#" in text:
            raise SettingsError(
                f"{_name(info)} must have no query and no fragment; remove what follows `?` or `#`"
            )
        return text.rstrip("/")
    return text


def _key(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text.isascii() or not text.isprintable():
        raise SettingsError(
            f"{_name(info)} has characters that no HTTP header can carry; copy the key again"
        )
    return text


def _secret(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str):
        try:
            standard_key(value, name=_name(info))
        except BadKeyError as error:
            raise SettingsError(error.message) from None
    return value


def _private_keys(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    texts = tuple(_parts(value))
    try:
        for text in texts:
            PrivateKey.parse(text, name=_name(info))
    except BadKeyError as error:
        raise SettingsError(error.message, problem=error.problem, facts=error.facts) from None
    return texts


def _encryption_keys(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    texts = tuple(_parts(value))
    try:
        for text in texts:
            EncryptionKey.parse(text, name=_name(info))
    except BadKeyError as error:
        raise SettingsError(error.message, problem=error.problem, facts=error.facts) from None
    return texts


def _database_url(value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        path = text.removeprefix(SQLITE)
        if text.startswith(POSTGRESQL):
            # asyncpg accepts only one name of the scheme.
            return POSTGRESQL[0] + text.partition("://")[2]
        if path == text or not path or path == ":memory:" or "?" in path:
            raise SettingsError(
                "DATABASE_URL must be sqlite:///path/to/reelhook.db or "
                "postgresql://user:password@host/database; correct it, or leave it unset for a "
                "file in REELHOOK_DATA_DIR"
            )
        return text
    return value


def _parts(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part for part in (piece.strip() for piece in value.split(",")) if part]
    return list(value) if isinstance(value, list | tuple) else [value]


def _network(part: Any, name: str) -> IPv4Network | IPv6Network:
    if isinstance(part, IPv4Network | IPv6Network):
        return part
    try:
        return ip_network(str(part))  # an int would be read as an address
    except ValueError:
        raise SettingsError(f"{name}: {part!r} is not a network; {_meant(str(part))}") from None


def _meant(text: str) -> str:
    """Return the advice for a text that is no network, such as 10.0.0.1/8."""
    try:
        whole = ip_network(text, strict=False)
    except ValueError:
        return "write networks like 10.0.0.0/8,127.0.0.1/32"
    return (
        f"write {whole}, or {text.partition('/')[0]}/{whole.max_prefixlen} for that address alone"
    )


def _networks(value: Any, info: ValidationInfo) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(_network(part, _name(info)) for part in _parts(value))


def _origin(part: Any, name: str) -> str:
    try:
        parts = urlsplit(str(part).strip().lower())
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid or "@" in parts.netloc or parts.path not in {"", "/"} or parts.query:
        # The text may contain a password, so no message repeats it.
        raise SettingsError(
            f"{name} is not a list of origins; write them like "
            "http://files.internal:9000,https://cdn.example.com, without a path"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _origins(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    return tuple(_origin(part, _name(info)) for part in _parts(value))


def _cors_origins(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    if isinstance(value, str) and "*" in value:
        raise SettingsError(
            f"{_name(info)} names single origins only; write them like https://app.example.com"
        )
    return tuple(_origin(part, _name(info)) for part in _parts(value))


def _of_account(part: Any) -> tuple[str | None, Any]:
    """Split `openai=10.0.0.0/8` into the account, which may be missing, and the value."""
    if not isinstance(part, str):
        account, text = part
        return account, text
    account, sign, text = (piece.strip() for piece in part.partition("="))
    return (account, text) if sign else (None, account)


def _account_networks(value: Any, info: ValidationInfo) -> tuple[tuple[str | None, Any], ...]:
    parts = map(_of_account, _parts(value))
    return tuple((account, _network(text, _name(info))) for account, text in parts)


def _account_origins(value: Any, info: ValidationInfo) -> tuple[tuple[str | None, str], ...]:
    parts = map(_of_account, _parts(value))
    return tuple((account, _origin(text, _name(info))) for account, text in parts)


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


def _schedule(value: Any) -> Any:
    return RetrySchedule.parse(value) if isinstance(value, str) else value


def _days(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str):
        if value.strip().lower() == "forever":
            return math.inf
        try:
            value = float(value)
        except ValueError:
            value = math.nan
    # A day at least: an Idempotency-Key is honoured for a day, and needs its job.
    if not (1 <= value <= DAYS_MAX or value == math.inf):
        raise SettingsError(
            f"{_name(info)} must be a number of days from 1 to {DAYS_MAX}, or forever"
        )
    return value


def _link_hours(value: Any, info: ValidationInfo) -> Any:
    if value is None or (isinstance(value, str) and value.strip().lower() in {"", OFF}):
        return None
    try:
        hours = float(value)
    except (TypeError, ValueError):
        hours = math.nan
    if not 0 < hours <= LINK_HOURS_MAX:
        raise SettingsError(
            f"{_name(info)} must be a number of hours above 0, up to {LINK_HOURS_MAX}, or off: "
            "the time for which a signed link opens its video"
        )
    return hours


def _aliases(value: Any, info: ValidationInfo) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, str):
        return tuple(value)
    aliases = []
    for part in _parts(value):
        name, sign, model = (piece.strip() for piece in part.partition("="))
        if not (name and sign and model):
            raise SettingsError(
                f"{_name(info)}: {part!r} is not an alias; write them like "
                "fast=fal/fal-ai/wan/v2.2-5b/text-to-video,best=runway/gen4.5"
            )
        aliases.append((name, model))
    return tuple(aliases)


def _path(value: Any) -> Any:
    return Path(value.strip()).expanduser() if isinstance(value, str) else value


def _archive_url(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip().rstrip("/")
    parts = urlsplit(text)
    is_folder = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
    is_bucket = parts.scheme in {"s3", "gs", "az"} and bool(parts.netloc)
    if text == OFF or ((is_folder or is_bucket) and not (parts.query or parts.fragment)):
        if "@" in parts.netloc:
            raise SettingsError(
                f"{_name(info)} contains a user or a password; "
                "give them by the store's own variables, such as AWS_ACCESS_KEY_ID"
            )
        return text
    raise SettingsError(
        f"{_name(info)} is not a place for files; write it like file:///srv/videos, "
        "s3://bucket/prefix, gs://bucket/prefix or az://container/prefix, or off"
    )


def _text(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


Network = IPv4Network | IPv6Network
HttpUrl = Annotated[str, BeforeValidator(_http_url)]
BaseUrl = Annotated[str, BeforeValidator(_base_url)]
Key = Annotated[str, BeforeValidator(_key)]
Secret = Annotated[str, BeforeValidator(_secret)]
ArchiveUrl = Annotated[str, BeforeValidator(_archive_url)]
DatabaseUrl = Annotated[str, BeforeValidator(_database_url)]
PrivateKeys = Annotated[tuple[str, ...], BeforeValidator(_private_keys)]
EncryptionKeys = Annotated[tuple[str, ...], BeforeValidator(_encryption_keys)]
Aliases = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_aliases)]
Host = Annotated[str, BeforeValidator(_bind_host)]
HostNames = Annotated[tuple[str, ...], BeforeValidator(_host_names)]
Networks = Annotated[tuple[Network, ...], BeforeValidator(_networks)]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins)]
CorsOrigins = Annotated[tuple[str, ...], BeforeValidator(_cors_origins)]
AccountNetworks = Annotated[
    tuple[tuple[str | None, Network], ...], BeforeValidator(_account_networks)
]
AccountOrigins = Annotated[tuple[tuple[str | None, str], ...], BeforeValidator(_account_origins)]
Schedule = Annotated[RetrySchedule, BeforeValidator(_schedule)]
Days = Annotated[float, BeforeValidator(_days)]
LinkHours = Annotated[float | None, BeforeValidator(_link_hours)]
Directory = Annotated[Path, BeforeValidator(_path)]
Text = Annotated[str, BeforeValidator(_text)]
Switch = Annotated[bool, BeforeValidator(_text)]
