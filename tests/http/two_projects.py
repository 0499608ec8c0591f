"""An installation with two projects, and the callers of both."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateways import AT_ONCE, Gateway, gateway, until
from receivers import receiver
from watched_database import WatchedDatabase

from reelhook.domain.api_key import ApiKey
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.job import Job
from reelhook.domain.project import Project
from reelhook.domain.request import VideoRequest
from reelhook.gateway import DeliveryFilter
from reelhook.gateway import Gateway as UseCases
from reelhook.simulator.faults import Faults

OURS = Caller("prj_ours", frozenset({Scope.ADMIN}), key_id="key_ours")
THEIRS = Caller("prj_theirs", frozenset({Scope.ADMIN}), key_id="key_theirs")
LOST = Faults(queue_seconds=0, render_seconds=0, lost_create=1)
FOX = VideoRequest("A fox", model="openai/sora-2", seconds="1", size="64x64")
UNRESOLVED = VideoRequest("A fox", model="xai/grok-imagine-video")


@dataclass(frozen=True)
class Things:
    """What a project has. `in_doubt` is a job in doubt, `created` its video at the provider."""

    caller: Caller
    job: Job
    in_doubt: str
    created: str
    event: str
    endpoint: str
    delivery: int
    resend: str

    @property
    def ids(self) -> list[str]:
        """All ids that nobody else may see."""
        video = str(self.job.provider_job_id)
        return [self.job.id, self.in_doubt, self.created, self.event, video, self.endpoint]


@dataclass(frozen=True)
class TwoProjects:
    """The use cases, and what the two projects have."""

    server: Gateway
    gateway: UseCases
    ours: Things
    theirs: Things


@asynccontextmanager
async def two_projects(tmp_path: Path) -> AsyncIterator[TwoProjects]:
    """An installation in which each project has a video, a job in doubt, and webhooks."""
    async with (
        receiver() as client,
        gateway(tmp_path, LOST, providers=["xai"], submit_settle_seconds=0) as server,
    ):
        store: Any = server.hook.gateway.jobs._store
        store._database = WatchedDatabase(store._database)
        for caller in (OURS, THEIRS):
            await store.create_project(Project(caller.project, f"name_of_{caller.project}", 0))
            key = ApiKey(
                str(caller.key_id), caller.project, "app", "rhk_", caller.scopes, None, (), 0
            )
            await store.create_api_key(key, f"hash of {key.id}")
        doubts = [await _in_doubt(server, caller) for caller in (OURS, THEIRS)]
        server.simulator.faults = AT_ONCE
        ours, theirs = [
            await _things(server, caller, f"{client.url}/{caller.project}", *doubt)
            for caller, doubt in zip((OURS, THEIRS), doubts, strict=True)
        ]
        yield TwoProjects(server, server.hook.gateway, ours, theirs)


async def _in_doubt(server: Gateway, caller: Caller) -> tuple[str, str]:
    """Return a job in doubt, and its video at the provider."""
    jobs, known = server.hook.gateway.jobs, set(server.simulator.jobs)
    job_id = (await server.hook.gateway.new_jobs.submit(caller, UNRESOLVED)).job_id

    async def given_up() -> bool:
        return (await jobs.job(caller, job_id)).job.status.terminal

    await until(given_up)
    [created] = set(server.simulator.jobs) - known
    return job_id, created


async def _things(server: Gateway, caller: Caller, url: str, in_doubt: str, created: str) -> Things:
    use = server.hook.gateway
    endpoint = await use.endpoints.register(caller, url, {}, trusted=True)
    job_id = (await use.new_jobs.submit(caller, FOX, f"{url}/own", endpoints=[endpoint.id])).job_id

    async def completed() -> Job | None:
        job = (await use.jobs.job(caller, job_id)).job
        return job if job.status.terminal else None

    job = await until(completed)
    wanted = DeliveryFilter("delivered", job_id)

    async def delivered() -> Any:
        return (await use.deliveries.page(caller, wanted)).deliveries

    deliveries = await until(delivered)
    resend = await use.deliveries.resend_failed(caller, job.created_at)
    return Things(
        caller=caller,
        job=job,
        in_doubt=in_doubt,
        created=created,
        event=(await use.feed.events(caller, [job_id]))[-1].event_id,
        endpoint=endpoint.id,
        delivery=deliveries[0].delivery.id,
        resend=resend.id,
    )


def unknown(text: str) -> str:
    """Return an id of the same form that nothing has."""
    return text[:-4] + ("0000" if text[-4:] != "0000" else "1111")


def unknown_job(job: Job) -> Job:
    """Return the same job with an unknown id."""
    return replace(job, id=unknown(job.id))
