import os
from pathlib import Path
from subprocess import Popen

import pytest

from reelhook.domain.errors import SettingsError
from reelhook.storage.sqlite import FileLock

from .processes import running


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
        f"Another reelhook (process {owner.pid}) already runs on {path.parent}; "
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
            with pytest.raises(SettingsError, match="already runs"):
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
