"""The check of secrets at rest: whether they are encrypted, and with which keys."""

import asyncio

from reelhook.bootstrap.doctor.finding import Finding, failed, ok, warning
from reelhook.config import Settings
from reelhook.domain.errors import ReelhookError
from reelhook.ports import SecretsSurvey
from reelhook.storage import owned
from reelhook.storage.at_rest import AtRest
from reelhook.storage.operations import secrets_at_rest
from reelhook.storage.schema import migrate as migrations

SUBJECT = "secrets at rest"
_NAMED_MAX = 5


async def encryption(settings: Settings) -> Finding:
    """Check how the secrets are stored, without showing any. A server may use the database."""
    newest_id = settings.keyring.newest_id
    try:
        if await asyncio.to_thread(migrations.pending, settings.database, read_only=True):
            return _of_keys(newest_id)
        survey: SecretsSurvey = await owned.read(
            settings.database, secrets_at_rest.survey(AtRest(settings.keyring))
        )
    except ReelhookError:
        return _of_keys(newest_id)  # the check of the database reports the error
    if survey.undecryptable:
        return failed(SUBJECT, _undecryptable(survey))
    if newest_id is None:
        return _of_keys(newest_id)
    if older := sum(count for key_id, count in survey.keys.items() if key_id != newest_id):
        plain = survey.keys.get(None, 0)
        return warning(
            SUBJECT,
            f"{older} are not encrypted with the newest key, {newest_id}, and {plain} of them not "
            "at all; run `reelhook keys reencrypt`",
        )
    return ok(SUBJECT, f"are encrypted with the key {newest_id}")


def _of_keys(newest_id: str | None) -> Finding:
    if newest_id is None:
        return warning(
            SUBJECT,
            "are not encrypted; set REELHOOK_ENCRYPTION_KEYS to the output of "
            "`reelhook keys new-encryption-key`",
        )
    return ok(SUBJECT, f"are encrypted with the key {newest_id}, once there are any")


def _undecryptable(survey: SecretsSurvey) -> str:
    rows, keys = survey.undecryptable, sorted({one.key_id for one in survey.undecryptable})
    named = ", ".join(f"{one.table}/{one.row}" for one in rows[:_NAMED_MAX])
    more = f" and {len(rows) - _NAMED_MAX} more" if len(rows) > _NAMED_MAX else ""
    return (
        f"{named}{more} can't be decrypted, so nothing is sent that needs them; "
        f"add the key {', '.join(keys)} to REELHOOK_ENCRYPTION_KEYS"
    )
