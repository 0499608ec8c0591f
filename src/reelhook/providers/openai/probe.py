"""Finding out the kind of a server of `/v1/videos` by requests that cost nothing."""

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
    """A server's responses about its models, an unknown video, and its health.

    None if a request was not sent or got no response.
    """

    models: ProviderResponse | None = None
    unknown_job: ProviderResponse | None = None
    health: ProviderResponse | None = None

    @property
    def kind(self) -> ServerKind:
        """The kind of server that sent these responses."""
        return kind_of(self.models, self.unknown_job, self.health)

    @property
    def facts(self) -> ServerFacts:
        """The known facts about this kind of server."""
        return FACTS[self.kind]

    @property
    def served(self) -> tuple[str, ...]:
        """The models that the server lists."""
        return served(self.models)


async def probe(ask: Ask) -> Probed:
    """Find out the kind of a server. Never raises `ProviderError`.

    A server without a list of models is of no known kind and gets no further request. `/health` is
    not requested, only `/v1/health`: for `/health` LiteLLM calls all its models, which costs money.
    """
    found = Probed(await get_or_none(ask, "models"))
    if found.kind is ServerKind.UNKNOWN and found.served:
        found = Probed(found.models, await get_or_none(ask, f"videos/{UNKNOWN_JOB}"))
    if found.kind is ServerKind.UNKNOWN and found.served:
        found = Probed(found.models, found.unknown_job, await get_or_none(ask, "health"))
    return found


async def get_or_none(ask: Ask, path: str) -> ProviderResponse | None:
    """Return the response to a GET; None if none arrived."""
    try:
        return await ask(path)
    except ProviderError:
        return None
