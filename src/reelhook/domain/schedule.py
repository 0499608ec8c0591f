"""The schedule of a webhook's retries."""

import re
from dataclasses import dataclass
from random import Random

from reelhook.domain.errors import SettingsError

SECOND, MINUTE, HOUR = 1, 60, 3600
JITTER_SHARE = 0.2
JITTER_SECONDS_MAX = 15 * MINUTE
RETRY_AFTER_SECONDS_MAX = 24 * HOUR
PROGRESS_ATTEMPTS_MAX = 2
WAIT_DAYS_MAX = 30
WAITS_MAX = 100

_WAIT = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_UNIT_SECONDS = {"ms": 0.001, "s": SECOND, "m": MINUTE, "h": HOUR, "d": 24 * HOUR, None: SECOND}


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """The waits, in seconds, after the first attempt, the second, and so on.

    There are at most `WAITS_MAX`, each of at most `WAIT_DAYS_MAX` days. Raises `SettingsError`.
    """

    waits_seconds: tuple[float, ...] = (
        5,
        30,
        2 * MINUTE,
        10 * MINUTE,
        30 * MINUTE,
        1 * HOUR,
        2 * HOUR,
        4 * HOUR,
        8 * HOUR,
        12 * HOUR,
        24 * HOUR,
        24 * HOUR,
    )

    def __post_init__(self) -> None:
        if len(self.waits_seconds) > WAITS_MAX:
            raise SettingsError(
                f"REELHOOK_RETRY_SCHEDULE has {len(self.waits_seconds)} waits; "
                f"write at most {WAITS_MAX}"
            )
        if not all(0 <= wait <= WAIT_DAYS_MAX * 24 * HOUR for wait in self.waits_seconds):
            raise SettingsError(
                "REELHOOK_RETRY_SCHEDULE has a wait that is not from 0 to "
                f"{WAIT_DAYS_MAX} days; write a shorter one"
            )

    @classmethod
    def parse(cls, text: str) -> "RetrySchedule":
        """Read `5s, 30s, 2m, 1h`; a bare number is in seconds, an empty text means no retry.

        Raises `SettingsError`.
        """
        waits = []
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            match = _WAIT.fullmatch(part)
            if not match:
                raise SettingsError(
                    f"REELHOOK_RETRY_SCHEDULE: {part!r} is not a wait; write them like 5s,30s,2m,1h"
                )
            waits.append(float(match[1]) * _UNIT_SECONDS[match[2]])
        return cls(tuple(waits))

    @property
    def longest_seconds(self) -> tuple[float, ...]:
        """The waits with the most jitter that they may get."""
        return tuple(
            wait + min(wait * JITTER_SHARE, JITTER_SECONDS_MAX) for wait in self.waits_seconds
        )

    def delay_after(
        self,
        attempt: int,
        *,
        progress: bool,
        retry_after_seconds: float | None,
        random: Random,
    ) -> float | None:
        """Return the seconds to wait after `attempt` (1, 2, …) failed, or None after the last one.

        Jitter and a receiver's `Retry-After` only lengthen a wait, so no retry is early.
        """
        if progress and attempt >= PROGRESS_ATTEMPTS_MAX:
            return None
        if attempt > len(self.waits_seconds):
            return None
        wait = self.waits_seconds[attempt - 1]
        wait += min(wait * JITTER_SHARE, JITTER_SECONDS_MAX) * random.random()
        return max(wait, min(retry_after_seconds or 0.0, RETRY_AFTER_SECONDS_MAX))
