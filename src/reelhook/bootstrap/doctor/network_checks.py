"""Checks of connections: to the receiver, to this server, and from providers to it."""

import secrets
import time
from collections.abc import Sequence

from aiohttp import ClientError, ClientSession, ClientTimeout

import reelhook
from reelhook.bootstrap.database import CALLBACK_KEY, WEBHOOK_KEY, private_keys
from reelhook.bootstrap.doctor.finding import Finding, failed, ok, warning
from reelhook.config import Settings
from reelhook.core.signing import Secrets, Signing
from reelhook.domain.callback import CallbackAddresses, Subject, SubjectKind
from reelhook.domain.delivery import ATTEMPT_SECONDS
from reelhook.domain.endpoint import DEFAULT_ENDPOINT, Endpoint, EndpointKind
from reelhook.domain.errors import SettingsError, WebhookVerificationError
from reelhook.doors.compat.payload import test_body
from reelhook.guard.addresses import AddressPolicy
from reelhook.guard.certificates import distrust
from reelhook.storage.open import read_key
from reelhook.webhooks.sender import AiohttpSender

RESPONSE_SECONDS_MAX = 10.0
_TIMEOUT = ClientTimeout(total=RESPONSE_SECONDS_MAX)
_FAILURES = (ClientError, TimeoutError, OSError, ValueError)


async def receiver(settings: Settings, http: ClientSession, *, send: bool) -> Finding:
    """Check that WEBHOOK_URL responds, or with `send` that it accepts a test event."""
    subject = "WEBHOOK_URL"
    if settings.webhook_url is None:
        return ok(
            subject,
            "is not set; webhooks go only to receivers that requests name, and to endpoints",
        )
    if send:
        return await _sent(subject, settings, settings.webhook_url)
    try:
        async with http.head(
            settings.webhook_url, allow_redirects=False, timeout=_TIMEOUT
        ) as response:
            status = response.status
    except _FAILURES as error:
        if (distrusted := distrust(error)) is not None:
            return failed(subject, f"its certificate {distrusted}")
        reason = str(error) or "no response in time"
        return failed(
            subject, f"does not respond: {reason}; start the receiver, or correct the URL"
        )
    if 300 <= status < 400:
        return failed(
            subject,
            f"redirects (HTTP {status}), and webhooks follow no redirects; set the final URL",
        )
    if status == 404 or (status >= 500 and status != 501):  # 501: HEAD is unknown
        return warning(
            subject,
            f"responds to HEAD with HTTP {status}; `reelhook doctor --send` sends a test event",
        )
    return ok(subject, f"responds (HTTP {status} to HEAD); --send sends a test event")


async def _sent(subject: str, settings: Settings, url: str) -> Finding:
    """Send a signed test event, as `endpoints test` does."""
    try:
        secret = settings.webhook_secret or await read_key(
            settings.database, WEBHOOK_KEY, settings.keyring
        )
    except SettingsError as error:
        return failed(subject, f"was not checked: {error.message}")
    if secret is None:
        return warning(
            subject,
            "was not checked: there is no secret yet; start `serve` once, which generates it",
        )
    signing = Signing(
        Secrets(secret, settings.webhook_secret_previous),
        user_agent=f"reelhook/{reelhook.__version__}",
        private_keys=private_keys(settings),
    )
    now = time.time_ns() // 1_000_000
    message_id = f"evt_test_{secrets.token_hex(8)}"
    endpoint = Endpoint(DEFAULT_ENDPOINT, EndpointKind.DEFAULT, url, trusted=True, created_at=now)
    request = signing.request(
        endpoint,
        test_body(message_id, now),
        message_id=message_id,
        now=now,
        timeout_seconds=ATTEMPT_SECONDS,
    )
    async with AiohttpSender(AddressPolicy(settings.allow_networks)) as sender:
        response = await sender.send(request)
    if response.succeeded:
        return ok(subject, f"accepted a signed test event (HTTP {response.status})")
    reason = f"HTTP {response.status}"
    if response.error is not None:
        reason = response.detail or response.error
    return failed(
        subject, f"did not accept a signed test event: {reason}; it must respond with 2xx"
    )


async def server(settings: Settings, http: ClientSession) -> tuple[bool, list[Finding]]:
    """Return whether this server runs, and check that REELHOOK_PUBLIC_URL leads to it."""
    ready = await _ready(http, settings.url)
    if isinstance(ready, str):
        return False, [failed("server", f"{settings.url}: its certificate {ready}")]
    if ready is None:
        return False, [
            ok("server", f"none runs at {settings.url}, so REELHOOK_PUBLIC_URL was not checked")
        ]
    findings = [ok("server", f"runs at {settings.url}")]
    if ready.get("watcher") == "paused":
        findings = [
            warning("server", "its watcher is paused; `reelhook watcher resume` resumes it")
        ]
    return True, [*findings, await _public(settings, http)]


async def _ready(http: ClientSession, url: str) -> dict[str, object] | str | None:
    """Return a server's readiness report, or why its certificate is not trusted."""
    try:
        async with http.get(f"{url}/readyz", allow_redirects=False, timeout=_TIMEOUT) as response:
            body = await response.json()
    except _FAILURES as error:
        return distrust(error)
    return body if isinstance(body, dict) and body.get("status") == "ready" else None


async def _public(settings: Settings, http: ClientSession) -> Finding:
    subject, public = "REELHOOK_PUBLIC_URL", settings.public_url
    if "public_url" not in settings.model_fields_set:
        return ok(
            subject,
            "is not set: links in webhooks use this machine's own address, and no provider "
            "gets a callback address",
        )
    ready = await _ready(http, public)
    if isinstance(ready, str):
        return failed(subject, f"{public}: its certificate {ready}")
    if ready is None:
        return failed(
            subject,
            f"{public} does not lead to a reelhook server; correct it, or the proxy that responds "
            "there",
        )
    is_local = await _known(settings, http, settings.url)
    if is_local and not await _known(settings, http, public):
        return failed(
            subject,
            f"{public} leads to another reelhook server than {settings.url}; correct it",
        )
    return ok(
        subject,
        f"{public} leads to this server" if is_local else f"{public} leads to a reelhook server",
    )


async def _known(settings: Settings, http: ClientSession, url: str) -> bool:
    """Return True if a server has our keys: only it knows our callback addresses.

    Nothing secret is sent, so a request to another server does no harm.
    """
    try:
        key = await read_key(settings.database, CALLBACK_KEY, settings.keyring)
    except SettingsError:
        return False
    if key is None:
        return False
    callbacks = CallbackAddresses(url, key, {})
    for account, provider in _accounts(settings):
        address = callbacks.address(provider, Subject(SubjectKind.ACCOUNT, account))
        try:
            async with http.post(
                address, data=b"", allow_redirects=False, timeout=_TIMEOUT
            ) as response:
                body = await response.json()
        except _FAILURES:
            return False
        # The address is known there, and no provider signed this request.
        if isinstance(body, dict) and body.get("code") == WebhookVerificationError.code:
            return True
    return False


def _accounts(settings: Settings) -> Sequence[tuple[str, str]]:
    accounts = [(credential.id, credential.provider) for credential in settings.credentials]
    return [*accounts, ("openai", "openai")]  # with --simulate there is an account of each provider
