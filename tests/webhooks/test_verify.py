"""The receiver's side in Python: what we signed is believed, and nothing else."""

import base64
import math
import subprocess
import sys
import time
from datetime import UTC, datetime
from email.message import Message
from typing import Any

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from starlette.datastructures import Headers
from werkzeug.datastructures import EnvironHeaders

from reelhook.domain.signature import sign, standard_secret
from reelhook.domain.signing_keys import PrivateKey, jwk_set
from reelhook.webhooks import BadKeyError, ReceivedWebhook, WebhookVerificationError, verify

SENT_AT = 1_767_225_600
BODY = '{"jobId":"jöb","status":"completed"}'.encode()
KEY, OTHER = PrivateKey.of(b"k" * 32), PrivateKey.of(b"o" * 32)
secrets = st.one_of(
    st.text(min_size=1).filter(lambda text: not text.startswith(("whsec_", "whsk_", "whpk_"))),
    st.binary(min_size=1).map(lambda key: "whsec_" + base64.b64encode(key).decode()),
)
header_texts = st.text(st.characters(), max_size=40)  # lone surrogates included


def signed(
    secret: str = "s", *, previous: str | None = None, body: bytes = BODY, key: PrivateKey = KEY
) -> dict[str, str]:
    return sign(
        body,
        message_id="evt_job_1_1",
        now=SENT_AT * 1000 + 999,
        secret=secret,
        previous=previous,
        private_keys=(key,),
    )


def believed(body: bytes, headers: Any, secrets: Any = "s", **given: Any) -> bool:
    """Whether it is; a signed body that is no JSON counts as believed."""
    try:
        verify(body, headers, secrets, **{"now": SENT_AT, **given})
    except WebhookVerificationError as error:
        return "is not JSON" in error.message
    return True


def refusal(headers: Any = None, *, body: bytes = BODY, **given: Any) -> str:
    with pytest.raises(WebhookVerificationError) as caught:
        verify(body, signed() if headers is None else headers, **{"secrets": "s"} | given)
    assert caught.value.code == "webhook_not_verified"
    return caught.value.message


# -- what is believed ------------------------------------------------------------------------------


def test_a_webhook_comes_back_with_its_id_its_time_and_its_json() -> None:
    webhook = verify(BODY, signed(), "s", now=SENT_AT)
    assert webhook == ReceivedWebhook(
        id="evt_job_1_1", timestamp=SENT_AT, body={"jobId": "jöb", "status": "completed"}
    )


def test_a_webhook_of_this_moment_is_believed_by_the_system_s_clock() -> None:
    headers = sign(BODY, message_id="evt_1", now=time.time_ns() // 1_000_000, secret="s")
    assert verify(BODY, headers, "s").id == "evt_1"
    assert not believed(BODY, headers, now=None, tolerance_seconds=-1)


@given(secrets, st.binary())
def test_what_was_signed_is_believed(secret: str, body: bytes) -> None:
    headers = signed(secret, body=body)
    assert believed(body, headers, secret)
    assert believed(body, headers, standard_secret(secret))
    assert believed(body, headers, (), public_keys=str(KEY.public))


@given(secrets, secrets, st.lists(secrets, max_size=3))
def test_any_of_several_secrets_will_do(secret: str, previous: str, others: list[str]) -> None:
    headers = signed(secret, previous=previous)
    for one in (secret, previous):
        assert believed(BODY, headers, [*others, one])
        assert believed(BODY, headers, iter([one, *others]))
    same = {standard_secret(one) for one in (secret, previous)}
    assert believed(BODY, headers, others or ["s"]) == any(
        standard_secret(one) in same for one in others or ["s"]
    )


@pytest.mark.parametrize(
    "public_keys",
    [
        str(KEY.public),
        [str(OTHER.public), str(KEY.public)],
        jwk_set([OTHER.public, KEY.public]),
        jwk_set([KEY.public]),
    ],
)
def test_a_public_key_alone_will_do(public_keys: Any) -> None:
    assert believed(BODY, signed(), (), public_keys=public_keys)
    assert believed(BODY, signed(), "another", public_keys=public_keys)
    assert not believed(BODY, signed(key=PrivateKey.of(b"x" * 32)), (), public_keys=public_keys)
    assert not believed(BODY + b" ", signed(), (), public_keys=public_keys)


def test_while_keys_are_exchanged_the_old_and_the_new_public_key_will_do() -> None:
    headers = sign(
        BODY, message_id="evt_1", now=SENT_AT * 1000, secret="s", private_keys=(KEY, OTHER)
    )
    for key in (KEY, OTHER):
        assert believed(BODY, headers, (), public_keys=str(key.public))


@pytest.mark.parametrize(
    "form",
    [
        lambda headers: {name.upper(): value for name, value in headers.items()},
        lambda headers: {name.title(): value for name, value in headers.items()},
        lambda headers: CIMultiDictProxy(CIMultiDict(headers)),  # aiohttp
        Headers,  # Starlette and FastAPI
        lambda headers: EnvironHeaders(  # Flask
            {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}
        ),
    ],
)
def test_headers_may_come_as_a_framework_has_them(form: Any) -> None:
    assert believed(BODY, form(signed()))


def test_headers_may_come_as_the_standard_library_has_them() -> None:
    message = Message()
    for name, value in signed().items():
        message[name] = value
    assert believed(BODY, message)


def test_what_the_official_library_signs_is_believed() -> None:
    webhook = standardwebhooks.Webhook(standard_secret("s"))
    signature = webhook.sign("msg_1", datetime.fromtimestamp(SENT_AT, UTC), BODY.decode())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(SENT_AT),
        "webhook-signature": signature,
    }
    assert believed(BODY, headers)


# -- what is not -----------------------------------------------------------------------------------


@given(st.binary(min_size=1), st.data())
def test_a_flipped_bit_of_the_body_is_refused(body: bytes, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, 8 * len(body) - 1))
    altered = bytearray(body)
    altered[bit // 8] ^= 1 << bit % 8
    headers = signed(body=body)
    assert not believed(bytes(altered), headers, public_keys=str(KEY.public))


@given(st.sampled_from(["webhook-id", "webhook-timestamp"]), st.data())
def test_a_flipped_bit_of_id_or_time_is_refused(name: str, data: st.DataObject) -> None:
    headers = signed()
    place = data.draw(st.integers(0, len(headers[name]) - 1))
    bit = 1 << data.draw(st.integers(0, 6))
    text = headers[name]
    headers[name] = text[:place] + chr(ord(text[place]) ^ bit) + text[place + 1 :]
    keys = str(KEY.public)
    assert not believed(BODY, headers, public_keys=keys, tolerance_seconds=math.inf)


@given(st.sampled_from(["v1", "v1a"]), st.data())
def test_a_flipped_bit_of_a_signature_is_refused(version: str, data: st.DataObject) -> None:
    shared, private = signed()["webhook-signature"].split()
    entry = shared if version == "v1" else private
    place = data.draw(st.integers(0, len(entry) - 1))
    bit = 1 << data.draw(st.integers(0, 6))
    altered = entry[:place] + chr(ord(entry[place]) ^ bit) + entry[place + 1 :]
    headers = signed() | {"webhook-signature": altered}
    assert not believed(BODY, headers, public_keys=str(KEY.public))


def test_another_secret_and_another_key_are_refused() -> None:
    assert "No signature matches" in refusal(secrets="t", now=SENT_AT)
    keys = str(OTHER.public)
    assert "No signature matches" in refusal(secrets=(), public_keys=keys, now=SENT_AT)


def test_one_kind_of_signature_does_not_pass_for_the_other() -> None:
    shared, private = signed()["webhook-signature"].split()
    swapped = f"v1a,{shared.removeprefix('v1,')} v1,{private.removeprefix('v1a,')}"
    headers = signed() | {"webhook-signature": swapped}
    assert not believed(BODY, headers, public_keys=str(KEY.public))


def test_where_id_time_and_body_meet_can_not_be_moved() -> None:
    body = f'{SENT_AT}.{{"jobId":"forged"}}'.encode()
    headers = sign(body, message_id="evt_1", now=SENT_AT * 1000, secret="s")
    moved = headers | {"webhook-id": f"evt_1.{SENT_AT}"}
    assert "dot" in refusal(moved, body=b'{"jobId":"forged"}', now=SENT_AT)


def test_a_right_signature_far_behind_in_the_header_is_not_looked_for() -> None:
    signature = signed()["webhook-signature"]
    headers = signed() | {"webhook-signature": f"{'v1a,AAAA ' * 31}{signature}"}
    assert believed(BODY, headers)
    headers["webhook-signature"] = f"{'v1a,AAAA ' * 32}{signature}"
    assert not believed(BODY, headers)


def test_a_signed_body_that_is_no_json_says_so() -> None:
    assert "not JSON" in refusal(signed(body=b"\xff"), body=b"\xff", now=SENT_AT)


# -- time ------------------------------------------------------------------------------------------


@given(st.floats(-2000, 2000))
def test_a_webhook_is_fresh_for_five_minutes_either_way(seconds: float) -> None:
    now = SENT_AT + seconds
    assert believed(BODY, signed(), now=now) == (abs(now - SENT_AT) <= 300)


@given(st.integers(0, 10**6), st.sampled_from([-1, 1]))
def test_the_tolerance_holds_to_its_very_edge(tolerance: int, side: int) -> None:
    edge = SENT_AT + side * tolerance
    assert believed(BODY, signed(), now=edge, tolerance_seconds=tolerance)
    assert not believed(BODY, signed(), now=edge + side * 0.01, tolerance_seconds=tolerance)


def test_a_refusal_tells_how_far_off_the_time_is() -> None:
    assert "sent 301 s ago, and 300 s are allowed" in refusal(now=SENT_AT + 301)
    assert "sent 301 s from now" in refusal(now=SENT_AT - 301)


def test_a_tolerance_or_a_clock_that_is_no_number_lets_nothing_pass() -> None:
    assert not believed(BODY, signed(), tolerance_seconds=math.nan)
    assert not believed(BODY, signed(), now=math.nan)


# -- headers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name: str) -> None:
    headers = signed()
    del headers[name]
    assert f"header {name} is missing" in refusal(headers, now=SENT_AT)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize(
    "value", ["", " ", "9" * 400, "9" * 5000, "-1", "nan", "\udcff", "²", "٣", ",", "v1a,", "v1,"]
)
def test_a_broken_header_is_refused(name: str, value: str) -> None:
    headers = signed() | {name: value}
    assert not believed(BODY, headers, public_keys=str(KEY.public))


@given(header_texts, header_texts | st.integers(0, 10**400).map(str), header_texts)
def test_garbage_is_refused_without_another_error(
    message_id: str, timestamp: str, signature: str
) -> None:
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature,
    }
    for entry in (signature, f"v1,{signature}", f"v1a,{signature}"):
        headers["webhook-signature"] = entry
        assert not believed(BODY, headers, public_keys=str(KEY.public))
        fresh = headers | {"webhook-timestamp": str(SENT_AT)}
        assert not believed(BODY, fresh, public_keys=str(KEY.public))


# -- wrong use -------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["{}", {"jobId": "job_1"}, None, bytearray(b"{}")])
def test_a_body_that_is_not_bytes_is_a_mistake_of_the_caller(body: Any) -> None:
    with pytest.raises(TypeError, match=r"raw body as bytes.* not (str|dict|NoneType|bytearray)"):
        verify(body, signed(), "s")


@pytest.mark.parametrize("secrets", ["", "whsec_", "whsec_?", str(KEY.public), ["s", ""]])
def test_what_is_no_secret_is_a_mistake_of_the_caller(secrets: Any) -> None:
    with pytest.raises(BadKeyError, match="The secret"):
        verify(BODY, signed(), secrets, now=SENT_AT)


def test_what_is_no_public_key_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(BadKeyError, match="public key"):
        verify(BODY, signed(), public_keys=standard_secret("s"), now=SENT_AT)


@pytest.mark.parametrize("public_keys", [(), {"keys": []}])
def test_nothing_to_verify_with_is_a_mistake_of_the_caller(public_keys: Any) -> None:
    with pytest.raises(BadKeyError, match="a secret or a public key"):
        verify(BODY, signed(), (), public_keys=public_keys)


# -- lightness -------------------------------------------------------------------------------------


def test_importing_it_loads_neither_the_sender_nor_cryptography() -> None:
    script = """
import sys
from reelhook.webhooks import verify
heavy = {"aiohttp", "asyncio", "cryptography", "fastapi", "pydantic", "structlog", "uvicorn"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
