"""Encryption at rest: what a key looks like, and what an encrypted text gives away."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.encryption import (
    EncryptionKey,
    Keyring,
    UndecryptableError,
    is_encrypted,
    key_id_of,
    key_text,
)
from reelhook.domain.errors import BadKeyError

OLD, NEW = EncryptionKey.of(bytes(32)), EncryptionKey.of(bytes(range(32)))
PLACE = ("endpoints", "ep_1", "secret")
NONCE = bytes(range(12))
SECRET = "whsec_of-the-shop"


def test_a_key_is_a_prefix_and_the_base64_of_32_bytes() -> None:
    text = key_text(bytes(range(32)))
    assert text == "rhek_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert EncryptionKey.parse(text) == NEW
    assert NEW.id == "79153f16"
    assert text.removeprefix("rhek_") not in repr(EncryptionKey.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rhek_",
        "rhek_é",
        key_text(bytes(31)),
        key_text(bytes(33)),
        key_text(bytes(32)).removeprefix("rhek_"),
        key_text(bytes(32)) + "!",
        " " + key_text(bytes(32)),
    ],
)
def test_anything_else_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(BadKeyError, match=r"^MY_KEY is not rhek_ and") as caught:
        EncryptionKey.parse(text, name="MY_KEY")
    assert text.removeprefix("rhek_") in {"", "é"} or text not in caught.value.message


def test_an_encrypted_text_names_its_key_and_nothing_else() -> None:
    sealed = Keyring([NEW, OLD]).encrypt(SECRET, PLACE, NONCE)
    assert is_encrypted(sealed)
    assert key_id_of(sealed) == NEW.id
    assert SECRET not in sealed
    assert key_id_of(SECRET) is None


@given(st.text())
def test_what_was_encrypted_is_decrypted_by_every_process_that_has_the_key(text: str) -> None:
    sealed = Keyring([OLD]).encrypt(text, PLACE, os.urandom(12))
    assert Keyring([NEW, OLD]).decrypt(sealed, PLACE) == text


def test_a_plain_text_is_read_as_it_is_with_keys_and_without() -> None:
    assert Keyring().encrypt(SECRET, PLACE, NONCE) == SECRET
    assert Keyring().decrypt(SECRET, PLACE) == SECRET
    assert Keyring([NEW]).decrypt(SECRET, PLACE) == SECRET


def test_an_encrypted_text_is_not_encrypted_again() -> None:
    sealed = Keyring([OLD]).encrypt(SECRET, PLACE, NONCE)
    assert Keyring([NEW]).encrypt(sealed, PLACE, NONCE) == sealed


@pytest.mark.parametrize("keyring", [Keyring(), Keyring([NEW])])
def test_without_its_key_a_text_can_not_be_decrypted(keyring: Keyring) -> None:
    sealed = Keyring([OLD]).encrypt(SECRET, PLACE, NONCE)
    with pytest.raises(UndecryptableError, match=OLD.id):
        keyring.decrypt(sealed, PLACE)


@pytest.mark.parametrize(
    "place",
    [
        ("projects", "ep_1", "secret"),
        ("endpoints", "ep_2", "secret"),
        ("endpoints", "ep_1", "previous_secret"),
    ],
)
def test_a_text_that_was_moved_to_another_place_can_not_be_decrypted(
    place: tuple[str, str, str],
) -> None:
    keyring = Keyring([NEW])
    with pytest.raises(UndecryptableError):
        keyring.decrypt(keyring.encrypt(SECRET, PLACE, NONCE), place)


@pytest.mark.parametrize("spoiled", ["", ".", "short", "!", "x" * 80])
def test_a_text_that_was_changed_can_not_be_decrypted(spoiled: str) -> None:
    with pytest.raises(UndecryptableError):
        Keyring([NEW]).decrypt(f"§1.{NEW.id}.{spoiled}", PLACE)
