"""The sentences of errors on pages, where the remedy is something to click."""

from collections.abc import Mapping

from reelhook.domain.errors import InvalidRequestError, ReelhookError
from reelhook.domain.event import maybe_iso
from reelhook.domain.over_budget import OverBudgetError
from reelhook.doors.error_messages import http_message
from reelhook.doors.request_messages import request_message

_SENTENCES: Mapping[str, str] = {
    # By `problem`, or by `code` if there is none.
    "not_cancelable": "{message} Stop watching it if you don't need it.",
    "endpoint_not_found": "{message}",
    "project_not_found": "{message}",
    "delivery_not_found": "{message}",
    "key_not_found": "{message}",
    "key_ended": "{message} below",
    "unknown_endpoint": "{message}",
    "unknown_event": "{message}",
    "unknown_cursor": "This page of the list no longer exists; begin at the first one",
    "not_in_doubt": "{message}",
    "budget_not_set": "{message} first",
    "still_in_doubt": "{message}: adopt or abandon it",
    "acceptance_unknown": (
        "The database did not say whether it kept this, so it may have been done. "
        "Look at this page before you do it again."
    ),
}


def page_message(error: ReelhookError) -> str:
    """Return the sentence about an error of an action."""
    if isinstance(error, InvalidRequestError):
        return request_message(error, {}, {}) or error.message
    if isinstance(error, OverBudgetError):
        error.facts |= {"resets_at": maybe_iso(error.resets_at)}
    template = _SENTENCES.get(error.problem or error.code)
    if template is None:
        return http_message(error)
    return template.format(message=error.message)
