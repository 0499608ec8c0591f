import base64
import hashlib
import hmac
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from reelhook.domain.errors import SettingsError
from reelhook.domain.signature import TOLERANCE_SECONDS, sign, standard_secret, verify

NOW = 1_767_225_600_123
BODY = '{"jobId":"jöb","status":"completed"}'.encode()
STANDARD = "whsec_" + base64.b64encode(b"twenty-four random bytes").decode()
secrets = st.one_of(
    st.text(min_size=1).filter(lambda text: not text.startswith("whsec_")),
    st.binary(min_size=1).map(lambda key: "whsec_" + base64.b64encode(key).decode()),
)
header_texts = st.text(st.characters(), max_size=40)  # lone surrogates included


def signed(
    secret: str = "s", *, previous: str | None = None, body: bytes = BODY, now: int = NOW
) -> dict[str, str]:
    return sign(body, message_id="evt_job_1_1", now=now, secret=secret, previous=previous)


# -- what receivers check --------------------------------------------------------------------------


@given(secrets, st.dictionaries(st.text(), st.integers()))
def test_the_official_library_verifies_with_the_standard_form_of_any_secret(
    secret: str, content: dict[str, int]
) -> None:
    body = repr(content).encode(errors="replace")
    headers = sign(body, message_id="evt_1", now=time.time_ns() // 1_000_000, secret=secret)
    Webhook(standard_secret(secret)).verify(body, headers, json_parse=False)


def test_the_official_library_takes_a_standard_secret_as_it_is() -> None:
    headers = signed(STANDARD, now=time.time_ns() // 1_000_000)
    assert standard_secret(STANDARD) == STANDARD
    assert Webhook(STANDARD).verify(BODY, headers) == {"jobId": "jöb", "status": "completed"}


def test_the_official_library_refuses_another_body() -> None:
    headers = signed(STANDARD, now=time.time_ns() // 1_000_000)
    with pytest.raises(WebhookVerificationError):
        Webhook(STANDARD).verify(BODY + b" ", headers)


def test_the_official_library_verifies_both_secrets_while_one_replaces_the_other() -> None:
    headers = signed("new", previous="old", now=time.time_ns() // 1_000_000)
    for secret in ("new", "old"):
        Webhook(standard_secret(secret)).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(standard_secret("other")).verify(BODY, headers)


@given(secrets, st.binary())
def test_x_signature_is_hex_over_the_body_with_the_secrets_bytes_as_configured(
    secret: str, body: bytes
) -> None:
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert signed(secret, body=body)["X-Signature"] == expected


def test_timestamps_are_in_seconds_and_in_milliseconds() -> None:
    headers = signed()
    assert headers["webhook-timestamp"] == "1767225600"
    assert headers["X-Timestamp"] == "1767225600123"
    assert headers["webhook-id"] == "evt_job_1_1"


def test_x_signature_stays_on_the_previous_secret_during_a_rotation() -> None:
    headers = signed("new", previous="old")
    assert headers["X-Signature"] == signed("old")["X-Signature"]
    assert headers["webhook-signature"].split() == [
        signed("new")["webhook-signature"],
        signed("old")["webhook-signature"],
    ]


def test_an_empty_previous_secret_is_none() -> None:
    assert signed("new", previous="") == signed("new")


# -- secrets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["whsec_", "whsec_é", "whsec_not base64!", "whsec_abc"])
def test_a_standard_secret_that_is_not_base64_is_refused(secret: str) -> None:
    with pytest.raises(SettingsError, match=r"WEBHOOK_SECRET starts with whsec_"):
        signed(secret)
    with pytest.raises(SettingsError, match=r"WEBHOOK_SECRET starts with whsec_"):
        standard_secret(secret)


# -- our own verification --------------------------------------------------------------------------


@given(secrets, st.binary())
def test_what_was_signed_is_verified(secret: str, body: bytes) -> None:
    assert verify(body, signed(secret, body=body), [secret], now=NOW)


def test_headers_may_come_in_any_case() -> None:
    headers = {name.upper(): value for name, value in signed().items()}
    assert verify(BODY, headers, ["s"], now=NOW)


@pytest.mark.parametrize("secret", ["new", "old"])
def test_a_receiver_with_either_secret_verifies_during_a_rotation(secret: str) -> None:
    assert verify(BODY, signed("new", previous="old"), [secret], now=NOW)


def test_a_receiver_may_know_several_secrets() -> None:
    assert verify(BODY, signed("new"), ["old", "new"], now=NOW)
    assert not verify(BODY, signed("new"), [], now=NOW)


@given(st.binary(), st.binary())
def test_another_body_is_refused(body: bytes, other: bytes) -> None:
    assert verify(other, signed(body=body), ["s"], now=NOW) == (body == other)


def test_another_secret_is_refused() -> None:
    assert not verify(BODY, signed("s"), ["t"], now=NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp"])
def test_a_changed_id_or_timestamp_is_refused(name: str) -> None:
    headers = signed()
    assert not verify(BODY, headers | {name: headers[name][:-1] + "9"}, ["s"], now=NOW)


@given(st.integers(-2000, 2000))
def test_a_signature_is_fresh_for_five_minutes_either_way(seconds: int) -> None:
    headers = signed(now=NOW - NOW % 1000)
    fresh = verify(BODY, headers, ["s"], now=NOW - NOW % 1000 + seconds * 1000)
    assert fresh == (abs(seconds) <= TOLERANCE_SECONDS == 300)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize(
    "value", [None, "", "9" * 400, "9" * 5000, "-1", "nan", "\udcff", "²", ","]
)
def test_a_missing_or_broken_header_is_refused(name: str, value: str | None) -> None:
    headers = signed()
    if value is None:
        del headers[name]
    else:
        headers[name] = value
    assert not verify(BODY, headers, ["s"], now=NOW)


@given(header_texts, header_texts | st.integers(0, 10**400).map(str), header_texts)
def test_garbage_is_refused_without_an_error(
    message_id: str, timestamp: str, signature: str
) -> None:
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature,
    }
    assert not verify(BODY, headers, ["s"], now=NOW)
    headers["webhook-timestamp"] = str(NOW // 1000)
    assert not verify(BODY, headers, ["s"], now=NOW)
