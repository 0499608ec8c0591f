"""Operations: statistics, pausing the watcher, health."""

from fastapi import APIRouter

from reelhook.domain.caller import Scope
from reelhook.doors.causes import AttentionResponse, attention_response
from reelhook.doors.context import ContextOf
from reelhook.doors.native.operation_schemas import StatsResponse, stats_response
from reelhook.doors.native.schemas import WatcherResponse
from reelhook.doors.policy import KeyRoute, OpenRoute, needs

router = APIRouter(tags=["operations"], route_class=KeyRoute)
health_router = APIRouter(tags=["operations"], route_class=OpenRoute)


@router.get("/api/stats", summary="Counts of jobs and deliveries, and the watcher's state")
@needs(Scope.READ)
async def stats(context: ContextOf) -> StatsResponse:
    """Return statistics: of the whole installation, or of the project of the caller's key. Those of
    a project say nothing about the watcher and the accounts.
    """
    return stats_response(await context.gateway.operations.stats(context.caller))


@router.get("/api/attention", summary="What is held up, why, and what ends it")
@needs(Scope.READ)
async def attention(context: ContextOf) -> AttentionResponse:
    """Return the causes that hold up jobs, webhooks and files, the most harmful first. A project's
    key gets the causes of its project, and those of the installation.
    """
    caller = context.caller
    return attention_response(await context.gateway.attention.all(caller), caller)


@router.post("/api/watcher/pause", summary="Stop polling providers")
@needs(Scope.OPERATOR)
async def pause(context: ContextOf) -> WatcherResponse:
    """Stop watching, in every process, until resumed. A restart does not resume."""
    await context.gateway.operations.pause_watching(context.caller)
    return WatcherResponse(paused=True)


@router.post("/api/watcher/resume", summary="Poll providers again")
@needs(Scope.OPERATOR)
async def resume(context: ContextOf) -> WatcherResponse:
    """Resume watching at once."""
    await context.gateway.operations.resume_watching(context.caller)
    return WatcherResponse(paused=False)


@health_router.get("/healthz", summary="The process is alive")
async def healthz() -> dict[str, str]:
    """Respond as long as the process is alive."""
    return {"status": "ok"}


@health_router.get("/readyz", summary="The server can take requests")
async def readyz(context: ContextOf) -> dict[str, str]:
    """Respond with 200 while the database can be read and written; report if watching is paused."""
    operations, caller = context.gateway.operations, context.caller
    await operations.check_writable(caller)
    paused = await operations.watching_paused_since(caller) is not None
    return {"status": "ready", "watcher": "paused" if paused else "watching"}
