"""A SQLite database that continues, and copies of it in any place."""

import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import apsw
import pytest

from reelhook.domain.errors import SettingsError
from reelhook.domain.report import Progress
from reelhook.storage.open import open_store
from reelhook.storage.store import Store
from reelhook.storage.transfer.copying import copy, reopen

from .restored import check_raised, check_restored, check_untouched, furnish, states
from .samples import FINISHED, NOW, moved, new, stored


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[Store]:
    """The store as a server has it."""
    async with open_store(path) as database:
        yield Store(database)


def back_up(source: Path, target: Path) -> Path:
    """Copy a database that is in use, by the driver's library.

    Another copy of SQLite in this process would drop the driver's locks and delete its log.
    """
    with (
        closing(apsw.Connection(str(source))) as here,
        closing(apsw.Connection(str(target))) as there,
        there.backup("main", here, "main") as copying,
    ):
        copying.step()
    return target


def witness_of(path: Path) -> Path:
    return path.with_name(path.name + ".witness")


def forget_log(path: Path) -> None:
    """Remove what belongs to the database that was there before."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


# -- what is no copy -------------------------------------------------------------------------------


async def test_whatever_was_left_goes_on_as_it_was(database_path: Path) -> None:
    async with running(database_path) as store:
        await furnish(store)
        before = await states(store)
    for _ in range(2):
        async with running(database_path) as store:
            await check_untouched(store, before)


async def test_an_installation_from_before_there_were_witnesses_goes_on(
    database_path: Path,
) -> None:
    async with running(database_path) as store:
        await furnish(store)
        before = await states(store)
    with closing(sqlite3.connect(database_path)) as database, database:
        database.execute("DELETE FROM keys WHERE name = 'history'")
    witness_of(database_path).unlink()
    async with running(database_path) as store:
        await check_untouched(store, before)


async def test_a_witness_that_lost_its_last_words_in_a_power_cut_is_believed(
    database_path: Path,
) -> None:
    witness = witness_of(database_path)
    async with running(database_path) as store:
        await furnish(store)
        early = witness.read_bytes()
        await stored(store, new("later"))
        before = await states(store)
    assert witness.read_bytes() != early
    witness.write_bytes(early)
    async with running(database_path) as store:
        await check_untouched(store, before)


# -- copies ----------------------------------------------------------------------------------------


def elsewhere(path: Path, taken: Path) -> Path:
    """Start on the copy where it is."""
    return taken


def renamed(path: Path, taken: Path) -> Path:
    """Move it to the old place."""
    forget_log(path)
    return taken.replace(path)


def written_over(path: Path, taken: Path) -> Path:
    """Write its bytes into the old file, which stays the same to the file system."""
    forget_log(path)
    inode = path.stat().st_ino
    path.write_bytes(taken.read_bytes())
    assert path.stat().st_ino == inode
    return path


def alone(path: Path, taken: Path) -> Path:
    """Move it to the old place, in which nothing else was left."""
    witness_of(path).unlink()
    return renamed(path, taken)


@pytest.mark.parametrize("put", [elsewhere, renamed, written_over, alone])
async def test_a_copy_knows_that_it_is_one(
    database_path: Path, tmp_path: Path, put: Callable[[Path, Path], Path]
) -> None:
    async with running(database_path) as store:
        await furnish(store)
        before = await states(store)
        taken = back_up(database_path, tmp_path / "copy.db")
        await moved(store, before["rendering"].apply(FINISHED, NOW + 1))
    async with running(put(database_path, taken)) as store:
        await check_restored(store, before)
        after = await states(store)
    async with running(database_path if put is not elsewhere else taken) as store:
        await check_untouched(store, after)  # it is one only once


async def test_a_whole_folder_copied_is_a_copy(database_path: Path, tmp_path: Path) -> None:
    async with running(database_path) as store:
        await furnish(store)
        before = await states(store)
        folder = tmp_path / "folder"
        folder.mkdir()
        for one in database_path.parent.glob("reelhook.db*"):
            shutil.copy(one, folder / one.name)
    async with running(folder / "reelhook.db") as store:
        await check_restored(store, before)


async def test_a_copy_from_before_there_were_witnesses_is_one(
    database_path: Path, tmp_path: Path
) -> None:
    async with running(database_path) as store:
        await furnish(store)
        before = await states(store)
        taken = back_up(database_path, tmp_path / "copy.db")
    with closing(sqlite3.connect(taken)) as database, database:
        database.execute("DELETE FROM keys WHERE name = 'history'")
    async with running(renamed(database_path, taken)) as store:
        await check_restored(store, before)


async def test_the_same_copy_restored_twice_goes_beyond_what_it_sent_the_first_time(
    database_path: Path, tmp_path: Path
) -> None:
    async with running(database_path) as store:
        await furnish(store)
        taken = back_up(database_path, tmp_path / "copy.db")
    sent = []
    for _ in range(2):
        shutil.copy(taken, database_path)
        forget_log(database_path)
        async with running(database_path) as store:
            job = (await states(store))["rendering"]
            sent.append((await moved(store, job.apply(FINISHED, NOW + 1))).sequence)
        wait_until_after(time.time() + 0.25)
    assert sent[1] > sent[0]


def wait_until_after(moment: float) -> None:
    while time.time() < moment:
        time.sleep(0.01)


async def test_another_start_of_the_machine_raises_sequences_and_doubts_nothing(
    database_path: Path,
) -> None:
    async with running(database_path) as store:
        await furnish(store)
        before = await states(store)
    first, second = witness_of(database_path).read_text().splitlines()
    name, inode, boot = first.split()
    other = f"{name} {inode} {boot[::-1]}".ljust(len(first))
    witness_of(database_path).write_text(f"{other}\n{second}\n")
    async with running(database_path) as store:
        after = await check_raised(store, before)
        assert after["waiting"].status is before["waiting"].status


# -- what comes of it ------------------------------------------------------------------------------


async def test_what_a_restored_job_tells_is_news_to_a_receiver_that_saw_more(
    database_path: Path, tmp_path: Path
) -> None:
    async with running(database_path) as store:
        await furnish(store)
        taken = back_up(database_path, tmp_path / "copy.db")
        seen, job = [], (await states(store))["rendering"]
        for number in range(3):
            moved_on = job.apply(Progress(running=True, percent=50 + number), NOW + number)
            job = await moved(store, moved_on)
            seen.append(moved_on[1][0])
    async with running(taken) as store:
        ended = (await states(store))["rendering"].apply(FINISHED, NOW + 1)
        await moved(store, ended)
    [ending] = ended[1]
    assert ending.sequence > max(one.sequence for one in seen)
    assert ending.id not in {one.id for one in seen}


async def test_a_witness_that_can_not_be_written_stops_the_start_in_one_sentence(
    database_path: Path,
) -> None:
    witness_of(database_path).mkdir()
    with pytest.raises(SettingsError, match=r"reelhook.db.witness next to the database can't be"):
        async with running(database_path):
            pass


# -- a database that is moved ----------------------------------------------------------------------


def quiet(_what: str, _table: str, _done: int, _total: int) -> None:
    """Ignore the progress."""


async def test_an_installation_that_was_moved_lacks_nothing(
    database_path: Path, tmp_path: Path
) -> None:
    async with running(database_path) as store:
        await furnish(store)
        before = await states(store)
    target = tmp_path / "moved.db"
    await copy(database_path, target, quiet)
    for _ in range(2):
        async with running(target) as store:
            await check_untouched(store, before)


async def test_one_that_is_opened_again_takes_its_copy_for_further(
    database_path: Path, tmp_path: Path
) -> None:
    async with running(database_path) as store:
        await furnish(store)
        before = await states(store)
    await copy(database_path, tmp_path / "moved.db", quiet)
    await reopen(database_path)
    async with running(database_path) as store:
        await check_restored(store, before)
