"""The messages of errors on the command line, where the remedy is another command."""

from collections.abc import Mapping

from reelhook.domain.errors import ReelhookError

_SENTENCES: Mapping[str, str] = {
    # By `problem`, or by `code` if there is none. The names in braces are facts of the error.
    "job_not_found": "Job not found; `reelhook jobs` lists them",
    "endpoint_not_found": "Endpoint not found; `reelhook endpoints list` lists them",
    "project_not_found": "Project not found; `reelhook projects list` lists them",
    "project_secret": (
        "The project's secret signs this endpoint's webhooks; "
        "`reelhook projects rotate {project}` replaces it"
    ),
    "project_name_taken": "Another project has the name {name}; choose another name",
    "project_closed": (
        "The project {project} is closed; create another one with `reelhook projects create NAME`"
    ),
    "delivery_not_found": "Delivery not found; `reelhook deliveries list` lists them",
    "resend_not_found": "Resend not found; `reelhook deliveries resend` starts one",
    "key_not_found": "Key not found; `reelhook keys list` lists them",
    "key_revoked": "The key in REELHOOK_API_KEY was revoked; set another one",
    "key_expired": "The key in REELHOOK_API_KEY has expired; set another one",
    "key_project_closed": "The project of the key in REELHOOK_API_KEY was closed; set another one",
    "key_ended": "This key was revoked or has expired; `reelhook keys create` makes a new one",
    "scope_missing": "This needs a key with the scope {scope}; set REELHOOK_API_KEY to one",
    "operator_only": "Only the operator may do this: set REELHOOK_API_KEY to the server's own",
    "unknown_endpoint": (
        "There is no endpoint {endpointId}; `reelhook endpoints list` lists the registered ones"
    ),
    "budget_not_set": (
        "Nothing is limited here, so there is nothing to raise; `reelhook budgets set` sets limits"
    ),
    "unknown_unit": "{error}, or `reelhook models`",
    "unknown_event": "The job has no such event; `reelhook events --job {jobId}` lists them",
    "unknown_event_id": "--after must be the id of an event; `reelhook events` lists them",
    "unknown_cursor": "--cursor must be the nextCursor of an earlier page",
    "not_in_doubt": "The job is not in doubt; `reelhook jobs --in-doubt` lists the jobs that are",
    "job_id_taken": "Another job has the id {jobId}; choose another --job-id",
    "job_id_unavailable": "This --job-id can't be used; choose another one",
    "already_watched": (
        "{providerJobId} is already watched as {jobId}; `reelhook status {jobId}` shows that job"
    ),
    "not_cancelable": (
        "The provider can't cancel this job, so the render is paid for; "
        "cancel with --force to stop watching it"
    ),
    "not_deletable": (
        "The provider can't cancel this job, so the render is paid for; delete it once it has "
        "ended, or stop watching it with `reelhook cancel --force` first"
    ),
    "still_in_doubt": (
        "It is not known whether the provider has this job; settle that with `reelhook adopt` or "
        "`reelhook abandon`, then delete it"
    ),
    "cancel_needs_force": (
        "It is not known yet whether the provider accepted the job; "
        "try again in a minute, or cancel with --force to stop watching"
    ),
    "installation_secret": (
        "The installation's secret signs this endpoint's webhooks: put the current secret "
        "(`reelhook secret`) into REELHOOK_WEBHOOK_SECRET_PREVIOUS, a new one into "
        "WEBHOOK_SECRET, and restart `reelhook serve`"
    ),
    "idempotency_key_reused": (
        "This --idempotency-key was used for another request; use a new key"
    ),
    "acceptance_unknown": (
        "The database did not say whether it kept this, so it may have been done. "
        "Look it up before you repeat the command"
    ),
    "submit_unknown": (
        "The database did not say whether it kept the job {jobId}, so it may have been accepted. "
        "Submit it again only with --idempotency-key {key}: then nothing is paid twice"
    ),
    "no_database": (
        "There is no database {database}; name its directory with --data-dir, "
        "or start `reelhook serve` once"
    ),
    "copy_unfinished": (
        "The database is the target of a copy that is not finished; "
        "run `reelhook copy` again, or name another database"
    ),
    "database_moved": (
        "The database was moved to another one by `reelhook copy`; set DATABASE_URL to that one, "
        "or discard the copy and open this database again with `reelhook copy --reopen`"
    ),
    "already_moved": (
        "{database} was moved to another database already; if that one was discarded, "
        "run `reelhook copy --reopen` first"
    ),
    "schema_outdated": (
        "{database} has schema {revision}, this reelhook has {newest}; "
        "run `reelhook migrate --all` first, with the newest reelhook"
    ),
    "schema_not_owned": (
        "{cause}; run `reelhook migrate --all` as the role that owns the tables, "
        "and start with --no-migrate"
    ),
    "rollback_destroys": "Rolling back {revision} deletes every job; confirm it with --destroy",
    "projects_unfinished": (
        "Projects other than default have unfinished jobs ({projects}), so nothing was rolled "
        "back; wait until they have ended, or end those that wait with --end-jobs"
    ),
    "malformed_private_key": (
        "{name} is not whsk_ and the base64 of 32 or 64 bytes; "
        "`reelhook secret --new-private-key` makes one"
    ),
    "no_encryption_key": (
        "There is no key to encrypt with; make one with `reelhook keys new-encryption-key`, set "
        "REELHOOK_ENCRYPTION_KEYS to it, and restart `reelhook serve`"
    ),
    "endpoint_locked": (
        "The server can't decrypt the secrets of {endpointId}: add the key that they are encrypted "
        "with to REELHOOK_ENCRYPTION_KEYS, and restart `reelhook serve`"
    ),
    "project_locked": (
        "The server can't decrypt the secrets of {project}: add the key that they are encrypted "
        "with to REELHOOK_ENCRYPTION_KEYS, and restart `reelhook serve`"
    ),
    "malformed_encryption_key": (
        "{name} is not rhek_ and the base64 of 32 bytes; copy the key again, or make a new one "
        "with `reelhook keys new-encryption-key`"
    ),
}


def command_line_message(error: ReelhookError) -> str:
    """Return the message for a user of the command line."""
    try:
        return _SENTENCES[error.problem or error.code].format_map(error.facts)
    except KeyError:  # no other message is needed, or a server of another version lacks a fact
        return error.message
