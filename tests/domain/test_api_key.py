"""The text of keys, what they grant, and when they end."""

import re
from dataclasses import replace
from random import Random

import pytest

from reelhook.domain import api_key
from reelhook.domain.api_key import (
    ApiKey,
    GrantTooWideError,
    KeyEndedError,
    KeyExpiredError,
    KeyGrant,
    KeyRevokedError,
    ProjectClosedKeyError,
    is_token,
    new_token,
    rates_within,
    scopes_of,
    token_hash,
)
from reelhook.domain.caller import OPERATOR, Caller, Rate, Scope, ScopeMissingError
from reelhook.domain.errors import InvalidRequestError

NOW = 1_767_225_600_000
KEY = ApiKey(
    "key_1", "prj_1", "web", "rhk_abcd", frozenset({Scope.SUBMIT}), None, (), created_at=NOW
)
ADMIN = Caller("prj_1", frozenset({Scope.ADMIN}), key_id="key_0")
A_MINUTE = (Rate(60, 60),)


def test_a_key_has_a_prefix_256_random_bits_and_a_checksum() -> None:
    token = new_token(Random(1))
    assert re.fullmatch(api_key.TOKEN, token)
    assert is_token(token)
    assert new_token(Random(2)) != token
    # Pinned: secret scanners and stored hashes depend on the form.
    assert token == "rhk_79oYApew53vggMnSsf56wIemJAJ2XvXz3WyI5pB4Dor1DfZ9W"
    assert token_hash(token).startswith("98183c1000f8")


class Most(Random):
    """Every bit is set."""

    def getrandbits(self, k: int, /) -> int:
        return (1 << k) - 1


def test_the_largest_number_fits() -> None:
    assert is_token(new_token(Most()))


@pytest.mark.parametrize("place", [0, 3, 4, 20, 46, 47, 52])
def test_a_changed_character_is_noticed(place: int) -> None:
    token = new_token(Random(1))
    other = "a" if token[place] != "a" else "b"
    assert not is_token(token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize("text", ["", "rhk_", "rhk_é", "x" * 53, "rhk_" + "0" * 48, "rhk_" * 20])
def test_other_texts_are_no_keys(text: str) -> None:
    assert not is_token(text)


def test_a_key_ends_by_revocation_expiry_or_with_its_project() -> None:
    KeyGrant(KEY).check(NOW)
    with pytest.raises(KeyRevokedError):
        KeyGrant(replace(KEY, revoked_at=NOW)).check(NOW)
    expiring = KeyGrant(replace(KEY, expires_at=NOW + 5))
    expiring.check(NOW + 4)
    with pytest.raises(KeyExpiredError):
        expiring.check(NOW + 5)
    with pytest.raises(ProjectClosedKeyError):
        KeyGrant(KEY, project_closed=True).check(NOW)


def test_the_previous_text_ends_after_the_overlap() -> None:
    after = api_key.rotated(KEY, "rhk_other", NOW, 10)
    assert (after.id, after.hint) == (KEY.id, "rhk_othe")
    before = KeyGrant(after, by_previous=True)
    before.check(NOW + 9)
    assert before.expires_at == NOW + 10
    with pytest.raises(KeyExpiredError):
        before.check(NOW + 10)
    KeyGrant(after).check(NOW + 10)
    assert KeyGrant(after).expires_at is None


def test_a_key_that_has_ended_is_not_rotated() -> None:
    with pytest.raises(KeyEndedError):
        api_key.rotated(replace(KEY, revoked_at=NOW), "rhk_other", NOW, 10)


def test_a_request_with_a_key_is_its_project_s_caller() -> None:
    grant = KeyGrant(replace(KEY, models=("a/b", "c/d")), project_models=("c/d", "e/f"))
    assert grant.caller == Caller(
        "prj_1", frozenset({Scope.SUBMIT}), key_id="key_1", models=("c/d",), key_name="web"
    )
    assert KeyGrant(KEY).caller.models is None
    assert KeyGrant(replace(KEY, rates=A_MINUTE)).caller.rates == A_MINUTE


@pytest.mark.parametrize(
    ("expires_at", "by_previous", "expected"),
    [
        (None, False, None),
        (NOW + 5, False, NOW + 5),
        (None, True, NOW + 10),
        (NOW + 5, True, NOW + 5),
        (NOW + 20, True, NOW + 10),
    ],
)
def test_a_caller_lasts_as_long_as_the_text_that_it_sent(
    expires_at: int | None, by_previous: bool, expected: int | None
) -> None:
    key = replace(KEY, expires_at=expires_at, previous_until=NOW + 10)
    assert KeyGrant(key, by_previous=by_previous).caller.expires_at == expected


def test_a_key_grants_nothing_that_its_maker_lacks() -> None:
    KEY.check_grant(ADMIN)
    replace(KEY, scopes=frozenset({Scope.ADMIN})).check_grant(OPERATOR)
    with pytest.raises(ScopeMissingError) as missing:
        KEY.check_grant(replace(ADMIN, scopes=frozenset({Scope.READ})))
    assert missing.value.scope is Scope.SUBMIT


@pytest.mark.parametrize("expires_at", [None, NOW + 11])
def test_nor_ends_later(expires_at: int | None) -> None:
    maker = replace(ADMIN, expires_at=NOW + 10)
    with pytest.raises(GrantTooWideError) as refused:
        replace(KEY, expires_at=expires_at).check_grant(maker)
    assert refused.value.facts["field"] == "expires"
    replace(KEY, expires_at=NOW + 10).check_grant(maker)


@pytest.mark.parametrize("models", [None, ("a/b", "c/d")])
def test_nor_has_more_models(models: tuple[str, ...] | None) -> None:
    maker = replace(ADMIN, models=("a/b",))
    with pytest.raises(GrantTooWideError, match="a/b"):
        replace(KEY, models=models).check_grant(maker)
    replace(KEY, models=("a/b",)).check_grant(maker)
    replace(KEY, models=()).check_grant(maker)


@pytest.mark.parametrize("rates", [(), (Rate(61, 60),), (Rate(1, 3600),), (Rate(10, 1),)])
def test_nor_has_weaker_rates(rates: tuple[Rate, ...]) -> None:
    maker = replace(ADMIN, rates=A_MINUTE)
    with pytest.raises(GrantTooWideError, match="60 per 60 s") as refused:
        replace(KEY, rates=rates).check_grant(maker)
    assert refused.value.facts["field"] == "rates"
    for no_weaker in (A_MINUTE, (Rate(59, 60),), (Rate(10, 1), Rate(60, 60))):
        replace(KEY, rates=no_weaker).check_grant(maker)


def test_a_window_without_a_rate_has_the_maker_s() -> None:
    assert rates_within((), A_MINUTE) == A_MINUTE
    assert rates_within((Rate(9, 3600), Rate(2, 1)), A_MINUTE) == (
        *(Rate(2, 1), Rate(60, 60)),
        Rate(9, 3600),
    )
    assert rates_within((Rate(99, 60),), A_MINUTE) == (Rate(99, 60),)
    assert rates_within((), ()) == ()


def test_the_scope_of_the_operator_is_not_granted() -> None:
    assert scopes_of(["read", "admin"]) == {Scope.READ, Scope.ADMIN}
    for wrong in (["operator"], ["Read"], []):
        with pytest.raises(InvalidRequestError) as refused:
            scopes_of(wrong)
        assert refused.value.field == "scopes"


def test_a_use_is_recorded_once_a_minute() -> None:
    assert KEY.use_is_due(NOW)
    used = replace(KEY, last_used_at=NOW, rates=(Rate(1, 60),))
    assert not used.use_is_due(NOW + 59_999)
    assert used.use_is_due(NOW + 60_000)
