"""A webhook receiver like those of users: it verifies every signature before it uses the body."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from reelhook.webhooks import WebhookVerificationError, verify

TERMINAL = frozenset({"completed", "failed"})


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook that arrived. `verified`: both of its signatures are correct."""

    id: str
    body: dict[str, Any]
    verified: bool


@dataclass(slots=True)
class Receiver:
    """A receiver and its webhooks. The first verified final webhook sets `ended`."""

    secret: str = field(repr=False)
    on_webhook: Callable[[Webhook], None]
    webhooks: list[Webhook] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def receive(self, request: web.Request) -> web.Response:
        """Receive one webhook; respond with 401 if a signature is wrong."""
        body = await request.read()
        webhook = _checked(body, request.headers, self.secret)
        self.webhooks.append(webhook)
        self.on_webhook(webhook)
        if webhook.body.get("status") in TERMINAL:
            self.ended.set()
        return web.json_response({"ok": webhook.verified}, status=200 if webhook.verified else 401)

    @property
    def terminal(self) -> list[Webhook]:
        """The final webhooks of jobs."""
        return [webhook for webhook in self.webhooks if webhook.body.get("status") in TERMINAL]


@asynccontextmanager
async def receiving(secret: str, on_webhook: Callable[[Webhook], None]) -> AsyncIterator[Receiver]:
    """Run a receiver on a free loopback port until the block ends."""
    receiver = Receiver(secret, on_webhook)
    app = web.Application()
    app.router.add_post("/webhooks", receiver.receive)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks"
        yield receiver
    finally:
        await runner.cleanup()


def _checked(body: bytes, headers: Mapping[str, str], secret: str) -> Webhook:
    try:
        received = verify(body, headers, secret)
    except WebhookVerificationError:
        return Webhook(headers.get("webhook-id", ""), {}, verified=False)
    inherited = hmac.digest(secret.encode(), body, "sha256").hex().encode()
    sent = headers.get("X-Signature", "").encode(errors="surrogatepass")
    if not hmac.compare_digest(inherited, sent):
        return Webhook(received.id, {}, verified=False)
    return Webhook(received.id, received.body, verified=True)
