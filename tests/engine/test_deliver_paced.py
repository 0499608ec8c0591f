"""Probes are paced: a webhook to a healthy receiver waits for one of them at most."""

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine_delivering import DELIVER_ALONE, tell_all
from engine_stage import Engine, Stage, stage
from engine_upstream import answers

from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.delivery import WebhookResponse
from reelhook.domain.endpoint import Endpoint, url_id
from reelhook.engine.delivering.probing import PROBES_AT_ONCE
from reelhook.ports import Sender, SignedRequest

HEALTHY = 20
DOWN = [f"down_{number}" for number in range(PROBES_AT_ONCE)]


@dataclass
class Counted:
    """Sends, and keeps the iteration of the event loop in which each attempt began."""

    sender: Sender
    iteration: int = 0
    probes: list[int] = field(default_factory=list)
    others: list[int] = field(default_factory=list)

    def count(self) -> None:
        self.iteration += 1
        if len(self.probes) < PROBES_AT_ONCE:
            asyncio.get_running_loop().call_soon(self.count)

    async def send(self, request: SignedRequest) -> WebhookResponse:
        if not self.iteration:
            self.count()
        begun = self.probes if "/down_" in request.url else self.others
        begun.append(self.iteration)
        return await self.sender.send(request)


def probe_due(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with an open breaker, whose probe is due."""
    return replace(endpoint, health=CircuitBreaker(5, 1, 1, 5000))


async def fill(here: Stage, engine: Engine) -> None:
    """Let jobs' ends wait at healthy endpoints, and at others whose probes are due."""
    for name in DOWN:
        here.receivers.manners[f"/{name}"] = answers(500)
        await engine.register([name], f"{here.receivers.url}/{name}")
    healthy = [f"job_{number}" for number in range(HEALTHY)]
    for name in healthy:
        await engine.register([name], f"{here.receivers.url}/{name}")
    await tell_all(engine, [*DOWN, *healthy], "completed")
    for name in DOWN:
        await engine.store.change_endpoint(url_id(f"{here.receivers.url}/{name}"), probe_due)


async def test_of_many_probes_that_are_due_one_at_most_precedes_a_healthy_webhook(
    tmp_path: Path,
) -> None:
    senders: list[Counted] = []

    def counted(sender: Sender) -> Sender:
        senders.append(Counted(sender))
        return senders[-1]

    async with stage(tmp_path, loops=DELIVER_ALONE, sender=counted) as here:
        async with here.engine(loops=frozenset()) as engine:
            await fill(here, engine)
        async with here.engine() as engine:
            await engine.settled()
    sent = senders[-1]
    assert len(sent.probes) == PROBES_AT_ONCE
    assert len(sent.others) == HEALTHY
    assert sum(begun <= max(sent.others) for begun in sent.probes) <= 1
    assert len(set(sent.probes)) == len(sent.probes)  # no two of them in one iteration
