"""Refusals by budgets as JSON: 402 for money, 429 with `Retry-After` where waiting helps."""

from fastapi import FastAPI, Request
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from reelhook.domain.errors import Fact
from reelhook.domain.event import maybe_iso
from reelhook.domain.over_budget import BudgetError, JobLimitError, OverBudgetError
from reelhook.doors.error_form import ErrorForms, ErrorReply
from reelhook.doors.error_messages import http_message
from reelhook.doors.errors import error_reply


def install_budget_errors(app: FastAPI, forms: ErrorForms) -> None:
    """Turn refusals by budgets into responses."""

    @app.exception_handler(BudgetError)
    async def _refused(request: Request, error: BudgetError) -> Response:
        return forms.of(request.scope).respond(_reply(error))


def _reply(error: BudgetError) -> ErrorReply:
    if not isinstance(error, OverBudgetError):
        return error_reply(error, 402)
    error.facts |= {"budget": to_camel(error.kind), "resets_at": maybe_iso(error.resets_at)}
    named = ("budget", "limit", "used", "resets_at", "owner", "unit", "needed")
    facts: dict[str, Fact] = {name: error.facts[name] for name in named}
    message = http_message(error)
    if not isinstance(error, JobLimitError):
        return ErrorReply(402, message, error.code, facts=facts)
    headers = {"Retry-After": str(error.wait_seconds)}
    return ErrorReply(429, message, error.code, facts=facts, headers=headers)
