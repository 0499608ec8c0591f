"""Claims to jobs that exist at a provider already.

A provider's job belongs to the project that had it first. Another project gets the error of an id
that the provider does not know, after the same reads.
"""

from collections.abc import Mapping

from reelhook.domain.caller import Caller
from reelhook.domain.errors import UnknownProviderJobError
from reelhook.domain.report import Missing
from reelhook.ports import JobReads, Provider


async def check_claim(
    store: JobReads,
    providers: Mapping[str, Provider],
    caller: Caller,
    account: str,
    provider_job_id: str,
) -> None:
    """Raise `UnknownProviderJobError` if the caller can't have this job of the account's provider.

    A job that the caller's project has already passes. Raises `ProviderError` if the provider can't
    be read.
    """
    accounts = (account, *sharing(providers, account))
    holder = await store.job_of_provider(accounts, provider_job_id)
    foreign = holder is not None and not caller.may_see(holder.job.project)
    reading = await providers[account].get(provider_job_id)
    if foreign or isinstance(reading.report, Missing):
        raise UnknownProviderJobError(account, provider_job_id)


def sharing(providers: Mapping[str, Provider], account: str) -> tuple[str, ...]:
    """Return the other accounts of the account's server, where an id means the same job."""
    mine = providers[account]
    return tuple(
        other
        for other, provider in providers.items()
        if other != account and (provider.name, provider.server) == (mine.name, mine.server)
    )
