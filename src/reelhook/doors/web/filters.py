"""The filter box of the jobs: `status:failed model:sora-2 age:>10m "a title"`.

A filter that can't be parsed is refused with the place of the mistake, so that the box can show it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from reelhook.domain.causes.cause import CauseName
from reelhook.domain.event import Instant
from reelhook.domain.job import Status
from reelhook.doors.web.forms import whole_number
from reelhook.gateway import ALL_JOBS, JobFilter

_WORD = re.compile(r"""\s*((?:"[^"]*"?|[^\s"])+)""")
_AGE = re.compile(r"([<>])=?(\d{1,6})(s|m|h|d)")
_UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_METADATA = "metadata."
NAMES = (
    *("status", "cause", "model", "account", "code", "age", "endpoint", "project", "external"),
    f"{_METADATA}NAME",
)
_DOUBT = "doubt"
CAUSES = tuple(name.value for name in CauseName if name.things is not None)
STATUSES = (*(status.value for status in Status), _DOUBT)
TEXT_MAX = 255


class FilterError(Exception):
    """A filter that can't be parsed: the mistake is between two places of the text."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end


@dataclass(frozen=True, slots=True)
class ParsedFilter:
    """A filter. `in_doubt`: only the jobs in doubt. `project` is an id or a name.

    `cause`: only the jobs that it holds up.
    """

    wanted: JobFilter = ALL_JOBS
    project: str | None = None
    in_doubt: bool = False
    cause: CauseName | None = None


class _Word(NamedTuple):
    """A word of the filter: its name (empty: plain text), its value, and its place."""

    name: str
    value: str
    start: int
    end: int

    def wrong(self, message: str) -> FilterError:
        return FilterError(message, self.start, self.end)


def parse_filter(text: str, now: Instant) -> ParsedFilter:
    """Return the filter of a text. Raises `FilterError`."""
    parsed, plain, seen = ParsedFilter(), list[_Word](), set[str]()
    for word in _words(text):
        if not word.name:
            plain.append(word)
            continue
        if word.name in seen and word.name != "age":
            raise word.wrong(f"{word.name} is given twice; a job has only one")
        seen.add(word.name)
        if not word.value:
            raise word.wrong(f"{word.name} needs a value, like {word.name}:{_example(word.name)}")
        parsed = _with(parsed, word, now)
    if plain:
        found = " ".join(word.value for word in plain)
        if len(found) > TEXT_MAX:
            raise FilterError(f"A text has at most {TEXT_MAX} characters", 0, len(text))
        parsed = replace(parsed, wanted=replace(parsed.wanted, text=found))
    if parsed.in_doubt and (parsed.wanted != ALL_JOBS or parsed.cause is not None):
        raise FilterError(f"status:{_DOUBT} can't be combined with others", 0, len(text))
    return parsed


def with_word(text: str, name: str, value: str | None) -> str:
    """Return a filter with another value of a name; None: without it."""
    others = [word for word in _quietly(text) if not word.startswith(f"{name}:")]
    return " ".join([*others, *([] if value is None else [f"{name}:{quoted(value)}"])])


def quoted(value: str) -> str:
    """Return a value as the filter needs it."""
    return f'"{value}"' if re.search(r'[\s"]', value) else value


def _quietly(text: str) -> list[str]:
    return [match[1] for match in _WORD.finditer(text)]


def _words(text: str) -> Iterator[_Word]:
    for match in _WORD.finditer(text):
        written, start, end = match[1], match.start(1), match.end(1)
        if written.count('"') % 2:
            quote = start + written.rindex('"')
            raise FilterError('The quotation mark " is not closed', quote, end)
        name, colon, value = written.partition(":")
        if not colon or written.startswith('"'):
            yield _Word("", written.replace('"', ""), start, end)
            continue
        word = _Word(name, value.replace('"', ""), start, end)
        if name not in NAMES and not name.startswith(_METADATA):
            known = ", ".join(NAMES)
            raise word.wrong(
                f'{name} is no filter; a text with a colon needs "…". Filters: {known}'
            )
        yield word


def _with(parsed: ParsedFilter, word: _Word, now: Instant) -> ParsedFilter:
    if word.name == "project":
        return replace(parsed, project=word.value)
    if word.name == "cause":
        if word.value not in CAUSES:
            raise word.wrong(f"{word.value} is no cause; they are {', '.join(CAUSES)}")
        return replace(parsed, cause=CauseName(word.value))
    if word.name == "status":
        if word.value not in STATUSES:
            raise word.wrong(f"{word.value} is no status; they are {', '.join(STATUSES)}")
        if word.value == _DOUBT:
            return replace(parsed, in_doubt=True)
    wanted = parsed.wanted
    if word.name.startswith(_METADATA):
        pair = (word.name.removeprefix(_METADATA), word.value)
        if not pair[0]:
            raise word.wrong("metadata needs a name, like metadata.customer:42")
        return replace(parsed, wanted=replace(wanted, metadata=(*wanted.metadata, pair)))
    if word.name == "age":
        return replace(parsed, wanted=_aged(wanted, word, now))
    return replace(parsed, wanted=_FIELDS[word.name](wanted, word.value))


def _aged(wanted: JobFilter, word: _Word, now: Instant) -> JobFilter:
    match = _AGE.fullmatch(word.value)
    if match is None:
        raise word.wrong("age is like >10m or <2h, in s, m, h or d")
    number = whole_number(match[2])
    at = -1 if number is None else now - number * _UNITS[match[3]]
    if at < 0:
        raise word.wrong("age must be a time after 1970")
    if match[1] == ">":
        return replace(wanted, created_before=at)
    return replace(wanted, created_after=at)


_FIELDS: Mapping[str, Callable[[JobFilter, str], JobFilter]] = {
    "status": lambda wanted, value: replace(wanted, status=Status(value)),
    "model": lambda wanted, value: replace(wanted, model=value),
    "account": lambda wanted, value: replace(wanted, account=value),
    "code": lambda wanted, value: replace(wanted, code=value),
    "endpoint": lambda wanted, value: replace(wanted, endpoint_id=value),
    "external": lambda wanted, value: replace(wanted, external_id=value),
}


def _example(name: str) -> str:
    examples = {"status": "failed", "age": ">10m", "model": "sora-2", "code": "moderation"}
    examples["cause"] = CauseName.PROVIDER_SLOW.value
    return examples.get(name, "…")
