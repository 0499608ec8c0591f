"""Encryption keys on the command line: make one, use it, exchange it, and lose it."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from bad_starts import refused
from cli_programs import Outcome, Program, reelhook, serve, simulator
from findings import found, told
from migrated_database import prepare

from reelhook.config import Settings
from reelhook.domain.encryption import EncryptionKey, key_text
from reelhook.domain.endpoint import Endpoint, EndpointKind
from reelhook.storage.open import open_store
from reelhook.storage.store import Store

OLD, NEW = key_text(bytes(32)), key_text(bytes(range(32)))
OLD_ID, NEW_ID = EncryptionKey.parse(OLD).id, EncryptionKey.parse(NEW).id
SHOP = Endpoint(
    *("ep_shop", EndpointKind.REGISTERED, "https://shop.example/hook"),
    trusted=False,
    created_at=1,
    secret="whsec_of-the-shop",
    headers=(("X-Shop", "of-the-shop"),),
)


def fill(folder: Path, keys: str | None = None) -> None:
    """Store keys of our own and two endpoints under these encryption keys."""

    async def filled() -> None:
        settings = Settings.of(data_dir=folder, encryption_keys=keys)
        prepare(folder / "reelhook.db")
        async with open_store(settings.database) as database:
            store = Store(database, settings.keyring)
            await store.check_encryption_keys()
            await store.key("webhook", "whsec_b2YtYWxs")
            await store.create_endpoint(SHOP)
            await store.create_endpoint(replace(SHOP, id="ep_branch"))

    asyncio.run(filled())


def content(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "reelhook.db")) as database:
        tables = ("SELECT * FROM keys", "SELECT * FROM endpoints")
        return repr([database.execute(table).fetchall() for table in tables])


def run(folder: Path, *arguments: str, keys: str = "") -> Outcome:
    return reelhook(
        *arguments,
        directory=folder,
        REELHOOK_DATA_DIR=str(folder),
        REELHOOK_ENCRYPTION_KEYS=keys,
    )


# -- a new key -------------------------------------------------------------------------------------


def test_a_new_key_is_printed_and_nothing_else(tmp_path: Path) -> None:
    made = run(tmp_path, "keys", "new-encryption-key")
    assert (made.code, made.err) == (0, "")
    assert made.out == made.out.strip() + "\n"
    EncryptionKey.parse(made.out.strip())
    as_json = run(tmp_path, "keys", "new-encryption-key", "--json")
    assert list(as_json.json) == ["key"]
    assert as_json.json["key"] != made.out.strip()
    assert not list(tmp_path.iterdir())


# -- starts that are refused -----------------------------------------------------------------------


@pytest.mark.parametrize("keys", ["rhek_hunter2", "hunter2", f"{NEW},hunter2", NEW[:-1]])
async def test_a_malformed_key_stops_the_start(tmp_path: Path, keys: str) -> None:
    line = await refused(
        tmp_path, "REELHOOK_ENCRYPTION_KEYS", exit_code="78", REELHOOK_ENCRYPTION_KEYS=keys
    )
    assert "hunter2" not in line
    assert NEW[:-1] not in line


@pytest.mark.parametrize("keys", ["", OLD])
def test_a_missing_or_another_key_stops_the_start(tmp_path: Path, keys: str) -> None:
    fill(tmp_path, NEW)
    asyncio.run(
        refused(
            tmp_path,
            *(NEW_ID, "add that key to REELHOOK_ENCRYPTION_KEYS"),
            exit_code="78",
            REELHOOK_ENCRYPTION_KEYS=keys,
            REELHOOK_DATA_DIR=str(tmp_path),
        )
    )


def test_the_secret_is_shown_with_the_key_and_not_without(tmp_path: Path) -> None:
    fill(tmp_path, NEW)
    assert "whsec_b2YtYWxs" in run(tmp_path, "secret", keys=NEW).out
    without = run(tmp_path, "secret")
    assert (without.code, without.out) == (1, "")
    assert "add that key to REELHOOK_ENCRYPTION_KEYS" in without.err


# -- exchanging keys -------------------------------------------------------------------------------


def test_an_exchange_of_keys_while_no_server_runs(tmp_path: Path) -> None:
    fill(tmp_path)
    assert "of-the-shop" in content(tmp_path)
    first = run(tmp_path, "keys", "reencrypt", "--json", keys=OLD)
    assert first.json == {"keyId": OLD_ID, "records": 4, "changed": 3, "undecryptable": []}
    assert "of-the-shop" not in content(tmp_path)
    both = run(tmp_path, "keys", "reencrypt", keys=f"{NEW},{OLD}")
    assert both.out == (f"4 records were encrypted with the key {NEW_ID}; 0 already were.\n")
    assert OLD_ID not in content(tmp_path)
    assert "whsec_b2YtYWxs" in run(tmp_path, "secret", keys=NEW).out


def test_without_the_old_key_no_exchange_begins(tmp_path: Path) -> None:
    fill(tmp_path, OLD)
    outcome = run(tmp_path, "keys", "reencrypt", keys=NEW)
    assert (outcome.code, outcome.out) == (1, "")
    assert OLD_ID in outcome.err
    assert outcome.err.count("\n") == 1
    plain = tmp_path / "plain"
    plain.mkdir()
    fill(plain)
    assert "make one with `reelhook keys new-enc" in run(plain, "keys", "reencrypt").err


def test_records_that_could_not_be_decrypted_are_reported(tmp_path: Path) -> None:
    fill(tmp_path, OLD)
    with closing(sqlite3.connect(tmp_path / "reelhook.db")) as database, database:
        database.execute("UPDATE endpoints SET secret = replace(secret, '.', '.AAAA')")
        database.execute("UPDATE endpoints SET secret = '§1.deadbeef.AAAA' WHERE id = 'ep_shop'")
    outcome = run(tmp_path, "keys", "reencrypt", "--json", keys=f"{NEW},{OLD}")
    assert outcome.code == 1
    assert {one["id"] for one in outcome.json["undecryptable"]} == {"ep_shop", "ep_branch"}
    assert "deadbeef" in outcome.err


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Program]:
    fill(tmp_path, OLD)
    given = {"REELHOOK_ENCRYPTION_KEYS": f"{NEW},{OLD}", "REELHOOK_API_KEY": "of-the-operator"}
    with (
        simulator(tmp_path) as provider,
        serve(tmp_path, provider, "--data-dir", str(tmp_path), **given) as server,
    ):
        yield server


def test_an_exchange_while_the_server_runs(tmp_path: Path, served: Program) -> None:
    given = {"REELHOOK_URL": served.url, "REELHOOK_API_KEY": "of-the-operator"}
    given |= {"REELHOOK_DATA_DIR": str(tmp_path)}
    done = reelhook(
        *("keys", "reencrypt", "--json"),
        directory=tmp_path,
        REELHOOK_ENCRYPTION_KEYS=f"{NEW},{OLD}",
        **given,
    )
    assert done.code == 0, done.err
    assert done.json["keyId"] == NEW_ID
    assert OLD_ID not in content(tmp_path)
    other = reelhook("keys", "reencrypt", directory=tmp_path, REELHOOK_ENCRYPTION_KEYS=OLD, **given)
    assert other.code == 1
    assert f"The server encrypts with the key {NEW_ID}" in other.err
    shown = reelhook("endpoints", "show", "ep_shop", "--json", directory=tmp_path, **given)
    assert json.loads(shown.out)["headers"] == {"X-Shop": "********"}


# -- the doctor ------------------------------------------------------------------------------------


async def test_the_doctor_warns_as_long_as_there_is_no_key(tmp_path: Path) -> None:
    verdict, message = told(await found(data_dir=tmp_path), "secrets at rest")
    assert (verdict, message) == (
        "warning",
        (
            "are not encrypted; set REELHOOK_ENCRYPTION_KEYS to the output of "
            "`reelhook keys new-encryption-key`"
        ),
    )


@pytest.mark.parametrize(
    ("stored", "given", "verdict", "words"),
    [
        (None, NEW, "warning", "and 5 of them not at all; run `reelhook keys reencrypt`"),
        (OLD, f"{NEW},{OLD}", "warning", f"6 are not encrypted with the newest key, {NEW_ID}"),
        (NEW, NEW, "ok", f"are encrypted with the key {NEW_ID}"),
        (
            NEW,
            OLD,
            "failed",
            f"can't be decrypted, so nothing is sent that needs them; add {NEW_ID}",
        ),
        (
            NEW,
            None,
            "failed",
            "endpoints/ep_branch, endpoints/ep_shop can't be decrypted, so nothing",
        ),
    ],
)
def test_the_doctor_sees_which_key_is_missing_or_new(
    tmp_path: Path, stored: str | None, given: str | None, verdict: str, words: str
) -> None:
    fill(tmp_path, stored)
    findings = asyncio.run(found(data_dir=tmp_path, encryption_keys=given))
    assert told(findings, "secrets at rest")[0] == verdict
    assert words.replace("; add ", "; add the key ") in told(findings, "secrets at rest")[1]
    assert "of-the-shop" not in told(findings, "secrets at rest")[1]
