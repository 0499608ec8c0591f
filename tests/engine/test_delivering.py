"""How webhooks are sent, as a receiver meets them."""

import asyncio

from aiohttp import web
from engine_stubs import Receiver, Upstream, listening
from engine_waiting import ended, until, until_job, watched
from standardwebhooks import Webhook

import reelhook
from reelhook.domain.signature import standard_secret
from reelhook.doors.compat.functions import Hook


async def finish(hook: Hook, upstream: Upstream, number: int) -> list[str]:
    ids = [await hook.submit(f"Fox {index}") for index in range(number)]
    for job_id in ids:
        await until_job(hook, job_id, watched)
    for video in upstream.videos.values():
        video |= {"status": "completed", "progress": 100}
    for job_id in ids:
        await until_job(hook, job_id, ended)
    return ids


async def test_each_of_many_jobs_ends_with_one_webhook(
    hook: Hook, upstream: Upstream, receiver: Receiver
) -> None:
    ids = await finish(hook, upstream, 150)
    await until(lambda: len(receiver.bodies) >= 150)
    # A second one would come at once: two more rounds pass first.
    before = upstream.counts["list"] + upstream.counts["get"]
    await hook.submit("One more, so that rounds go on")
    await until(lambda: upstream.counts["list"] + upstream.counts["get"] >= before + 2)
    assert sorted(body["jobId"] for body in receiver.bodies) == sorted(ids)


async def test_a_failed_attempt_is_repeated_with_the_same_id_and_bytes_and_a_fresh_signature(
    hook: Hook, upstream: Upstream, receiver: Receiver
) -> None:
    receiver.statuses = [500, 302]
    await finish(hook, upstream, 1)
    await until(lambda: len(receiver.raw) == 3)
    assert len({body for _, body in receiver.raw}) == 1
    assert len({headers["webhook-id"] for headers, _ in receiver.raw}) == 1
    for headers, body in receiver.raw:
        Webhook(standard_secret("secret")).verify(body, headers)


async def test_after_the_last_wait_it_is_left_alone(
    hook: Hook, upstream: Upstream, receiver: Receiver
) -> None:
    receiver.statuses = [500] * 10
    await finish(hook, upstream, 1)
    await until(lambda: len(receiver.raw) == 3)
    while (await hook.operations.stats())["deliveries"]["waiting"]:  # noqa: ASYNC110 - told in the store alone
        await asyncio.sleep(0.01)
    assert len(receiver.raw) == 3


async def test_a_receiver_that_never_answers_delays_no_other(
    settings: reelhook.Settings, upstream: Upstream, receiver: Receiver
) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        return web.Response()

    allowed = reelhook.Settings.of(
        **{name: getattr(settings, name) for name in settings.model_fields_set}
        | {"allow_networks": "127.0.0.0/8"}
    )
    async with listening([web.post("/{path:.*}", hang)]) as url, reelhook.open(allowed) as hook:
        for number in range(20):
            await hook.submit(f"Hung {number}", webhook_url=f"{url}/hang")
        await finish(hook, upstream, 10)
        await until(lambda: len(receiver.bodies) == 10, seconds=5)
        await hook.operations.stats()
