"""The audit trail: who changed what."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from pydantic.alias_generators import to_camel

from reelhook.domain.audit import Action, AuditEntry
from reelhook.domain.caller import Scope
from reelhook.domain.event import iso
from reelhook.doors.context import ContextOf
from reelhook.doors.fields import Schema, Text, Time, instant
from reelhook.doors.policy import KeyRoute, needs
from reelhook.gateway import AuditFilter

router = APIRouter(tags=["operations"], route_class=KeyRoute)
ENTRY_ID_MAX = 2**63 - 1


class AuditEntryResponse(Schema):
    """One change."""

    id: int
    at: str
    project: str | None = Field(description="null: it concerns the whole installation")
    actor: str = Field(
        description="operator, operator_proof (a command that can read the database), key, or "
        "provider (a webhook that a provider sent)"
    )
    key_id: str | None
    key_name: str | None
    address: str | None = Field(
        description="The client's address; local: the program that reelhook is embedded in"
    )
    action: str
    target: str = Field(description="The id of what was changed")
    before: dict[str, Any] | None = Field(description="The fields that differ, without secrets")
    after: dict[str, Any] | None


class AuditResponse(Schema):
    """A page of the audit trail, newest first."""

    entries: list[AuditEntryResponse]
    next_cursor: int | None


@router.get("/api/audit", summary="Who changed what, newest first")
@needs(Scope.ADMIN)
async def audit(
    context: ContextOf,
    action: Action | None = None,
    target: Annotated[Text | None, Query(description="The id of what was changed")] = None,
    since: Annotated[Time | None, Query(description="Changes since then")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[int | None, Query(ge=1, le=ENTRY_ID_MAX)] = None,
) -> AuditResponse:
    """Return a page of changes; `nextCursor` leads to the next one."""
    wanted = AuditFilter(
        action=action, target=target, since=None if since is None else instant(since, "since")
    )
    page = await context.gateway.audit.page(context.caller, wanted, limit, cursor)
    return AuditResponse(
        entries=[_response(number, entry) for number, entry in page.entries],
        next_cursor=page.next_cursor,
    )


def _response(number: int, entry: AuditEntry) -> AuditEntryResponse:
    return AuditEntryResponse(
        id=number,
        at=iso(entry.at),
        project=entry.project,
        actor=entry.actor.value,
        key_id=entry.key_id,
        key_name=entry.key_name,
        address=entry.address,
        action=entry.action.value,
        target=entry.target,
        before=None if entry.before is None else _named(entry.before),
        after=None if entry.after is None else _named(entry.after),
    )


def _named(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts with the names that the API has for them."""
    return {_name(name): value for name, value in facts.items()}


def _name(name: str) -> str:
    field, dot, rest = name.partition(".")  # the rest is a unit, or a header's name
    return to_camel(field) + dot + (_name(rest) if field == "raised" else rest)
