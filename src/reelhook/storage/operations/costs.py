"""Operations that sum up costs. Those of removed jobs of closed projects were kept as sums."""

from collections.abc import Sequence

from reelhook.domain.event import DAY_MILLISECONDS, Instant
from reelhook.ports import CostLine
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations.ownership import of_project

_KEYS = "day, provider, model, unit"
_OF_JOBS = f"""
SELECT created_at / {DAY_MILLISECONDS} AS day, coalesce(provider, '') AS provider,
  coalesce(model, '') AS model, coalesce(charged_unit, quoted_unit, estimated_unit, '') AS unit,
  count(*) AS jobs, sum(CASE WHEN status = 'completed' THEN 1 ELSE 0 END) AS completed,
  sum(quoted_amount) AS quoted, sum(charged_amount) AS charged,
  sum(CASE WHEN charged_unit IS NULL AND quoted_unit IS NULL
    AND status NOT IN ('failed', 'canceled') THEN estimated_amount END) AS estimated, project
FROM jobs WHERE provider_job_id IS NOT NULL AND {{chosen}} GROUP BY 1, 2, 3, 4, project
"""
_IN_PERIOD = "created_at >= ?1 AND created_at < ?2{owned}"
_BY_DAY = f"""
SELECT {_KEYS.replace("unit", "nullif(unit, '')")}, CAST(sum(jobs) AS BIGINT),
  CAST(sum(completed) AS BIGINT), sum(quoted), sum(charged), sum(estimated), project
FROM (SELECT * FROM ({_OF_JOBS.format(chosen=_IN_PERIOD)}) AS present
  UNION ALL SELECT {_KEYS}, jobs, completed, quoted, charged, estimated, project
  FROM closed_costs
  WHERE day >= ?1 / {DAY_MILLISECONDS} AND day * {DAY_MILLISECONDS} < ?2{{owned}}) AS lines
GROUP BY {_KEYS}, project ORDER BY {_KEYS}, project
"""
_KEEP = """
INSERT INTO closed_costs
  (day, provider, model, unit, jobs, completed, quoted, charged, estimated, project)
SELECT * FROM ({lines}) AS removed WHERE TRUE
ON CONFLICT (project, day, provider, model, unit) DO UPDATE SET
  jobs = closed_costs.jobs + excluded.jobs, completed = closed_costs.completed + excluded.completed,
  quoted = coalesce(closed_costs.quoted + excluded.quoted, closed_costs.quoted, excluded.quoted),
  charged =
    coalesce(closed_costs.charged + excluded.charged, closed_costs.charged, excluded.charged),
  estimated = coalesce(
    closed_costs.estimated + excluded.estimated, closed_costs.estimated, excluded.estimated)
"""


def by_day(since: Instant, until: Instant, project: str | None = None) -> Operation[list[CostLine]]:
    """Return the costs of jobs created in this period, by day (UTC), project, model and unit."""
    owned, owner = of_project(project, 3)
    rows = yield Statement(_BY_DAY.format(owned=owned), (since, until, *owner))
    return [CostLine(*row) for row in rows]


def keep(job_ids: Sequence[str]) -> Operation[None]:
    """Add the costs of these jobs, which are about to be removed, to the sums that stay."""
    places = ", ".join(f"?{number}" for number in range(1, len(job_ids) + 1))
    yield Statement(_KEEP.format(lines=_OF_JOBS.format(chosen=f"id IN ({places})")), job_ids)
