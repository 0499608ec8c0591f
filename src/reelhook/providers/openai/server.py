"""The knowledge about an account's server: learnt from its responses, and remembered."""

import asyncio
import json
from contextlib import suppress
from math import inf
from typing import Any

from reelhook.providers.http.response import read_json
from reelhook.providers.openai.probe import Ask, Probed, probe
from reelhook.providers.openai.server_kind import (
    FACTS,
    Encoding,
    ModelName,
    ServerFacts,
    ServerKind,
)

PROBE_SECONDS_MAX = 3.0
"""The time for a probe as a whole: creates wait for it."""
PROBE_INTERVAL_SECONDS = 600.0
"""The time until the next probe: another server may be started at the same address."""
PROBE_RETRY_SECONDS = 30.0
"""The time until the next probe after an inconclusive one."""
_INCONCLUSIVE = frozenset({401, 403, 408, 425, 429})
"""Statuses below 500 that say nothing about the kind of the server."""


class OpenAIServer:
    """One server. `ask` sends a GET below the base URL, which costs nothing.

    `kind`, `models` and `encoding` are as currently known (None: no particular encoding).
    `echoes`: a response to a create has repeated the model's name as it was sent.
    """

    def __init__(self, ask: Ask) -> None:
        self.kind = ServerKind.UNKNOWN
        self.models: tuple[str, ...] = ()
        self.encoding: Encoding | None = None
        self.echoes = False
        self._ask = ask
        self._is_probed = False
        self._asking = asyncio.Lock()
        self._next_at = -inf

    @property
    def facts(self) -> ServerFacts:
        """The known facts about servers of its kind."""
        return FACTS[self.kind]

    @property
    def is_known(self) -> bool:
        """Return True if the kind is known, or if a probe has shown that it is none of them."""
        return self._is_probed or self.kind is not ServerKind.UNKNOWN

    @property
    def shows_marks(self) -> bool:
        """Return True if the model's name may carry a job's id, so that the listing shows it.

        The name must have no effect, the listing must not show prompts, and an earlier response
        must have repeated the name.
        """
        ignored = self.facts.model_name is ModelName.ECHOED
        return ignored and self.facts.lists_prompts is False and self.echoes

    # -- finding out ------------------------------------------------------------------------------

    async def find_out(self) -> None:
        """Find out the kind of the server, unless that was done recently. Never raises.

        It takes `PROBE_SECONDS_MAX` at most. An inconclusive probe changes nothing.
        """
        async with self._asking:
            loop = asyncio.get_running_loop()
            if loop.time() < self._next_at:
                return
            conclusive = False
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_SECONDS_MAX):
                    conclusive = await self._find_out()
            self._next_at = loop.time() + (
                PROBE_INTERVAL_SECONDS if conclusive else PROBE_RETRY_SECONDS
            )

    async def _find_out(self) -> bool:
        """Return True if the probe was conclusive."""
        probed = await probe(self._ask)
        kind = probed.kind
        if kind is ServerKind.UNKNOWN and not _is_conclusive(probed):
            return False
        if kind is not self.kind is not ServerKind.UNKNOWN:
            self.encoding, self.echoes = None, False  # they belong to the previous server
        self.kind, self.models, self._is_probed = kind, probed.served, True
        return True

    # -- remembering ------------------------------------------------------------------------------

    @property
    def learnt(self) -> str:
        """Return the knowledge for other processes, as JSON; empty if there is none."""
        knowledge = {
            "kind": None if self.kind is ServerKind.UNKNOWN else self.kind.value,
            "encoding": self.encoding and self.encoding.value,
            "echoes": self.echoes or None,
        }
        knowledge = {name: value for name, value in knowledge.items() if value is not None}
        return json.dumps(knowledge) if knowledge else ""

    @learnt.setter
    def learnt(self, text: str) -> None:
        content = read_json(text.encode())
        knowledge: dict[str, Any] = content if isinstance(content, dict) else {}
        with suppress(ValueError):
            self.kind = ServerKind(knowledge.get("kind", self.kind))
        with suppress(ValueError):
            self.encoding = Encoding(knowledge.get("encoding"))
        self.echoes = knowledge.get("echoes") is True


def _is_conclusive(probed: Probed) -> bool:
    """Return True if every request of the probe got a meaningful response."""
    responses = [probed.models, *((probed.unknown_job, probed.health) if probed.served else ())]
    return all(
        response is not None and response.status < 500 and response.status not in _INCONCLUSIVE
        for response in responses
    )
