"""The ceiling: the same POSTs at the same moments by aiohttp alone, in a process of its own.

`python -m bench.delivery.bare PLAN.json` sends what the plan says, each request signed afresh as a
webhook is (HMAC, both headers) unless `--unsigned`. It stores nothing, repeats nothing and reads
no more of an answer than its status. It prints its CPU seconds and failures as JSON.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import uvloop

CONNECTIONS_MAX = 256
LEAD_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Post:
    """One request, due that many seconds after the start."""

    due: float
    url: str
    id: str
    body: bytes


@dataclass(slots=True)
class Outcome:
    """`start` is Unix seconds: the moment that the posts' `due` counts from."""

    start: float = 0.0
    cpu_seconds: float = 0.0
    sent: int = 0
    failed: int = 0


def signed(post: Post, key: bytes, now: float) -> dict[str, str]:
    content = f"{post.id}.{int(now)}.".encode() + post.body
    standard = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "bare-client/0",
        "webhook-id": post.id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": f"v1,{standard}",
        "X-Timestamp": str(int(now * 1000)),
        "X-Signature": hmac.new(key, post.body, hashlib.sha256).hexdigest(),
    }


async def send_all(posts: list[Post], key: bytes, *, sign: bool) -> Outcome:
    outcome = Outcome()
    fixed = signed(posts[0], key, time.time())
    connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def send(post: Post) -> None:
            headers = signed(post, key, time.time()) if sign else {**fixed, "webhook-id": post.id}
            try:
                async with session.post(post.url, data=post.body, headers=headers) as answer:
                    outcome.sent += answer.status == 200
            except aiohttp.ClientError:
                outcome.failed += 1

        outcome.start = time.time() + LEAD_SECONDS
        cpu = time.process_time()
        async with asyncio.TaskGroup() as group:
            for post in posts:
                wait = outcome.start + post.due - time.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                group.create_task(send(post))
        outcome.cpu_seconds = time.process_time() - cpu
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", type=Path, help="JSON: [[due, url, id, body], ...] by due")
    parser.add_argument("--secret", required=True, help="whose UTF-8 bytes are the key")
    parser.add_argument("--unsigned", action="store_true", help="one signature for all")
    options = parser.parse_args()
    posts = [
        Post(due, url, name, body.encode())
        for due, url, name, body in json.loads(options.plan.read_text())
    ]
    sending = send_all(posts, options.secret.encode(), sign=not options.unsigned)
    outcome = uvloop.run(sending)
    json.dump(
        {
            "start": outcome.start,
            "cpu_seconds": outcome.cpu_seconds,
            "sent": outcome.sent,
            "failed": outcome.failed,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
