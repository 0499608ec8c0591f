"""Finds a job's provider."""

from collections.abc import Mapping

from reelhook.domain.errors import ProviderError
from reelhook.domain.job import Job
from reelhook.ports import Provider


def provider_of(providers: Mapping[str, Provider], job: Job) -> Provider:
    """Return the provider of a job's account. Raises `ProviderError` if it was removed."""
    provider = providers.get(job.account)
    if provider is None:
        raise ProviderError(
            f"The account {job.account} is no longer configured; add it again to reach the job"
        )
    return provider
