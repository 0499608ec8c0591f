"""The commands that make encryption keys and use them: `new-encryption-key` and `reencrypt`."""

import asyncio
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from reelhook.cli import render
from reelhook.cli.client import api_at
from reelhook.cli.options import AsJson, DataDir, Url
from reelhook.config import Settings
from reelhook.domain.encryption import KEY_BYTES, key_text
from reelhook.domain.errors import ReelhookError, SettingsError

BATCH_ROWS = 100
PROGRESS_SECONDS = 1.0
Batch = dict[str, Any]
"""A batch in the form of the API."""
EncryptNext = Callable[[str | None], Awaitable[Batch]]


class UnencryptedError(ReelhookError):
    """Some secrets were not encrypted with the newest key."""

    code = "undecryptable"


def new_encryption_key(as_json: AsJson = False) -> None:
    """Print a new key for REELHOOK_ENCRYPTION_KEYS. Nothing is stored or changed."""
    text = key_text(secrets.token_bytes(KEY_BYTES))
    render.say(json.dumps({"key": text}) if as_json else text)


def reencrypt(url: Url = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Encrypt all secrets in the database with the newest key of REELHOOK_ENCRYPTION_KEYS.

    It encrypts plain ones too, and works while servers run. First give every process both keys,
    the new one in front, and restart it. When this is done, remove the old key.
    """
    settings = Settings.load(url=url, data_dir=data_dir)
    asyncio.run(_reencrypt(settings, remote=url is not None, as_json=as_json))


async def _reencrypt(settings: Settings, *, remote: bool, as_json: bool) -> None:
    done: Batch = {"keyId": None, "records": 0, "changed": 0, "undecryptable": []}
    total, due_at, cursor = 0, time.monotonic() + PROGRESS_SECONDS, None
    async with _encrypting(settings, remote=remote) as encrypt_next:
        while done["keyId"] is None or cursor is not None:
            batch = await encrypt_next(cursor)
            _check_key(settings, batch["keyId"])
            total, cursor = batch["total"] or total, batch["nextCursor"]
            done["keyId"] = batch["keyId"]
            for name in ("records", "changed", "undecryptable"):
                done[name] += batch[name]
            if time.monotonic() >= due_at:
                due_at = time.monotonic() + PROGRESS_SECONDS
                sys.stderr.write(f"{done['records']:,} of {total:,} records\n")
                sys.stderr.flush()
    _show(done, as_json=as_json)


@asynccontextmanager
async def _encrypting(settings: Settings, *, remote: bool) -> AsyncIterator[EncryptNext]:
    """Yield a function that encrypts the next batch: in the database, or by the server.

    A server that is running owns its SQLite file, so it has to do it.
    """
    from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help
    from reelhook.doors.native.encryption import reencrypt_response  # noqa: PLC0415 - as above

    async with AsyncExitStack() as stack:
        secrets_store = (
            None if remote else await stack.enter_async_context(bootstrap.open_secrets(settings))
        )
        if secrets_store is not None:

            async def here(cursor: str | None) -> Batch:
                batch = await secrets_store.reencrypt(cursor, BATCH_ROWS)
                return reencrypt_response(batch).model_dump(by_alias=True)

            yield here
            return
        api = await stack.enter_async_context(api_at(settings.url, settings.api_key))

        async def by_server(cursor: str | None) -> Batch:
            return (await api.post("/api/encryption/reencrypt", {"cursor": cursor})).value

        yield by_server


def _check_key(settings: Settings, key_id: str) -> None:
    """Raise `SettingsError` if the server's newest key is not the one of this command."""
    ours = settings.keyring.newest_id
    if ours not in {None, key_id}:
        raise SettingsError(
            f"The server encrypts with the key {key_id}, but the first one here is {ours}; "
            "restart the server with the same REELHOOK_ENCRYPTION_KEYS first"
        )


def _show(done: Batch, *, as_json: bool) -> None:
    if as_json:
        render.say(json.dumps(done))
    else:
        render.say(
            f"{done['changed']:,} records were encrypted with the key {done['keyId']}; "
            f"{done['records'] - done['changed'] - len(done['undecryptable']):,} already were."
        )
    if missing := sorted({one["keyId"] for one in done["undecryptable"]}):
        raise UnencryptedError(
            f"{len(done['undecryptable']):,} records could not be decrypted, and stay as they "
            f"are: REELHOOK_ENCRYPTION_KEYS lacks {', '.join(missing)}; add it and run this again"
        )
