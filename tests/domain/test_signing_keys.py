"""Ed25519 keys in all their forms. The fixed values are those of RFC 8032 and RFC 8037."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.errors import BadKeyError
from reelhook.domain.signing_keys import PrivateKey, PublicKey, jwk_set, private_text, public_keys

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
SIGNATURE_OF_NOTHING = bytes.fromhex(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
    "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
)
JWK = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "use": "sig",
    "alg": "EdDSA",
    "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
}
KEY = PublicKey(PUBLIC)


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


# -- private keys ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [f"whsk_{b64(SEED)}", f"whsk_{b64(SEED + PUBLIC)}"])
def test_a_private_key_is_a_seed_or_a_seed_with_its_public_key(text: str) -> None:
    key = PrivateKey.parse(text)
    assert key.public == KEY
    assert key.sign(b"") == SIGNATURE_OF_NOTHING
    assert key == PrivateKey.of(SEED)


@pytest.mark.parametrize(
    "text",
    [
        "",
        b64(SEED),
        "whsk_",
        "whsk_é",
        f" whsk_{b64(SEED)}",
        f"whpk_{b64(SEED)}",
        f"whsk_{b64(SEED)}!",
        f"whsk_{b64(SEED)[:-1]}",
        f"whsk_{b64(SEED[:31])}",
        f"whsk_{b64(SEED + PUBLIC[:31])}",
    ],
)
def test_anything_else_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(BadKeyError, match=r"^MY_KEY is not whsk_ and") as caught:
        PrivateKey.parse(text, name="MY_KEY")
    assert b64(SEED)[:20] not in caught.value.message


def test_a_seed_with_another_public_key_is_refused() -> None:
    with pytest.raises(BadKeyError, match="another key's public half"):
        PrivateKey.parse(f"whsk_{b64(SEED + SEED)}")


def test_a_private_key_never_shows_itself() -> None:
    key = PrivateKey.of(SEED)
    for text in (repr(key), str(key)):
        assert b64(SEED)[:20] not in text
        assert repr(SEED)[:20] not in text


@given(st.binary(min_size=32, max_size=32))
def test_what_is_written_is_read_again(seed: bytes) -> None:
    key = PrivateKey.of(seed)
    assert PrivateKey.parse(private_text(seed)) == key
    assert public_keys(str(key.public)) == (key.public,)
    assert public_keys([str(key.public), str(KEY)]) == (key.public, KEY)
    assert public_keys(jwk_set([key.public, KEY])) == (key.public, KEY)


# -- public keys -----------------------------------------------------------------------------------


def test_a_public_key_is_written_as_the_rfc_writes_it() -> None:
    assert str(KEY) == f"whpk_{b64(PUBLIC)}"
    assert KEY.jwk() == JWK
    assert jwk_set([KEY]) == {"keys": [JWK]}
    assert jwk_set([]) == {"keys": []}


def test_a_public_key_verifies_its_own_signatures_alone() -> None:
    other = PrivateKey.of(PUBLIC)
    assert KEY.verifies(SIGNATURE_OF_NOTHING, b"")
    assert not KEY.verifies(SIGNATURE_OF_NOTHING, b"\0")
    assert not KEY.verifies(other.sign(b""), b"")
    assert not KEY.verifies(b"", b"")


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64))
def test_garbage_verifies_nothing(raw: bytes, signature: bytes) -> None:
    assert not PublicKey(raw).verifies(signature, b"content")


@pytest.mark.parametrize("text", ["", "whpk_", b64(PUBLIC), f"whsk_{b64(SEED)}", "whpk_AAAA"])
def test_a_wrong_public_key_is_refused(text: str) -> None:
    with pytest.raises(BadKeyError, match="whpk_"):
        public_keys(text)
    with pytest.raises(BadKeyError, match="whpk_"):
        public_keys([str(KEY), text])


@pytest.mark.parametrize(
    "other",
    [
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {**JWK, "crv": "X25519"},
        {**JWK, "use": "enc"},
        {**JWK, "x": "!"},
        {**JWK, "x": "AAAA"},
        {**JWK, "x": 1},
        {"kty": "OKP", "crv": "Ed25519"},
        "a text",
        None,
    ],
)
def test_what_is_no_key_of_ours_in_a_set_is_passed_over(other: object) -> None:
    assert public_keys({"keys": [other, JWK]}) == (KEY,)


def test_a_key_in_a_set_needs_neither_use_nor_alg() -> None:
    bare = {name: JWK[name] for name in ("kty", "crv", "x")}
    assert public_keys({"keys": [bare]}) == (KEY,)


@pytest.mark.parametrize("other", [{}, {"keys": None}, JWK])
def test_a_mapping_that_is_no_set_is_refused(other: dict[str, object]) -> None:
    with pytest.raises(BadKeyError, match="JWK Set"):
        public_keys(other)
