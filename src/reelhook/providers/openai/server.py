"""What is known of the server behind an account on the OpenAI wire: found out, and remembered."""

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

ASKING_SECONDS_MAX = 3.0
"""How long finding out may take in all: creates wait for it."""
FRESH_SECONDS = 600.0
"""How long what was found out is not asked for again: another server may be started there."""
AGAIN_SECONDS = 30.0
"""How long a server is left alone that could not be asked."""
_SAYS_NOTHING = frozenset({401, 403, 408, 425, 429})
"""Statuses below 500 that say nothing about what kind of server it is."""


class OpenAIServer:
    """One server. `ask` sends a GET below the base URL, which costs nothing.

    `kind`, `models` and `encoding` (None: the usual ones work, as far as is known) are what is
    known now. `echoes`: its response to a create has shown the model's name as it was sent.
    """

    def __init__(self, ask: Ask) -> None:
        self.kind = ServerKind.UNKNOWN
        self.models: tuple[str, ...] = ()
        self.encoding: Encoding | None = None
        self.echoes = False
        self._ask = ask
        self._asking = asyncio.Lock()
        self._next_at = -inf

    @property
    def facts(self) -> ServerFacts:
        """What is known of servers of its kind."""
        return FACTS[self.kind]

    @property
    def shows_marks(self) -> bool:
        """Whether the name of a model may carry a job's id, which its listing then shows.

        Only where the name does nothing, prompts are not shown, and an earlier response has shown
        that the name is repeated.
        """
        ignored = self.facts.model_name is ModelName.ECHOED
        return ignored and self.facts.lists_prompts is False and self.echoes

    # -- finding out ------------------------------------------------------------------------------

    async def find_out(self) -> None:
        """Ask what kind of server it is, unless that is known. Never raises.

        Takes `ASKING_SECONDS_MAX` at most. Where nothing can be learnt, what was known stays.
        """
        async with self._asking:
            loop = asyncio.get_running_loop()
            if loop.time() < self._next_at:
                return
            told = False
            with suppress(TimeoutError):
                async with asyncio.timeout(ASKING_SECONDS_MAX):
                    told = await self._find_out()
            self._next_at = loop.time() + (FRESH_SECONDS if told else AGAIN_SECONDS)

    async def _find_out(self) -> bool:
        """Return whether the server told what there is to be known."""
        found = await probe(self._ask)
        kind = found.kind
        if kind is ServerKind.UNKNOWN and not _is_conclusive(found):
            return False
        if kind is not self.kind is not ServerKind.UNKNOWN:
            self.encoding, self.echoes = None, False  # they were another server's
        self.kind, self.models = kind, found.served
        return True

    # -- remembering ------------------------------------------------------------------------------

    @property
    def learnt(self) -> str:
        """What another process should know of it, as JSON; empty where that is nothing."""
        known = {
            "kind": None if self.kind is ServerKind.UNKNOWN else self.kind.value,
            "encoding": self.encoding and self.encoding.value,
            "echoes": self.echoes or None,
        }
        told = {name: value for name, value in known.items() if value is not None}
        return json.dumps(told) if told else ""

    @learnt.setter
    def learnt(self, text: str) -> None:
        told = read_json(text.encode())
        known: dict[str, Any] = told if isinstance(told, dict) else {}
        with suppress(ValueError):
            self.kind = ServerKind(known.get("kind", self.kind))
        with suppress(ValueError):
            self.encoding = Encoding(known.get("encoding"))
        self.echoes = known.get("echoes") is True


def _is_conclusive(found: Probed) -> bool:
    """Whether nothing that was asked is still open."""
    asked = [found.models, *((found.unknown_job, found.health) if found.served else ())]
    return all(
        one is not None and one.status < 500 and one.status not in _SAYS_NOTHING for one in asked
    )
