"""The messages of errors over HTTP, where the remedy is another request of the API."""

from collections.abc import Mapping

from reelhook.domain.errors import ReelhookError

_SENTENCES: Mapping[str, str] = {
    # By `problem`, or by `code` if there is none.
    "endpoint_not_found": "{message}; GET /api/endpoints lists them",
    "project_not_found": "{message}; GET /api/projects lists them",
    "project_secret": "{message}: POST /api/projects/{project}/rotate",
    "delivery_not_found": "{message}; GET /api/deliveries lists them",
    "resend_not_found": "{message}; POST /api/deliveries/resend starts one",
    "key_not_found": "{message}; GET /api/keys lists them",
    "scope_missing": "This needs a key with the scope {scope}; ask for one, or use another key",
    "operator_only": "Only the operator may do this, with REELHOOK_API_KEY; no project's key can",
    "key_ended": "{message} with POST /api/keys",
    "money_per_day": (
        "The {owner}'s budget of this day has no room: {used} of {limit} {unit} are used, and this "
        "job may cost {needed}; wait until {resets_at}, or have the budget raised"
    ),
    "money_per_month": (
        "The {owner}'s budget of this month has no room: {used} of {limit} {unit} are used, and "
        "this job may cost {needed}; wait until {resets_at}, or have the budget raised"
    ),
    "jobs_per_day": (
        "The {owner} may have {limit} jobs a day, and has had {used}; try again at {resets_at}, "
        "or have the budget raised"
    ),
    "jobs_in_flight": (
        "The {owner} may have {limit} jobs in flight, and has {used}; try again when one has ended"
    ),
    "unknown_price": (
        "The price of this job is not known in {units}, which a budget limits; name a model with a "
        "known price, or have unknownPrice set"
    ),
    "unknown_unit": "{message}; see GET /api/models",
    "budget_not_set": "{message} with PUT",
    "unknown_endpoint": "{message}; GET /api/endpoints lists them",
    "unknown_event": "{message}; GET /api/jobs/{job_id}/events lists them",
    "unknown_event_id": "after must be the id of an event, or nextCursor of an earlier response",
    "unknown_cursor": "cursor must be nextCursor of an earlier response",
    "not_in_doubt": "{message}; GET /api/jobs?inDoubt=true lists the jobs that are",
    "still_in_doubt": (
        "{message}: POST /api/jobs/{job_id}/adopt or POST /api/jobs/{job_id}/abandon"
    ),
    "job_deleted": (
        "This request belongs to {job_id}, which was deleted; send it with a new Idempotency-Key "
        "for a new video"
    ),
    "job_id_taken": "Another job has the id {job_id}; choose another jobId",
    "job_id_unavailable": "This jobId can't be used; choose another one",
    "already_watched": "{message}; use that job",
    "unsupported_media_type": "{message}; send PNG, JPEG, WebP, GIF, AVIF, HEIC, MP4, WebM, "
    "QuickTime, MP3, WAV, Ogg or FLAC",
    "request_too_large": "{message}; send a smaller file",
    "uploads_full": "{message}; try again later, or have REELHOOK_UPLOADS_MAX_GIB raised",
    "idempotency_key_reused": "This Idempotency-Key was used with another body; use a new key",
    "acceptance_unknown": (
        "The database did not say whether it kept this, so it may have been done. Don't just send "
        "it again: look it up first, or repeat it with the same Idempotency-Key"
    ),
}


def http_message(error: ReelhookError) -> str:
    """Return the message for an HTTP client."""
    sentence = _SENTENCES.get(error.problem or error.code, "{message}")
    facts = {
        name: " or ".join(fact) if isinstance(fact, tuple) else fact
        for name, fact in error.facts.items()
    }
    return sentence.format(message=error.message, **facts)
