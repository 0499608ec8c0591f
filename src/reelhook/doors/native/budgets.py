"""Budgets: the limits of projects and keys, and their use."""

from fastapi import APIRouter

from reelhook.domain.caller import Scope
from reelhook.doors.context import Context, ContextOf
from reelhook.doors.native.budget_schemas import (
    BudgetBody,
    BudgetResponse,
    RaiseBody,
    budget_response,
)
from reelhook.doors.policy import KeyRoute, needs
from reelhook.gateway import BudgetStatus

router = APIRouter(prefix="/api", tags=["budgets"], route_class=KeyRoute)


@router.get("/projects/{project_id}/budgets", summary="Read a project's budget")
@needs(Scope.READ)
async def read_project(project_id: str, context: ContextOf) -> BudgetResponse:
    """Return the limits of a project, and what its jobs have reserved and spent."""
    budgets = context.gateway.budgets
    return _response(context, await budgets.of_project(context.caller, project_id))


@router.put("/projects/{project_id}/budgets", summary="Set a project's budget")
@needs(Scope.OPERATOR)
async def set_project(project_id: str, context: ContextOf, body: BudgetBody) -> BudgetResponse:
    """Replace the limits of a project, and end a raise. The first limits count the jobs of this day
    and month that are stored. Limits below what is in use are kept: `over` shows them.
    """
    budgets = context.gateway.budgets
    return _response(context, await budgets.set_project(context.caller, project_id, body.limits()))


@router.post("/projects/{project_id}/budgets/raise", summary="Raise a project's budget for a while")
@needs(Scope.OPERATOR)
async def raise_project(project_id: str, context: ContextOf, body: RaiseBody) -> BudgetResponse:
    """Let a project have higher limits until then. Setting its budget ends the raise."""
    raised = await context.gateway.budgets.raise_project(
        context.caller, project_id, body.limits(), body.instant
    )
    return _response(context, raised)


@router.get("/keys/{key_id}/budgets", summary="Read a key's budget")
@needs(Scope.READ)
async def read_key(key_id: str, context: ContextOf) -> BudgetResponse:
    """Return the limits of a key, and what its jobs have reserved and spent."""
    budgets = context.gateway.budgets
    return _response(context, await budgets.of_key(context.caller, key_id))


@router.put("/keys/{key_id}/budgets", summary="Set a key's budget")
@needs(Scope.ADMIN)
async def set_key(key_id: str, context: ContextOf, body: BudgetBody) -> BudgetResponse:
    """Replace the limits of a key, and end a raise. The project's budget holds as well."""
    budgets = context.gateway.budgets
    return _response(context, await budgets.set_key(context.caller, key_id, body.limits()))


@router.post("/keys/{key_id}/budgets/raise", summary="Raise a key's budget for a while")
@needs(Scope.ADMIN)
async def raise_key(key_id: str, context: ContextOf, body: RaiseBody) -> BudgetResponse:
    """Let a key have higher limits until then. Setting its budget ends the raise."""
    raised = await context.gateway.budgets.raise_key(
        context.caller, key_id, body.limits(), body.instant
    )
    return _response(context, raised)


def _response(context: Context, status: BudgetStatus) -> BudgetResponse:
    return budget_response(status, context.options.clock.now())
