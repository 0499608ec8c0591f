"""What looking up unresolved creates asks of the store."""

from collections.abc import Sequence
from typing import Protocol

from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.listing import Known, ListingFacts
from reelhook.ports.jobs import StoredJob, SubmitStore, WatchStore
from reelhook.ports.leases import Lease


class ListingStore(Protocol):
    """Keeps what was learned about the listings of accounts."""

    async def listing_facts(self, account: str) -> ListingFacts | None:
        """Return what was learned, about whatever server the account had at that time."""
        ...

    async def record_listing_facts(
        self, account: str, facts: ListingFacts, lease: Lease | None
    ) -> None:
        """Keep it instead of what was learned before, unless the lease was lost."""
        ...

    async def newest_entries(self, account: str, fingerprint: str, limit: int) -> list[str]:
        """Return the ids that this server gave our creates, newest first."""
        ...


class ForgottenStore(WatchStore, ListingStore, Protocol):
    """What watching needs to tell what a restarted server has forgotten."""

    async def known_entries(
        self, accounts: Sequence[str], server: str, provider_job_ids: Sequence[str]
    ) -> dict[str, Known]:
        """See `LookupStore.known_entries`."""
        ...


class LookupStore(SubmitStore, ListingStore, Protocol):
    """What looking up needs."""

    async def jobs_ended_unknown(self, accounts: Sequence[str], since: Instant) -> list[Job]:
        """Return the jobs that ended since then without anybody knowing if the provider has them,
        and that no person has settled.
        """
        ...

    async def jobs_to_look_up(self, job_ids: Sequence[str]) -> list[StoredJob]:
        """Return jobs with their requests, in which an image's hash stands in its place."""
        ...

    async def known_entries(
        self, accounts: Sequence[str], server: str, provider_job_ids: Sequence[str]
    ) -> dict[str, Known]:
        """Return which of these ids are jobs of these accounts, and what we know of each.

        `server` is the part of a fingerprint that stands for the server which gave the ids.
        """
        ...

    async def expected_entries(
        self, account: str, fingerprint: str, since: Instant, until: Instant, limit: int
    ) -> dict[str, Instant]:
        """Return the ids, and acceptances between these moments, that the listing must show.

        None of those that failed, were canceled, or whose file has expired.
        """
        ...
