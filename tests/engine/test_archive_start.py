"""The archive at a start: a place that refuses stops it, one that can't be reached does not."""

import asyncio
from pathlib import Path

import pytest
from refusing_s3 import point_at, refusing_s3
from structlog.testing import capture_logs

import reelhook
from reelhook.bootstrap import archive as start
from reelhook.bootstrap.archive import open_objects
from reelhook.bootstrap.doctor.archive import archive
from reelhook.bootstrap.doctor.finding import Severity
from reelhook.domain.errors import SettingsError


def at(url: str | None, folder: Path, **more: str) -> reelhook.Settings:
    return reelhook.Settings.of(data_dir=folder, archive_url=url, **more)


@pytest.mark.parametrize(
    ("method", "permission"), [("PUT", "write"), ("GET", "read"), ("POST", "delete")]
)
async def test_a_missing_permission_ends_the_start_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, permission: str
) -> None:
    settings = at("s3://videos/prefix", tmp_path)
    async with refusing_s3(monkeypatch, lambda request: request.method == method):
        with pytest.raises(SettingsError, match=f"REELHOOK_ARCHIVE_URL.*refuses to {permission}"):
            await open_objects(settings)
        finding = await archive(settings)
    assert finding.verdict is Severity.FAILED
    assert f"refuses to {permission}" in finding.message


async def test_a_place_that_cannot_be_reached_gives_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = at("s3://videos/prefix", tmp_path)
    async with refusing_s3(monkeypatch, lambda _: False):
        pass
    with capture_logs() as logs:
        assert await open_objects(settings) is not None
    assert [line["log_level"] for line in logs] == ["warning"]
    assert (await archive(settings)).verdict is Severity.FAILED


async def test_a_folder_that_cannot_be_made_ends_the_start_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    settings = at((tmp_path / "file" / "videos").as_uri(), tmp_path)
    with pytest.raises(SettingsError, match=r"REELHOOK_ARCHIVE_URL.*folder that reelhook may"):
        await open_objects(settings)
    finding = await archive(settings)
    assert finding.verdict is Severity.FAILED
    assert "REELHOOK_ARCHIVE_URL" in finding.message


async def test_a_place_that_hangs_delays_a_start_by_a_few_seconds_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert start.START_SECONDS_MAX <= 5
    monkeypatch.setattr(start, "START_SECONDS_MAX", 0.05)
    clients: list[asyncio.StreamWriter] = []
    hanging = await asyncio.start_server(lambda _, writer: clients.append(writer), "127.0.0.1", 0)
    async with hanging:
        point_at(f"http://127.0.0.1:{hanging.sockets[0].getsockname()[1]}", monkeypatch)
        with capture_logs() as logs:
            assert await open_objects(at("s3://videos/prefix", tmp_path)) is not None
    assert "did not respond within 0.05 s" in logs[0]["reason"]
    for client in clients:
        client.close()
        await client.wait_closed()


async def test_the_default_is_a_folder_in_the_data_directory(tmp_path: Path) -> None:
    settings = at(None, tmp_path)
    assert (await archive(settings)).verdict is Severity.OK
    assert not (tmp_path / "archive").exists()
    objects = await open_objects(settings)
    assert objects is not None
    assert objects.name == (tmp_path / "archive").as_uri()
    assert (await archive(settings)).verdict is Severity.OK


async def test_without_a_url_it_is_off_on_postgresql_and_that_is_reported(tmp_path: Path) -> None:
    settings = at(None, tmp_path, database_url="postgresql://localhost/reelhook")
    with capture_logs() as logs:
        assert await open_objects(settings) is None
    assert "REELHOOK_ARCHIVE_URL" in logs[0]["event"]
    assert (await archive(settings)).verdict is Severity.WARNING


async def test_off_is_off(tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert await open_objects(at("off", tmp_path)) is None
    assert logs == []
