"""Settings, database and secret: what this program finds on its own machine."""

import asyncio
import base64
import binascii
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

from reelhook.bootstrap.database import WEBHOOK_KEY
from reelhook.bootstrap.doctor.finding import Finding, failed, ok, warning
from reelhook.config import Settings, unknown_variables
from reelhook.domain.errors import ReelhookError, SettingsError
from reelhook.storage.newest_files import newest_record_at
from reelhook.storage.open import read_key
from reelhook.storage.preflight import MIB, check_database
from reelhook.storage.schema import migrate as migrations

CLOCK_SECONDS_MAX = 30.0
DISK_BYTES_MIN = 1024 * MIB
AUTHORITIES = "SSL_CERT_FILE"
SECRET_BYTES_MIN = 24
"""As Standard Webhooks asks for."""
_CHARACTERS_MIN = 10
"""Different ones: less is a word, or one key held down."""


def variables(
    env_file: Path | None, environment: Mapping[str, str], settings: Settings | None
) -> list[Finding]:
    """Name the variables that look like settings and are none."""
    accounts = _text(settings.accounts_file) if settings and settings.accounts_file else ""
    return [
        warning(
            name,
            "is not a setting, so nothing reads it; "
            + (f"is {meant} meant?" if meant else "docs/settings.md lists them all"),
        )
        for name, meant in unknown_variables(env_file, environment).items()
        if name not in accounts  # the name of a key's variable is the operator's to choose
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""  # loading the settings says what is wrong


def authorities(env_file: Path | None, environment: Mapping[str, str]) -> list[Finding]:
    """Judge what SSL_CERT_FILE says, which OpenSSL reads, and passes over in silence."""
    path = environment.get(AUTHORITIES)
    if path:
        try:
            ssl.create_default_context(cafile=path)
        except (OSError, ssl.SSLError) as error:
            words = error.strerror or "it has no certificate in PEM form"
            return [failed(AUTHORITIES, f"names {path}, which can't be used ({words}); correct it")]
        return [ok(AUTHORITIES, f"names {path}, whose authorities are trusted")]
    if env_file is not None and f"{AUTHORITIES}=" in _text(env_file):
        return [
            warning(
                AUTHORITIES,
                f"stands in {env_file}, from which only settings are read; set it in the "
                "environment",
            )
        ]
    return []


async def database(settings: Settings, now: Callable[[], float]) -> list[Finding]:
    """Judge the database, beside a server that may use it: nothing is locked or made."""
    target = settings.database
    called = str(target) if isinstance(target, Path) else "PostgreSQL"
    try:
        told = await check_database(target)
        if told.refusal is not None:
            return [failed("database", f"{called}: {told.refusal}")]
        missing = await asyncio.to_thread(migrations.pending, target, read_only=True)
        newest = None if missing else await newest_record_at(target)
    except ReelhookError as error:
        return [failed("database", error.message)]
    if len(missing) == len(migrations.revisions()):
        found = ok("database", f"{called} has no schema yet; the first start makes it")
    elif missing:
        found = warning(
            "database",
            f"{called} lacks {', '.join(missing)}; `serve` applies them when it starts anew, "
            "and `reelhook migrate --all` does at once",
        )
    else:
        found = ok("database", f"{called} can be written, and has the newest schema")
    more = [] if told.free_bytes is None else [_disk(told.free_bytes)]
    if told.now is not None:
        more.append(clock("database", told.now / 1000, now()))
    if newest is not None:
        more += _jumped(newest / 1000 - now())
    return [found, *more]


def _disk(free_bytes: int) -> Finding:
    free = f"{free_bytes // MIB} MiB are free"
    if free_bytes < DISK_BYTES_MIN:
        return warning("disk", f"{free}; free some space, since no job is taken in once it is full")
    return ok("disk", f"{free}")


def _jumped(ahead: float) -> list[Finding]:
    """Judge how far the newest record is ahead of the clock that wrote it."""
    if ahead <= CLOCK_SECONDS_MAX:
        return []
    return [
        warning(
            "clock",
            f"was set back: the newest record is {ahead:.0f} s ahead of it; set it by NTP, which "
            "does not jump",
        )
    ]


def clock(whose: str, theirs: float, ours: float) -> Finding:
    """Compare two clocks, in Unix seconds."""
    subject, ahead = f"clock of {whose}", theirs - ours
    if abs(ahead) > CLOCK_SECONDS_MAX:
        direction = "ahead of" if ahead > 0 else "behind"
        return warning(
            subject,
            f"is {abs(ahead):.0f} s {direction} this machine's; receivers refuse signatures of "
            "another time, so set both by NTP",
        )
    return ok(subject, "agrees with this machine's")


async def secret(settings: Settings) -> Finding:
    """Judge the secret that webhooks are signed with, without showing it."""
    subject = "webhook secret"
    if settings.webhook_secret is None:
        try:
            made = await read_key(settings.database, WEBHOOK_KEY)
        except SettingsError:
            return warning(subject, "is not to be read, since the database is not")
        if made is None:
            return ok(subject, "is made at the first start; `reelhook secret` shows it")
        return ok(subject, "was made here; `reelhook secret` shows it")
    reason = weakness(settings.webhook_secret)
    if reason is not None:
        return warning(
            subject, f"{reason}, so it can be guessed; set WEBHOOK_SECRET to `openssl rand -hex 32`"
        )
    return ok(subject, "is set")


def weakness(secret: str) -> str | None:
    """Return why a secret is weak; None if it looks like chance."""
    key = secret.encode()
    if secret.startswith("whsec_"):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            return "is not base64 behind whsec_"
    if len(key) < SECRET_BYTES_MIN:
        return f"is shorter than {SECRET_BYTES_MIN} bytes"
    if len(set(key)) < _CHARACTERS_MIN:
        return "repeats few characters"
    return None
