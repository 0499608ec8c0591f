"""Operations: statistics, the watcher's switch, health."""

from typing import Any

from fastapi import APIRouter

from reelhook.domain.event import maybe_iso
from reelhook.domain.waiting import Waiting
from reelhook.doors.context import OperationsOf
from reelhook.doors.native.schemas import WatcherResponse
from reelhook.doors.waiting import waiting_answer
from reelhook.ports import RefusedJob

router = APIRouter(tags=["operations"])


@router.get("/api/stats", summary="Counts of jobs and deliveries, and the watcher's state")
async def stats(operations: OperationsOf) -> dict[str, Any]:
    """Return statistics."""
    numbers = await operations.stats()
    watcher = numbers["watcher"]
    return numbers | {
        "watcher": {
            "paused": watcher["paused"],
            "pausedSince": maybe_iso(watcher["paused_since"]),
            "pollSeconds": watcher["poll_seconds"],
            "lastRoundAt": maybe_iso(watcher["last_round_at"]),
        },
        "accounts": [
            {
                "id": account["id"],
                "provider": account["provider"],
                "waiting": account["waiting"],
                "inFlight": account["in_flight"],
                "jobsMax": account["jobs_max"],
                "healthy": account["healthy"],
                "error": account["error"],
                "stretchedSeconds": account["stretched_seconds"],
                "readsWaitUntil": maybe_iso(account["reads_wait_until"]),
                "createsWaitUntil": maybe_iso(account["creates_wait_until"]),
                **_last_responses(account["refused"], account["unread"]),
            }
            for account in numbers["accounts"]
        ],
    }


def _last_responses(refused: RefusedJob | None, unread: Waiting | None) -> dict[str, Any]:
    """Tell what a provider said last: to a create that waits, and where it can't be read."""
    told: dict[str, Any] = {}
    if refused is not None:
        told["refused"] = {"jobId": refused.job_id, **_shown(refused.waiting)}
    if unread is not None:
        told["unread"] = _shown(unread)
    return told


def _shown(waiting: Waiting) -> dict[str, Any]:
    return waiting_answer(waiting).model_dump(by_alias=True)


@router.post("/api/watcher/pause", summary="Stop asking providers")
async def pause(operations: OperationsOf) -> WatcherResponse:
    """Stop watching, in every process, until resumed. A restart does not resume."""
    await operations.pause_watching()
    return WatcherResponse(paused=True)


@router.post("/api/watcher/resume", summary="Ask providers again")
async def resume(operations: OperationsOf) -> WatcherResponse:
    """Watch again, at once."""
    await operations.resume_watching()
    return WatcherResponse(paused=False)


@router.get("/healthz", summary="The process is alive")
async def healthz() -> dict[str, str]:
    """Answer as long as the process does."""
    return {"status": "ok"}


@router.get("/readyz", summary="The server can take requests")
async def readyz(operations: OperationsOf) -> dict[str, str]:
    """Answer while the database can be read and written, and tell if nobody is to watch."""
    await operations.check_writable()
    paused = await operations.watching_paused_since() is not None
    return {"status": "ready", "watcher": "paused" if paused else "watching"}
