"""Records a job's change, and reads back what was written."""

from collections.abc import Awaitable
from typing import TypeVar

from reelhook.core.recording import Recording, Transition
from reelhook.domain.audit import AuditEntry
from reelhook.domain.audit_facts import job_facts
from reelhook.domain.errors import CommitUnknownError, StoreError
from reelhook.domain.job import Job

T = TypeVar("T")


async def record_change(
    recording: Recording, before: Job, transition: Transition, audit: AuditEntry | None = None
) -> bool:
    """Record the changes of a transition. Return False if the job was changed in the meantime.

    `audit` is the entry of a change that a caller made.
    """
    after = transition[0]
    if after is before:
        return True
    if audit is None:
        return bool(await recording.record([transition]))
    entry = audit.changing(job_facts(before), job_facts(after))
    return bool(await recording.record_one(transition, entry))


async def read_back(reading: Awaitable[T], **ids: str) -> T:
    """Return the result of a read that follows a write.

    If the read fails, `StoreError` would say that nothing was written: raise `CommitUnknownError`
    with these ids instead.
    """
    try:
        return await reading
    except StoreError as error:
        raise CommitUnknownError(ids) from error
