"""Who reaches whom: receivers, this server, and providers that call it."""

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

ANSWER_SECONDS_MAX = 10.0
_TIMEOUT = ClientTimeout(total=ANSWER_SECONDS_MAX)
_FAILURES = (ClientError, TimeoutError, OSError, ValueError)


async def receiver(settings: Settings, http: ClientSession, *, send: bool) -> Finding:
    """Judge WEBHOOK_URL: whether anything answers, or with `send` whether it takes an event."""
    subject = "WEBHOOK_URL"
    if settings.webhook_url is None:
        return ok(subject, "is not set; requests and endpoints then say where webhooks go")
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
        words = str(error) or "no answer came in time"
        return failed(subject, f"nothing answers: {words}; start the receiver, or correct it")
    if 300 <= status < 400:
        return failed(subject, f"redirects (HTTP {status}), and webhooks follow none; set the end")
    if status == 404 or (status >= 500 and status != 501):  # 501: it does not know HEAD
        return warning(
            subject, f"answers HTTP {status} to HEAD; `reelhook doctor --send` tries an event"
        )
    return ok(subject, f"answers (HTTP {status} to HEAD); --send tries an event")


async def _sent(subject: str, settings: Settings, url: str) -> Finding:
    """Send a signed test event, as `endpoints test` does."""
    try:
        secret = settings.webhook_secret or await read_key(settings.database, WEBHOOK_KEY)
    except SettingsError as error:
        return failed(subject, f"was not tried: {error.message}")
    if secret is None:
        return warning(subject, "was not tried: no secret was made yet; start `serve` once")
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
        answer = await sender.send(request)
    if answer.succeeded:
        return ok(subject, f"took a signed test event (HTTP {answer.status})")
    words = f"HTTP {answer.status}" if answer.error is None else answer.detail or answer.error
    return failed(subject, f"did not take a signed test event: {words}; it must answer 2xx")


async def server(settings: Settings, http: ClientSession) -> tuple[bool, list[Finding]]:
    """Tell whether this server runs, and if so whether REELHOOK_PUBLIC_URL leads to it."""
    ready = await _ready(http, settings.url)
    if isinstance(ready, str):
        return False, [failed("server", f"{settings.url}: its certificate {ready}")]
    if ready is None:
        return False, [
            ok("server", f"none answers at {settings.url}, so REELHOOK_PUBLIC_URL was not tried")
        ]
    found = [ok("server", f"answers at {settings.url}")]
    if ready.get("watcher") == "paused":
        found = [
            warning("server", "its watcher is paused; `reelhook watcher resume` goes on watching")
        ]
    return True, [*found, await _public(settings, http)]


async def _ready(http: ClientSession, url: str) -> dict[str, object] | str | None:
    """Return what a server says of itself, or why its certificate is not trusted."""
    try:
        async with http.get(f"{url}/readyz", allow_redirects=False, timeout=_TIMEOUT) as response:
            told = await response.json()
    except _FAILURES as error:
        return distrust(error)
    return told if isinstance(told, dict) and told.get("status") == "ready" else None


async def _public(settings: Settings, http: ClientSession) -> Finding:
    subject, public = "REELHOOK_PUBLIC_URL", settings.public_url
    if "public_url" not in settings.model_fields_set:
        return ok(
            subject,
            "is not set: the links in webhooks lead to this machine's own address, and no "
            "provider can call",
        )
    ready = await _ready(http, public)
    if isinstance(ready, str):
        return failed(subject, f"{public}: its certificate {ready}")
    if ready is None:
        return failed(
            subject,
            f"{public} does not lead to a reelhook; correct it, or the proxy that answers there",
        )
    here = await _known(settings, http, settings.url)
    if here and not await _known(settings, http, public):
        return failed(
            subject, f"{public} leads to another reelhook than {settings.url}; correct it"
        )
    return ok(subject, f"{public} leads to this server" if here else f"a reelhook is at {public}")


async def _known(settings: Settings, http: ClientSession, url: str) -> bool:
    """Whether a server has our keys: only it knows the addresses that we give to providers.

    Nothing secret goes there, so it does no harm to ask a stranger.
    """
    try:
        key = await read_key(settings.database, CALLBACK_KEY)
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
                told = await response.json()
        except _FAILURES:
            return False
        # The address is one of its own, and no provider signed what came.
        if isinstance(told, dict) and told.get("code") == WebhookVerificationError.code:
            return True
    return False


def _accounts(settings: Settings) -> Sequence[tuple[str, str]]:
    given = [(one.id, one.provider) for one in settings.credentials]
    return [*given, ("openai", "openai")]  # with --simulate there is an account of each provider
