"""A file in the spool: one holder at a time, and what a kill leaves of it."""

import hashlib
from pathlib import Path

import pytest

from reelhook.engine.archive.partial_file import (
    SYNC_BYTES,
    Origin,
    PartialFile,
    SpoolBusyError,
)


def killed(file: PartialFile) -> None:
    """Leave a file as a killed process does: nothing is noted any more."""
    file.close()


def test_a_file_has_one_holder(tmp_path: Path) -> None:
    path = tmp_path / "job_1.part"
    first = PartialFile(path)
    with pytest.raises(SpoolBusyError):
        PartialFile(path)
    first.remove()
    first.close()
    second = PartialFile(path)
    assert path.stat().st_mode & 0o777 == 0o600
    second.close()


def test_after_a_kill_what_was_durable_is_kept_and_hashed(tmp_path: Path) -> None:
    path, content = tmp_path / "job_1.part", bytes(range(256)) * 65536  # 16 MiB
    file = PartialFile(path)
    file.begin(Origin(total=len(content) + 1, etag='"1"'))
    for start in range(0, len(content), SYNC_BYTES // 8):
        file.write([content[start : start + SYNC_BYTES // 8]])
    file.write([b"x"])
    killed(file)
    again = PartialFile(path)
    assert again.whole() is None
    assert again.origin == Origin(total=len(content) + 1, etag='"1"')
    assert again.resume() == len(content)
    again.write([b"y"])
    whole = again.finish()
    assert whole.sha256 == hashlib.sha256(content + b"y").hexdigest()
    again.close()
    later = PartialFile(path)
    assert later.whole() == whole
    later.close()


@pytest.mark.parametrize("torn", [b"", b"{", b"[]", b'{"synced": 5}'])
def test_torn_notes_start_the_download_over(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "job_1.part"
    path.write_bytes(b"12345")
    path.with_suffix(".json").write_bytes(torn)
    file = PartialFile(path)
    assert file.whole() is None
    assert file.resume() == 0
    file.close()


def test_a_small_file_that_is_whole_outlives_a_kill(tmp_path: Path) -> None:
    """It may wait for a slow store, for longer than its provider keeps its copy."""
    path = tmp_path / "job_1.part"
    file = PartialFile(path)
    file.begin(Origin(total=5, content_type="video/mp4"))
    file.write([b"12345"])
    whole = file.finish()
    killed(file)
    again = PartialFile(path)
    assert again.whole() == whole
    again.keep_whole()
    again.close()
    later = PartialFile(path)
    assert later.whole() == whole
    later.close()


def test_a_whole_file_that_a_crash_of_the_machine_changed_is_fetched_again(tmp_path: Path) -> None:
    path = tmp_path / "job_1.part"
    file = PartialFile(path)
    file.begin(Origin(total=5))
    file.write([b"12345"])
    file.finish()
    killed(file)
    path.write_bytes(b"\0" * 5)
    again = PartialFile(path)
    assert again.whole() is None
    assert again.resume() == 0
    again.close()
