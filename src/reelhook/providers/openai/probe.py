"""Finding out what kind of server is behind `/v1/videos`, by requests that cost nothing."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from reelhook.domain.errors import ProviderError
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.openai.server_kind import (
    FACTS,
    UNKNOWN_JOB,
    ServerFacts,
    ServerKind,
    kind_of,
    served,
)

Ask = Callable[[str], Awaitable[ProviderResponse]]
"""GETs a path below the base URL, whatever the status. Raises `ProviderError`."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a server said of its models, of a video that it can't know, and of its health.

    None where it was not asked, or nothing came.
    """

    models: ProviderResponse | None = None
    unknown_job: ProviderResponse | None = None
    health: ProviderResponse | None = None

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
    """Ask a server what it is. Never raises `ProviderError`.

    One that names no models is none of those that are known, and is asked no further. What is asked
    is `/v1/health`, never `/health`: by that LiteLLM calls all its models, and pays for it.
    """
    found = Probed(await asked(ask, "models"))
    if found.kind is ServerKind.UNKNOWN and found.served:
        found = Probed(found.models, await asked(ask, f"videos/{UNKNOWN_JOB}"))
    if found.kind is ServerKind.UNKNOWN and found.served:
        found = Probed(found.models, found.unknown_job, await asked(ask, "health"))
    return found


async def asked(ask: Ask, path: str) -> ProviderResponse | None:
    """Return the response to a GET; None where none came."""
    try:
        return await ask(path)
    except ProviderError:
        return None
