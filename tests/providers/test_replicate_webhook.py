"""Replicate's webhooks are believed only where its secret signed them, and not for long."""

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from providers.upstreams import Upstream
from reelhook.domain.errors import WebhookVerificationError
from reelhook.domain.report import Notice
from reelhook.domain.signature import signed_content, v1
from reelhook.providers.replicate.provider import Replicate

OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
NOW = 1_700_000_000
BODY = json.dumps({"id": "p1", "status": "succeeded"}).encode()


class Account:
    """Tells its secret, and counts how often it is asked for it."""

    def __init__(self, server: Upstream) -> None:
        self.secret: object = OLD
        self.status = 200
        self.server = server
        self.now = float(NOW)
        server.respond = self.response

    async def response(self, request: web.Request) -> web.Response:
        assert request.path == "/v1/webhooks/default/secret"
        assert request.headers["Authorization"] == "Bearer r8_key"
        return web.json_response({"key": self.secret}, status=self.status)

    @property
    def asked(self) -> int:
        return len(self.server.seen)


@pytest.fixture
def account(server: Upstream) -> Account:
    return Account(server)


@pytest.fixture
async def replicate(account: Account) -> AsyncIterator[Replicate]:
    async with Replicate(f"{account.server.url}/v1", "r8_key", now=lambda: account.now) as one:
        yield one


def signed(secret: str, body: bytes = BODY, at: float = NOW) -> dict[str, str]:
    timestamp = str(int(at))
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": timestamp,
        "Webhook-Signature": v1(secret, signed_content("msg_1", timestamp, body)),
    }


async def test_a_signed_webhook_names_its_prediction(
    account: Account, replicate: Replicate
) -> None:
    assert await replicate.notice(signed(OLD), BODY) == Notice("p1")
    assert await replicate.notice(signed(OLD), BODY) == Notice("p1")
    assert account.asked == 1


async def test_the_signature_is_that_of_the_standard() -> None:
    headers = {name.lower(): value for name, value in signed(OLD, at=NOW).items()}
    with pytest.raises(Exception, match="too old"):  # all but the age fits the official verifier
        Webhook(OLD).verify(BODY, headers)


async def test_a_new_secret_is_fetched_but_only_once_a_minute(
    account: Account, replicate: Replicate
) -> None:
    await replicate.notice(signed(OLD), BODY)
    account.secret = NEW
    for _ in range(3):
        with pytest.raises(WebhookVerificationError):
            await replicate.notice(signed(NEW), BODY)
    assert account.asked == 1
    account.now += 60
    assert await replicate.notice(signed(NEW), BODY) == Notice("p1")
    assert account.asked == 2
    with pytest.raises(WebhookVerificationError):
        await replicate.notice(signed(OLD), BODY)
    assert account.asked == 2


async def test_a_secret_of_the_settings_is_tried_first(account: Account) -> None:
    async with Replicate(
        f"{account.server.url}/v1", "r8_key", webhook_secret=NEW, now=lambda: account.now
    ) as replicate:
        assert await replicate.notice(signed(NEW), BODY) == Notice("p1")
        assert account.asked == 0
        assert await replicate.notice(signed(OLD), BODY) == Notice("p1")
        assert account.asked == 1


@pytest.mark.parametrize("shift", [-301, 301])
async def test_what_is_too_old_or_too_new_is_not_believed(replicate: Replicate, shift: int) -> None:
    with pytest.raises(WebhookVerificationError):
        await replicate.notice(signed(OLD, at=NOW + shift), BODY)


async def test_what_is_unsigned_altered_or_about_nothing_is_not_believed(
    replicate: Replicate,
) -> None:
    for headers, body in (
        ({}, BODY),
        (signed(OLD), BODY + b" "),
        (signed(OLD, b"[]"), b"[]"),
        (signed(OLD, b"{}"), b"{}"),
        (signed(OLD, b"no JSON"), b"no JSON"),
        (signed(OLD) | {"Webhook-Signature": "v1"}, BODY),
    ):
        with pytest.raises(WebhookVerificationError):
            await replicate.notice(headers, body)


@pytest.mark.parametrize("secret", [None, "", 5, "whsec_", "whsec_%", "whpk_AAAA"])
async def test_a_secret_that_is_none_verifies_nothing(
    account: Account, replicate: Replicate, secret: object
) -> None:
    account.secret = secret
    for _ in range(2):
        with pytest.raises(WebhookVerificationError):
            await replicate.notice(signed(OLD), BODY)
    assert account.asked == 1
    account.secret = OLD
    account.now += 60
    assert await replicate.notice(signed(OLD), BODY) == Notice("p1")


async def test_a_secret_that_can_not_be_read_is_no_excuse(
    account: Account, replicate: Replicate
) -> None:
    account.status = 500
    with pytest.raises(WebhookVerificationError, match="secret"):
        await replicate.notice(signed(OLD), BODY)
