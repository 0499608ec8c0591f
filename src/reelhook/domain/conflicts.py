"""Requests that conflict with the current state of a job, an endpoint or a project."""

from reelhook.domain.caller import DEFAULT_PROJECT
from reelhook.domain.endpoint import Endpoint
from reelhook.domain.errors import (
    EndpointConflictError,
    JobConflictError,
    ProjectConflictError,
    ReelhookError,
)


class DefaultEndpointError(EndpointConflictError):
    """The address of a default endpoint is a setting of the installation or of a project."""

    def __init__(self, project: str) -> None:
        named = "its project's webhook URL"
        super().__init__(
            "The default endpoint's URL is "
            f"{'WEBHOOK_URL' if project == DEFAULT_PROJECT else named}; change or unset that"
        )


class InstallationSecretError(EndpointConflictError):
    """The installation's secret signs for this endpoint, which has no secret itself."""

    problem = "installation_secret"

    def __init__(self, endpoint_id: str) -> None:
        super().__init__(
            "The installation's secret signs this endpoint's webhooks: put the current secret into "
            "REELHOOK_WEBHOOK_SECRET_PREVIOUS, a new one into WEBHOOK_SECRET, and restart",
            facts={"endpoint_id": endpoint_id},
        )


class ProjectSecretError(EndpointConflictError):
    """The project's secret signs for this endpoint, which has no secret itself."""

    problem = "project_secret"

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(
            "The project's secret signs this endpoint's webhooks; rotate that secret",
            facts={"endpoint_id": endpoint.id, "project": endpoint.project},
        )


def shared_secret_error(endpoint: Endpoint) -> EndpointConflictError:
    """Return the error about an endpoint whose webhooks another secret signs."""
    if endpoint.project == DEFAULT_PROJECT:
        return InstallationSecretError(endpoint.id)
    return ProjectSecretError(endpoint)


class ProjectNameTakenError(ProjectConflictError):
    """Another project has this name."""

    problem = "project_name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Another project has the name {name}; choose another name", facts={"name": name}
        )


class DefaultProjectError(ProjectConflictError):
    """The project `default` always exists, and its address and secret are settings."""

    problem = "default_project"

    def __init__(self) -> None:
        super().__init__(
            "The project default can't be renamed or closed; "
            "WEBHOOK_URL and WEBHOOK_SECRET are its webhook URL and secret"
        )


class ProjectClosedError(ReelhookError):
    """The project is closed, so it takes no new jobs and is not changed any more."""

    code = "project_closed"

    def __init__(self, project: str) -> None:
        super().__init__(
            f"The project {project} is closed; use another project", facts={"project": project}
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


class ProjectLockedError(ProjectConflictError):
    """This process can't decrypt the project's secrets, so it does not change them."""

    problem = "project_locked"

    def __init__(self, project: str) -> None:
        super().__init__(
            f"The secrets of {project} can't be decrypted here: add the key that they are "
            "encrypted with to REELHOOK_ENCRYPTION_KEYS, and restart",
            facts={"project": project},
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


class StillInDoubtError(JobConflictError):
    """A provider may have the job, and only its request could show which of its videos is meant."""

    problem = "still_in_doubt"

    def __init__(self, job_id: str) -> None:
        super().__init__(
            "It is not known whether the provider has this job; adopt or abandon it before you "
            "delete it",
            facts={"job_id": job_id},
        )


class JobDeletedError(JobConflictError):
    """A request would get a job again that has been deleted since."""

    code = "job_deleted"

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"This request belongs to {job_id}, which was deleted; send a new request with another "
            "idempotency key",
            facts={"job_id": job_id},
        )


class JobIdTakenError(JobConflictError):
    """Another job has this id."""

    code = "job_id_taken"

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"Another job has the id {job_id}; choose another id", facts={"job_id": job_id}
        )


class JobIdUnavailableError(JobIdTakenError):
    """A job that the caller can't see has this id. Nothing is said about that job."""

    problem = "job_id_unavailable"

    def __init__(self) -> None:
        JobConflictError.__init__(self, "This id can't be used for a job; choose another id")


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


class NotDeletableError(NotCancelableError):
    """The job has not ended, and its provider can't cancel it."""

    problem = "not_deletable"

    def __init__(self) -> None:
        JobConflictError.__init__(
            self,
            "The provider can't cancel this job, so the render is paid for; "
            "delete it once it has ended",
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
