"""Webhook receivers that record every arrival; run as `python -m bench.receivers`.

Any path receives. How a path answers is set over `/control/rules`, for one path or for all.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aiohttp import web

from bench.serving import json_response, serve


@dataclass(frozen=True, slots=True)
class Rule:
    """How a receiver answers: `silent` never, else after a latency, `refuse` (0..1) with 500."""

    silent: bool = False
    refuse: float = 0.0
    latency_ms: float = 0.0


@dataclass(slots=True)
class Receivers:
    """`arrivals` has one line for each request, in the order in which they were read."""

    secret: bytes
    chance: Random
    rules: dict[str, Rule] = field(default_factory=dict)
    default: Rule = Rule()
    arrivals: list[dict[str, Any]] = field(default_factory=list)

    async def receive(self, request: web.Request) -> web.StreamResponse:
        # Taken before the body is read: the first moment the receiver can know of the webhook.
        now = time.monotonic()
        try:
            body = await request.read()
        except ConnectionError:  # cut off in the middle: it has not arrived
            return web.Response(status=400)
        rule = self.rules.get(request.path, self.default)
        refused = rule.refuse > 0 and self.chance.random() < rule.refuse
        self.arrivals.append(
            {
                "t": now,
                "clock": time.time(),
                "path": request.path,
                "headers": {name.lower(): value for name, value in request.headers.items()},
                "body": body.decode("utf-8", "replace"),
                "answer": None if rule.silent else 500 if refused else 200,
            }
        )
        if rule.latency_ms:
            await asyncio.sleep(rule.latency_ms / 1000)
        if rule.silent:
            await asyncio.sleep(3600)
        return web.Response(status=500 if refused else 200)

    async def control_rules(self, request: web.Request) -> web.StreamResponse:
        """Take `{path: rule}`; the path `*` is every path without a rule of its own."""
        for path, rule in (await request.json()).items():
            if path == "*":
                self.default = Rule(**rule)
            else:
                self.rules[path] = Rule(**rule)
        return json_response({})

    async def control_arrivals(self, request: web.Request) -> web.StreamResponse:
        """Show the arrivals from line `from` on, each with the verdict on its signatures."""
        start = int(request.query.get("from", 0))
        shown = [{**one, **verdicts(self.secret, one)} for one in self.arrivals[start:]]
        return json_response({"arrivals": shown, "next": len(self.arrivals)})


def verdicts(secret: bytes, arrival: Mapping[str, Any]) -> dict[str, bool]:
    """Return whether the plain and the Standard Webhooks signature are right and fresh."""
    return {
        "plain_ok": _plain(secret, arrival),
        "standard_ok": _standard(secret, arrival),
    }


def _plain(secret: bytes, arrival: Mapping[str, Any]) -> bool:
    headers = arrival["headers"]
    expected = hmac.new(secret, arrival["body"].encode(), hashlib.sha256).hexdigest()
    sent = headers.get("x-timestamp", "0")
    fresh = sent.isdigit() and abs(int(sent) / 1000 - arrival["clock"]) < 60
    return fresh and hmac.compare_digest(expected, headers.get("x-signature", ""))


def _standard(secret: bytes, arrival: Mapping[str, Any]) -> bool:
    headers = arrival["headers"]
    sent = headers.get("webhook-timestamp", "0")
    content = f"{headers.get('webhook-id', '')}.{sent}.{arrival['body']}".encode()
    digest = hmac.new(secret, content, hashlib.sha256).digest()
    expected = f"v1,{base64.b64encode(digest).decode()}"
    fresh = sent.isdigit() and abs(int(sent) - arrival["clock"]) < 60
    return fresh and expected in headers.get("webhook-signature", "").split(" ")


def application(receivers: Receivers) -> web.Application:
    app = web.Application(client_max_size=1024 * 1024)
    app.router.add_post("/control/rules", receivers.control_rules)
    app.router.add_get("/control/arrivals", receivers.control_arrivals)
    app.router.add_post("/{path:.*}", receivers.receive)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--secret", required=True, help="whose UTF-8 bytes are the key")
    parser.add_argument("--ports", type=int, default=1, help="how many free ports to listen on")
    parser.add_argument("--seed", type=int, default=1, help="of the chance of refusals")
    options = parser.parse_args()
    # Chance picks refusals here, not keys.
    receivers = Receivers(options.secret.encode(), Random(options.seed))  # noqa: S311
    serve(application(receivers), [0] * options.ports)


if __name__ == "__main__":
    main()
