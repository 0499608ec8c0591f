"""The bodies that the routes about operations return."""

from pydantic import Field

from reelhook.domain.event import maybe_iso
from reelhook.doors.fields import Schema, is_absent
from reelhook.doors.waiting import WaitingResponse, maybe_waiting, waiting_fields
from reelhook.gateway import AccountStats, RefusedJob, Stats, WatcherStats


class WaitingDeliveries(Schema):
    """Counts of deliveries."""

    waiting: int = Field(description="Deliveries with an event to send")


class HeldBackEndpoints(Schema):
    """Counts of endpoints."""

    failing: int = Field(description="Only probes are sent to them")
    disabled: int


class WatcherStatsResponse(Schema):
    """The watcher, which polls providers."""

    paused: bool
    paused_since: str | None
    poll_seconds: float
    last_round_at: str | None = Field(description="The end of the last round of any account")


class RefusedJobResponse(WaitingResponse):
    """A job whose create is refused for now."""

    job_id: str


class AccountStatsResponse(Schema):
    """One account: its load and its status."""

    id: str
    provider: str
    waiting: int = Field(description="Jobs that wait to be created")
    in_flight: int = Field(description="Jobs that the provider has, or may have")
    jobs_max: int | None
    healthy: bool = Field(description="false: the provider refuses the account's key")
    error: str | None
    stretched_seconds: float | None = Field(
        description="The last interval between two rounds, if it was longer than configured"
    )
    reads_wait_until: str | None = Field(description="Until when the provider asked for no reads")
    creates_wait_until: str | None = Field(
        description="Until when the provider asked for no creates"
    )
    refused: RefusedJobResponse | None = Field(
        None, exclude_if=is_absent, description="The job whose create was refused last"
    )
    unread: WaitingResponse | None = Field(
        None, exclude_if=is_absent, description="Since when, and why, the provider can't be read"
    )


class StatsResponse(Schema):
    """Statistics of an installation, or of one project."""

    jobs: dict[str, int] = Field(description="The number of all jobs (`total`) and of each status")
    deliveries: WaitingDeliveries
    endpoints: HeldBackEndpoints
    watcher: WatcherStatsResponse | None = Field(
        None, exclude_if=is_absent, description="Absent in the statistics of a project"
    )
    accounts: list[AccountStatsResponse] | None = Field(
        None, exclude_if=is_absent, description="Absent in the statistics of a project"
    )


def stats_response(stats: Stats) -> StatsResponse:
    """Return the body of a response with statistics."""
    return StatsResponse(
        jobs={"total": stats.jobs_total, **stats.jobs},
        deliveries=WaitingDeliveries(waiting=stats.deliveries_waiting),
        endpoints=HeldBackEndpoints(**stats.endpoints),
        watcher=None if stats.watcher is None else _watcher(stats.watcher),
        accounts=None if stats.accounts is None else [_account(one) for one in stats.accounts],
    )


def _watcher(watcher: WatcherStats) -> WatcherStatsResponse:
    return WatcherStatsResponse(
        paused=watcher.paused_since is not None,
        paused_since=maybe_iso(watcher.paused_since),
        poll_seconds=watcher.poll_seconds,
        last_round_at=maybe_iso(watcher.last_round_at),
    )


def _account(account: AccountStats) -> AccountStatsResponse:
    return AccountStatsResponse(
        id=account.id,
        provider=account.provider,
        waiting=account.waiting,
        in_flight=account.in_flight,
        jobs_max=account.jobs_max,
        healthy=account.healthy,
        error=account.error,
        stretched_seconds=account.stretched_seconds,
        reads_wait_until=maybe_iso(account.reads_wait_until),
        creates_wait_until=maybe_iso(account.creates_wait_until),
        refused=_refused(account.refused),
        unread=maybe_waiting(account.unread),
    )


def _refused(refused: RefusedJob | None) -> RefusedJobResponse | None:
    if refused is None:
        return None
    return RefusedJobResponse(job_id=refused.job_id, **waiting_fields(refused.waiting))
