"""Settings, database and secret: what this program finds on its own machine."""

import asyncio
import base64
import binascii
from collections.abc import Callable, Mapping
from pathlib import Path

from reelhook.bootstrap.database import WEBHOOK_KEY
from reelhook.bootstrap.doctor.finding import Finding, failed, ok, warning
from reelhook.config import Settings, unknown_variables
from reelhook.domain.errors import ReelhookError, SettingsError
from reelhook.storage import migrate as migrations
from reelhook.storage.opening import read_key
from reelhook.storage.vitals import vitals

CLOCK_SECONDS_MAX = 30.0
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


async def database(settings: Settings, now: Callable[[], float]) -> list[Finding]:
    """Judge the database, beside a server that may use it: nothing is locked or made."""
    target = settings.database
    try:
        told = await vitals(target)
        missing = await asyncio.to_thread(migrations.pending, target, beside=True)
    except ReelhookError as error:
        return [failed("database", error.message)]
    called = str(target) if isinstance(target, Path) else "PostgreSQL"
    if told.refusal is not None:
        return [failed("database", f"{called}: {told.refusal}")]
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
    return [found] if told.now is None else [found, clock("database", told.now / 1000, now())]


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
