"""Checks of this machine: settings, certificates, database, disk, clock and secret."""

import asyncio
import base64
import binascii
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

from reelhook.bootstrap.database import WEBHOOK_KEY
from reelhook.bootstrap.doctor.finding import Finding, failed, ok, warning
from reelhook.config import Settings, unknown_variables
from reelhook.domain.encryption import UndecryptableError
from reelhook.domain.errors import ReelhookError, SettingsError
from reelhook.storage.newest_files import newest_record_at
from reelhook.storage.open import read_key
from reelhook.storage.preflight import MIB, check_database
from reelhook.storage.schema import migrate as migrations

CLOCK_SECONDS_MAX = 30.0
DISK_BYTES_MIN = 1024 * MIB
AUTHORITIES = "SSL_CERT_FILE"
SECRET_BYTES_MIN = 24
"""The minimum of Standard Webhooks."""
_CHARACTERS_MIN = 10
"""The minimum of different characters: a secret with fewer is a word, or one key held down."""


def variables(
    env_file: Path | None, environment: Mapping[str, str], settings: Settings | None
) -> list[Finding]:
    """Report the variables that look like settings but are not."""
    accounts = _text(settings.accounts_file) if settings and settings.accounts_file else ""
    return [
        warning(
            name,
            "is not a setting and has no effect; "
            + (f"did you mean {meant}?" if meant else "docs/settings.md lists all settings"),
        )
        for name, meant in unknown_variables(env_file, environment).items()
        if name not in accounts  # the operator chooses the names in key_variable
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""  # loading the settings reports the error


def authorities(env_file: Path | None, environment: Mapping[str, str]) -> list[Finding]:
    """Check SSL_CERT_FILE, which OpenSSL ignores silently if it is wrong."""
    path = environment.get(AUTHORITIES)
    if path:
        try:
            ssl.create_default_context(cafile=path)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror or "it has no certificate in PEM form"
            message = f"names {path}, which can't be used ({reason}); correct it"
            return [failed(AUTHORITIES, message)]
        return [ok(AUTHORITIES, f"names {path}, whose authorities are trusted")]
    if env_file is not None and f"{AUTHORITIES}=" in _text(env_file):
        return [
            warning(
                AUTHORITIES,
                f"is set in {env_file}, where it has no effect; set it in the environment of the "
                "process",
            )
        ]
    return []


async def database(settings: Settings, now: Callable[[], float]) -> list[Finding]:
    """Check the database without locking or creating anything: a server may use it."""
    target = settings.database
    name = str(target) if isinstance(target, Path) else "PostgreSQL"
    try:
        checked = await check_database(target)
        if checked.refusal is not None:
            return [failed("database", f"{name}: {checked.refusal}")]
        missing = await asyncio.to_thread(migrations.pending, target, read_only=True)
        newest = None if missing else await newest_record_at(target)
    except ReelhookError as error:
        return [failed("database", error.message)]
    if len(missing) == len(migrations.revisions()):
        schema = ok("database", f"{name} has no schema yet; the first start creates it")
    elif missing:
        schema = warning(
            "database",
            f"{name} lacks the revisions {', '.join(missing)}; restart `serve`, which applies "
            "them, or run `reelhook migrate --all`",
        )
    else:
        schema = ok("database", f"{name} is writable and has the newest schema")
    more = [] if checked.free_bytes is None else [_disk(checked.free_bytes)]
    if checked.now is not None:
        more.append(clock("database", checked.now / 1000, now()))
    if newest is not None:
        more += _set_back(newest / 1000 - now())
    return [schema, *more]


def _disk(free_bytes: int) -> Finding:
    free = f"{free_bytes // MIB} MiB are free"
    if free_bytes < DISK_BYTES_MIN:
        return warning("disk", f"{free}; free some space: no job is accepted once the disk is full")
    return ok("disk", free)


def _set_back(ahead: float) -> list[Finding]:
    """Warn if the newest record is later than the clock that wrote it."""
    if ahead <= CLOCK_SECONDS_MAX:
        return []
    return [
        warning(
            "clock",
            f"was set back: the newest record is {ahead:.0f} s ahead of it; use NTP, which adjusts "
            "a clock without jumps",
        )
    ]


def clock(host: str, remote: float, local: float) -> Finding:
    """Compare a host's clock with this machine's. Both times are in Unix seconds."""
    subject, ahead = f"clock of {host}", remote - local
    if abs(ahead) > CLOCK_SECONDS_MAX:
        direction = "ahead of" if ahead > 0 else "behind"
        return warning(
            subject,
            f"is {abs(ahead):.0f} s {direction} this machine's; receivers refuse signatures with a "
            "wrong time, so use NTP on both machines",
        )
    return ok(subject, "agrees with this machine's")


async def secret(settings: Settings) -> Finding:
    """Check the secret that signs webhooks, without showing it."""
    subject = "webhook secret"
    if settings.webhook_secret is None:
        try:
            generated = await read_key(settings.database, WEBHOOK_KEY, settings.keyring)
        except UndecryptableError:
            return warning(subject, "can't be decrypted")  # the check of the keys names the remedy
        except SettingsError:
            return warning(subject, "can't be read, because the database can't")
        if generated is None:
            return ok(subject, "is generated at the first start; `reelhook secret` then shows it")
        return ok(subject, "was generated by reelhook; `reelhook secret` shows it")
    reason = weakness(settings.webhook_secret)
    if reason is not None:
        return warning(
            subject,
            f"{reason}, so it can be guessed; set WEBHOOK_SECRET to the output of "
            "`openssl rand -hex 32`",
        )
    return ok(subject, "is set")


def weakness(secret: str) -> str | None:
    """Return why a secret is weak, or None if it looks random."""
    key = secret.encode()
    if secret.startswith("whsec_"):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            return "is not base64 after whsec_"
    if len(key) < SECRET_BYTES_MIN:
        return f"is shorter than {SECRET_BYTES_MIN} bytes"
    if len(set(key)) < _CHARACTERS_MIN:
        return "has too few different characters"
    return None
