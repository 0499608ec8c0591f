"""Blocking work is interrupted when its caller is canceled."""

import asyncio
import sqlite3
import threading

import pytest

from reelhook.storage.sqlite import interruptible as interrupting
from reelhook.storage.sqlite.interruptible import Interrupt, interruptible

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


async def test_what_work_returns_or_raises_arrives() -> None:
    def fails(_: Interrupt) -> None:
        raise ValueError("no")

    assert await interruptible(lambda _: 7) == 7
    with pytest.raises(ValueError, match="no"):
        await interruptible(fails)


async def test_the_loop_goes_on_and_a_canceled_caller_ends_the_work() -> None:
    begun, ended = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def count(interrupt: Interrupt) -> None:
        connection = sqlite3.connect(":memory:")
        interrupt.by(connection.interrupt)
        loop.call_soon_threadsafe(begun.set)
        try:
            connection.execute(ENDLESS).fetchall()
        finally:
            connection.close()
            ended.set()

    task = asyncio.create_task(interruptible(count))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_work_that_no_interrupt_reaches_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interrupting, "END_SECONDS", 0.05)
    begun, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def wait(_: Interrupt) -> None:
        loop.call_soon_threadsafe(begun.set)
        may_end.wait()

    task = asyncio.create_task(interruptible(wait))
    await begun.wait()
    task.cancel()
    try:
        with pytest.raises(asyncio.CancelledError):
            await task
    finally:
        may_end.set()


def test_work_that_begins_to_listen_too_late_is_interrupted_at_once() -> None:
    interrupt, told = Interrupt(), []
    interrupt.stop()
    interrupt.by(lambda: told.append(True))
    assert told == [True]
