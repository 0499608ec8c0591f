"""A start that fails leaves nothing running in the program around it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hosts import provider, settings

import reelhook
from reelhook.domain.errors import StoreError
from reelhook.storage.store import Store


async def test_a_start_that_fails_half_way_leaves_no_loop_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeat, calls = Store.heartbeat, 0

    async def fails_in_the_end(store: Store, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise StoreError("The disk is full")
        return await heartbeat(store, *arguments)

    monkeypatch.setattr(Store, "heartbeat", fails_in_the_end)
    async with provider() as (server, _):
        within = asyncio.all_tasks()
        with pytest.raises(StoreError):
            async with reelhook.open(settings(tmp_path, server.base_url)):
                pass
        await asyncio.sleep(0)
        assert not asyncio.all_tasks() - within
    assert calls == 3
