import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest

from reelhook.domain.errors import SettingsError
from reelhook.storage.schema import migrate
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.sqlite.file_lock import FileLock
from reelhook.storage.store import Store

from .processes import running
from .samples import new


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reelhook.db"


def hold(process: Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"


def test_a_second_process_is_refused_with_a_sentence_that_names_the_first(path: Path) -> None:
    with running("lock_holder", str(path)) as owner:
        hold(owner)
        with pytest.raises(SettingsError) as refused:
            FileLock(path).acquire()
    assert refused.value.message == (
        f"Another reelhook (process {owner.pid}) is already running on {path.parent}; "
        "stop it, or choose another REELHOOK_DATA_DIR"
    )


def test_the_lock_goes_with_a_process_that_is_killed(path: Path) -> None:
    with running("lock_holder", str(path)) as owner:
        hold(owner)
        owner.kill()
        owner.wait()
        with FileLock(path):
            assert path.with_name("reelhook.db.lock").read_text() == str(os.getpid())


def test_the_lock_can_be_had_again_once_it_was_released(path: Path) -> None:
    with running("lock_holder", str(path)) as owner:
        hold(owner)
        owner.communicate("")
        assert owner.returncode == 0
    for _ in range(2):
        with FileLock(path), pytest.raises(SettingsError, match=f"process {os.getpid()}"):
            FileLock(path).acquire()


def test_a_refusal_leaves_the_owners_lock_as_it_is(path: Path) -> None:
    with FileLock(path):
        for _ in range(2):
            with pytest.raises(SettingsError, match="is already running"):
                FileLock(path).acquire()


def test_a_release_without_a_lock_does_nothing(path: Path) -> None:
    lock = FileLock(path)
    lock.release()
    with lock:
        lock.release()


def test_other_databases_have_locks_of_their_own(path: Path) -> None:
    with FileLock(path), FileLock(path.with_name("other.db")):
        pass


def test_the_folder_is_made_when_it_is_missing(tmp_path: Path) -> None:
    with FileLock(tmp_path / "a" / "b" / "reelhook.db"):
        assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_can_not_be_written_is_named_with_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"can't be written .*REELHOOK_DATA_DIR"):
        FileLock(tmp_path / "file" / "reelhook.db").acquire()


def test_the_lock_file_is_its_owners_alone(path: Path) -> None:
    with FileLock(path) as lock:
        assert lock.path.stat().st_mode & 0o777 == 0o600


# -- other names of the same file ------------------------------------------------------------------


def by_a_link_to_the_file(path: Path, folder: Path) -> Path:
    (folder / "other.db").symlink_to(path)
    return folder / "other.db"


def by_a_link_to_its_folder(path: Path, folder: Path) -> Path:
    (folder / "data").symlink_to(path.parent)
    return folder / "data" / path.name


def by_a_way_round(path: Path, folder: Path) -> Path:
    return folder / ".." / path.parent.name / path.name


def by_a_hard_link(path: Path, folder: Path) -> Path:
    (folder / "other.db").hardlink_to(path)
    return folder / "other.db"


NAMES = [by_a_link_to_the_file, by_a_link_to_its_folder, by_a_way_round, by_a_hard_link]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "reelhook.db").touch()
    return tmp_path / "volume" / "reelhook.db"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


@pytest.mark.parametrize("name", NAMES, ids=lambda one: one.__name__)
def test_another_process_is_refused_by_whatever_name_it_opens_the_file(
    volume: Path, elsewhere: Path, name: Callable[[Path, Path], Path]
) -> None:
    with running("lock_holder", str(volume)) as owner:
        hold(owner)
        with pytest.raises(SettingsError, match="is already running"):
            FileLock(name(volume, elsewhere)).acquire()
    with FileLock(elsewhere / ".." / "volume" / "reelhook.db"):
        pass


@pytest.mark.parametrize("name", NAMES, ids=lambda one: one.__name__)
def test_so_is_a_second_use_in_the_same_process(
    volume: Path, elsewhere: Path, name: Callable[[Path, Path], Path]
) -> None:
    other = name(volume, elsewhere)
    with FileLock(volume):
        for _ in range(2):
            with pytest.raises(SettingsError, match="is already running"):
                FileLock(other).acquire()
    with FileLock(other):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_mount_of_the_file_is_the_same_file(volume: Path, elsewhere: Path) -> None:
    mounted = elsewhere / "mounted.db"
    mounted.touch()
    if subprocess.run(["mount", "--bind", volume, mounted], check=False).returncode:
        pytest.skip("this machine mounts nothing for us")
    try:
        with running("lock_holder", str(volume)) as owner:
            hold(owner)
            with pytest.raises(SettingsError, match="is already running"):
                FileLock(mounted).acquire()
    finally:
        subprocess.run(["umount", mounted], check=True)


async def test_the_lock_is_not_in_the_way_of_the_database(volume: Path) -> None:
    with FileLock(volume):
        migrate.migrate(volume)
        database = SQLite(volume)
        await Store(database).create(new("job_1"))
        assert (await Store(database).job("job_1")).job.id == "job_1"
        await database.close()
        with pytest.raises(SettingsError, match="is already running"):
            FileLock(volume).acquire()
