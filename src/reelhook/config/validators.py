"""Checks of values: each returns the normalised value, or raises an error of one sentence."""

import math
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


def setting_name(info: ValidationInfo) -> str:
    """Return the environment variable of the field that is checked."""
    return environment_name(info.field_name or "")


def _http_url(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    text, name = value.strip(), setting_name(info)
    try:
        split = urlsplit(text)
        valid = split.scheme in {"http", "https"} and split.hostname and split.port != 0
    except ValueError:
        valid = False
    # The text may contain a password, so no message repeats it.
    if not valid or not text.isprintable() or " " in text:
        raise SettingsError(f"{name} is not a URL; write it like https://host/path")
    if "@" in split.netloc:
        raise SettingsError(f"{name} contains a user or a password; remove them from the URL")
    return text


def _base_url(value: Any, info: ValidationInfo) -> Any:
    text = _http_url(value, info)
    if isinstance(text, str):
        if "?" in text or "#" in text:
            raise SettingsError(
                f"{setting_name(info)} must have no query and no fragment; "
                "remove what follows `?` or `#`"
            )
        return text.rstrip("/")
    return text


def _key(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text.isascii() or not text.isprintable():
        raise SettingsError(
            f"{setting_name(info)} has characters that no HTTP header can carry; copy the key again"
        )
    return text


def _secret(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str):
        try:
            standard_key(value, name=setting_name(info))
        except BadKeyError as error:
            raise SettingsError(error.message) from None
    return value


def _private_keys(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    texts = tuple(parts(value))
    try:
        for text in texts:
            PrivateKey.parse(text, name=setting_name(info))
    except BadKeyError as error:
        raise SettingsError(error.message, problem=error.problem, facts=error.facts) from None
    return texts


def _encryption_keys(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    texts = tuple(parts(value))
    try:
        for text in texts:
            EncryptionKey.parse(text, name=setting_name(info))
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


def parts(value: Any) -> list[Any]:
    """Return the parts of a text that has commas between them; a single value is one part."""
    if isinstance(value, str):
        return [part for part in (piece.strip() for piece in value.split(",")) if part]
    return list(value) if isinstance(value, list | tuple) else [value]


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
            f"{setting_name(info)} must be a number of days from 1 to {DAYS_MAX}, or forever"
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
            f"{setting_name(info)} must be a number of hours above 0, up to {LINK_HOURS_MAX}, "
            "or off: the time for which a signed link opens its video"
        )
    return hours


def _aliases(value: Any, info: ValidationInfo) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, str):
        return tuple(value)
    aliases = []
    for part in parts(value):
        name, sign, model = (piece.strip() for piece in part.partition("="))
        if not (name and sign and model):
            raise SettingsError(
                f"{setting_name(info)}: {part!r} is not an alias; write them like "
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
    split = urlsplit(text)
    is_folder = split.scheme == "file" and not split.netloc and split.path.startswith("/")
    is_bucket = split.scheme in {"s3", "gs", "az"} and bool(split.netloc)
    if text == OFF or ((is_folder or is_bucket) and not (split.query or split.fragment)):
        if "@" in split.netloc:
            raise SettingsError(
                f"{setting_name(info)} contains a user or a password; "
                "give them by the store's own variables, such as AWS_ACCESS_KEY_ID"
            )
        return text
    raise SettingsError(
        f"{setting_name(info)} is not a place for files; write it like file:///srv/videos, "
        "s3://bucket/prefix, gs://bucket/prefix or az://container/prefix, or off"
    )


def _text(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


HttpUrl = Annotated[str, BeforeValidator(_http_url)]
BaseUrl = Annotated[str, BeforeValidator(_base_url)]
Key = Annotated[str, BeforeValidator(_key)]
Secret = Annotated[str, BeforeValidator(_secret)]
ArchiveUrl = Annotated[str, BeforeValidator(_archive_url)]
DatabaseUrl = Annotated[str, BeforeValidator(_database_url)]
PrivateKeys = Annotated[tuple[str, ...], BeforeValidator(_private_keys)]
EncryptionKeys = Annotated[tuple[str, ...], BeforeValidator(_encryption_keys)]
Aliases = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_aliases)]
Schedule = Annotated[RetrySchedule, BeforeValidator(_schedule)]
Days = Annotated[float, BeforeValidator(_days)]
LinkHours = Annotated[float | None, BeforeValidator(_link_hours)]
Directory = Annotated[Path, BeforeValidator(_path)]
Text = Annotated[str, BeforeValidator(_text)]
Switch = Annotated[bool, BeforeValidator(_text)]
