"""From a provider's error response to its message and our stable error code.

The message and the provider's code are read before the HTTP status, which providers choose freely:
an empty account is refused with 400, 402, 403 or 429, a prompt with 400, 403 or 451.
"""

from reelhook.domain.errors import AccountEmptyError, ProviderError, ProviderUnauthorizedError
from reelhook.domain.report import Failed, RateLimited, Refused
from reelhook.providers.http.error_marks import (
    BUSY,
    MARKS,
    NOT_TEMPORARY,
    STATUS_CODES,
    UNAUTHORIZED,
    WEAK_MARKS,
)
from reelhook.providers.http.error_text import (
    MESSAGE_CHARACTERS_MAX,
    codes_in,
    http_status_in,
    message_in,
)
from reelhook.providers.http.html_text import visible_text
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.http.retry_after import wait_seconds

NO_REASON = "The provider gave no reason."
TEXT_CHARACTERS_MAX = 500

_ACCOUNT = frozenset({401, 403})
"""Statuses about the account, unless the message is about something else."""
_UNREACHABLE = frozenset({408, 425, 429})
"""Statuses below 502 that say nothing about the requested job."""


def refusal_from(response: ProviderResponse, now: float) -> Refused | RateLimited:
    """Return why a create was refused (a 4xx), or how long to wait. `now`: Unix seconds.

    A 429 is temporary, even for an exhausted quota, since quotas are renewed. It is not if its code
    or message says that someone must pay or raise a limit.
    """
    message, code = error_message(response), _code_of(response)
    if response.status == 429 and not NOT_TEMPORARY.matches(codes_in(response.json()), message):
        code = BUSY
    if code == BUSY:
        return RateLimited(wait_seconds(response.headers, response.json(), message, now), message)
    is_about_account = response.status in _ACCOUNT and code in {"quota", UNAUTHORIZED}
    return Refused(
        "invalid_request" if code == "expired" else code,
        message,
        unauthorized=is_about_account or code == UNAUTHORIZED,
    )


def failure_from(error: object) -> Failed:
    """Return why a job failed, from its `error`: an object, a sentence, a code, or nothing."""
    fields = error if isinstance(error, dict) else {_field_for(error): error}
    message = _clean(
        message_in(error) or message_in(fields.get("code")) or NO_REASON, MESSAGE_CHARACTERS_MAX
    )
    code = _code(codes_in(fields), message)
    code = code or STATUS_CODES.get(http_status_in(fields), "provider_error")
    if code in {UNAUTHORIZED, BUSY}:  # between the provider and a server that it uses itself
        code = "provider_error"
    return Failed(code, message or NO_REASON)


def failure_message(error: object, default: str) -> str:
    """Return the message of a failed job's `error`, or the default if it has none."""
    message = failure_from(error).message
    return default if message == NO_REASON else message


def _field_for(error: object) -> str:
    """Return the field for a bare text: one word is a code, several are a message."""
    return "message" if isinstance(error, str) and " " in error.strip() else "code"


def read_error(response: ProviderResponse, now: float) -> ProviderError:
    """Return the exception for a read that was refused. `now` is in Unix seconds."""
    message, code = error_message(response), _code_of(response)
    if code == UNAUTHORIZED:
        return ProviderUnauthorizedError(message)
    if code == "quota" and response.status in {*_ACCOUNT, 402}:
        return AccountEmptyError(message)
    return ProviderError(
        f"HTTP {response.status}: {message}",
        retry_after_seconds=wait_seconds(response.headers, response.json(), message, now),
        unreachable=code == BUSY or response.status in _UNREACHABLE or response.status >= 502,
    )


def not_understood(response: ProviderResponse, expected: str) -> ProviderError:
    """Return the exception for a 2xx without the `expected` content, such as "a task"."""
    return ProviderError(
        f"HTTP {response.status}, but the response is not {expected}: {error_message(response)}"
    )


def error_message(response: ProviderResponse) -> str:
    """Return the provider's own message, else the start of the body's text, else the status."""
    message = _clean(message_in(response.json()) or "", MESSAGE_CHARACTERS_MAX)
    message = message or _clean(visible_text(response.text()), TEXT_CHARACTERS_MAX)
    return message or f"HTTP {response.status}"


def _code_of(response: ProviderResponse) -> str:
    """Return our code for a refusal: by the provider's codes and message, then by the status."""
    body = response.json()
    code = _code(codes_in(body), error_message(response), weak=response.status not in _ACCOUNT)
    if code is not None:
        return code
    if response.status in _ACCOUNT:
        return UNAUTHORIZED
    return STATUS_CODES.get(response.status, "invalid_request")


def _code(codes: tuple[str, ...], message: str, *, weak: bool = True) -> str | None:
    marks = (*MARKS, *WEAK_MARKS) if weak else MARKS
    return next((mark.code for mark in marks if mark.matches(codes, message)), None)


def _clean(text: str, characters_max: int) -> str:
    """Keep only text that every database and JSON writer accepts: no NUL, no lone surrogate."""
    shortened = text.replace("\0", "").strip()[:characters_max]
    return shortened.encode(errors="replace").decode()
