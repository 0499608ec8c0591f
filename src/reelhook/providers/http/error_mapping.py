"""What a provider says against a request or a job: its words, and our stable code for them.

Its words and its own code are read before the HTTP status, since statuses are given out freely: an
empty account is refused with 400, 402, 403 or 429, a prompt with 400, 403 or 451.
"""

from reelhook.domain.errors import AccountEmptyError, ProviderError, ProviderUnauthorizedError
from reelhook.domain.report import Failed, RateLimited, Refused
from reelhook.providers.http.error_marks import (
    BUSY,
    MARKS,
    NEVER_PASSES,
    STATUS_CODES,
    UNAUTHORIZED,
    WEAK_MARKS,
)
from reelhook.providers.http.error_text import SENTENCE_CHARACTERS_MAX, names, sentence, status
from reelhook.providers.http.html_text import plain
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.http.retry_after import wait_seconds

NO_REASON = "The provider gave no reason."
TEXT_CHARACTERS_MAX = 500

_ACCOUNT = frozenset({401, 403})
"""Statuses that speak of the account, unless the words speak of something else."""
_UNREACHABLE = frozenset({408, 425, 429})
"""Statuses below 502 that say nothing about the job that was asked for."""


def refused(answer: ProviderResponse, now: float) -> Refused | RateLimited:
    """Return what a create was refused for (a 4xx), or how long to wait. `now`: Unix seconds.

    A 429 whose code and words don't say otherwise is a matter of time, an exhausted quota too:
    quotas are renewed.
    """
    message, code = words(answer), _code_of(answer)
    if answer.status == 429 and not NEVER_PASSES.fits(names(answer.json()), message):
        code = BUSY
    if code == BUSY:
        return RateLimited(wait_seconds(answer.headers, answer.json(), message, now), message)
    speaks_of_account = answer.status in _ACCOUNT and code in {"quota", UNAUTHORIZED}
    return Refused(
        "invalid_request" if code == "expired" else code,
        message,
        unauthorized=speaks_of_account or code == UNAUTHORIZED,
    )


def failed(error: object) -> Failed:
    """Return why a job failed, from its `error`: an object, only words, a code, or nothing."""
    fields = error if isinstance(error, dict) else {_place(error): error}
    message = _clean(
        sentence(error) or sentence(fields.get("code")) or NO_REASON, SENTENCE_CHARACTERS_MAX
    )
    code = _code(names(fields), message) or STATUS_CODES.get(status(fields), "provider_error")
    if code in {UNAUTHORIZED, BUSY}:  # that is between the provider and whom it asks itself
        code = "provider_error"
    return Failed(code, message or NO_REASON)


def _place(error: object) -> str:
    """Return where an error belongs that is no object: a word is a code, more are a sentence."""
    return "message" if isinstance(error, str) and " " in error.strip() else "code"


def unread(answer: ProviderResponse, now: float) -> ProviderError:
    """Return the error of a read that was refused. `now` is in Unix seconds."""
    message, code = words(answer), _code_of(answer)
    if code == UNAUTHORIZED:
        return ProviderUnauthorizedError(message)
    if code == "quota" and answer.status in {*_ACCOUNT, 402}:
        return AccountEmptyError(message)
    return ProviderError(
        f"HTTP {answer.status}: {message}",
        retry_after_seconds=wait_seconds(answer.headers, answer.json(), message, now),
        unreachable=code == BUSY or answer.status in _UNREACHABLE or answer.status >= 502,
    )


def not_understood(answer: ProviderResponse, expected: str) -> ProviderError:
    """Return the error of a read whose 2xx is not what was `expected`, such as "a task"."""
    return ProviderError(
        f"HTTP {answer.status}, but the response is not {expected}: {words(answer)}"
    )


def words(answer: ProviderResponse) -> str:
    """Return the provider's own words, else the start of the body's text, else the status."""
    said = _clean(sentence(answer.json()) or "", SENTENCE_CHARACTERS_MAX)
    return said or _clean(plain(answer.text()), TEXT_CHARACTERS_MAX) or f"HTTP {answer.status}"


def _code_of(answer: ProviderResponse) -> str:
    """Return our code for a refusal: by the provider's names and words, then by the status."""
    body = answer.json()
    code = _code(names(body), words(answer), weak=answer.status not in _ACCOUNT)
    if code is not None:
        return code
    if answer.status in _ACCOUNT:
        return UNAUTHORIZED
    return STATUS_CODES.get(answer.status, "invalid_request")


def _code(names: tuple[str, ...], message: str, *, weak: bool = True) -> str | None:
    marks = (*MARKS, *WEAK_MARKS) if weak else MARKS
    return next((mark.code for mark in marks if mark.fits(names, message)), None)


def _clean(text: str, characters_max: int) -> str:
    """Keep what every database and every JSON writer takes: no NUL, no lone surrogate."""
    kept = text.replace("\0", "").strip()[:characters_max]
    return kept.encode(errors="replace").decode()
