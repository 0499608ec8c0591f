"""The same Idempotency-Key at two processes at the same time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from storage.postgres_databases import emptied_database

import reelhook
from reelhook import bootstrap

KEYS = 15


@pytest.fixture
async def urls(settings: reelhook.Settings, postgres_url: str) -> AsyncIterator[list[str]]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(emptied_database(postgres_url))
        chosen = settings.model_copy(update={"database_url": url, "port": 0})
        both = [
            await stack.enter_async_context(bootstrap.server(chosen, work=False)) for _ in range(2)
        ]
        yield [one.url for one in both]


async def test_all_are_told_the_one_job(urls: list[str]) -> None:
    async with aiohttp.ClientSession() as session:

        async def ask(url: str, number: int) -> tuple[int, Any]:
            async with session.post(
                f"{url}/api/generate",
                json={"script": "A fox"},
                headers={"Idempotency-Key": f"key {number}"},
            ) as answer:
                return answer.status, (await answer.json()).get("jobId")

        answers = await asyncio.gather(*(ask(url, n) for n in range(KEYS) for url in urls * 2))
        assert Counter(status for status, _ in answers) == {200: 4 * KEYS}
        assert len({job_id for _, job_id in answers}) == KEYS
