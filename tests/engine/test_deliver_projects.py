"""Two projects send to one URL: their deliveries share neither health nor signature."""

from pathlib import Path
from random import Random

from aiohttp import web
from engine_delivering import DELIVER_ALONE, tell, tell_all, told
from engine_stage import Engine, stage
from test_deliver_rotation import v1_verifies

from reelhook.domain.caller import OPERATOR
from reelhook.domain.endpoint import url_id
from reelhook.domain.job import Job, Status
from reelhook.domain.project import Project
from reelhook.domain.request import VideoRequest
from reelhook.ports import Destination, NewJob
from reelhook.service.projects import Projects


def projects_of(engine: Engine) -> Projects:
    return Projects(
        engine.store, engine.signals, overlap_hours=24, clock=engine.clock, random=Random(1)
    )


async def watched(engine: Engine, project: Project, job_id: str, url: str | None) -> None:
    """Store a job of a project that its provider has."""
    now = engine.clock.now()
    job = Job(job_id, "acme", Status.ACCEPTED, now, now, project=project.id).accept(job_id, now)
    own = () if url is None else (Destination.to(url, project.id),)
    await engine.store.create(NewJob(job, VideoRequest("a fox", "sora-2"), url, own))


async def test_a_url_that_fails_for_one_project_gets_everything_of_another(
    tmp_path: Path,
) -> None:
    async def fails_for_shop(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        return web.Response(status=500 if body["jobId"].startswith("shop") else 204)

    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = fails_for_shop
        projects = projects_of(engine)
        shop, news = [await projects.create(OPERATOR, name) for name in ("shop", "news")]
        shops, others = ([f"{name}_{number}" for number in range(8)] for name in ("shop", "news"))
        for job_id in shops:
            await watched(engine, shop, job_id, here.hook)
        for job_id in others:
            await watched(engine, news, job_id, here.hook)
        await tell_all(engine, shops, "completed")
        await engine.settled()
        await tell_all(engine, others, 10, "completed")
        await engine.settled()

        assert (await engine.store.endpoint(url_id(here.hook, shop.id))).health.open
        assert (await engine.store.endpoint(url_id(here.hook, news.id))).health.failures == 0
        for job_id in others:
            assert told(here, job_id)[-1] == "completed"
        for webhook in here.receivers.webhooks:
            ours, theirs = (shop, news) if webhook.body["jobId"] in shops else (news, shop)
            assert v1_verifies(ours.secret or "", webhook)
            assert not v1_verifies(theirs.secret or "", webhook)


async def test_a_default_endpoint_moves_and_its_projects_secret_rotates_at_once(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        projects = projects_of(engine)
        shop = await projects.create(OPERATOR, "shop")
        await projects.change(OPERATOR, "shop", {"webhook_url": here.hook}, trusted=True)
        await watched(engine, shop, "job", None)
        await tell(engine, "job", 10)
        await engine.settled()
        rotated = await projects.rotate(OPERATOR, "shop", overlap_hours=0)
        await tell(engine, "job", 20)
        await engine.settled()
        moved = f"{here.receivers.url}/moved"
        await projects.change(OPERATOR, "shop", {"webhook_url": moved}, trusted=True)
        await tell(engine, "job", "completed")
        await engine.settled()

        first, second, third = here.receivers.of("job")
        assert [one.path for one in (first, second, third)] == ["/hook", "/hook", "/moved"]
        assert v1_verifies(shop.secret or "", first)
        for webhook in (second, third):
            assert v1_verifies(rotated.secret or "", webhook)
            assert not v1_verifies(shop.secret or "", webhook)


async def test_a_closed_projects_running_job_is_delivered_to_its_end(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=DELIVER_ALONE) as here, here.engine() as engine:
        shop = await projects_of(engine).create(OPERATOR, "shop")
        await watched(engine, shop, "job", here.hook)
        await projects_of(engine).close(OPERATOR, "shop", delete_data=True)
        await tell(engine, "job", 10, "completed")
        await engine.settled()
        assert told(here, "job")[-1] == "completed"
