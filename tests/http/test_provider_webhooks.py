"""Calls of providers: a verified one makes the next check immediate, and nothing else does."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from gateways import Gateway, Reply, gateway, until
from receivers import receiver
from standardwebhooks.webhooks import Webhook

from reelhook.bootstrap import callback_url
from reelhook.config import Settings
from reelhook.domain.callback import CallbackAddresses, Subject, SubjectKind
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.errors import SettingsError
from reelhook.domain.request import VideoRequest
from reelhook.domain.signature import signed_content, v1
from reelhook.gateway import StoredJob
from reelhook.simulator.faults import Faults
from reelhook.storage.open import read_key

NEVER = 3600
"""Seconds between rounds, so that only a call can bring news."""
ARK = "ark/dreamina-seedance-2-0-260128"
REPLICATE = "replicate/google/veo-3-fast"
MODELS = {"ark": ARK, "replicate": REPLICATE, "fal": "fal/fal-ai/veo2"}


@asynccontextmanager
async def called(
    tmp_path: Path, port: int, *providers: str, faults: Faults | None = None, **options: Any
) -> AsyncIterator[Gateway]:
    """A gateway that the providers can reach, and that asks nobody by itself."""
    async with gateway(
        tmp_path,
        faults or Faults(queue_seconds=0, render_seconds=30),
        providers=providers,
        port=port,
        public_url=f"http://127.0.0.1:{port}",
        poll_seconds=NEVER,
        **options,
    ) as server:
        yield server


async def running(server: Gateway, model: str, **fields: Any) -> tuple[str, str]:
    """Return a job that its provider has begun, and what it is called there."""
    known, asked = set(server.simulator.jobs), reads(server)
    job_id = await server.submit(model=model, size=None, seconds=None, **fields)
    await server.job_when(job_id, "processing")
    [created] = set(server.simulator.jobs) - known

    provider_webhooks = server.hook.gateway.provider_webhooks

    async def reported() -> bool:
        """Whether the first check is through, and the call that the job has begun."""
        return reads(server) >= asked + 2 and not provider_webhooks._checking

    if model in {ARK, REPLICATE} and "public_url" in server.settings.model_fields_set:
        await until(reported)
    return job_id, created


async def address(server: Gateway, provider: str, job_id: str) -> str:
    """Return the path of the address that only the provider was given."""
    key = await read_key(server.settings.database, "callback", server.settings.keyring)
    assert key is not None
    return CallbackAddresses("", key, {}).address(provider, Subject(SubjectKind.JOB, job_id))


async def call(server: Gateway, path: str, content: object, **headers: str) -> Reply:
    return await server.post(path, data=json.dumps(content).encode(), headers=headers)


def reads(server: Gateway) -> int:
    """Return how often a job was asked for; listings are read for reasons of their own."""
    return server.simulator.requests["get"]


# -- by the providers themselves ------------------------------------------------------------------


@pytest.mark.parametrize("provider", MODELS)
async def test_a_call_brings_the_end_though_nobody_asks(
    tmp_path: Path, unused_tcp_port: int, provider: str
) -> None:
    async with receiver() as client, called(tmp_path, unused_tcp_port, provider) as server:
        job_id, _ = await running(server, MODELS[provider], webhookUrl=client.url)
        server.time.advance(60)
        job = await server.job_when(job_id, "completed")
        assert (await client.ending(job_id)).body["status"] == "completed"
        assert job["progress"] == 100


async def test_where_nobody_could_reach_us_no_address_goes_along(tmp_path: Path) -> None:
    async with gateway(
        tmp_path, Faults(queue_seconds=0, render_seconds=30), providers=["ark"], poll_seconds=NEVER
    ) as server:
        job_id, _ = await running(server, ARK)
        server.time.advance(60)
        assert (await server.post(f"/api/jobs/{job_id}/poll")).json()["status"] == "completed"


async def test_a_call_is_taken_for_a_job_of_any_project(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    async with called(tmp_path, unused_tcp_port, "ark") as server:
        caller = Caller("prj_1", frozenset({Scope.SUBMIT}), key_id="key_1")
        created = await server.hook.gateway.new_jobs.submit(
            caller, VideoRequest("A fox", model=ARK)
        )
        await server.job_when(created.job_id, "processing")
        server.time.advance(60)
        await server.job_when(created.job_id, "completed")


async def test_a_call_adopts_for_the_project_of_the_job_that_was_given_up(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    faults = Faults(queue_seconds=30, render_seconds=30, lost_create=1, listing=False)
    async with called(
        tmp_path, unused_tcp_port, "ark", faults=faults, submit_settle_seconds=0
    ) as server:
        caller = Caller("prj_1", frozenset({Scope.SUBMIT}), key_id="key_1")
        created = await server.hook.gateway.new_jobs.submit(
            caller, VideoRequest("A fox", model=ARK)
        )
        await server.job_when(created.job_id, "failed")
        server.time.advance(100)

        async def adopted() -> StoredJob | None:
            jobs = server.hook.gateway.jobs
            page = await jobs.jobs(caller)
            found = [one.job for one in page.jobs if one.job.adopted_from == created.job_id]
            return await jobs.job(caller, found[0].id) if found else None

        job = (await until(adopted)).job
        assert (job.project, job.key_id) == ("prj_1", "key_1")


@pytest.mark.parametrize("provider", ["ark", "replicate"])
async def test_a_call_finds_the_job_whose_create_answered_nothing(
    tmp_path: Path, unused_tcp_port: int, provider: str
) -> None:
    faults = Faults(queue_seconds=0, render_seconds=30, lost_create=1, listing=False)
    async with called(tmp_path, unused_tcp_port, provider, faults=faults) as server:
        job_id = await server.submit(model=MODELS[provider], size=None, seconds=None)

        async def in_doubt() -> bool:
            return bool((await server.job(job_id))["inDoubt"])

        await until(in_doubt)
        server.time.advance(60)
        job = await server.job_when(job_id, "completed")
        assert job["soraJobId"] in server.simulator.jobs
        assert server.simulator.creations == 1
        assert (await server.get("/api/jobs", params={"inDoubt": "true"})).json()["jobs"] == []


@pytest.mark.parametrize("provider", MODELS)
async def test_a_call_that_comes_once_the_job_was_given_up_adopts_it(
    tmp_path: Path, unused_tcp_port: int, provider: str
) -> None:
    """fal calls when a video is done, which takes longer than a doubt is looked up."""
    faults = Faults(queue_seconds=30, render_seconds=30, lost_create=1, listing=False)
    async with called(
        tmp_path, unused_tcp_port, provider, faults=faults, submit_settle_seconds=0
    ) as server:
        job_id = await server.submit(model=MODELS[provider], size=None, seconds=None)
        assert (await server.job_when(job_id, "failed"))["code"] == "submission_unknown"
        server.time.advance(90)

        async def settled() -> bool:
            return not (await server.job(job_id))["inDoubt"]

        await until(settled)
        [adopted] = [
            one
            for one in (await server.get("/api/jobs")).json()["jobs"]
            if one["adoptedFrom"] == job_id
        ]
        [created] = server.simulator.jobs
        job = await server.job_when(adopted["jobId"], "completed")
        assert job["soraJobId"].endswith(created)
        assert (await server.job(job_id))["status"] == "failed"
        assert server.simulator.creations == 1
        assert await server.total() == 2


# -- what is believed of a call -------------------------------------------------------------------


async def test_a_call_repeated_does_nothing_more(tmp_path: Path, unused_tcp_port: int) -> None:
    async with called(tmp_path, unused_tcp_port, "ark") as server:
        job_id, created = await running(server, ARK)
        path = await address(server, "ark", job_id)
        assert (await call(server, path, {"id": created})).json() == {"checked": True}
        before = await server.job(job_id)
        assert (await call(server, path, {"id": created})).json() == {"checked": True}
        assert (await server.job(job_id))["sequence"] == before["sequence"]
        server.time.advance(60)
        await server.job_when(job_id, "completed")
        asked = reads(server)
        for _ in range(3):
            assert (await call(server, path, {"id": created})).json() == {"checked": False}
        assert reads(server) == asked
        events = (await server.get(f"/api/jobs/{job_id}/events")).json()["events"]
        assert [one["sequence"] for one in events] == [1, 2]


async def test_what_a_call_claims_is_not_believed(tmp_path: Path, unused_tcp_port: int) -> None:
    async with called(tmp_path, unused_tcp_port, "ark") as server:
        job_id, created = await running(server, ARK)
        path = await address(server, "ark", job_id)
        claim = {"id": created, "status": "succeeded", "content": {"video_url": "http://evil/"}}
        assert (await call(server, path, claim)).json() == {"checked": True}
        assert (await server.job(job_id))["status"] == "processing"


async def test_a_call_about_another_job_changes_neither(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    async with called(tmp_path, unused_tcp_port, "ark") as server:
        mine, _ = await running(server, ARK)
        other, created = await running(server, ARK)
        asked = reads(server)
        reply = await call(server, await address(server, "ark", mine), {"id": created})
        assert reply.json() == {"checked": False}
        assert reads(server) == asked
        assert {(await server.job(one))["status"] for one in (mine, other)} == {"processing"}


@pytest.mark.parametrize("content", [None, [], "id", {}, {"id": None}, {"id": ""}, {"id": ["x"]}])
async def test_a_call_that_names_no_job_is_refused(
    tmp_path: Path, unused_tcp_port: int, content: object
) -> None:
    async with called(tmp_path, unused_tcp_port, "ark") as server:
        job_id, _ = await running(server, ARK)
        reply = await call(server, await address(server, "ark", job_id), content)
        assert reply.refusal[0] == 401


async def test_an_address_that_was_made_up_is_404(tmp_path: Path, unused_tcp_port: int) -> None:
    async with called(tmp_path, unused_tcp_port, "ark", "replicate") as server:
        job_id, created = await running(server, ARK)
        good = await address(server, "ark", job_id)
        token = good.rpartition("/")[2]
        proof = token.rpartition(".")[2]
        asked = reads(server)
        for path in (
            good[:-1] + ("0" if good[-1] != "0" else "1"),
            good[:-1],
            f"/providers/replicate/webhook/{token}",
            f"/providers/nobody/webhook/{token}",
            f"/providers/ark/webhook/job.job_nowhere.{proof}",
            f"/providers/ark/webhook/account.ark.{proof}",
            "/providers/ark/webhook/x",
            "/providers/ark/webhook/%00",
            "/providers/ark/webhook/%ff",
            await address(server, "ark", "job_that_aged_out"),
            await address(server, "replicate", job_id),
        ):
            reply = await call(server, path, {"id": created})
            assert reply.refusal[0] == 404, path
        assert reads(server) == asked


async def test_the_address_is_the_key_and_opens_nothing_else(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    options: dict[str, Any] = {"api_key": "ours", "headers": {"Authorization": "Bearer ours"}}
    async with called(tmp_path, unused_tcp_port, "ark", **options) as server:
        job_id, created = await running(server, ARK)
        path = await address(server, "ark", job_id)
        reply = await call(server, path, {"id": created}, Authorization="Bearer theirs")
        assert reply.json() == {"checked": True}
        for other in ("/api/jobs", f"/providers/../api/jobs/{job_id}", f"{path}/../../api/jobs"):
            reply = await server.get(other, headers={"Authorization": "Bearer theirs"})
            assert reply.status in {401, 404, 405}


# -- signed ones ----------------------------------------------------------------------------------


async def secret_of(server: Gateway) -> str:
    [base] = [one.base_url for one in server.settings.credentials if one.id == "replicate"]
    async with server.session.get(
        f"{base}/webhooks/default/secret", headers={"Authorization": "Bearer simulated"}
    ) as answer:
        secret: str = (await answer.json())["key"]
        return secret


def signed(server: Gateway, secret: str, content: object, *, age: float = 0) -> dict[str, str]:
    sent_at = str(int(server.time() - age))
    body = json.dumps(content).encode()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": sent_at,
        "webhook-signature": v1(secret, signed_content("msg_1", sent_at, body)),
    }


async def test_a_signed_call_is_verified_and_a_forged_one_refused(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    async with called(tmp_path, unused_tcp_port, "replicate") as server:
        job_id, created = await running(server, REPLICATE)
        path, secret = await address(server, "replicate", job_id), await secret_of(server)
        content = {"id": created, "status": "succeeded"}
        good = signed(server, secret, content)
        asked = reads(server)
        forgeries: list[tuple[object, dict[str, str]]] = [
            (content, {}),
            ({**content, "status": "failed"}, good),
            (content, {**good, "webhook-id": "msg_2"}),
            (content, {**good, "webhook-signature": "v1,AAAA"}),
            (content, signed(server, "whsec_b3RoZXI=", content)),
            (content, signed(server, secret, content, age=3600)),
        ]
        for forged, headers in forgeries:
            reply = await call(server, path, forged, **headers)
            assert reply.refusal[0] == 401
        assert reads(server) == asked
        assert (await call(server, path, content, **good)).json() == {"checked": True}
        assert reads(server) > asked


async def test_a_signed_call_for_one_job_does_not_serve_for_another(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    async with called(tmp_path, unused_tcp_port, "replicate") as server:
        mine, _ = await running(server, REPLICATE)
        _, created = await running(server, REPLICATE)
        content = {"id": created, "status": "succeeded"}
        headers = signed(server, await secret_of(server), content)
        reply = await call(server, await address(server, "replicate", mine), content, **headers)
        assert reply.json() == {"checked": False}


async def test_a_provider_that_can_not_be_asked_now_makes_its_caller_come_again(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    async with called(tmp_path, unused_tcp_port, "ark") as server:
        job_id, created = await running(server, ARK)
        path = await address(server, "ark", job_id)
        server.simulator.faults = Faults(server_error=1)
        reply = await call(server, path, {"id": created})
        assert reply.refusal[:2] == (502, "provider_unavailable")
        server.simulator.faults = Faults()
        assert (await call(server, path, {"id": created})).json() == {"checked": True}


# -- those that are registered for an account -----------------------------------------------------

OPENAI_SECRET = "whsec_" + b64encode(b"a secret of the provider's").decode()


def event_about(server: Gateway, video_id: str, secret: str) -> tuple[bytes, dict[str, str]]:
    """Return a webhook of the OpenAI wire, signed by the official library."""
    content = {"object": "event", "type": "video.completed", "data": {"id": video_id}}
    body, sent_at = (
        json.dumps({"id": "evt_1", **content}),
        datetime.fromtimestamp(server.time(), UTC),
    )
    return body.encode(), {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(secret).sign("evt_1", sent_at, body),
    }


async def was_checked(server: Gateway) -> bool:
    """Whether the first check, right after acceptance, was answered: as soon as it is counted."""
    return reads(server) > 0


async def test_a_webhook_of_the_openai_wire_brings_the_end_and_forgeries_nothing(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    async with called(tmp_path, unused_tcp_port, openai_webhook_secret=OPENAI_SECRET) as server:
        job_id, created = await running(server, "sora-2")
        path = (await callback_url(server.settings, "openai")).removeprefix(server.url)
        await until(partial(was_checked, server))
        server.time.advance(60)
        asked = reads(server)
        body, headers = event_about(server, created, OPENAI_SECRET)
        other = "whsec_" + b64encode(b"somebody else's secret").decode()
        for data, given in (
            (body, {}),
            (body.replace(b"completed", b"failed"), headers),
            event_about(server, created, other),
        ):
            assert (await server.post(path, data=data, headers=given)).refusal[0] == 401
        assert (await server.post(f"{path}x", data=body, headers=headers)).refusal[0] == 404
        stranger, theirs = event_about(server, "video_of_nobody", OPENAI_SECRET)
        reply = await server.post(path, data=stranger, headers=theirs)
        assert reply.json() == {"checked": False}
        assert reads(server) == asked
        assert (await server.job(job_id))["status"] == "processing"
        for checked in (True, False):
            reply = await server.post(path, data=body, headers=headers)
            assert reply.json() == {"checked": checked}
        assert (await server.job(job_id))["status"] == "completed"


async def test_without_a_secret_no_webhook_of_the_openai_wire_is_believed(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    async with called(tmp_path, unused_tcp_port) as server:
        _, created = await running(server, "sora-2")
        path = (await callback_url(server.settings, "openai")).removeprefix(server.url)
        body, headers = event_about(server, created, OPENAI_SECRET)
        reply = await server.post(path, data=body, headers=headers)
        assert reply.refusal[0] == 401
        assert "OPENAI_WEBHOOK_SECRET" in reply.json()["error"]


async def test_the_address_of_an_account_is_shown_where_it_can_be_called(tmp_path: Path) -> None:
    settings = Settings.of(
        openai_base_url="http://127.0.0.1:9", runwayml_api_secret="k", data_dir=tmp_path
    )
    with pytest.raises(SettingsError, match="run `reelhook serve` once"):
        await callback_url(settings, "openai")
    with pytest.raises(SettingsError, match="runway sends no webhooks"):
        await callback_url(settings, "runway")
    with pytest.raises(SettingsError, match=r"There is no account nobody; .* openai, runway"):
        await callback_url(settings, "nobody")
