from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from providers.upstreams import Upstream, upstream
from reelhook.providers.http.file_access import FileAccess
from reelhook.providers.openai.provider import OpenAI


@pytest.fixture
async def server() -> AsyncIterator[Upstream]:
    async with upstream() as one:
        yield one


@pytest.fixture
async def wire(server: Upstream) -> AsyncIterator[OpenAI]:
    async with OpenAI(
        server.url,
        "sk-test",
        files=FileAccess((ip_network("127.0.0.0/8"),)),
        submit_timeout_seconds=5,
        now=lambda: 1_700_000_000.0,
    ) as one:
        yield one
