"""A database has jobs of the simulator or of real providers, and is opened for these alone."""

from pathlib import Path

import pytest
from hosts import provider, settings

import reelhook
from reelhook.domain.errors import SettingsError


async def test_a_database_that_was_used_with_the_simulator_refuses_real_providers(
    tmp_path: Path,
) -> None:
    async with provider() as (server, _):
        chosen = settings(tmp_path, server.base_url)
        url = server.base_url.removesuffix("/v1")
        async with reelhook.open(chosen, simulator_url=url) as hook:
            await hook.submit("A fox", model="openai/sora-2")
        with pytest.raises(SettingsError, match=r"jobs of the simulator.*REELHOOK_DATA_DIR"):
            async with reelhook.open(chosen):
                pass
        async with reelhook.open(chosen, simulator_url=url):
            pass


async def test_and_the_reverse(tmp_path: Path) -> None:
    async with provider() as (server, _):
        chosen = settings(tmp_path, server.base_url)
        async with reelhook.open(chosen) as hook:
            await hook.submit("A fox")
        with pytest.raises(SettingsError, match=r"jobs of real providers.*DATABASE_URL"):
            async with reelhook.open(chosen, simulator_url=server.base_url.removesuffix("/v1")):
                pass


async def test_without_a_job_it_may_still_be_used_for_either(tmp_path: Path) -> None:
    async with provider() as (server, _):
        chosen = settings(tmp_path, server.base_url)
        url = server.base_url.removesuffix("/v1")
        for simulator_url in (url, None, url):
            async with reelhook.open(chosen, simulator_url=simulator_url):
                pass
