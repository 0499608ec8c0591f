"""Models by the official `openai` client."""

from pathlib import Path

import pytest
from openai import NotFoundError
from openai_clients import QUIET, client, served, told

pytestmark = QUIET


async def test_models_are_those_of_the_catalog_the_servers_and_the_aliases(tmp_path: Path) -> None:
    aliases = "best=runway/veo3.1"
    async with served(tmp_path, providers=["runway"], model_aliases=aliases) as (server, sdk):
        found = {one.id: one async for one in sdk.models.list()}
        assert found["runway/veo3.1"].owned_by == found["best"].owned_by == "runway"
        assert found["openai/sora-2"].object == "model"  # as its server lists it
        known = (await server.get("/api/models")).json()["models"]
        assert {one["model"] for one in known} <= set(found)
        unasked = (await server.get("/v1/models?served=false")).json()["data"]
        assert "openai/sora-2" not in {one["id"] for one in unasked}


async def test_a_model_is_found_by_its_name_with_slashes(tmp_path: Path) -> None:
    async with served(tmp_path, providers=["runway"]) as (server, sdk):
        assert (await sdk.models.retrieve("runway/veo3.1")).id == "runway/veo3.1"
        reply = await server.get("/v1/models/runway/veo3.1")
        assert (reply.status, reply.json()["created"]) == (200, 0)
        with pytest.raises(NotFoundError) as refused:
            await sdk.models.retrieve("replicate/wan")
        assert told(refused.value)[3] == "model_not_found"
        assert (await server.get("/v1/models/")).status in {307, 404}


async def test_a_key_sees_the_models_that_it_may_use(tmp_path: Path) -> None:
    async with served(tmp_path, providers=["runway"]) as (server, _):
        body = {"name": "app", "scopes": ["read"], "models": ["runway/veo3.1"]}
        key = (await server.post("/api/keys", json=body)).json()["key"]
        async with client(server.url, key) as sdk:
            assert [one.id async for one in sdk.models.list()] == ["runway/veo3.1"]
            with pytest.raises(NotFoundError):
                await sdk.models.retrieve("runway/gen4_turbo")
