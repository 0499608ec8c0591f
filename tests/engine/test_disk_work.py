"""Work on a disk that is slow: the loop goes on, and a cancellation leaves no file open."""

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from engine_stage import until
from image_hosts import fetcher, image_host

from reelhook.core.disk_threads import DiskThreads
from reelhook.core.offload import open_on_disk
from reelhook.engine.archive.local_copy import write_all
from reelhook.engine.archive.spool import THREADS, Spool
from reelhook.objects.store import ObstoreObjects


def open_files(folder: Path) -> list[str]:
    """Return the files below a folder that this process has open."""
    found: list[str] = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue
    return [path for path in found if path.startswith(str(folder))]


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task. Nothing that it waits for holds it up."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_is_opened_too_late_is_closed() -> None:
    gate, begun, closed = threading.Event(), threading.Event(), list[int]()

    def opens() -> int:
        begun.set()
        gate.wait()
        return 7

    task = asyncio.create_task(open_on_disk(opens, closed.append))
    await asyncio.to_thread(begun.wait)
    await cancelled(task)
    assert closed == []
    gate.set()
    await until(lambda: closed == [7])
    assert await open_on_disk(lambda: 8, closed.append) == 8
    assert closed == [7]


async def test_a_fetch_that_is_cancelled_while_its_file_is_opened_leaves_none_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun, opened = threading.Event(), threading.Event(), tempfile.TemporaryFile

    def slowly(**options: Any) -> Any:
        begun.set()
        gate.wait()
        return opened(**options)

    monkeypatch.setattr(tempfile, "TemporaryFile", slowly)
    async with image_host() as host, fetcher(tmp_path) as fetch:

        async def fetched() -> None:
            async with fetch.fetch(host.url, "image"):
                pass

        task = asyncio.create_task(fetched())
        await asyncio.to_thread(begun.wait)  # so the loop goes on meanwhile
        await cancelled(task)
        gate.set()
        await until(lambda: not open_files(tmp_path))


async def test_a_spooled_file_whose_opening_was_cancelled_can_be_opened_again(
    tmp_path: Path,
) -> None:
    """Its lock would keep everybody out for as long as this process lives."""
    spool, gate = Spool(tmp_path), threading.Event()
    taken = [asyncio.create_task(spool.run(gate.wait)) for _ in range(THREADS)]

    async def opened() -> None:
        async with spool.open("job_1"):
            pass

    task = asyncio.create_task(opened())
    await asyncio.sleep(0)
    await cancelled(task)
    gate.set()
    await asyncio.gather(*taken)
    await until(lambda: (tmp_path / "job_1.part").exists() and not open_files(tmp_path))
    await opened()
    spool.close()


async def test_a_write_that_is_cancelled_has_ended_before_its_file_is_closed(
    tmp_path: Path,
) -> None:
    """Else its bytes could go into another file, which has got the descriptor."""
    path, size = tmp_path / "slow", 1024 * 1024
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(size)

    task = asyncio.create_task(write_all(path, chunks()))
    read = len(await until(partial(some_of, reader)))
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert open_files(tmp_path) == [str(path)] * 2
    while read < size:
        read += len(await until(partial(some_of, reader)))
    with pytest.raises(asyncio.CancelledError):
        await task
    os.close(reader)
    assert open_files(tmp_path) == []


async def test_a_stored_file_whose_opening_was_cancelled_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "slow"
    os.mkfifo(path)  # it opens once both ends are there
    read = partial(first_chunk, ObstoreObjects(tmp_path.as_uri()))
    task = asyncio.create_task(read("slow"))
    await asyncio.sleep(0)
    await cancelled(task)
    os.close(os.open(path, os.O_WRONLY))
    await until(lambda: not open_files(tmp_path))


async def test_downloads_from_a_disk_that_hangs_hold_up_no_other_work(tmp_path: Path) -> None:
    objects = ObstoreObjects(tmp_path.as_uri())
    names = [f"slow-{number}" for number in range(40)]
    for name in names:
        os.mkfifo(tmp_path / name)
    tasks = [asyncio.create_task(first_chunk(objects, name)) for name in names]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        assert await asyncio.to_thread(lambda: "done") == "done"
    for task in tasks:
        await cancelled(task)
    ends = [os.open(tmp_path / name, os.O_RDWR | os.O_NONBLOCK) for name in names]
    await until(lambda: len(open_files(tmp_path)) == len(names))
    for end in ends:
        os.close(end)


async def first_chunk(objects: ObstoreObjects, key: str) -> bytes:
    async with objects.open(key) as found:
        return await anext(found.chunks)


def some_of(reader: int) -> bytes:
    """Return bytes that are in a pipe; none if it is empty."""
    try:
        return os.read(reader, 64 * 1024)
    except BlockingIOError:
        return b""


def test_a_disk_that_hangs_keeps_no_process_from_ending(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "slow")
    program = (
        "import sys\n"
        "from reelhook.core.disk_threads import DiskThreads\n"
        "threads = DiskThreads(1, 'disk')\n"
        "threads.submit(open, sys.argv[1])\n"
        "print('ends')\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "slow")]
    ended = subprocess.run(command, capture_output=True, timeout=30, check=True)
    assert ended.stdout == b"ends\n"


def test_threads_are_started_up_to_their_number_and_end_with_their_owner() -> None:
    threads, gate = DiskThreads(3, "one-disk"), threading.Event()
    results = [threads.submit(gate.wait) for _ in range(5)]
    assert alive("one-disk") == 3
    gate.set()
    assert all(one.result(timeout=10) for one in results)
    for _ in range(20):
        assert threads.submit(lambda: 7).result(timeout=10) == 7
    with pytest.raises(ValueError, match="seven"):
        threads.submit(int, "seven").result(timeout=10)
    assert alive("one-disk") == 3
    threads.shutdown()
    with pytest.raises(RuntimeError):
        threads.submit(lambda: 7)
    end = time.monotonic() + 10
    while alive("one-disk") and time.monotonic() < end:
        time.sleep(0.01)
    assert alive("one-disk") == 0


def alive(name: str) -> int:
    return sum(one.name.startswith(name) for one in threading.enumerate())
