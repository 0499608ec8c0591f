"""Operations that sum up costs."""

from reelhook.domain.event import DAY_MILLISECONDS, Instant
from reelhook.ports import CostLine
from reelhook.storage.operation import Operation, Statement


def by_day(since: Instant, until: Instant) -> Operation[list[CostLine]]:
    """Return the costs of jobs created in this period, by day (UTC), model and unit."""
    rows = yield Statement(
        f"SELECT created_at / {DAY_MILLISECONDS} AS day, provider, model,"
        " coalesce(charged_unit, quoted_unit, estimated_unit) AS unit,"
        " count(*), sum(CASE WHEN status = 'completed' THEN 1 ELSE 0 END),"
        " sum(quoted_amount), sum(charged_amount),"
        " sum(CASE WHEN charged_unit IS NULL AND quoted_unit IS NULL"
        " AND status NOT IN ('failed', 'canceled') THEN estimated_amount END)"
        " FROM jobs WHERE created_at >= ?1 AND created_at < ?2 AND provider_job_id IS NOT NULL"
        " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
        (since, until),
    )
    return [CostLine(*row) for row in rows]
