"""Every use case keeps a caller within its project.

The rules are compared with the gateway's methods: a new one without a rule fails.
"""

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from two_projects import FOX, OURS, TwoProjects, two_projects, unknown, unknown_job
from watched_database import watched

from reelhook.domain.budget import NO_LIMITS
from reelhook.domain.caller import OPERATOR, Scope, ScopeMissingError
from reelhook.domain.causes.cause import CauseName
from reelhook.domain.conflicts import JobIdUnavailableError
from reelhook.domain.errors import (
    JobNotFoundError,
    NotFoundError,
    ReelhookError,
    UnknownProviderJobError,
)
from reelhook.gateway import SOLE_HOLDER, AuditFilter, DeliveryFilter, Gateway, IdempotencyKey

Use = Callable[[TwoProjects, Any], Any]
Rule = Callable[[TwoProjects], Awaitable[None]]


# -- kinds of rules --------------------------------------------------------------------------------


def same_as_unknown(
    use: Use, thing: str, error: type[Exception] | None = None, *, ours_differs: bool = True
) -> Rule:
    """A thing of theirs has the same result, after the same statements, as an unknown one."""

    async def check(stage: TwoProjects) -> None:
        theirs = getattr(stage.theirs, thing)
        foreign = await _outcome(use, stage, theirs)
        assert foreign == await _outcome(use, stage, _unknown(theirs))
        if error is not None:
            assert foreign[0] is error
        if ours_differs:
            assert foreign != await _outcome(use, stage, getattr(stage.ours, thing))

    return check


def own_things_only(use: Callable[[TwoProjects], Any]) -> Rule:
    """The result has things of ours, and none of theirs."""

    async def check(stage: TwoProjects) -> None:
        # `submit_after` is the provider's listing before a create; no door shows it.
        found = re.sub(r"submit_after='[^']*'", "", repr(await use(stage)))
        assert any(one in found for one in stage.ours.ids)
        assert not [one for one in stage.theirs.ids if one in found]
        assert stage.theirs.caller.project not in found

    return check


def foreign_id(use: Use, theirs: str) -> Rule:
    """An id of theirs has the same error, after the same statements, as an unknown one."""

    async def check(stage: TwoProjects) -> None:
        foreign = await _outcome(use, stage, theirs)
        assert foreign == await _outcome(use, stage, unknown(theirs))
        assert issubclass(foreign[0], NotFoundError)

    return check


def operator_only(use: Callable[[TwoProjects], Any]) -> Rule:
    """No key of a project may do this."""

    async def check(stage: TwoProjects) -> None:
        with pytest.raises(ScopeMissingError) as refused:
            await use(stage)
        assert refused.value.scope is Scope.OPERATOR

    return check


def of_no_project(_reason: str) -> Rule:
    """The use case tells and changes nothing of a project; the reason says what it is about."""

    async def check(stage: TwoProjects) -> None:
        pass

    return check


def _unknown(thing: Any) -> Any:
    match thing:
        case str():
            return unknown(thing)
        case int():
            return thing + 1000
        case _:
            return unknown_job(thing)


async def _outcome(use: Use, stage: TwoProjects, thing: Any) -> tuple[Any, ...]:
    """Return the result or error of a use without the thing's id, and the statements that ran."""
    with watched() as statements:
        try:
            found = await use(stage, thing)
        except ReelhookError as error:
            facts = error.message, error.problem, error.facts, getattr(error, "field", None)
            return type(error), repr(facts).replace(str(thing), "ID"), statements
    return type(found), repr(found).replace(str(thing), "ID"), statements


# -- rules that are more than that -----------------------------------------------------------------


async def submitting(stage: TwoProjects) -> None:
    """The same idempotency key is another one in another project, even with another body."""
    key = IdempotencyKey(SOLE_HOLDER, "order-1", "a body")
    jobs = stage.gateway.new_jobs
    first = await jobs.submit(stage.theirs.caller, FOX, idempotency=key)
    second = IdempotencyKey(SOLE_HOLDER, "order-1", "another body")
    created = await jobs.submit(OURS, FOX, idempotency=second)
    assert not created.replayed
    assert created.job_id != first.job_id
    job = (await stage.gateway.jobs.job(OURS, created.job_id)).job
    assert (job.project, job.key_id) == (OURS.project, OURS.key_id)
    again = await jobs.submit(OURS, FOX, idempotency=second)
    assert (again.job_id, again.replayed) == (created.job_id, True)


async def registering(stage: TwoProjects) -> None:
    jobs, job = stage.gateway.new_jobs, stage.theirs.job

    async def register(stage: TwoProjects, provider_job_id: str) -> Any:
        return await jobs.register(OURS, provider_job_id)

    video = str(job.provider_job_id)
    foreign = await _outcome(register, stage, video)
    assert foreign == await _outcome(register, stage, unknown(video))
    assert foreign[0] is UnknownProviderJobError
    mine = str(stage.ours.job.provider_job_id)
    assert (await register(stage, mine)).job_id == stage.ours.job.id
    with pytest.raises(JobIdUnavailableError) as refused:
        await jobs.register(OURS, stage.ours.created, job.id, account="xai")
    assert refused.value.facts == {}


async def adopting(stage: TwoProjects) -> None:
    in_doubt, ours = stage.gateway.in_doubt, stage.ours

    async def foreign_job(stage: TwoProjects, job_id: str) -> Any:
        return await in_doubt.adopt(OURS, job_id, ours.created)

    foreign = await _outcome(foreign_job, stage, stage.theirs.in_doubt)
    assert foreign == await _outcome(foreign_job, stage, unknown(stage.theirs.in_doubt))
    assert foreign[0] is JobNotFoundError

    adopted = await in_doubt.adopt(stage.theirs.caller, stage.theirs.in_doubt, stage.theirs.created)
    job = (await stage.gateway.jobs.job(stage.theirs.caller, adopted.job_id)).job
    assert (job.project, job.key_id) == (stage.theirs.caller.project, stage.theirs.caller.key_id)

    async def foreign_video(stage: TwoProjects, provider_job_id: str) -> Any:
        return await in_doubt.adopt(OURS, ours.in_doubt, provider_job_id)

    foreign = await _outcome(foreign_video, stage, stage.theirs.created)
    assert foreign == await _outcome(foreign_video, stage, unknown(stage.theirs.created))
    assert foreign[0] is UnknownProviderJobError
    assert (await in_doubt.adopt(OURS, ours.in_doubt, ours.created)).job_id


async def statistics(stage: TwoProjects) -> None:
    stats = await stage.gateway.operations.stats(OURS)
    assert (stats.watcher, stats.accounts) == (None, None)
    listed = await stage.gateway.jobs.jobs(OURS, limit=500)
    assert stats.jobs_total == len(listed.jobs)


async def costing(stage: TwoProjects) -> None:
    lines = await stage.gateway.operations.costs(OURS, 0, 2**50)
    assert {line.project for line in lines} == {OURS.project}


async def running(stage: TwoProjects) -> None:
    found = await stage.gateway.activity.running(OURS)
    jobs = (await stage.gateway.jobs.jobs(OURS, limit=500)).jobs
    assert found.total == len([one for one in jobs if not one.job.status.terminal])


async def last_day(stage: TwoProjects) -> None:
    found = await stage.gateway.activity.last_day(OURS)
    jobs = (await stage.gateway.jobs.jobs(OURS, limit=500)).jobs
    assert sum(tally.jobs for tally in found.jobs) <= len(jobs)
    endpoints = {one.id for one in await stage.gateway.endpoints.all(stage.theirs.caller)}
    assert not endpoints & {tally.endpoint_id for tally in found.attempts}


async def render_times(stage: TwoProjects) -> None:
    found = await stage.gateway.activity.render_times(OURS)
    jobs = (await stage.gateway.jobs.jobs(OURS, limit=500)).jobs
    assert len(found) == len([one for one in jobs if one.job.status.value == "completed"])


async def costs_of_days(stage: TwoProjects) -> None:
    lines = await stage.gateway.activity.costs(OURS, 1)
    assert {line.project for line in lines} <= {OURS.project}


def causes_of_theirs(name: str) -> Rule:
    """No cause is shown for a job of theirs, which is in doubt."""

    async def check(stage: TwoProjects) -> None:
        for side, shown in ((stage.ours, True), (stage.theirs, False)):
            job = (await stage.gateway.jobs.job(side.caller, side.in_doubt)).job
            given = job if name == "of_job" else [job]
            found = await getattr(stage.gateway.attention, name)(OURS, given)
            assert bool(found) is shown

    return check


async def held_jobs(stage: TwoProjects) -> None:
    found = await stage.gateway.attention.jobs(OURS, CauseName.IN_DOUBT)
    assert [one.job.id for one in found.page.jobs] == [stage.ours.in_doubt]


async def file_of_a_job(stage: TwoProjects) -> None:
    jobs = (await stage.gateway.jobs.jobs(stage.theirs.caller, limit=500)).jobs
    assert jobs
    for one in jobs:
        assert await stage.gateway.content.file(OURS, one.job.id) is None


async def keys_of_ours(stage: TwoProjects) -> None:
    assert [key.id for key in await stage.gateway.keys.all(OURS)] == ["key_ours"]


async def choosing(stage: TwoProjects) -> None:
    """A key may name its own project; another one does not exist for it."""
    use = stage.gateway.authentication
    assert (await use.within(OURS, OURS.project)).project == OURS.project
    await foreign_id(lambda _, project: use.within(OURS, project), "prj_theirs")(stage)


RULES: dict[str, Rule] = {
    "new_jobs.submit": submitting,
    "new_jobs.remix": same_as_unknown(
        lambda stage, job: stage.gateway.new_jobs.remix(OURS, job.id, "A fox"),
        "job",
        JobNotFoundError,
    ),
    "new_jobs.replay": of_no_project("the caller's own requests, by its project's key or its call"),
    "new_jobs.register": registering,
    "jobs.job": same_as_unknown(
        lambda stage, job: stage.gateway.jobs.job(OURS, job.id), "job", JobNotFoundError
    ),
    "jobs.jobs": own_things_only(lambda stage: stage.gateway.jobs.jobs(OURS)),
    "jobs.queue_position": same_as_unknown(
        lambda stage, job: stage.gateway.jobs.queue_position(OURS, job), "job", JobNotFoundError
    ),
    "jobs.check_now": same_as_unknown(
        lambda stage, job: stage.gateway.jobs.check_now(OURS, job.id), "job", JobNotFoundError
    ),
    "jobs.cancel": same_as_unknown(
        lambda stage, job: stage.gateway.jobs.cancel(OURS, job.id, force=True),
        "job",
        JobNotFoundError,
    ),
    "jobs.delete": same_as_unknown(
        lambda stage, job: stage.gateway.jobs.delete(OURS, job.id), "job", JobNotFoundError
    ),
    "jobs.update_status": operator_only(
        lambda stage: stage.gateway.jobs.update_status(OURS, stage.theirs.job.id, "failed", None)
    ),
    "remixes.source": of_no_project("the job that is given; a source is named if it may be seen"),
    **{
        f"client_calls.{name}": of_no_project("the caller's own calls, by its project and key")
        for name in ("tried", "replay", "used", "written", "lost", "refused")
    },
    "uploads.add": of_no_project("a new file of the caller's project"),
    "uploads.placed": of_no_project("files of the caller's project; see test_uploads"),
    "models.name_of": of_no_project("the job that is given"),
    "waiting.of": of_no_project("the job that is given; see test_an_accounts_responses"),
    "waiting.all_of": of_no_project("the jobs that are given"),
    "attention.all": own_things_only(lambda stage: stage.gateway.attention.all(OURS)),
    "attention.jobs": held_jobs,
    **{
        f"attention.{name}": causes_of_theirs(name)
        for name in ("of_job", "of_jobs", "causes_of_jobs")
    },
    "content.video": same_as_unknown(
        lambda stage, job: stage.gateway.content.video(OURS, job.id), "job", JobNotFoundError
    ),
    "content.poster": same_as_unknown(
        lambda stage, job: stage.gateway.content.poster(OURS, job.id), "job", JobNotFoundError
    ),
    "content.with_poster": of_no_project("the jobs that are given"),
    "content.files": of_no_project("the jobs that are given"),
    "content.file": file_of_a_job,
    "activity.running": running,
    "activity.last_day": last_day,
    "activity.render_times": render_times,
    "activity.costs": costs_of_days,
    "activity.latest_events": own_things_only(
        lambda stage: stage.gateway.activity.latest_events(OURS, 100)
    ),
    "feed.events": same_as_unknown(
        lambda stage, job: stage.gateway.feed.events(OURS, [job.id]), "job"
    ),
    "feed.events_after": own_things_only(lambda stage: stage.gateway.feed.events_after(OURS)),
    "feed.sequences": same_as_unknown(
        lambda stage, job: stage.gateway.feed.sequences(OURS, [job.id]), "job", JobNotFoundError
    ),
    "feed.follow": of_no_project("a wake-up without content; sequences and events have rules"),
    "in_doubt.jobs": own_things_only(lambda stage: stage.gateway.in_doubt.jobs(OURS)),
    "in_doubt.abandon": same_as_unknown(
        lambda stage, job_id: stage.gateway.in_doubt.abandon(OURS, job_id),
        "in_doubt",
        JobNotFoundError,
    ),
    "in_doubt.adopt": adopting,
    "operations.stats": statistics,
    "operations.costs": costing,
    "operations.workers": operator_only(lambda stage: stage.gateway.operations.workers(OURS)),
    "operations.accounts": operator_only(lambda stage: stage.gateway.operations.accounts(OURS)),
    "operations.pause_watching": operator_only(
        lambda stage: stage.gateway.operations.pause_watching(OURS)
    ),
    "operations.resume_watching": operator_only(
        lambda stage: stage.gateway.operations.resume_watching(OURS)
    ),
    "operations.watching_paused_since": of_no_project("readiness, open to anyone"),
    "operations.check_writable": of_no_project("readiness, open to anyone"),
    "budgets.of_project": foreign_id(
        lambda stage, project: stage.gateway.budgets.of_project(OURS, project), "prj_theirs"
    ),
    "budgets.set_project": operator_only(
        lambda stage: stage.gateway.budgets.set_project(OURS, OURS.project, NO_LIMITS)
    ),
    "budgets.raise_project": operator_only(
        lambda stage: stage.gateway.budgets.raise_project(OURS, OURS.project, NO_LIMITS, 2**50)
    ),
    "budgets.of_key": foreign_id(
        lambda stage, key: stage.gateway.budgets.of_key(OURS, key), "key_theirs"
    ),
    "budgets.set_key": foreign_id(
        lambda stage, key: stage.gateway.budgets.set_key(OURS, key, NO_LIMITS), "key_theirs"
    ),
    "budgets.raise_key": foreign_id(
        lambda stage, key: stage.gateway.budgets.raise_key(OURS, key, NO_LIMITS, 2**50),
        "key_theirs",
    ),
    "keys.create": of_no_project("a new key"),
    "keys.all": keys_of_ours,
    "keys.one": foreign_id(lambda stage, key: stage.gateway.keys.one(OURS, key), "key_theirs"),
    "keys.rotate": foreign_id(
        lambda stage, key: stage.gateway.keys.rotate(OURS, key, 0), "key_theirs"
    ),
    "keys.revoke": foreign_id(
        lambda stage, key: stage.gateway.keys.revoke(OURS, key), "key_theirs"
    ),
    "projects.create": operator_only(lambda stage: stage.gateway.projects.create(OURS, "third")),
    "projects.all": operator_only(lambda stage: stage.gateway.projects.all(OURS)),
    "projects.one": foreign_id(
        lambda stage, project: stage.gateway.projects.one(OURS, project), "prj_theirs"
    ),
    "projects.change": foreign_id(
        lambda stage, project: stage.gateway.projects.change(OURS, project, {"name": "x"}),
        "prj_theirs",
    ),
    "projects.rotate": foreign_id(
        lambda stage, project: stage.gateway.projects.rotate(OURS, project), "prj_theirs"
    ),
    "projects.close": operator_only(lambda stage: stage.gateway.projects.close(OURS, OURS.project)),
    "secrets_at_rest.reencrypt": operator_only(
        lambda stage: stage.gateway.secrets_at_rest.reencrypt(OURS, None)
    ),
    "pruning.prune": operator_only(lambda stage: stage.gateway.pruning.prune(OURS)),
    "authentication.within": choosing,
    "models.catalog": of_no_project("the models"),
    "models.estimate": of_no_project("the prices of models"),
    "models.servers": of_no_project("the models; errors of servers are left out"),
    "provider_files.open": of_no_project("the address of one file, which is its key"),
    "provider_webhooks.check_address": of_no_project("the address of one job, which is its key"),
    "provider_webhooks.take": of_no_project("the address of one job, which is its key"),
}
ENDPOINT_RULES: dict[str, Rule] = {
    "endpoints.register": of_no_project("a new endpoint"),
    "endpoints.all": own_things_only(lambda stage: stage.gateway.endpoints.all(OURS)),
    "endpoints.held_back": of_no_project("as all; see the tests of endpoints"),
    "endpoints.one": same_as_unknown(
        lambda stage, endpoint: stage.gateway.endpoints.one(OURS, endpoint), "endpoint"
    ),
    "endpoints.change": same_as_unknown(
        lambda stage, endpoint: stage.gateway.endpoints.change(OURS, endpoint, {}), "endpoint"
    ),
    "endpoints.remove": same_as_unknown(
        lambda stage, endpoint: stage.gateway.endpoints.remove(OURS, endpoint), "endpoint"
    ),
    "endpoints.rotate": same_as_unknown(
        lambda stage, endpoint: stage.gateway.endpoints.rotate(OURS, endpoint), "endpoint"
    ),
    "endpoints.test": same_as_unknown(
        lambda stage, endpoint: stage.gateway.endpoints.test(OURS, endpoint), "endpoint"
    ),
    "audit.page": own_things_only(lambda stage: stage.gateway.audit.page(OURS, AuditFilter())),
    "deliveries.page": own_things_only(
        lambda stage: stage.gateway.deliveries.page(OURS, DeliveryFilter())
    ),
    "deliveries.one": same_as_unknown(
        lambda stage, delivery: stage.gateway.deliveries.one(OURS, delivery), "delivery"
    ),
    "deliveries.attempts": same_as_unknown(
        lambda stage, delivery: stage.gateway.deliveries.attempts(OURS, delivery), "delivery"
    ),
    "deliveries.sent": same_as_unknown(
        lambda stage, delivery: stage.gateway.deliveries.sent(OURS, delivery), "delivery"
    ),
    "deliveries.resend": same_as_unknown(
        lambda stage, delivery: stage.gateway.deliveries.resend(OURS, delivery), "delivery"
    ),
    "deliveries.count_failed": same_as_unknown(
        lambda stage, endpoint: stage.gateway.deliveries.count_failed(OURS, 0, endpoint),
        "endpoint",
        ours_differs=False,  # of ours, none has failed either
    ),
    "deliveries.resend_failed": of_no_project("a run of the caller's project"),
    "deliveries.resend_run": same_as_unknown(
        lambda stage, resend: stage.gateway.deliveries.resend_run(OURS, resend), "resend"
    ),
}
LAST = (
    *("deliveries.resend", "in_doubt.adopt", "in_doubt.abandon", "jobs.cancel"),
    "jobs.delete",
    *("endpoints.test", "endpoints.remove"),
)
"""Rules that change things of ours come last, in an order in which they don't disturb others."""
PROCESS_WIDE = {
    "feed.stop",
    *(f"authentication.{name}" for name in ("key", "key_of_hash", "key_of_token", "lifetime")),
    *(f"authentication.{name}" for name in ("check_expiry", "forget", "key_required")),
}
"""Methods without a caller: those that find it, and one that no door passes on."""


def use_cases() -> dict[str, bool]:
    """Return the names of all public methods of the gateway. True: the caller is the first."""
    found = {}
    kinds = get_type_hints(Gateway)
    for field in fields(Gateway):
        for name, method in inspect.getmembers(kinds[field.name], inspect.isfunction):
            if not name.startswith("_"):
                parameters = list(inspect.signature(method).parameters)
                found[f"{field.name}.{name}"] = parameters[1:2] == ["caller"]
    return found


def test_every_use_case_takes_a_caller_and_has_a_rule() -> None:
    found = use_cases()
    assert {name for name, takes_caller in found.items() if not takes_caller} == PROCESS_WIDE
    assert found.keys() - PROCESS_WIDE == RULES.keys() | ENDPOINT_RULES.keys()


async def test_no_use_case_leaves_the_callers_project(tmp_path: Path) -> None:
    async with two_projects(tmp_path) as stage:
        await check_operator(stage)
        assert await broken(stage, RULES) == {}


async def broken(stage: TwoProjects, rules: dict[str, Rule]) -> dict[str, str]:
    """Return the rules that don't hold, with the reasons."""
    found = {}
    for name in sorted(rules, key=lambda name: LAST.index(name) if name in LAST else -1):
        try:
            await rules[name](stage)
        except (AssertionError, ReelhookError, pytest.fail.Exception) as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


async def check_operator(stage: TwoProjects) -> None:
    """The operator sees both projects, and one of them if it chooses that."""
    jobs = stage.gateway.jobs
    everything = repr(await jobs.jobs(OPERATOR))
    assert all(one.job.id in everything for one in (stage.ours, stage.theirs))
    chosen = repr(await jobs.jobs(OPERATOR.within(OURS.project)))
    assert stage.ours.job.id in chosen
    assert stage.theirs.job.id not in chosen
    assert (await stage.gateway.operations.stats(OPERATOR)).accounts is not None
    assert (await stage.gateway.operations.stats(OPERATOR.within(OURS.project))).accounts is None


async def test_no_use_case_of_webhooks_leaves_the_callers_project(tmp_path: Path) -> None:
    async with two_projects(tmp_path) as stage:
        assert await broken(stage, ENDPOINT_RULES) == {}
