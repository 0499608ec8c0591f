"""Requests that conflict with the current state of a job or an endpoint."""

from reelhook.domain.errors import EndpointConflictError, JobConflictError


class InstallationSecretError(EndpointConflictError):
    """The installation's secret signs for this endpoint, which has no secret itself."""

    problem = "installation_secret"

    def __init__(self, endpoint_id: str) -> None:
        super().__init__(
            "The installation's secret signs this endpoint's webhooks: put the current secret into "
            "REELHOOK_WEBHOOK_SECRET_PREVIOUS, a new one into WEBHOOK_SECRET, and restart",
            facts={"endpoint_id": endpoint_id},
        )


class EndpointLockedError(EndpointConflictError):
    """This process can't decrypt the endpoint's secrets, so it neither signs nor changes them."""

    problem = "endpoint_locked"

    def __init__(self, endpoint_id: str) -> None:
        super().__init__(
            f"The secrets of {endpoint_id} can't be decrypted here: add the key that they are "
            "encrypted with to REELHOOK_ENCRYPTION_KEYS, and restart",
            facts={"endpoint_id": endpoint_id},
        )


class NotInDoubtError(JobConflictError):
    """Nothing about the job's submission is in doubt."""

    problem = "not_in_doubt"

    def __init__(self, job_id: str) -> None:
        super().__init__("The job is not in doubt", facts={"job_id": job_id})


class DoubtSettledError(JobConflictError):
    """The job was in doubt, and somebody has settled the doubt."""

    problem = "doubt_settled"

    def __init__(self, job_id: str) -> None:
        super().__init__("The job's doubt is settled already", facts={"job_id": job_id})


class JobIdTakenError(JobConflictError):
    """Another job has this id."""

    code = "job_id_taken"

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"Another job has the id {job_id}; choose another id", facts={"job_id": job_id}
        )


class AlreadyWatchedError(JobIdTakenError):
    """The provider's job is already watched as the job `job_id`."""

    problem = "already_watched"

    def __init__(self, provider_job_id: str, job_id: str) -> None:
        JobConflictError.__init__(
            self,
            f"{provider_job_id} is already watched as {job_id}",
            facts={"provider_job_id": provider_job_id, "job_id": job_id},
        )


class JobEndedError(JobConflictError):
    """The job has ended and can't be changed any more."""

    code = "job_ended"

    def __init__(self, status: str) -> None:
        super().__init__(f"The job has already ended: it is {status}", facts={"job_status": status})


class NotCancelableError(JobConflictError):
    """The provider can't cancel: the render is paid for."""

    code = "not_cancelable"

    def __init__(self) -> None:
        super().__init__(
            "The provider can't cancel this job, so the render is paid for; "
            "cancel with force to stop watching it"
        )


class SubmissionPendingError(JobConflictError):
    """It is not known yet whether the provider accepted the job."""

    code = "submission_pending"

    def __init__(self, *, forcible: bool = False) -> None:
        """`forcible`: the caller may force the request."""
        remedy = ", or cancel with force to stop watching" if forcible else ""
        super().__init__(
            "It is not known yet whether the provider accepted the job; "
            f"try again in a minute{remedy}",
            problem="cancel_needs_force" if forcible else None,
        )
