"""Programs that were written before `hook.gateway` call the same functions as ever."""

import inspect
from pathlib import Path
from typing import Any

from hosts import provider, settings
from structlog.testing import capture_logs

import reelhook

SERVICE = {
    "submit": "(request, webhook_url=None, idempotency=None, endpoints=())",
    "register": "(provider_job_id, job_id=None, webhook_url=None, endpoints=(), account=None)",
    "job": "(job_id)",
    "queue_position": "(job)",
    "jobs": "(status=None, limit=50, cursor=None)",
    "events": "(job_ids, after=None)",
    "content": "(job_id, byte_range=None)",
    "check_now": "(job_id)",
    "cancel": "(job_id, *, force=False)",
    "update_status": "(job_id, status, progress)",
    "follow": "(job_ids)",
    "sequences": "(job_ids)",
    "changed": None,
    "stopping": None,
    "stop_waiting": "()",
}
ENDPOINTS = {
    "register": "(url, fields, *, secret=None, trusted=False)",
    "all": "()",
    "held_back": "()",
    "one": "(endpoint_id)",
    "change": "(endpoint_id, fields, *, enabled=None, trusted=False)",
    "remove": "(endpoint_id)",
    "rotate": "(endpoint_id, secret=None, overlap_hours=None)",
    "test": "(endpoint_id)",
}
DELIVERIES = {
    "page": "(wanted, limit=50, cursor=None)",
    "one": "(delivery_id)",
    "attempts": "(delivery_id, limit=100)",
    "events_after": "(event_id=None, limit=100)",
    "resend": "(delivery_id, sequence=None)",
    "resend_failed": "(since, endpoint_id=None)",
    "resend_run": "(resend_id)",
}
OPERATIONS = {
    "stats": "()",
    "costs": "(since, until)",
    "pause_watching": "()",
    "resume_watching": "()",
    "check_writable": "()",
    "watching_paused_since": "()",
}
NINE = {
    "start_sora_polling": "()",
    "stop_sora_polling": "()",
    "register_sora_job": "(job_id, sora_job_id, webhook_url=None)",
    "force_poll_job": "(job_id)",
    "get_polling_stats": "()",
    "register_sora_job_for_polling": "(job_id, sora_job_id, webhook_url=None)",
    "update_sora_job_status": "(job_id, status, progress=None)",
    "get_pending_sora_jobs": "()",
    "get_sora_polling_stats": "()",
    "submit": "(script, *, webhook_url=None, endpoints=(), external_id=None, metadata=None,"
    " priority='normal', callback_secret=None, callback_format=None, **parameters)",
}


def shape(function: Any) -> str:
    """Return the signature without its types."""
    signature = inspect.signature(function)
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
    ]
    return str(inspect.Signature(bare))


def shapes(thing: object, names: dict[str, Any]) -> dict[str, str | None]:
    found = {name: getattr(thing, name) for name in names}
    return {name: shape(one) if callable(one) else None for name, one in found.items()}


async def test_every_function_has_its_name_and_arguments_of_then(tmp_path: Path) -> None:
    with capture_logs():
        async with (
            provider() as (simulated, _),
            reelhook.open(settings(tmp_path, simulated.base_url)) as hook,
        ):
            assert shapes(hook.service, SERVICE) == SERVICE
            assert shapes(hook.endpoints, ENDPOINTS) == ENDPOINTS
            assert shapes(hook.deliveries, DELIVERIES) == DELIVERIES
            assert shapes(hook.operations, OPERATIONS) == OPERATIONS
            assert shapes(hook, NINE) == NINE
            assert hook.default_model is None
            assert callable(hook.asgi)


async def test_what_is_in_doubt_and_the_models_are_reached_by_the_gateway(tmp_path: Path) -> None:
    with capture_logs():
        async with (
            provider() as (simulated, _),
            reelhook.open(settings(tmp_path, simulated.base_url)) as hook,
        ):
            assert (await hook.gateway.in_doubt.jobs(reelhook.OPERATOR)).jobs == ()
            assert hook.gateway.models.catalog(reelhook.OPERATOR).providers


async def test_statistics_are_the_nested_dicts_of_then(tmp_path: Path) -> None:
    with capture_logs():
        async with (
            provider() as (simulated, _),
            reelhook.open(settings(tmp_path, simulated.base_url)) as hook,
        ):
            stats = await hook.operations.stats()
            assert stats["jobs"]["total"] == stats["jobs"]["completed"] == 0
            assert stats["deliveries"] == {"waiting": 0}
            assert stats["endpoints"] == {"failing": 0, "disabled": 0}
            assert set(stats["watcher"]) == {
                *("paused", "paused_since", "poll_seconds", "last_round_at")
            }
            (account,) = stats["accounts"]
            assert set(account) == {
                *("id", "provider", "waiting", "in_flight", "jobs_max", "healthy", "error"),
                *("stretched_seconds", "reads_wait_until", "creates_wait_until"),
                *("refused", "unread"),
            }


async def test_a_pause_that_is_not_awaited_is_seen_by_the_next_question(tmp_path: Path) -> None:
    with capture_logs():
        async with (
            provider() as (simulated, _),
            reelhook.open(settings(tmp_path, simulated.base_url)) as hook,
        ):
            for _ in range(5):
                hook.operations.pause_watching()
                hook.operations.resume_watching()
            hook.operations.pause_watching()
            assert (await hook.operations.stats())["watcher"]["paused"] is True
            hook.operations.resume_watching()
            assert await hook.operations.watching_paused_since() is None
