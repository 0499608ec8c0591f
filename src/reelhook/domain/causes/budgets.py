"""The cause of jobs that were never stored: a budget has no room for them."""

from collections.abc import Iterator, Mapping

from reelhook.domain.budget import JOBS, WARNING_PERCENT, LimitKind
from reelhook.domain.budget_usage import Usage
from reelhook.domain.causes.cause import Cause, CauseName, Remedy
from reelhook.domain.event import Instant
from reelhook.domain.money import whole


def causes_of_budget(
    owner: str,
    project: str,
    lines: tuple[Usage, ...],
    reached: Mapping[tuple[LimitKind, str], Instant],
) -> Iterator[Cause]:
    """Yield a cause for each limit of a budget that has no room left.

    `lines` are its limits and their use. `reached` has, by kind and unit, the times at which a job
    was refused: then a limit that is nearly used up has no room either.
    """
    kind, _, owner_id = owner.partition(":")
    for line in lines:
        limit, used = line.limit, line.reserved + line.spent
        since = reached.get((line.kind, line.unit))
        if limit is None or (
            used < limit if since is None else used * 100 < limit * WARNING_PERCENT
        ):
            continue
        of_jobs = line.unit == JOBS
        yield Cause(
            CauseName.OVER_BUDGET,
            Remedy.RAISE_BUDGET if kind == "project" else Remedy.RAISE_KEY_BUDGET,
            since=since,
            next_at=line.resets_at,
            about=f"{owner} {line.kind} {line.unit}",
            variant=line.kind.value,
            facts={
                "owner": kind,
                "owner_id": owner_id,
                "project": project,
                "unit": line.unit,
                "limit": limit if of_jobs else whole(limit),
                "used": used if of_jobs else whole(used),
            },
        )
