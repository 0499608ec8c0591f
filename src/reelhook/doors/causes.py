"""Causes as responses and pages show them: in words, with a remedy that the caller may use."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from reelhook.domain.caller import Caller, Scope
from reelhook.domain.causes.cause import Cause, HeldUp
from reelhook.domain.event import maybe_iso
from reelhook.doors.cause_sentences import WORDS, Sentences
from reelhook.doors.fields import Schema, is_absent

RUNBOOK = "docs/runbook.md"
_ASKED = {Scope.OPERATOR: "Ask the operator", Scope.ADMIN: "Ask an administrator of the project"}
_ASKED_OTHERS = "Ask somebody whose key may do this"


@dataclass(frozen=True, slots=True)
class CauseWords:
    """A cause in words. `command` and `action` are None if the caller may not use the remedy.

    `action` is the remedy's stable name, for a button.
    """

    message: str
    next: str
    remedy: str
    command: str | None
    action: str | None


class NextResponse(Schema):
    """The next thing that happens by itself."""

    message: str
    at: str | None = Field(description="Its time; null: not known, or nothing happens")


class RemedyResponse(Schema):
    """The action that ends a cause."""

    message: str
    command: str | None = Field(
        description="The command that does it; null: the caller's key may not do it"
    )
    action: str | None = Field(description="Its stable name; null: the caller's key may not do it")


class CauseResponse(Schema):
    """The reason why something is not done."""

    cause: str = Field(description=f"Stable, for programs; {RUNBOOK} has a section for each")
    message: str
    since: str | None = Field(description="Since when; null: not known")
    next: NextResponse
    remedy: RemedyResponse


class HeldUpResponse(CauseResponse):
    """A cause, and all that it holds up."""

    harm: str = Field(description="money, stopped, webhooks or slow: the worst comes first")
    things: str = Field(description="The kind of what it holds up: jobs, webhooks or files")
    count: int | None = Field(description="How many it holds up; null: not counted")
    more: bool = Field(description="true: it holds up more than `count`")
    jobs: list[str] = Field(description="The ids of some of the jobs")
    account: str | None = Field(None, exclude_if=is_absent, description="The account it is about")
    endpoint_id: str | None = Field(
        None, exclude_if=is_absent, description="The endpoint it is about"
    )


class AttentionResponse(Schema):
    """The causes that hold something up, the most harmful first; empty: all is well."""

    causes: list[HeldUpResponse]


MaybeCause = Annotated[
    CauseResponse | None,
    Field(exclude_if=is_absent, description="The cause that holds it up; absent if none does"),
]


def words_of(cause: Cause, caller: Caller) -> CauseWords:
    """Return a cause in words, with the remedy as this caller has it."""
    sentences = sentences_of(cause)
    facts = {name: fact for name, fact in cause.facts.items() if fact is not None}
    if cause.job_id is not None:
        facts["job"] = cause.job_id
    message = sentences.message.format_map(facts)
    if "response" in facts:
        message = f"{message}. The last response: {facts['response']}"
    remedy, may = cause.remedy, caller.allows(cause.remedy.scope)
    if not may:
        asked = _ASKED.get(remedy.scope, _ASKED_OTHERS)
        return CauseWords(
            message, sentences.next.format_map(facts), f"{asked}: {sentences.remedy}", None, None
        )
    many = sentences.command_for_many
    command = sentences.command if many is None or cause.job_id is not None else many
    return CauseWords(
        message,
        sentences.next.format_map(facts),
        sentences.remedy,
        command.format_map(facts),
        remedy.action,
    )


def sentences_of(cause: Cause) -> Sentences:
    """Return the templates of a cause."""
    precise = f"{cause.name}.{cause.variant}"
    return WORDS[precise] if precise in WORDS else WORDS[cause.name]


def cause_response(cause: Cause, caller: Caller) -> CauseResponse:
    """Return the body of a response with a cause."""
    words = words_of(cause, caller)
    return CauseResponse(
        cause=cause.name,
        message=words.message,
        since=maybe_iso(cause.since),
        next=NextResponse(message=words.next, at=maybe_iso(cause.next_at)),
        remedy=RemedyResponse(message=words.remedy, command=words.command, action=words.action),
    )


def maybe_cause(cause: Cause | None, caller: Caller) -> CauseResponse | None:
    """Return the body for a cause, if there is one."""
    return None if cause is None else cause_response(cause, caller)


def attention_response(rows: Sequence[HeldUp], caller: Caller) -> AttentionResponse:
    """Return the body of a response with all causes."""
    return AttentionResponse(causes=[_held_up(row, caller) for row in rows])


def _held_up(row: HeldUp, caller: Caller) -> HeldUpResponse:
    facts = row.cause.facts
    account, endpoint = facts.get("account"), facts.get("endpoint")
    return HeldUpResponse(
        **dict(cause_response(row.cause, caller)),
        harm=row.cause.name.harm.name.lower(),
        things=row.things,
        count=row.count,
        more=row.more,
        jobs=list(row.job_ids),
        account=None if account is None else str(account),
        endpoint_id=None if endpoint is None else str(endpoint),
    )
