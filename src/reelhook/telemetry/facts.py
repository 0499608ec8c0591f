"""Log lines made from facts, with stable event names.

`event` is the name of a line in JSON; `message` is the sentence that a terminal shows instead. The
first client's users know the "Sora" sentences, so these are the `event` of their lines, and `fact`
is the stable name.
"""

from functools import lru_cache
from typing import assert_never

import structlog

from reelhook.core.facts import (
    EndpointChanged,
    EndpointLocked,
    Fact,
    JobCreated,
    JobEnded,
    JobFellBack,
    JobPolled,
    JobProgressed,
    LeaseLost,
    LeaseReleased,
    LeaseTaken,
    RoundFinished,
    RoundStarted,
    SubmitDecided,
    WatchingChanged,
    WebhookAttempted,
    WebhookDeferred,
)
from reelhook.domain.endpoint import shown_url
from reelhook.domain.job import Status
from reelhook.domain.report import Accepted

log = structlog.get_logger()
_shown_url = lru_cache(maxsize=1024)(shown_url)
"""Cached, because parsing the URL took longer than the rest of a line that is not shown."""


def log_fact(fact: Fact) -> None:  # noqa: C901, PLR0912  # one flat table
    """Write the log line of a fact."""
    match fact:
        case JobPolled():
            sentence = f"Polling Sora job: {fact.provider_job_id}"
            log.debug(sentence, emoji="📡", fact="job.polled", provider_job=fact.provider_job_id)
        case WebhookAttempted():
            _webhook_attempted(fact)
        case JobProgressed():
            _job_progressed(fact)
        case JobCreated():
            _job_created(fact)
        case JobEnded():
            _job_ended(fact)
        case SubmitDecided():
            _submit_decided(fact)
        case JobFellBack(job=job, model=model, reason=reason):
            log.warning("submit.fallback", job=job.id, model=model, error=reason)
        case RoundStarted(account=account, jobs=jobs):
            sentence = f"Polling {jobs} Sora job(s)..."
            log.debug(sentence, emoji="🔄", fact="round.started", account=account, jobs=jobs)
        case RoundFinished(account=account, jobs=jobs, duration_milliseconds=duration):
            log.debug("round.finished", account=account, jobs=jobs, duration_ms=duration)
        case WatchingChanged(paused=True):
            log.info("Sora polling service paused", emoji="⏸️", fact="watching.paused")
        case WatchingChanged():
            log.info("Sora polling service resumed", emoji="▶️", fact="watching.resumed")
        case WebhookDeferred():
            _webhook_deferred(fact)
        case EndpointChanged():
            _endpoint_changed(fact)
        case EndpointLocked(endpoint=endpoint):
            url = _shown_url(endpoint.url)
            message = f"Endpoint waits, its secrets can't be decrypted here: {url}"
            log.error("endpoint.locked", message=message, endpoint=endpoint.id, url=url)
        case LeaseTaken(lease=lease):
            log.debug("lease.taken", lease=lease.id, epoch=lease.epoch)
        case LeaseLost(lease=lease):
            log.warning("lease.lost", lease=lease.id, epoch=lease.epoch)
        case LeaseReleased(lease=lease):
            log.debug("lease.released", lease=lease.id, epoch=lease.epoch)
        case _:
            assert_never(fact)


def _job_created(fact: JobCreated) -> None:
    job = fact.job
    log.info(
        f"Registered Sora job: {job.id} -> {job.provider_job_id}",
        emoji="📝",
        fact="job.created",
        job=job.id,
        provider_job=job.provider_job_id,
        adopted=job.adopted,
    )
    if fact.webhook_url is not None:
        url = _shown_url(fact.webhook_url)
        log.info("job.webhook", message=f"   Webhook: {url}", job=job.id, url=url)


def _job_ended(fact: JobEnded) -> None:
    job = fact.job
    if job.status is Status.COMPLETED:
        log.info(
            f"Sora job completed: {job.provider_job_id}",
            emoji="✅",
            fact="job.completed",
            job=job.id,
            provider_job=job.provider_job_id,
        )
    else:
        log.warning(
            f"Sora job failed: {job.provider_job_id or job.id}",
            emoji="❌",
            fact="job.failed",
            job=job.id,
            provider_job=job.provider_job_id,
            code=job.code,
            error=job.error,
        )


def _job_progressed(fact: JobProgressed) -> None:
    before, after = fact.before, fact.after
    log.debug(
        "job.progressed",
        message=f"   Status: {before.status.value} → {after.status.value}"
        f" (Progress: {before.progress}% → {after.progress}%)",
        job=before.id,
        provider_job=before.provider_job_id,
        before=before.status.value,
        after=after.status.value,
        progress=after.progress,
    )


def _submit_decided(fact: SubmitDecided) -> None:
    job, outcome = fact.job, fact.outcome
    log.debug(
        "submit.outcome",
        job=job.id,
        attempt=job.submit_attempts,
        outcome=type(outcome).__name__,
        provider_job=outcome.provider_job_id if isinstance(outcome, Accepted) else None,
        reason=getattr(outcome, "reason", getattr(outcome, "message", None)),
    )


def _webhook_attempted(fact: WebhookAttempted) -> None:
    delivery, attempt, response = fact.delivery, fact.attempt, fact.attempt.response
    url = _shown_url(delivery.url or fact.endpoint.url)
    fields = {
        "job": delivery.job_id,
        "delivery": delivery.id,
        "endpoint": fact.endpoint.id,
        "url": url,
        "webhook_id": attempt.event_id,
        "attempt": attempt.number,
        "probe": attempt.probe,
        "status": response.status,
        "duration_ms": response.duration_ms,
    }
    if response.succeeded:
        log.debug("webhook.sent", message=f"   Webhook sent: {url}", emoji="✅", **fields)
    else:
        log.warning(
            "webhook.failed",
            message=f"   Webhook failed: {url}",
            error=response.error,
            detail=response.detail,
            next_at=fact.after.due_at,
            **fields,
        )


def _webhook_deferred(fact: WebhookDeferred) -> None:
    url = _shown_url(fact.delivery.url or fact.endpoint.url)
    log.debug(
        "webhook.deferred",
        message=f"   Webhook waits: {url}",
        job=fact.delivery.job_id,
        delivery=fact.delivery.id,
        endpoint=fact.endpoint.id,
        url=url,
        detail=fact.reason,
    )


def _endpoint_changed(fact: EndpointChanged) -> None:
    before, after = fact.before, fact.after
    url = _shown_url(after.url)
    fields = {"endpoint": after.id, "url": url, "failures": after.health.failures}
    if after.disabled is not None and before.disabled is None:
        reason = after.disabled.value
        log.error("endpoint.disabled", message=f"Endpoint disabled: {url}", reason=reason, **fields)
    elif after.health.open and not before.health.open:
        message = f"Endpoint is failing, only probes are sent: {url}"
        log.warning("endpoint.failing", message=message, **fields)
    elif before.health.open and not after.health.open:
        log.info("endpoint.recovered", message=f"Endpoint responds again: {url}", **fields)
