"""One tree of errors. A message says what to do; `code` is stable and part of the API."""

from collections.abc import Mapping

from reelhook.domain.problem import Problem, sentence


class ReelhookError(Exception):
    """Base of all errors that a user of reelhook may see."""

    code = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class SettingsError(ReelhookError):
    """A setting is missing or wrong: the program does not start, and says so in one sentence."""

    code = "bad_setting"


class InvalidRequestError(ReelhookError):
    """A field of a request is wrong; nothing was stored.

    `field` is the name that the domain has for it, and `facts` are what the problem is about. A
    sentence in place of `problem` is the whole message.
    """

    code = "invalid_request"

    def __init__(self, field: str, problem: Problem | str, **facts: object) -> None:
        if not isinstance(problem, Problem):
            problem, facts = Problem.STATED, {"message": problem}
        super().__init__(sentence(problem, field, facts))
        self.field = field
        self.problem = problem
        self.facts = facts


class WebhookUrlRefusedError(InvalidRequestError):
    """A webhook may not be sent to this URL."""

    code = "webhook_url_refused"


class ImageUrlRefusedError(InvalidRequestError):
    """A provider may not be told to fetch its first image there."""

    code = "image_url_refused"


class BadKeyError(ReelhookError):
    """A secret or a key has not the form it must have. The message never shows it."""

    code = "bad_key"


class WebhookVerificationError(ReelhookError):
    """A webhook is not to be believed: nobody we know signed it, or it is too old or too new."""

    code = "webhook_not_verified"


class JobNotFoundError(ReelhookError):
    """No such job."""

    code = "job_not_found"

    def __init__(self) -> None:
        super().__init__("Job not found")


class UnknownCallbackError(ReelhookError):
    """No provider was given this address."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("No provider was given this address")


class EndpointNotFoundError(ReelhookError):
    """No such endpoint."""

    code = "endpoint_not_found"

    def __init__(self) -> None:
        super().__init__("Endpoint not found; GET /api/endpoints lists them")


class EndpointConflictError(ReelhookError):
    """What was asked of an endpoint can't be done to this one."""

    code = "conflict"


class DeliveryNotFoundError(ReelhookError):
    """No such delivery."""

    code = "delivery_not_found"

    def __init__(self) -> None:
        super().__init__("Delivery not found; GET /api/deliveries lists them")


class ResendNotFoundError(ReelhookError):
    """No such resend."""

    code = "resend_not_found"

    def __init__(self) -> None:
        super().__init__("Resend not found; POST /api/deliveries/resend starts one")


class JobConflictError(ReelhookError):
    """The job's state, or another job, stands against what was asked."""

    code = "conflict"


class JobIdTakenError(JobConflictError):
    """Another job has this id, or this provider's job has another id."""

    code = "job_id_taken"


class JobEndedError(JobConflictError):
    """The job has ended; it can't be changed any more."""

    code = "job_ended"


class NotCancelableError(JobConflictError):
    """The provider can't cancel: the render is paid for."""

    code = "not_cancelable"


class SubmissionPendingError(JobConflictError):
    """Whether the provider accepted the job is not known yet."""

    code = "submission_pending"


class IdempotencyKeyReusedError(ReelhookError):
    """An `Idempotency-Key` came again with another body."""

    code = "idempotency_key_reused"


class ContentNotReadyError(ReelhookError):
    """The video is not finished, or the job failed."""

    code = "content_not_ready"


class ContentMissingError(ReelhookError):
    """The provider no longer has the finished video."""

    code = "content_missing"


class StoreError(ReelhookError):
    """The database can't be used. Nothing was written, so the same can be tried again."""

    code = "store_unavailable"


class CommitUnknownError(ReelhookError):
    """Whether a write was kept is not known: the database's response to COMMIT was lost.

    It may have been written, and it may still be. Trying again is safe only for a write that names
    what it writes, so that a second time changes nothing. `ids` names what was being created, by
    the keys of the API.
    """

    code = "acceptance_unknown"

    def __init__(self, ids: Mapping[str, str] | None = None) -> None:
        super().__init__(
            "The database did not say whether it kept this, so it may have been done. "
            "Don't just send it again: look it up first, or repeat it with the same Idempotency-Key"
        )
        self.ids = dict(ids or {})

    def naming(self, **ids: str) -> "CommitUnknownError":
        """Return the error with the ids of what may have been done."""
        return CommitUnknownError({**self.ids, **ids})


DATABASE_FAILURES = (StoreError, CommitUnknownError)
"""What a write may raise beside what its operation does, for those who look again either way."""


class CopyError(ReelhookError):
    """A database could not be copied; the source serves as before."""

    code = "copy_failed"


class ProviderError(ReelhookError):
    """A provider could not be asked, or answered nothing usable. Nothing is known, nothing changes.

    `retry_after_seconds` is the provider's own wish, when it had one. `unreachable`: it could not
    be asked at all (no connection, 502, 503, 504, 429, a refused key), so that nothing is said of
    any of its jobs.
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
    """A provider answered more than is read, in bytes."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"The provider's response is longer than {bytes_max} bytes")


class FileAddressRefusedError(ProviderError):
    """The finished file's address, or one that it redirects to, is not public and not allowed."""

    code = "file_address_refused"


class ProviderUnauthorizedError(ProviderError):
    """The provider refused the account's key (401 or 403): it can't be asked."""

    code = "provider_unauthorized"

    def __init__(self, message: str) -> None:
        super().__init__(message, unreachable=True)


class ServerUnfitError(ProviderError):
    """The server was reached, and can't do what it is asked for. The message says what to do."""

    code = "server_unfit"


class AccountEmptyError(ProviderUnauthorizedError):
    """The provider refused to be asked since the account has no money left."""

    code = "quota"


class ListingUnsupportedError(ProviderError):
    """The provider has no listing of jobs, or none for this account."""

    code = "listing_unsupported"


class CursorRefusedError(ProviderError):
    """The provider's listing does not know the id that was to serve as its cursor."""

    code = "cursor_refused"


class CheckUnsupportedError(ProviderError):
    """The provider has no request that is known to cost nothing."""

    code = "check_unsupported"
