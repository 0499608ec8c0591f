"""One tree of errors, which carry facts.

`code` is stable and part of the API; `problem` and `facts` are details as data. `message` is a
neutral sentence for programs and logs. It names no route and no command: each door, and the command
line, makes its own sentence.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from reelhook.domain.problem import Problem, sentence

Fact = str | int | float | tuple[str, ...] | None
_IN_CONFLICTS = frozenset(
    {"JobEndedError", "JobIdTakenError", "NotCancelableError", "SubmissionPendingError"}
)

if not TYPE_CHECKING:  # else every name would pass as one of this module

    def __getattr__(name: str) -> Any:
        """Return an error that was here. Deprecated: they are in `reelhook.domain.conflicts`."""
        if name in _IN_CONFLICTS:
            return getattr(import_module("reelhook.domain.conflicts"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class ReelhookError(Exception):
    """Base of all errors that a user of reelhook may see."""

    code = "error"
    problem: str | None = None
    """A more precise name of the problem, if `code` has several meanings."""

    def __init__(
        self, message: str, *, problem: str | None = None, facts: Mapping[str, Fact] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.problem = problem or self.problem
        self.facts: dict[str, Fact] = dict(facts or {})


class SettingsError(ReelhookError):
    """A setting is missing or wrong. The program does not start, and says so in one sentence."""

    code = "bad_setting"


# -- requests -------------------------------------------------------------------------------------


class InvalidRequestError(ReelhookError):
    """A field of a request is wrong; nothing was stored.

    `field` is the domain's name for it, and `facts` are the details of the problem. A sentence in
    place of `problem` is the whole message.
    """

    code = "invalid_request"

    def __init__(
        self,
        field: str,
        problem: Problem | str,
        *,
        facts: Mapping[str, Fact] | None = None,
        **more: Fact,
    ) -> None:
        known = {**(facts or {}), **more}
        if isinstance(problem, Problem):
            super().__init__(sentence(problem, field, known), problem=problem, facts=known)
        else:
            super().__init__(problem, facts=known)
        self.field = field


class UnknownEndpointError(InvalidRequestError):
    """A request names an endpoint that does not exist."""

    problem = "unknown_endpoint"

    def __init__(self, endpoint_id: str) -> None:
        super().__init__(
            "endpoints",
            f"There is no endpoint {endpoint_id}",
            facts={"endpoint_id": endpoint_id},
        )


class UnknownProviderJobError(InvalidRequestError):
    """The provider does not know this job, or it belongs to a project that the caller can't see.

    The two are not distinguished, so that nobody learns about another project's jobs.
    """

    def __init__(self, account: str, provider_job_id: str) -> None:
        super().__init__(
            "provider_job_id",
            f"{account} does not know {provider_job_id}; look its id up there",
        )


class UnknownEventError(InvalidRequestError):
    """A job has no event with this sequence number, or, if `sequence` is None, no event yet.

    With `body_format`, it has none that a format reports.
    """

    problem = "unknown_event"

    def __init__(self, job_id: str, sequence: int | None, body_format: str | None = None) -> None:
        wanted = "yet" if sequence is None else sequence
        reported = "" if body_format is None else f" that the format {body_format} reports"
        facts: dict[str, Fact] = {"job_id": job_id}
        super().__init__(
            "sequence",
            f"The job has no event {wanted}{reported}",
            facts=facts if sequence is None else {**facts, "sequence": sequence},
        )


class UnknownCursorError(InvalidRequestError):
    """A cursor did not come from an earlier page."""

    problem = "unknown_cursor"

    def __init__(self) -> None:
        super().__init__("cursor", "cursor must come from an earlier page")


class UnknownEventIdError(InvalidRequestError):
    """The id after which a feed should continue is not the id of an event."""

    problem = "unknown_event_id"

    def __init__(self) -> None:
        super().__init__("after", "after must be the id of an event")


class WebhookUrlRefusedError(InvalidRequestError):
    """A webhook may not be sent to this URL."""

    code = "webhook_url_refused"


class ImageUrlRefusedError(InvalidRequestError):
    """A provider may not be asked to fetch its first image from this URL."""

    code = "image_url_refused"


class BadKeyError(ReelhookError):
    """A secret or a key is malformed. The message never shows it."""

    code = "bad_key"


class WebhookVerificationError(ReelhookError):
    """A webhook can't be trusted: no known key signed it, or it is too old or too new."""

    code = "webhook_not_verified"


class IdempotencyKeyReusedError(ReelhookError):
    """An idempotency key was already used with another body."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This idempotency key was used with another body; use a new key")


# -- not found ------------------------------------------------------------------------------------


class NotFoundError(ReelhookError):
    """There is no record of this kind with the requested id."""

    code = "not_found"
    kind = "Record"

    def __init__(self, wanted: str | int | None = None) -> None:
        super().__init__(f"{self.kind} not found")
        self.wanted = wanted


class JobNotFoundError(NotFoundError):
    """There is no such job."""

    code = "job_not_found"
    kind = "Job"


class EndpointNotFoundError(NotFoundError):
    """There is no such endpoint."""

    code = "endpoint_not_found"
    kind = "Endpoint"


class DeliveryNotFoundError(NotFoundError):
    """There is no such delivery."""

    code = "delivery_not_found"
    kind = "Delivery"


class ResendNotFoundError(NotFoundError):
    """There is no such resend."""

    code = "resend_not_found"
    kind = "Resend"


class ProjectNotFoundError(NotFoundError):
    """There is no such project."""

    code = "project_not_found"
    kind = "Project"


class UnknownCallbackError(ReelhookError):
    """No provider was given this callback address."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("No provider was given this address")


# -- conflicts ------------------------------------------------------------------------------------


class EndpointConflictError(ReelhookError):
    """This kind of endpoint does not allow the change."""

    code = "conflict"


class JobConflictError(ReelhookError):
    """The job's state, or another job, does not allow the request."""

    code = "conflict"


class ProjectConflictError(ReelhookError):
    """The project's state, or another project, does not allow the change."""

    code = "conflict"


# -- content --------------------------------------------------------------------------------------


class ContentNotReadyError(ReelhookError):
    """The video is not finished, or the job failed."""

    code = "content_not_ready"

    def __init__(self, status: str) -> None:
        super().__init__(
            f"The job is {status}; there is a video once it is completed",
            facts={"job_status": status},
        )


class ContentMissingError(ReelhookError):
    """The provider no longer has the finished video."""

    code = "content_missing"


class StoreError(ReelhookError):
    """The database can't be used. Nothing was written, so the operation can be tried again."""

    code = "store_unavailable"


class CommitUnknownError(ReelhookError):
    """It is not known whether a write was kept: the database's response to COMMIT was lost.

    It may have been written, or may still be. Trying again is safe only for a write that chooses
    its ids, so that a second try changes nothing. The facts have the ids of the records that were
    being written.
    """

    code = "acceptance_unknown"

    def __init__(self, ids: Mapping[str, str] | None = None) -> None:
        super().__init__(
            "The database did not say whether it kept this, so it may have been done. "
            "Don't just send it again: look it up first, or repeat it with the same "
            "idempotency key",
            facts=ids,
        )

    def naming(self, **ids: str) -> "CommitUnknownError":
        """Return the error with the ids of the records that may have been written."""
        return CommitUnknownError({**{name: str(id_) for name, id_ in self.facts.items()}, **ids})


DATABASE_FAILURES = (StoreError, CommitUnknownError)
"""The errors that any write may raise, for callers that read the record again either way."""


class CopyError(ReelhookError):
    """A database could not be copied. The source can be used as before."""

    code = "copy_failed"


class ProviderError(ReelhookError):
    """A provider could not be reached, or its response was unusable. Nothing is known or changed.

    `retry_after_seconds` is the wait that the provider asked for, if any. `unreachable`: no
    request was served (no connection, 502, 503, 504, 429, a refused key), so the error says
    nothing about any job.
    """

    code = "provider_unavailable"

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        unreachable: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.unreachable = unreachable


class ResponseTooLargeError(ProviderError):
    """A provider's response is longer than the limit."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"The provider's response is longer than {bytes_max} bytes")


class FileAddressRefusedError(ProviderError):
    """The finished file's address, or a redirect from it, is neither public nor allowed."""

    code = "file_address_refused"


class ProviderUnauthorizedError(ProviderError):
    """The provider refused the account's key (401 or 403)."""

    code = "provider_unauthorized"

    def __init__(self, message: str) -> None:
        super().__init__(message, unreachable=True)


class ServerUnfitError(ProviderError):
    """The server was reached but can't fulfil the request. The message has the remedy."""

    code = "server_unfit"


class AccountUnavailableError(ProviderError):
    """The provider serves nothing for the account. The reason is for the operator alone."""

    def __init__(self) -> None:
        super().__init__(
            "The provider refuses requests of this account; ask the operator, who can see why",
            unreachable=True,
        )


class AccountEmptyError(ProviderUnauthorizedError):
    """The provider refused the request because the account has no money left."""

    code = "quota"


class ListingUnsupportedError(ProviderError):
    """The provider has no listing of jobs, or none for this account."""

    code = "listing_unsupported"


class CursorRefusedError(ProviderError):
    """The provider's listing does not know the id that was used as its cursor."""

    code = "cursor_refused"


class CheckUnsupportedError(ProviderError):
    """The provider has no request that is known to be free, so the key can't be checked."""

    code = "check_unsupported"
