"""Finding out what kind of server is behind `/v1/videos`, by requests that cost nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from reelhook.domain.errors import ProviderError
from reelhook.providers.answer import Answer
from reelhook.providers.openai_kind import (
    FACTS,
    UNKNOWN_JOB,
    ServerFacts,
    ServerKind,
    kind_of,
    served,
)

Ask = Callable[[str], Awaitable[Answer]]
"""GETs a path below the base URL, whatever the status. Raises `ProviderError`."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a server said of its models and of a video that it can't know; None: nothing came."""

    models: Answer | None
    unknown_job: Answer | None
    health: Answer | None = None

    @property
    def kind(self) -> ServerKind:
        """Whose responses these are."""
        return kind_of(self.models, self.unknown_job, self.health)

    @property
    def facts(self) -> ServerFacts:
        """What is known of this kind of server."""
        return FACTS[self.kind]

    @property
    def served(self) -> tuple[str, ...]:
        """The models that the server names."""
        return served(self.models)


async def probe(ask: Ask) -> Probed:
    """Ask a server. Never raises `ProviderError`: what did not come is None.

    Only servers that look like none that is known are asked for `/v1/health`, which tells
    Aquiles-Image. It is not `/health`, by which LiteLLM calls all its models, and pays for that.
    """

    async def asked(path: str) -> Answer | None:
        try:
            return await ask(path)
        except ProviderError:
            return None

    models, unknown_job = await asyncio.gather(asked("models"), asked(f"videos/{UNKNOWN_JOB}"))
    found = Probed(models, unknown_job)
    if found.kind is not ServerKind.UNKNOWN or not found.served:
        return found
    return Probed(models, unknown_job, await asked("health"))
