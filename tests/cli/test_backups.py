"""`reelhook backup` and `reelhook restored`, beside a server that runs and without one."""

import json
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cli_programs import Outcome, Program, reelhook, serve, simulator

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Program]]:
    """A server with jobs that take long, and its directory."""
    directory = tmp_path_factory.mktemp("backups")
    with (
        simulator(directory, "--render-seconds", "600") as provider,
        serve(directory, provider, "--data-dir", "data") as running,
    ):
        for script in ("A fox", "An owl"):
            run(directory, "submit", script, REELHOOK_URL=running.url)
        yield directory, running


def run(directory: Path, *arguments: str, **variables: str) -> Outcome:
    return reelhook(*arguments, directory=directory, **variables)


def test_a_running_installation_is_copied_whole_into_a_file_for_its_owner(
    server: tuple[Path, Program],
) -> None:
    directory, _ = server
    copied = run(directory, "backup", "monday.db", "--data-dir", "data", "--json")
    assert (copied.code, copied.err) == (0, "")
    file = directory / "monday.db"
    assert copied.json == {"file": "monday.db", "bytes": file.stat().st_size, "jobs": 2}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as copy:
        assert copy.execute("SELECT count(*) FROM jobs").fetchone() == (2,)
        assert copy.execute("SELECT count(*) FROM keys WHERE name = 'webhook'").fetchone() == (1,)
    assert [one.name for one in directory.glob("*monday*")] == ["monday.db"]


def test_a_file_that_exists_is_not_overwritten(server: tuple[Path, Program]) -> None:
    directory, _ = server
    (directory / "mine.db").write_text("mine")
    refused = run(directory, "backup", "mine.db", "--data-dir", "data")
    assert refused.code == 1
    assert refused.err.splitlines() == [
        "reelhook: mine.db exists and is not overwritten; name another file, or remove it"
    ]
    assert (directory / "mine.db").read_text() == "mine"


def test_where_nothing_can_be_written_or_read_it_says_so(tmp_path: Path) -> None:
    nothing = run(tmp_path, "backup", "copy.db")
    assert nothing.code == 1
    assert "There is no database" in nothing.err
    assert "--data-dir" in nothing.err
    data = tmp_path / "data"
    data.mkdir()
    (data / "reelhook.db").write_text("not a database, but longer than its header" * 9)
    damaged = run(tmp_path, "backup", "copy.db", "--data-dir", "data")
    assert damaged.code == 1
    assert len(damaged.err.splitlines()) == 1
    assert not list(tmp_path.glob("*copy.db*"))
    nowhere = run(tmp_path, "backup", "not/there/copy.db", "--data-dir", "data")
    assert (nowhere.code, len(nowhere.err.splitlines())) == (1, 1)
    assert "choose another file" in nowhere.err


def test_on_postgresql_it_names_the_command_and_shows_no_password(tmp_path: Path) -> None:
    url = "postgresql://me:secret-word@127.0.0.1:9/reelhook"
    refused = run(tmp_path, "backup", "copy.dump", DATABASE_URL=url)
    assert refused.code == 1
    assert 'pg_dump --format=custom --file=copy.dump "$DATABASE_URL"' in refused.err
    assert "secret-word" not in refused.err


def test_a_backup_that_is_served_knows_that_it_is_one(
    server: tuple[Path, Program], tmp_path: Path
) -> None:
    directory, _ = server
    data = tmp_path / "data"
    data.mkdir()
    assert run(directory, "backup", str(data / "reelhook.db"), "--data-dir", "data").code == 0
    told = run(tmp_path, "restored", "--data-dir", "data", "--json")
    assert (told.code, told.json) == (0, {"restored": True})
    with closing(sqlite3.connect(data / "reelhook.db")) as copy:
        sequences = [row[0] for row in copy.execute("SELECT sequence FROM jobs")]
    assert min(sequences) > 10_000_000


def test_only_a_database_that_nobody_uses_is_taken_for_an_earlier_one(
    server: tuple[Path, Program], tmp_path: Path
) -> None:
    directory, running = server
    refused = run(directory, "restored", "--data-dir", "data")
    assert refused.code == 1
    assert "is already running" in refused.err
    none = run(tmp_path, "restored", "--data-dir", "data")
    assert (none.code, len(none.err.splitlines())) == (1, 1)
    assert "There is no database" in none.err
    assert not (tmp_path / "data").exists()
    listed = run(directory, "jobs", "--json", REELHOOK_URL=running.url)
    assert len(json.loads(listed.out)["jobs"]) == 2


def test_a_database_is_taken_for_an_earlier_state_when_that_is_said(tmp_path: Path) -> None:
    with (
        simulator(tmp_path, "--render-seconds", "600") as provider,
        serve(tmp_path, provider, "--data-dir", "data") as running,
    ):
        run(tmp_path, "submit", "A fox", REELHOOK_URL=running.url)
        assert running.stop() == 0
    told = run(tmp_path, "restored", "--data-dir", "data")
    assert (told.code, told.err) == (0, "")
    assert "doctor --orphans" in told.out
    with closing(sqlite3.connect(tmp_path / "data" / "reelhook.db")) as database:
        [(sequence,)] = database.execute("SELECT sequence FROM jobs").fetchall()
    assert sequence > 10_000_000
    shutil.rmtree(tmp_path / "data")
