"""What a provider says against a request or a job: its words, and our stable code for them."""

import re
from collections.abc import Mapping

from reelhook.domain.errors import ProviderError, ProviderUnauthorizedError
from reelhook.domain.report import Failed, Refused
from reelhook.providers.answer import Answer
from reelhook.providers.page import plain
from reelhook.providers.waiting import retry_after_seconds

NO_REASON = "The provider gave no reason."
WORDS_CHARACTERS_MAX = 2000
TEXT_CHARACTERS_MAX = 500
_DEPTH_MAX = 4
_ITEMS_MAX = 10

_BY_NAME = (  # searched in a provider's own code and type, letters only
    (
        "moderation",
        (
            "moderation",
            "contentpolicy",
            "contentfilter",
            "safety",
            "responsibleai",
            "sensitivecontent",  # Ark
        ),
    ),
    ("quota", ("quota", "billing", "insufficientbalance", "insufficientcredit", "paymentrequired")),
    ("expired", ("expired",)),
    ("invalid_request", ("invalid",)),
)
_BY_STATUS = {400: "invalid_request", 402: "quota", 413: "invalid_request", 422: "invalid_request"}
_UNREACHABLE = frozenset({408, 425, 429})
"""Statuses below 502 that say nothing about the job that was asked for."""
_MODERATED = re.compile(
    r"moderation (?:system|filter|check)|content[ _-]polic"
    r"|safety (?:system|filter|polic)|usage (?:polic|guideline)",
    re.IGNORECASE,
)


def refused(answer: Answer) -> Refused:
    """Return why a create was refused for good (a 4xx)."""
    error = _error(answer.fields())
    message = words(answer)
    if answer.status in {401, 403}:
        return Refused("provider_unauthorized", message, unauthorized=True)
    code = "quota" if answer.status == 402 else _code(error, message, "invalid_request")
    return Refused("invalid_request" if code == "expired" else code, message)


def failed(error: object) -> Failed:
    """Return why a job failed, from its `error`: an object, only words, a code, or nothing."""
    fields = error if isinstance(error, dict) else {"code": error}
    message = _clean(
        _sentence(error) or _sentence(fields.get("code")) or NO_REASON, WORDS_CHARACTERS_MAX
    )
    return Failed(_code(fields, message, "provider_error"), message or NO_REASON)


def unread(answer: Answer, now: float) -> ProviderError:
    """Return the error of a read that was refused. `now` is in Unix seconds."""
    message = words(answer)
    if answer.status in {401, 403}:
        return ProviderUnauthorizedError(message)
    wait = retry_after_seconds(answer.headers, now)
    unreachable = answer.status in _UNREACHABLE or answer.status >= 502
    return ProviderError(
        f"HTTP {answer.status}: {message}", retry_after_seconds=wait, unreachable=unreachable
    )


def words(answer: Answer) -> str:
    """Return the provider's own words, else the start of the body's text, else the status.

    Words are looked for as OpenAI (`error.message`) and FastAPI (`detail`, a text or a list) say
    them, and in a bare `message`.
    """
    said = _clean(_sentence(answer.json()) or "", WORDS_CHARACTERS_MAX)
    return said or _clean(plain(answer.text()), TEXT_CHARACTERS_MAX) or f"HTTP {answer.status}"


def _error(fields: Mapping[str, object]) -> Mapping[str, object]:
    error = fields.get("error")
    return error if isinstance(error, Mapping) else fields


def _code(error: Mapping[str, object], message: str, default: str) -> str:
    given = [error.get("code"), error.get("type")]
    names = ["".join(filter(str.isalpha, name.lower())) for name in given if isinstance(name, str)]
    for code, marks in _BY_NAME[:-1]:
        if any(mark in name for name in names for mark in marks):
            return code
    if _MODERATED.search(message):
        return "moderation"
    code, marks = _BY_NAME[-1]
    if any(mark in name for name in names for mark in marks):
        return code
    return _BY_STATUS.get(_status(given[0]), default)


def _status(code: object) -> int:
    """Read a code that is an HTTP status, as vLLM-Omni's are."""
    if isinstance(code, str) and code.isascii() and code.isdecimal() and len(code) == 3:
        return int(code)
    return code if isinstance(code, int) else 0


def _sentence(said: object, depth: int = 0) -> str | None:
    if depth > _DEPTH_MAX:
        return None
    match said:
        case str():
            return said.strip() or None
        case list():
            parts = [_sentence(one, depth + 1) for one in said[:_ITEMS_MAX]]
            return "; ".join(filter(None, parts)) or None
        case {"loc": list(place), "msg": str(problem)}:  # one line of FastAPI's `detail`
            return ".".join(one for one in place if isinstance(one, str)) + f": {problem}"
        case {"error": dict() | list() as error} if inner := _sentence(error, depth + 1):
            return inner
        case dict():
            keys = ("message", "detail", "msg", "error", "reason", "title")
            parts = [_sentence(said.get(key), depth + 1) for key in keys]
            return next(filter(None, parts), None)
        case _:
            return None


def _clean(text: str, characters_max: int) -> str:
    """Keep what every database and every JSON writer takes: no NUL, no lone surrogate."""
    kept = text.replace("\0", "").strip()[:characters_max]
    return kept.encode(errors="replace").decode()
