"""Clients that go on while the database is away, and what they were answered."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import aiohttp

from bench import kill
from bench.stage import Request

WAIT_SECONDS_FIRST = 0.5
INSIST_SECONDS_MAX = 1200.0
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Answer:
    """What a post, or a look at `/readyz`, brought. `status` None: no answer at all."""

    sent_at: float
    at: float
    status: int | None
    retry_after: bool
    unknown: bool = False

    @property
    def seconds(self) -> float:
        return self.at - self.sent_at


@dataclass(slots=True)
class Load(kill.Load):
    """Posts at a steady rate; each request is repeated, ever more seldom, until it is taken."""

    wait_seconds_max: float = 30.0
    answers: list[Answer] = field(default_factory=list)
    looks: list[Answer] = field(default_factory=list)

    async def _insist(self, request: Request) -> None:
        end, wait = time.monotonic() + INSIST_SECONDS_MAX, WAIT_SECONDS_FIRST
        while time.monotonic() < end:
            answer = await self._post(request)
            self.answers.append(answer)
            if answer.status == 200:
                return
            if answer.status != 503 and not answer.unknown:
                self.refusals[str(answer.status)] += 1
            await asyncio.sleep(wait * self.chance.uniform(0.5, 1.5))
            wait = min(2 * wait, self.wait_seconds_max)
        self.given_up.append(request.prompt)

    async def _post(self, request: Request) -> Answer:
        body = {"script": request.prompt, "webhookUrl": request.webhook_url}
        headers = {"Idempotency-Key": request.key}
        request.tries += 1
        request.sent_at = time.monotonic()
        url = f"{self.here.server.url}/api/generate"
        try:
            async with self.here.session.post(url, json=body, headers=headers) as answer:
                content = await answer.json()
                if answer.status == 200:
                    request.answered_at = time.monotonic()
                    request.job_id = str(content["jobId"])
                    request.job_ids.add(request.job_id)
                one = _answer(request.sent_at, answer)
                return replace(one, unknown=content.get("code") == "acceptance_unknown")
        except (aiohttp.ClientError, TimeoutError, OSError):
            return Answer(request.sent_at, time.monotonic(), None, False)

    async def look(self) -> None:
        """Look at `/readyz` every now and then, until canceled."""
        while True:
            sent_at = time.monotonic()
            try:
                async with self.here.session.get(f"{self.here.server.url}/readyz") as answer:
                    self.looks.append(_answer(sent_at, answer))
            except (aiohttp.ClientError, TimeoutError, OSError):
                self.looks.append(Answer(sent_at, time.monotonic(), None, False))
            await asyncio.sleep(LOOK_SECONDS)


def _answer(sent_at: float, answer: aiohttp.ClientResponse) -> Answer:
    return Answer(sent_at, time.monotonic(), answer.status, "Retry-After" in answer.headers)


def between(answers: Sequence[Answer], start: float, end: float) -> list[Answer]:
    """Return what was both asked and answered in that time."""
    return [one for one in answers if start <= one.sent_at and one.at <= end]
