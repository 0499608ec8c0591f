"""Refusals by budgets as JSON: 402 for money, 429 with `Retry-After` where waiting helps."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic.alias_generators import to_camel

from reelhook.domain.errors import Fact
from reelhook.domain.event import maybe_iso
from reelhook.domain.over_budget import BudgetError, JobLimitError, OverBudgetError
from reelhook.doors.error_messages import http_message
from reelhook.doors.errors import error_response


def install_budget_errors(app: FastAPI) -> None:
    """Turn refusals by budgets into responses."""

    @app.exception_handler(BudgetError)
    async def _refused(_: Request, error: BudgetError) -> JSONResponse:
        if not isinstance(error, OverBudgetError):
            message = http_message(error)
            return error_response(
                402, message, error.code, problem=error.problem, facts=error.facts
            )
        error.facts |= {"budget": to_camel(error.kind), "resets_at": maybe_iso(error.resets_at)}
        named = ("budget", "limit", "used", "resets_at", "owner", "unit", "needed")
        facts: dict[str, Fact] = {name: error.facts[name] for name in named}
        if not isinstance(error, JobLimitError):
            return error_response(402, http_message(error), error.code, facts=facts)
        headers = {"Retry-After": str(error.wait_seconds)}
        return error_response(429, http_message(error), error.code, facts=facts, headers=headers)
