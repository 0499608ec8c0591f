"""Files, disks, addresses and settings that can't be used end the start with one sentence."""

import contextlib
import os
import shlex
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from bad_starts import NOBODY, SERVE, is_root, refused, refused_as
from bench.clusters import may_mount
from cli_programs import COMMAND, WAIT_SECONDS, environment

from reelhook.storage.schema import migrate as migrations
from reelhook.storage.sqlite.file_lock import FileLock

PAGE_BYTES = 4096
as_root = pytest.mark.skipif(not is_root(), reason="only root may become another user")
on_small_disks = pytest.mark.skipif(not may_mount(), reason="this machine lets nobody mount a disk")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    return directory


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A directory that another user may reach, as pytest's own are not."""
    directory = Path(tempfile.mkdtemp(prefix="reelhook-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@contextlib.contextmanager
def disk(at: Path, options: str) -> Iterator[None]:
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(at)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def fill(filler: BinaryIO) -> None:
    """Write until the disk is full."""
    with contextlib.suppress(OSError):
        while True:
            os.write(filler.fileno(), bytes(PAGE_BYTES))


def serve_on(directory: Path) -> tuple[str, ...]:
    return (*SERVE, "--data-dir", str(directory))


# -- the file -------------------------------------------------------------------------------------


async def test_a_database_that_is_a_directory(tmp_path: Path, data: Path) -> None:
    (data / "reelhook.db").mkdir()
    await refused(tmp_path, "reelhook.db", "Is a directory", arguments=serve_on(data))


async def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    await refused(tmp_path, "REELHOOK_DATA_DIR", arguments=serve_on(tmp_path / "file"))


async def test_a_file_that_is_no_database(tmp_path: Path, data: Path) -> None:
    (data / "reelhook.db").write_text("a letter to a friend\n" * 1000)
    await refused(tmp_path, "not a database", "name another file", arguments=serve_on(data))


async def test_a_database_that_is_damaged(tmp_path: Path, data: Path) -> None:
    path = data / "reelhook.db"
    migrations.migrate(path)
    content = bytearray(path.read_bytes())
    content[100:] = b"\xff" * len(content[100:])
    path.write_bytes(content)
    await refused(tmp_path, "malformed", "backup", arguments=serve_on(data))


@pytest.mark.long
async def test_a_database_that_another_program_has_locked(tmp_path: Path, data: Path) -> None:
    path = data / "reelhook.db"
    migrations.migrate(path, 2)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await refused(tmp_path, "another program has locked it", arguments=serve_on(data))


async def test_a_database_that_another_reelhook_owns(tmp_path: Path, data: Path) -> None:
    with FileLock(data / "reelhook.db"):
        await refused(tmp_path, "Another reelhook", arguments=serve_on(data))


async def test_a_schema_that_is_newer(tmp_path: Path, data: Path) -> None:
    migrations.migrate(data / "reelhook.db", 1)
    with contextlib.closing(sqlite3.connect(data / "reelhook.db")) as other, other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    await refused(tmp_path, "9999", "newer reelhook", arguments=serve_on(data))


# -- rights ---------------------------------------------------------------------------------------


@as_root
async def test_a_working_directory_of_another_user(open_to_all: Path) -> None:
    await refused_as(NOBODY, open_to_all, "REELHOOK_DATA_DIR")


@as_root
@pytest.mark.parametrize(("mode", "owner"), [(0o600, 0), (0o400, NOBODY)], ids=["its", "own"])
async def test_a_file_that_this_user_may_not_write(
    open_to_all: Path, mode: int, owner: int
) -> None:
    open_to_all.chmod(0o777)
    path = open_to_all / "reelhook.db"
    migrations.migrate(path)
    path.chmod(mode)
    os.chown(path, owner, owner)
    await refused_as(
        NOBODY, open_to_all, "reelhook.db", "mode or owner", arguments=serve_on(open_to_all)
    )


@as_root
async def test_a_dotenv_that_this_user_may_not_read(open_to_all: Path) -> None:
    (open_to_all / ".env").touch(mode=0o600)
    await refused_as(NOBODY, open_to_all, ".env can't be read", exit_code="78")


@as_root
async def test_a_working_directory_that_may_not_be_entered_is_not_said_to_have_a_dotenv(
    open_to_all: Path,
) -> None:
    """What is wrong there is that the data directory is to be made in it."""
    open_to_all.chmod(0o700)
    sentence = await refused_as(NOBODY, open_to_all, "REELHOOK_DATA_DIR")
    assert ".env" not in sentence


@as_root
async def test_a_port_below_1024(open_to_all: Path) -> None:
    """Where the system keeps those for root, as it does unless it was told otherwise."""
    first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if first.exists() and int(first.read_text()) < 1024:
        pytest.skip("this machine lets everybody listen on every port")
    arguments = ("serve", "--simulate", "--port", "1023")
    await refused_as(NOBODY, open_to_all, "1023", "PORT", arguments=arguments)


# -- disks ----------------------------------------------------------------------------------------


@on_small_disks
@pytest.mark.parametrize("free", [0, 1, 4, 25], ids=lambda pages: f"{pages} pages free")
async def test_a_disk_that_is_full(tmp_path: Path, free: int) -> None:
    """Wherever the start gets stuck for want of space: its lock, its file, its schema."""
    data = tmp_path / "disk"
    with disk(data, "size=1m"):
        with (data / "filler").open("wb") as filler:
            fill(filler)
            filler.truncate(os.fstat(filler.fileno()).st_size - free * PAGE_BYTES)
        await refused(tmp_path, "full", "free some space", arguments=serve_on(data))


@on_small_disks
async def test_a_disk_that_is_full_before_a_start_on_a_database_that_is_there(
    tmp_path: Path,
) -> None:
    data = tmp_path / "disk"
    with disk(data, "size=2m"):
        migrations.migrate(data / "reelhook.db")
        with (data / "filler").open("wb") as filler:
            fill(filler)
        await refused(tmp_path, "full", "free some space", arguments=serve_on(data))


@on_small_disks
async def test_a_disk_that_is_read_only(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "ro,size=1m"):
        await refused(
            tmp_path, "Read-only", "REELHOOK_DATA_DIR", arguments=serve_on(tmp_path / "disk" / "in")
        )


# -- addresses ------------------------------------------------------------------------------------


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        arguments = ("serve", "--simulate", "--port", port)
        await refused(tmp_path, port, "PORT", arguments=arguments)


@pytest.mark.parametrize("host", ["203.0.113.7", "nowhere.invalid"])
async def test_a_host_that_is_not_this_machine(tmp_path: Path, host: str) -> None:
    variables = {"REELHOOK_API_KEY": "a-long-random-text"}
    await refused(tmp_path, host, "REELHOOK_HOST", arguments=(*SERVE, "--host", host), **variables)


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("PORT", "seventy", "a port from 0 to 65535"),
        ("REELHOOK_POLL_SECONDS", "0", "a number of seconds"),
        ("REELHOOK_DATABASE_WAIT_SECONDS", "-1", "a number of seconds from 0"),
        ("DATABASE_URL", "mysql://db/name", "postgresql://"),
        ("REELHOOK_ACCOUNTS_FILE", "absent.toml", "absent.toml"),
        ("WEBHOOK_SECRET", "whsec_!", "WEBHOOK_SECRET"),
        ("REELHOOK_HOST", "http://host", "a host"),
    ],
)
async def test_a_setting_that_is_wrong(
    tmp_path: Path, variable: str, value: str, words: str
) -> None:
    sentence = await refused(
        tmp_path,
        words,
        arguments=("serve", "--openai-base-url", "http://x/v1"),
        exit_code="78",  # systemd does not start it again: deploy/reelhook.service
        **{variable: value},
    )
    assert variable in sentence or value in sentence


async def test_a_dotenv_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00")
    await refused(tmp_path, ".env", "UTF-8", exit_code="78")


async def test_a_server_without_a_provider_or_with_a_wrong_one(tmp_path: Path) -> None:
    await refused(tmp_path, "No provider", arguments=("serve", "--port", "0"), exit_code="78")
    accounts = tmp_path / "accounts.toml"
    accounts.write_text('[accounts.one]\nprovider = "nobody"\nkey = "k"\n')
    for simulated in ((), ("--simulate",)):
        await refused(
            tmp_path,
            "absent.toml",
            exit_code="78",
            REELHOOK_ACCOUNTS_FILE="absent.toml",
            arguments=("serve", *simulated),
        )
    await refused(
        tmp_path,
        "nobody",
        exit_code="78",
        REELHOOK_ACCOUNTS_FILE=str(accounts),
        arguments=("serve",),
    )


@pytest.mark.long
@on_small_disks
def test_a_simulator_without_a_temporary_directory(tmp_path: Path) -> None:
    """Videos are rendered into a file there."""
    read_only = "; ".join(f"mount -t tmpfs -o ro tmpfs {one}" for one in ("/tmp", "/var/tmp"))  # noqa: S108 - mounted on
    start = shlex.join([*COMMAND, "serve", "--simulate", "--port", "0"])
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"{read_only}; cd /proc; exec {start}"],
        env=environment(TMPDIR=str(tmp_path / "absent")),
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done
    assert "temporary directory" in done.stderr
    assert "TMPDIR" in done.stderr
