"""An endpoint is always checked when something is due there, never later.

A brute-force reading of all rows says what is due; the store has to find the same by `next_at`.
"""

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.delivery import Delivery, WebhookResponse
from reelhook.domain.endpoint import DEFAULT_ENDPOINT, Endpoint, EndpointKind
from reelhook.domain.job import Job
from reelhook.domain.report import Progress, Report
from reelhook.ports import DueDelivery, Settlement
from reelhook.storage.operation import Operation
from reelhook.storage.operations import (
    delivery_writes,
    due,
    endpoint_writes,
    job_reads,
    job_writes,
    resends,
)
from reelhook.storage.operations.rows import DELIVERY, ENDPOINT, delivery_of, endpoint_of
from reelhook.storage.schema import migrate
from reelhook.storage.sqlite.driver import connect, run

from .samples import ENDPOINT as REGISTERED
from .samples import FAILED, FINISHED, NOW, RUNNING, SCHEDULE, attempt, change, flat, new, statement

OWN = ["https://a.example/", "https://b.example/"]
DEFAULT = Endpoint(
    DEFAULT_ENDPOINT, EndpointKind.DEFAULT, "https://d.example/", trusted=True, created_at=NOW
)
ANSWERS = [
    *[WebhookResponse(duration_ms=7, status=500)] * 6,
    *[WebhookResponse(duration_ms=7, status=204)] * 3,
    WebhookResponse(duration_ms=7, status=503, retry_after_seconds=90),
    WebhookResponse(duration_ms=7, status=410),
]
_template: list[Path] = []


def template() -> Path:
    """An empty database with the newest schema."""
    if not _template:
        path = Path(tempfile.mkdtemp()) / "migrated.db"
        migrate.migrate(path)
        _template.append(path)
    return _template[0]


def next_of(endpoint: Endpoint, there: Iterable[Delivery]) -> int | None:
    """When something may be sent to an endpoint next, as the promises have it."""
    waiting = [one for one in there if one.due_at is not None]
    if not waiting:
        return None
    if endpoint.health.probe_due_at is None:
        return min(one.due_at or 0 for one in waiting)
    ends = [one for one in waiting if one.terminal_at is not None]
    if ends:
        probe = min(ends, key=lambda one: (one.terminal_at, one.id))
    else:
        probe = min(waiting, key=lambda one: (one.due_at, one.id))
    return probe.probe_at(endpoint.health.probe_due_at)


class Looking(RuleBasedStateMachine):
    """Jobs, events, attempts, endpoints and time, in any order."""

    @initialize(all_rest=st.booleans())
    def begin(self, all_rest: bool) -> None:
        self.all_rest = all_rest
        self.folder = Path(tempfile.mkdtemp())
        self.connection = connect(
            Path(shutil.copy(template(), self.folder / "reelhook.db")), read_only=False
        )
        self.connection.execute("PRAGMA synchronous = OFF")
        self.now = NOW
        self.count = 0
        self.jobs: list[str] = []
        self.flights: list[tuple[Endpoint, DueDelivery]] = []
        self.do(endpoint_writes.create(REGISTERED))
        self.do(endpoint_writes.keep_default(DEFAULT))

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()
            shutil.rmtree(self.folder)

    def do(self, operation: Operation[Any]) -> Any:
        """Run an operation. Before it every endpoint rests: nothing is found by luck."""
        with self.connection:
            if self.all_rest:
                run(self.connection, due.rest([one.id for one, _ in self.endpoints()]))
            return run(self.connection, operation)

    def job(self, job_id: str) -> Job:
        return run(self.connection, job_reads.job(job_id)).job

    def endpoints(self) -> list[tuple[Endpoint, int | None]]:
        text = f"SELECT {ENDPOINT}, e.next_at FROM endpoints e WHERE e.deleted_at IS NULL"  # noqa: S608 - names of ours
        rows = run(self.connection, statement(text))
        return [(endpoint_of(row), row[-1]) for row in rows]

    def deliveries(self) -> list[Delivery]:
        text = f"SELECT {DELIVERY} FROM deliveries d"  # noqa: S608 - names of ours
        return [delivery_of(row) for row in run(self.connection, statement(text))]

    @rule(seconds=st.sampled_from([0, 1, 4, 5, 6, 30, 100, 300, 3600, 140 * 3600]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * 1000 + 1

    @rule(url=st.sampled_from([None, *OWN]), named=st.sampled_from(["ep_1", DEFAULT_ENDPOINT]))
    def a_job_comes(self, url: str | None, named: str) -> None:
        self.count += 1
        there = {one.id for one, _ in self.endpoints()}
        made = new(
            f"job_{self.count}",
            at=self.now,
            urls=() if url is None else (url,),
            endpoints=[named] if url is None and named in there else (),
        )
        self.do(job_writes.create(made))
        begun = self.job(made.job.id).submitting(self.now)
        self.do(job_writes.record([change((begun, ()))], None))
        accepted = self.job(made.job.id).accept(f"video_{self.count}", self.now)
        self.do(job_writes.record([change((accepted, ()))], None))
        self.jobs.append(made.job.id)
        told = self.job(made.job.id).apply(RUNNING, self.now)
        self.do(job_writes.record([change(told)], None))

    @precondition(lambda self: bool(self.jobs))
    @rule(data=st.data(), percent=st.integers(0, 99))
    def a_job_changes(self, data: st.DataObject, percent: int) -> None:
        job = self.job(data.draw(st.sampled_from(self.jobs)))
        progress = Progress(running=True, percent=percent)
        reports: list[Report] = [RUNNING, progress, FINISHED, FAILED]
        report = data.draw(st.sampled_from(reports))
        self.do(job_writes.record([change(job.apply(report, self.now))], None))

    @rule(data=st.data())
    def an_attempt_begins(self, data: st.DataObject) -> None:
        """Two workers may both be at one, for a while after a lane was handed over."""
        found = self.do(due.due(self.now, per_endpoint=5, limit=50, busy=frozenset())).endpoints
        if found:
            place = data.draw(st.sampled_from(found))
            self.flights.append((place.endpoint, data.draw(st.sampled_from(place.deliveries))))

    @precondition(lambda self: bool(self.flights))
    @rule(data=st.data(), answer=st.sampled_from(ANSWERS))
    def an_attempt_ends(self, data: st.DataObject, answer: WebhookResponse) -> None:
        flight = data.draw(st.sampled_from(self.flights))
        self.flights.remove(flight)
        before, chosen = flight
        probe = before.health.open and not chosen.delivery.is_retry_due(self.now)
        number = chosen.delivery.attempts + 1
        made = attempt(chosen, answer, number=number, at=self.now, probe=probe)
        self.now += answer.duration_ms
        after = before.responded(answer, self.now, probe=before.health.open)

        def decide(current: Delivery) -> Delivery:
            if answer.gone and before.kind is not EndpointKind.URL:
                return current
            return current.settle(
                made.sequence,
                answer,
                self.now,
                probe=probe,
                schedule=SCHEDULE,
                random=Random(1),
            )

        reopened = before.health.open and not after.health.open
        account_status = None if after.same_health_as(before) else after
        still_open = before.health.open and after.health.open
        self.do(
            delivery_writes.settle(Settlement(made, decide, account_status, reopened, still_open))
        )

    @rule(data=st.data(), seconds=st.sampled_from([0, 5, 300]))
    def a_breaker_opens(self, data: st.DataObject, seconds: int) -> None:
        one, _ = data.draw(st.sampled_from(self.endpoints()))
        health = CircuitBreaker(5, self.now, self.now + seconds * 1000)
        self.do(endpoint_writes.change(one.id, lambda known: replace(known, health=health)))

    @rule(data=st.data())
    def an_endpoint_is_disabled_for_a_while(self, data: st.DataObject) -> None:
        one, _ = data.draw(st.sampled_from(self.endpoints()))
        self.do(endpoint_writes.change(one.id, lambda known: known.disable(self.now)))
        self.do(endpoint_writes.change(one.id, lambda known: known.enable()))

    @rule(data=st.data())
    def an_endpoint_changes(self, data: st.DataObject) -> None:
        one, _ = data.draw(st.sampled_from(self.endpoints()))
        how = data.draw(st.sampled_from(["disable", "enable", "describe", "move", "delete"]))
        if how == "disable":
            self.do(endpoint_writes.change(one.id, lambda known: known.disable(self.now)))
        elif how == "enable":
            self.do(endpoint_writes.change(one.id, lambda known: known.enable()))
        elif how == "describe":
            self.do(endpoint_writes.change(one.id, lambda known: replace(known, description="x")))
        elif how == "move":
            url = f"https://d{self.now}.example/"
            self.do(endpoint_writes.keep_default(replace(DEFAULT, url=url, created_at=self.now)))
        elif one.id == "ep_1":
            self.do(endpoint_writes.delete(one.id, self.now))

    @rule(data=st.data())
    def one_is_sent_again(self, data: st.DataObject) -> None:
        there = {one.id for one, _ in self.endpoints()}
        known = [one for one in self.deliveries() if one.endpoint_id in there]
        known = [one for one in known if self.job(one.job_id).sequence]
        if known:
            self.do(resends.resend_one(data.draw(st.sampled_from(known)).id, None, self.now))

    @precondition(lambda self: len(self.jobs) > 1)
    @rule(data=st.data())
    def a_job_is_forgotten(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from(self.jobs))
        self.jobs.remove(gone)
        self.do(statement("DELETE FROM jobs WHERE id = ?1", gone))

    @rule()
    def endpoints_rest(self) -> None:
        self.do(due.rest([one.id for one, _ in self.endpoints()]))
        for one, next_at in self.endpoints():
            assert next_at == self.next_of(one)

    @rule()
    def those_rest_that_are_early(self) -> None:
        self.do(
            due.rest(self.do(due.due(self.now, per_endpoint=5, limit=50, busy=frozenset())).early)
        )

    def next_of(self, endpoint: Endpoint) -> int | None:
        at = [one for one in self.deliveries() if one.endpoint_id == endpoint.id]
        return next_of(endpoint, at)

    @invariant()
    def no_endpoint_is_looked_at_too_late(self) -> None:
        for one, next_at in self.endpoints():
            true = self.next_of(one)
            assert true is None or (next_at is not None and next_at <= max(true, self.now)), one

    @invariant()
    def a_look_finds_what_is_due_and_tells_when_to_look_again(self) -> None:
        look = run(
            self.connection, due.due(self.now, per_endpoint=1000, limit=1000, busy=frozenset())
        )
        sending = {
            one.id: true
            for one, _ in self.endpoints()
            if one.disabled is None and (true := self.next_of(one)) is not None
        }
        assert {one.endpoint.id for one in look.endpoints} == {
            endpoint_id for endpoint_id, at in sending.items() if at <= self.now
        }
        waiting = {one.id: one for one in self.deliveries()}
        for one in flat(look):
            assert one.delivery == waiting[one.delivery.id]
        later = [at for at in sending.values() if at > self.now]
        assert not later or (look.next_due_at is not None and look.next_due_at <= min(later))


Looking.TestCase.settings = settings(
    stateful_step_count=40,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a shorter story takes minutes to find
)
TestLooking = Looking.TestCase
