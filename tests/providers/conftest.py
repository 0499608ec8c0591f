from collections.abc import AsyncIterator

import pytest

from providers.upstreams import Upstream, upstream
from reelhook.providers.openai_wire import OpenAIWire


@pytest.fixture
async def server() -> AsyncIterator[Upstream]:
    async with upstream() as one:
        yield one


@pytest.fixture
async def wire(server: Upstream) -> AsyncIterator[OpenAIWire]:
    async with OpenAIWire(
        server.url, "sk-test", submit_timeout_seconds=5, now=lambda: 1_700_000_000.0
    ) as one:
        yield one
