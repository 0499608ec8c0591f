"""Time that passes for the running loop's timers alone, so that a test need not wait for it."""

import asyncio

ITERATIONS = 100


def jump(seconds: float) -> None:
    """Let `seconds` pass for the running loop's timers, now. A test's loop is its own.

    So a time limit may be long enough for any machine, however busy, and yet be reached at once.
    """
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign] # the clock is the point


async def others_go_on() -> None:
    """Wait until the tasks of this loop have done what they can do without the clock.

    What was written on loopback is read by then, and whose time is up has given up.
    """
    for _ in range(ITERATIONS):
        await asyncio.sleep(0)
