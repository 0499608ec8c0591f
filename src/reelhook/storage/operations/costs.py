"""Operations that sum up costs."""

from reelhook.domain.event import DAY_MILLISECONDS, Instant
from reelhook.ports import CostLine
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations.ownership import of_project


def by_day(since: Instant, until: Instant, project: str | None = None) -> Operation[list[CostLine]]:
    """Return the costs of jobs created in this period, by day (UTC), project, model and unit."""
    owned, owner = of_project(project, 3)
    rows = yield Statement(
        f"SELECT created_at / {DAY_MILLISECONDS} AS day, provider, model,"
        " coalesce(charged_unit, quoted_unit) AS unit,"
        " count(*), sum(CASE WHEN status = 'completed' THEN 1 ELSE 0 END),"
        " sum(quoted_amount), sum(charged_amount), project"
        " FROM jobs WHERE created_at >= ?1 AND created_at < ?2 AND provider_job_id IS NOT NULL"
        f"{owned} GROUP BY 1, 2, 3, 4, project ORDER BY 1, 2, 3, 4, project",
        (since, until, *owner),
    )
    return [CostLine(*row) for row in rows]
