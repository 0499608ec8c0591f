"""Receivers that refuse 30 % of all requests, seeded: order, one ending each, nothing piles up."""

from pathlib import Path

import pytest
from engine_refusals import run

pytestmark = pytest.mark.long


@pytest.mark.parametrize(("jobs", "steps", "endpoints"), [(300, 10, 15), (40, 40, 1)])
async def test_order_and_endings_hold_and_nothing_piles_up(
    tmp_path: Path, jobs: int, steps: int, endpoints: int
) -> None:
    seen = await run(tmp_path, jobs, steps, endpoints=endpoints)

    assert 0.25 < seen.refused / seen.requests < 0.35
    assert seen.falls == 0
    assert seen.endings == [1] * jobs
    assert seen.in_flight_max == 1
    assert seen.waiting_max <= 2
    assert seen.unexplained == 0
    assert seen.left == 0
