"""Finds a job's provider, and hides the errors of its account."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from reelhook.domain.caller import Caller, Scope
from reelhook.domain.errors import (
    AccountUnavailableError,
    ProviderError,
    ProviderUnauthorizedError,
)
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


@contextmanager
def account_errors_hidden(caller: Caller) -> Iterator[None]:
    """Replace the provider's words about its account, unless the caller is the operator.

    They are about the account's key or its balance. Raises `AccountUnavailableError`.
    """
    try:
        yield
    except ProviderUnauthorizedError as error:
        if caller.allows(Scope.OPERATOR):
            raise
        raise AccountUnavailableError from error
