"""Ports for resolving creates by a provider's listing."""

from collections.abc import Sequence
from typing import Protocol

from reelhook.domain.doubt import Known
from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.listing import ListingFacts
from reelhook.ports.job_records import StoredJob
from reelhook.ports.jobs import AcceptanceStore, WatchStore
from reelhook.ports.leases import Lease


class ListingStore(Protocol):
    """Keeps the facts learned about the listings of accounts."""

    async def listing_facts(self, account: str) -> ListingFacts | None:
        """Return the facts learned about the server that the account had at that time."""
        ...

    async def record_listing_facts(
        self, account: str, facts: ListingFacts, lease: Lease | None
    ) -> None:
        """Store the facts learned in place of earlier ones, unless the lease was lost."""
        ...

    async def newest_entries(self, account: str, fingerprint: str, limit: int) -> list[str]:
        """Return the ids that this server assigned to our creates, newest first."""
        ...


class KnownEntriesReads(Protocol):
    """Recognizes our jobs among a server's jobs."""

    async def known_entries(
        self, accounts: Sequence[str], server: str, provider_job_ids: Sequence[str]
    ) -> dict[str, Known]:
        """Return the ids that belong to jobs of these accounts, with the facts about each.

        `server` is the part of a fingerprint that identifies the server which assigned the ids.
        """
        ...


class ForgottenStore(WatchStore, ListingStore, KnownEntriesReads, Protocol):
    """Finds out which jobs a restarted server has forgotten."""


class LookupStore(AcceptanceStore, ListingStore, KnownEntriesReads, Protocol):
    """Reads unresolved jobs and compares them with a listing."""

    async def jobs_submitting(self, account: str) -> list[Job]:
        """Return the jobs whose create call has no recorded outcome."""
        ...

    async def jobs_now(self, job_ids: Sequence[str]) -> list[Job]:
        """Return the current state of these jobs."""
        ...

    async def jobs_ended_unknown(self, accounts: Sequence[str], since: Instant) -> list[Job]:
        """Return the jobs that ended unresolved since then and that no person has settled."""
        ...

    async def jobs_to_look_up(self, job_ids: Sequence[str]) -> list[StoredJob]:
        """Return jobs with their requests; a hash replaces each image."""
        ...

    async def expected_entries(
        self, account: str, fingerprint: str, since: Instant, until: Instant, limit: int
    ) -> dict[str, Instant]:
        """Return the ids that the listing must show, with their acceptance times in this period.

        Jobs that failed, were canceled, or whose file has expired are left out.
        """
        ...
