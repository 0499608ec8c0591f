"""The audit trail: who changed what, when, from where, and how it was before and after."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from reelhook.domain.caller import Actor, Caller
from reelhook.domain.endpoint import MASK
from reelhook.domain.event import Instant

CHANGED = "changed"
"""Shown in place of a secret that has replaced another."""


class Action(StrEnum):
    """A kind of change: the kind of its target, and what happened to it."""

    ENDPOINT_CREATED = "endpoint.created"
    ENDPOINT_CHANGED = "endpoint.changed"
    ENDPOINT_ROTATED = "endpoint.rotated"
    ENDPOINT_REMOVED = "endpoint.removed"
    JOB_REGISTERED = "job.registered"
    JOB_CHECKED = "job.checked"
    JOB_CANCELED = "job.canceled"
    JOB_ADOPTED = "job.adopted"
    JOB_ABANDONED = "job.abandoned"
    JOB_DELETED = "job.deleted"
    DELIVERY_RESENT = "delivery.resent"
    DELIVERIES_RESENT = "deliveries.resent"
    PROJECT_CREATED = "project.created"
    PROJECT_CHANGED = "project.changed"
    PROJECT_ROTATED = "project.rotated"
    PROJECT_CLOSED = "project.closed"
    KEY_CREATED = "key.created"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    BUDGET_SET = "budget.set"
    BUDGET_RAISED = "budget.raised"
    WATCHER_PAUSED = "watcher.paused"
    WATCHER_RESUMED = "watcher.resumed"


@dataclass(frozen=True, slots=True, repr=False)
class Hidden:
    """A secret among the facts of a target. Only its presence, and that it changed, is kept.

    `shown` is the part of it that is no secret, if any.
    """

    value: str
    shown: str | None = None


Value = str | int | float | bool | None | tuple[str, ...]
Facts = Mapping[str, Value | Hidden]
"""The state of a target, by field. A `None` is a field without a value."""
Shown = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change. `project` None: it concerns the whole installation.

    `before` and `after` have only the fields that differ; None: the target did not exist, or
    nothing is known of it.
    """

    at: Instant
    project: str | None
    actor: Actor
    key_id: str | None
    key_name: str | None
    address: str | None
    action: Action
    target: str
    before: Shown | None = None
    after: Shown | None = None

    @classmethod
    def by(
        cls, caller: Caller, at: Instant, action: Action, target: str, project: str | None
    ) -> Self:
        """Return the entry of a change that this caller makes."""
        return cls(
            at=at,
            project=project,
            actor=caller.actor,
            key_id=caller.key_id,
            key_name=caller.key_name,
            address=caller.address,
            action=action,
            target=target,
        )

    def changing(self, before: Facts | None, after: Facts | None) -> Self:
        """Return the entry with the fields that differ, without their secrets.

        None: the target did not exist before, or does not any more.
        """
        old, new = before or {}, after or {}
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        return replace(
            self,
            before=None if before is None else {name: _shown(old.get(name)) for name in names},
            after=None
            if after is None
            else {name: _shown(new.get(name), old.get(name)) for name in names},
        )

    @property
    def empty(self) -> bool:
        """True if the target is the same before and after: nothing was changed."""
        return not self.before and not self.after


def _shown(value: Value | Hidden, before: Value | Hidden = None) -> Value:
    if not isinstance(value, Hidden):
        return value
    if value.shown is None:
        return MASK if before is None else CHANGED
    same = isinstance(before, Hidden) and before.shown == value.shown
    return f"{value.shown} ({CHANGED})" if same else value.shown
