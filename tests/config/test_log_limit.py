"""The same trouble of the database is told once a minute."""

import io
import json

import pytest
import structlog

from reelhook.telemetry import lines as logs
from reelhook.telemetry.log_limit import KINDS_MAX, DatabaseLines

FULL = "The database can't be written: the disk is full; free some space"


class Lines:
    def __init__(self) -> None:
        self.now = 0.0
        self._pass = DatabaseLines(lambda: self.now)

    def say(self, event: str, error: str = FULL, level: str = "warning", **more: str) -> int | None:
        """Return how many were left out before this line; None where it is left out itself."""
        try:
            line = self._pass(None, level, {"event": event, "error": error, **more})
        except structlog.DropEvent:
            return None
        return int(str(line.get("left_out", 0)))


def test_a_line_is_told_once_a_minute_with_what_was_left_out() -> None:
    lines = Lines()
    assert lines.say("job.unrecorded", job="a") == 0
    assert [lines.say("job.unrecorded", job="b") for _ in range(5)] == [None] * 5
    lines.now = 59.0
    assert lines.say("job.unrecorded") is None
    lines.now = 60.0
    assert lines.say("job.unrecorded") == 6
    assert lines.say("job.unrecorded") is None


def test_other_lines_other_troubles_and_errors_are_told() -> None:
    lines = Lines()
    for _ in range(2):
        assert lines.say("Webhook failed", error="connect") == 0
        assert lines.say("commit.unknown", level="error") == 0
    assert lines.say("loop.failed") == 0
    assert lines.say("loop.failed", error="The database can't be read: it is away") == 0
    assert lines.say("commit.cleared_up", outcome="written") == 0
    assert lines.say("commit.cleared_up", outcome="not written") == 0


def test_what_is_remembered_is_bounded() -> None:
    lines = Lines()
    assert [lines.say(f"event {number}") for number in range(3 * KINDS_MAX)] == [0] * 3 * KINDS_MAX
    assert len(lines._pass._last) <= KINDS_MAX


@pytest.mark.parametrize("verbose", [False, True])
def test_the_program_s_own_lines_are_limited(*, verbose: bool) -> None:
    stream = io.StringIO()
    logs.configure(verbose, stream, tty=False)
    try:
        for _ in range(3):
            structlog.get_logger().warning("job.unrecorded", error=FULL)
    finally:
        structlog.reset_defaults()
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == [
        "job.unrecorded"
    ]
