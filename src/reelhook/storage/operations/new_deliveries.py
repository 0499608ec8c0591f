"""Operations that create the deliveries of new jobs and of new endpoints."""

from collections.abc import Iterable

from reelhook.domain.endpoint import EndpointKind, lane_of, origin_of
from reelhook.domain.errors import UnknownEndpointError
from reelhook.domain.job import Job
from reelhook.ports import Destination
from reelhook.storage.operation import Operation, Statement

_ADD_URL = (
    "INSERT INTO endpoints (id, kind, url, trusted, created_at, lane, project)"
    " VALUES (?1, 'url', ?2, FALSE, ?3, ?4, ?5) ON CONFLICT (id) DO NOTHING"
)
_ADD_DELIVERY = (
    "INSERT INTO deliveries (job_id, endpoint_id, lane, url, secret, format)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
    " ON CONFLICT (job_id, endpoint_id) WHERE resend_of IS NULL DO NOTHING"
)
# The lock prevents the endpoint from being deleted before the job is stored.
_REGISTERED = (
    "SELECT 1 FROM endpoints WHERE id = ?1 AND kind <> ?2 AND deleted_at IS NULL"
    " AND project = ?3 /*pg FOR KEY SHARE */"
)
_BROADCAST = "SELECT id FROM endpoints WHERE broadcast AND deleted_at IS NULL AND project = ?1"
_FOLLOW_RUNNING = (
    "INSERT INTO deliveries (job_id, endpoint_id, lane, url)"
    " SELECT id, ?1, CAST(?2 AS INTEGER), '' FROM jobs"
    " WHERE status IN ('accepted', 'submitting', 'queued', 'processing') AND project = ?3"
    " ON CONFLICT (job_id, endpoint_id) WHERE resend_of IS NULL DO NOTHING"
)
# Every transaction that creates a job holds this lock, shared. One that registers or deletes an
# endpoint holds it exclusively. So each new job either gets its delivery there, or existed before.
NEW_JOBS_LOCK = 7_311_482_095
EXCLUDE_NEW_JOBS = Statement(f"SELECT 1 /*pg FROM pg_advisory_xact_lock({NEW_JOBS_LOCK}) */")


def follow_running(endpoint_id: str, project: str) -> Operation[None]:
    """Add a delivery for every unfinished job of its project. Needs `EXCLUDE_NEW_JOBS`."""
    yield Statement(_FOLLOW_RUNNING, (endpoint_id, lane_of(endpoint_id), project))


def add_deliveries(job: Job, destinations: Iterable[Destination]) -> Operation[None]:
    """Add a new job's deliveries: to its own destinations, and to endpoints that get every job.

    Only endpoints of its project do.
    """
    for destination in destinations:
        endpoint_id, url = destination.endpoint_id, destination.url
        if url is not None:
            lane = lane_of(endpoint_id)
            values = (endpoint_id, origin_of(url), job.created_at, lane, job.project)
            yield Statement(_ADD_URL, values)
        yield _adding(job, destination)
    for (endpoint_id,) in (yield Statement(_BROADCAST, (job.project,))):
        yield _adding(job, Destination(endpoint_id))


def _adding(job: Job, to: Destination) -> Statement:
    lane = lane_of(to.endpoint_id)
    values = (job.id, to.endpoint_id, lane, to.url or "", to.secret, to.format)
    return Statement(_ADD_DELIVERY, values)


def check_registered(destinations: Iterable[Destination], project: str) -> Operation[None]:
    """Raise `UnknownEndpointError` for an endpoint that does not exist in the project."""
    for destination in destinations:
        if destination.url is not None:
            continue
        wanted = (destination.endpoint_id, EndpointKind.URL.value, project)
        if not (yield Statement(_REGISTERED, wanted)):
            raise UnknownEndpointError(destination.endpoint_id)
