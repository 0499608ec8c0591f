"""One range of a file's bytes, as a `Range` header names it (RFC 9110, 14.2)."""

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Range:
    """One range of bytes: from `start` to `end`, or to the file's end; or its last `suffix`."""

    start: int = 0
    end: int | None = None
    suffix: int | None = None

    @classmethod
    def read(cls, header: str | None) -> "Range | None":
        """Return the range that a request asks for; None for the whole file.

        Several ranges, or another unit, may be ignored (RFC 9110, 14.2): then it is the whole file.
        """
        match = _ONE_RANGE.fullmatch(header.strip()) if header else None
        if match is None:
            return None
        start, end, suffix = (None if text is None else int(text) for text in match.groups())
        if start is None:
            return cls(suffix=suffix)
        return None if end is not None and end < start else cls(start, end)

    def __str__(self) -> str:
        """Return the range as the value of a `Range` header."""
        if self.suffix is not None:
            return f"bytes=-{self.suffix}"
        return f"bytes={self.start}-{'' if self.end is None else self.end}"

    def within(self, total: int) -> tuple[int, int] | None:
        """Return its first and last byte in a file of this length; None if it has none."""
        if self.suffix is not None:
            return (max(total - self.suffix, 0), total - 1) if self.suffix and total else None
        if self.start >= total:
            return None
        return self.start, total - 1 if self.end is None else min(self.end, total - 1)

    def includes(self, start: int, end: int, total: int | None) -> bool:
        """Return True if these bytes are the range, or its beginning."""
        if self.suffix is not None:
            return total is None or start == max(total - self.suffix, 0)
        return start == self.start and (self.end is None or end <= self.end)
