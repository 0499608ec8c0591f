"""Operations: statistics, the watcher's switch, health."""

from typing import Any

from fastapi import APIRouter

from reelhook.domain.event import iso
from reelhook.http.context import ServiceOf
from reelhook.http.schemas import WatcherAnswer

router = APIRouter(tags=["operations"])


@router.get("/api/stats", summary="Counts of jobs and deliveries, and the watcher's state")
async def stats(service: ServiceOf) -> dict[str, Any]:
    """Return statistics."""
    numbers = await service.stats()
    watcher = numbers["watcher"]
    last = watcher["last_round_at"]
    return numbers | {
        "watcher": {
            "paused": watcher["paused"],
            "pollSeconds": watcher["poll_seconds"],
            "lastRoundAt": None if last is None else iso(last),
        },
        "accounts": [
            {
                "id": account["id"],
                "healthy": account["healthy"],
                "error": account["error"],
                "stretchedSeconds": account["stretched_seconds"],
            }
            for account in numbers["accounts"]
        ],
    }


@router.post("/api/watcher/pause", summary="Stop asking providers")
async def pause(service: ServiceOf) -> WatcherAnswer:
    """Stop watching until resumed, or until the server starts anew."""
    service.pause_watching()
    return WatcherAnswer(paused=True)


@router.post("/api/watcher/resume", summary="Ask providers again")
async def resume(service: ServiceOf) -> WatcherAnswer:
    """Watch again, at once."""
    service.resume_watching()
    return WatcherAnswer(paused=False)


@router.get("/healthz", summary="The process is alive")
async def healthz() -> dict[str, str]:
    """Answer as long as the process does."""
    return {"status": "ok"}


@router.get("/readyz", summary="The server can take requests")
async def readyz(service: ServiceOf) -> dict[str, str]:
    """Answer once the database can be read."""
    await service.ping()
    return {"status": "ready"}
