"""Operations that read endpoints."""

from collections.abc import Sequence

from reelhook.domain.endpoint import Endpoint
from reelhook.domain.errors import EndpointNotFoundError
from reelhook.storage.operation import Operation, Row, Statement
from reelhook.storage.operations.rows import ENDPOINT, endpoint_of

# A foreign id runs the same statement as an unknown one.
ONE_ENDPOINT = (
    f"SELECT {ENDPOINT} FROM endpoints e WHERE e.id = ?1 AND e.deleted_at IS NULL"
    " AND (CAST(?2 AS TEXT) IS NULL OR e.project = ?2)"
)
_HELD_BACK = "(disabled IS NOT NULL OR probe_due_at IS NOT NULL) AND deleted_at IS NULL"
_SEEN = "(CAST(?1 AS TEXT) IS NULL OR e.project = ?1)"


def listed(*, project: str | None = None) -> Operation[list[Endpoint]]:
    """Return the registered endpoints and the default ones, oldest first."""
    rows = yield Statement(
        f"SELECT {ENDPOINT} FROM endpoints e WHERE e.kind <> 'url' AND e.deleted_at IS NULL"
        f" AND {_SEEN} ORDER BY e.created_at, e.id",
        (project,),
    )
    return [endpoint_of(row) for row in rows]


def held_back(*, project: str | None = None) -> Operation[list[Endpoint]]:
    """Return the endpoints of any kind that are disabled, or whose breaker is open."""
    rows = yield Statement(
        f"SELECT {ENDPOINT} FROM endpoints e WHERE {_HELD_BACK} AND {_SEEN}"
        " ORDER BY e.created_at, e.id",
        (project,),
    )
    return [endpoint_of(row) for row in rows]


def counts(*, project: str | None = None) -> Operation[dict[str, int]]:
    """Return the numbers of endpoints that are failing (breaker open) and disabled."""
    rows = yield Statement(
        "SELECT count(*) FILTER (WHERE disabled IS NULL), count(disabled) FROM endpoints e"
        f" WHERE {_HELD_BACK} AND {_SEEN}",
        (project,),
    )
    return {"failing": rows[0][0], "disabled": rows[0][1]}


def endpoint(endpoint_id: str, *, project: str | None = None) -> Operation[Endpoint]:
    """Return one endpoint of any kind. Raises `EndpointNotFoundError`."""
    return found(endpoint_id, (yield Statement(ONE_ENDPOINT, (endpoint_id, project))))


def found(endpoint_id: str, rows: Sequence[Row]) -> Endpoint:
    """Return the endpoint of the first row. Raises `EndpointNotFoundError` if there is none."""
    if not rows:
        raise EndpointNotFoundError(endpoint_id)
    return endpoint_of(rows[0])
