"""Finds a job's provider, and hides the errors of its account."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from reelhook.domain.caller import Caller, Scope
from reelhook.domain.catalog import ModelRoute
from reelhook.domain.errors import (
    AccountUnavailableError,
    InvalidRequestError,
    ProviderError,
    ProviderUnauthorizedError,
)
from reelhook.domain.job import Job
from reelhook.domain.request import VideoRequest
from reelhook.ports import Provider


def provider_of(providers: Mapping[str, Provider], job: Job) -> Provider:
    """Return the provider of a job's account. Raises `ProviderError` if it was removed."""
    provider = providers.get(job.account)
    if provider is None:
        raise ProviderError(
            f"The account {job.account} is no longer configured; add it again to reach the job"
        )
    return provider


def lacking_field(
    providers: Mapping[str, Provider], routes: Sequence[ModelRoute], request: VideoRequest
) -> InvalidRequestError | None:
    """Return the refusal of a field that every server lacks that may get the request.

    None if there is none, as far as is known: a server that was not asked yet may have the field.
    """
    accounts = [account.id for route in routes for account in route.accounts]
    refusals = [providers[account_id].lacking_field(request) for account_id in accounts]
    return None if None in refusals else refusals[0]


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
