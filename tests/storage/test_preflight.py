import time
from pathlib import Path

import pytest

from reelhook.domain.errors import SettingsError
from reelhook.storage.postgres import driver as postgres
from reelhook.storage.preflight import check_database
from reelhook.storage.schema import migrate as migrations

from .postgres_databases import fresh_database


async def test_a_file_that_can_be_made_or_written_is_well(database_path: Path) -> None:
    for path in (database_path, database_path.parent / "not" / "yet" / "reelhook.db"):
        told = await check_database(path)
        assert (told.refusal, told.now) == (None, None)


async def test_a_file_below_another_file_can_t_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "REELHOOK_DATA_DIR" in str(
        (await check_database(tmp_path / "file" / "reelhook.db")).refusal
    )


async def test_postgresql_tells_its_time_and_whether_it_can_be_written(postgres_url: str) -> None:
    async with fresh_database(postgres_url) as url:
        told = await check_database(url)
        assert told.refusal is None
        assert told.now is not None
        assert abs(told.now / 1000 - time.time()) < 30
        connection = await postgres.connect(url)
        try:
            name = await connection.fetchval("SELECT quote_ident(current_database())")
            read_only = f"ALTER DATABASE {name} SET default_transaction_read_only TO on"
            await connection.execute(read_only)
        finally:
            await connection.close()
        assert "read-only" in str((await check_database(url)).refusal)
        assert migrations.pending(url, read_only=True) == []


async def test_a_postgresql_that_does_not_answer_is_told() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL can't be opened") as raised:
        await check_database("postgresql://reelhook:hunter2-hunter2@127.0.0.1:9/reelhook")
    assert "hunter2" not in raised.value.message
