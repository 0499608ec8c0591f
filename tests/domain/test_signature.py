import base64
import hashlib
import hmac
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from reelhook.domain.errors import BadKeyError
from reelhook.domain.signature import sign, standard_key, standard_secret
from reelhook.domain.signing_keys import PrivateKey

NOW = 1_767_225_600_123
BODY = '{"jobId":"jöb","status":"completed"}'.encode()
STANDARD = "whsec_" + base64.b64encode(b"twenty-four random bytes").decode()
secrets = st.one_of(
    st.text(min_size=1).filter(lambda text: not text.startswith(("whsec_", "whsk_", "whpk_"))),
    st.binary(min_size=1).map(lambda key: "whsec_" + base64.b64encode(key).decode()),
)
NEW, OLD = PrivateKey.of(b"n" * 32), PrivateKey.of(b"o" * 32)


def signed(
    secret: str = "s",
    *,
    previous: str | None = None,
    body: bytes = BODY,
    now: int = NOW,
    private_keys: Sequence[PrivateKey] = (),
) -> dict[str, str]:
    return sign(
        body,
        message_id="evt_job_1_1",
        now=now,
        secret=secret,
        previous=previous,
        private_keys=private_keys,
    )


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
    for use in (signed, standard_secret, standard_key):
        with pytest.raises(BadKeyError, match=r"^The secret starts with whsec_ but"):
            use(secret)


@pytest.mark.parametrize("secret", ["", str(NEW.public), "whsk_AAAA"])
def test_what_is_no_shared_secret_is_refused(secret: str) -> None:
    for use in (signed, standard_secret, standard_key):
        with pytest.raises(BadKeyError, match=r"^The secret is "):
            use(secret)


def test_a_refusal_calls_the_secret_as_its_owner_does_and_does_not_show_it() -> None:
    with pytest.raises(BadKeyError, match=r"^rotated_secret starts with") as caught:
        standard_key("whsec_hunter2!", name="rotated_secret")
    assert "hunter2" not in caught.value.message


# -- private keys ----------------------------------------------------------------------------------


def test_private_keys_sign_behind_the_secrets_each_once() -> None:
    headers = signed("new", previous="old", private_keys=(NEW, OLD))
    shared = signed("new", previous="old")
    content = b"evt_job_1_1.1767225600." + BODY
    assert headers["webhook-signature"].split() == [
        *shared["webhook-signature"].split(),
        *("v1a," + base64.b64encode(key.sign(content)).decode() for key in (NEW, OLD)),
    ]
    del headers["webhook-signature"], shared["webhook-signature"]
    assert headers == shared


def test_the_official_library_passes_over_what_private_keys_signed() -> None:
    headers = signed(
        STANDARD, previous="old", now=time.time_ns() // 1_000_000, private_keys=(NEW, OLD)
    )
    for secret in (STANDARD, standard_secret("old")):
        assert Webhook(secret).verify(BODY, headers)
