"""The rights that docs/postgresql.md gives are enough, and no more than a server has."""

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from bench.clusters import Cluster, cluster
from pages import blocks

import reelhook
from reelhook.domain.errors import SettingsError
from reelhook.domain.request import VideoRequest
from reelhook.storage.schema import migrate as migrations
from reelhook.storage.schema.rolling_back import rollback


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as one:
        yield one


async def run_sql(url: str, text: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in filter(str.strip, text.split(";")):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_the_roles_of_the_page_have_the_rights_that_they_need(
    server: Cluster, tmp_path: Path
) -> None:
    owner, lodger, pooled = [text for _, text in blocks("postgresql.md")]
    of_role = f"postgresql://{{}}@127.0.0.1:{server.port}/reelhook"
    as_owner, as_server = of_role.format("reelhook"), of_role.format("reelhook_server")
    await run_sql(server.url, owner)
    migrations.migrate(as_owner)
    await run_sql(of_role.format("postgres"), lodger)

    def settings(url: str) -> reelhook.Settings:
        return reelhook.Settings.of(
            openai_base_url="http://127.0.0.1:9/v1", database_url=url, data_dir=tmp_path
        )

    async with reelhook.open(settings(as_server), migrate=False) as hook:
        created = await hook.service.submit(VideoRequest(prompt="A fox", model="m"), None)
        assert (await hook.service.job(created.job_id)).job.id == created.job_id
        assert (await hook.operations.stats())["jobs"]["total"] == 1
        await hook.operations.check_writable()
    # What a later version adds is open to it too; changing the schema itself is not.
    rollback(as_owner, destroy=False)
    migrations.migrate(as_owner)
    async with reelhook.open(settings(as_server), migrate=False):
        pass
    rollback(as_owner, destroy=False)
    with pytest.raises(SettingsError, match="apply all revisions"):
        async with reelhook.open(settings(as_server)):
            pass
    migrations.migrate(as_owner)
    await run_sql(of_role.format("postgres"), pooled)
    behind = settings(as_owner).model_copy(update={"wake_ups": False})
    async with reelhook.open(behind) as hook:
        await hook.operations.check_writable()
