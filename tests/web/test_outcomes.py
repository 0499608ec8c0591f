"""A form counts once, and a form that failed may be sent again."""

import asyncio

import pytest

from reelhook.domain.errors import StoreError
from reelhook.doors.web.actions import Done, Outcomes, Result

KEY = ("session", "mark")


class Work:
    """An action that raises each of these errors once, before it is carried out."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors, self.done = list(errors), 0

    async def __call__(self) -> Result:
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop(0)
        self.done += 1
        return Done(f"/{self.done}")


@pytest.mark.parametrize("error", [StoreError("away"), ZeroDivisionError()])
async def test_a_form_that_failed_is_carried_out_when_it_is_sent_again(error: Exception) -> None:
    outcomes, work = Outcomes(), Work(error)
    with pytest.raises(type(error)):
        await outcomes.once(KEY, work)
    assert await outcomes.once(KEY, work) == Done("/1")
    assert await outcomes.once(KEY, work) == Done("/1")
    assert work.done == 1


async def test_a_form_whose_sender_left_counts_once() -> None:
    outcomes, work = Outcomes(), Work()
    first = asyncio.ensure_future(outcomes.once(KEY, work))
    await asyncio.sleep(0)
    first.cancel()
    assert await outcomes.once(KEY, work) == Done("/1")
    assert work.done == 1


async def test_a_failed_form_whose_sender_left_is_forgotten_too() -> None:
    outcomes, work = Outcomes(), Work(ZeroDivisionError())
    first = asyncio.ensure_future(outcomes.once(KEY, work))
    await asyncio.sleep(0)
    first.cancel()
    while outcomes.results:  # noqa: ASYNC110 - no event says so
        await asyncio.sleep(0)
    assert await outcomes.once(KEY, work) == Done("/1")
