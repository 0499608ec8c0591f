"""What stops the start, each with one sentence that says what to do."""

import contextlib
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateways import gateway, settings

from reelhook import bootstrap
from reelhook.domain.errors import SettingsError

NO_ONE = "http://127.0.0.1:9/v1"


async def refusal(data_dir: Path, **overrides: Any) -> str:
    """Start a server that must not start; return the sentence."""
    with pytest.raises(SettingsError) as caught:
        async with bootstrap.server(settings(data_dir, **{"base_url": NO_ONE, **overrides})):
            pass
    sentence = caught.value.message
    assert "\n" not in sentence
    assert ". " not in sentence
    return sentence


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "video.example"])  # noqa: S104 - it must be refused
async def test_others_may_not_reach_a_server_without_a_key(tmp_path: Path, host: str) -> None:
    sentence = await refusal(tmp_path, host=host)
    assert "REELHOOK_API_KEY" in sentence
    assert not list(tmp_path.iterdir())


async def test_without_a_provider_it_says_what_happened_to_openai_s(tmp_path: Path) -> None:
    sentence = await refusal(tmp_path, base_url=None)
    for words in ("2026-09-24", "OPENAI_BASE_URL", "--simulate"):
        assert words in sentence


async def test_a_taken_port(tmp_path: Path) -> None:
    with taken_port() as port:
        sentence = await refusal(tmp_path, port=port)
        assert str(port) in sentence
        assert "PORT" in sentence


async def test_an_address_of_another_machine(tmp_path: Path) -> None:
    assert "REELHOOK_HOST" in await refusal(tmp_path, host="192.0.2.1", api_key="key")


async def test_a_host_name_that_does_not_exist(tmp_path: Path) -> None:
    sentence = await refusal(tmp_path, host="nowhere.invalid", api_key="key")
    assert "REELHOOK_HOST" in sentence


async def test_a_data_directory_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sentence = await refusal(tmp_path / "file" / "data")
    assert "REELHOOK_DATA_DIR" in sentence


async def test_a_data_directory_that_can_not_be_written(tmp_path: Path) -> None:
    assert "REELHOOK_DATA_DIR" in await refusal(Path("/proc/self"))


async def test_a_second_server_on_the_same_data_directory(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        sentence = await refusal(tmp_path)
        assert "REELHOOK_DATA_DIR" in sentence
        assert str(tmp_path) in sentence
        assert (await server.get("/readyz")).status == 200


async def test_a_database_of_a_newer_reelhook(tmp_path: Path) -> None:
    async with gateway(tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "reelhook.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    assert "newer" in await refusal(tmp_path)


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "reelhook.db").write_bytes(b"this is no database" * 1000)
    assert str(tmp_path) in await refusal(tmp_path)


async def test_what_failed_to_start_leaves_no_lock_and_no_port_behind(tmp_path: Path) -> None:
    with taken_port() as port:
        await refusal(tmp_path, port=port)
    await refusal(tmp_path, host="nowhere.invalid", api_key="key")
    (tmp_path / "reelhook.db").write_bytes(b"this is no database" * 1000)
    await refusal(tmp_path)
    (tmp_path / "reelhook.db").unlink()
    async with gateway(tmp_path, port=port) as server:
        assert (await server.get("/readyz")).status == 200
