"""Actions of people: settle a doubt, rotate a key; races that were lost; texts of strangers."""

import re
from pathlib import Path

from browsing import browsing, buttons_in
from gateways import AT_ONCE, gateway, until
from receivers import receiver
from stub_providers import stub_provider

from reelhook.simulator.faults import Faults

LOST = Faults(queue_seconds=0, render_seconds=30, lost_create=1)
XSS = "<script>alert(1)</script><img src=x onerror=alert(2)>"


async def test_a_job_in_doubt_is_adopted_and_one_is_abandoned_once(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, LOST, providers=("xai",), submit_settle_seconds=0) as server,
        browsing(server) as visitor,
    ):
        jobs = []
        for script in ("first", "second"):
            known = set(server.simulator.jobs)
            model = "xai/grok-imagine-video"
            job = await server.submit(script, model=model, size=None)
            await server.job_when(job, "failed")
            jobs.append((job, *(set(server.simulator.jobs) - known)))
        (first, created), (second, _) = jobs
        await visitor.get(f"/jobs/{first}")
        empty = await visitor.post(f"/jobs/{first}/adopt", {"provider_job_id": " "})
        assert empty.status == 400
        adopted = await visitor.post(f"/jobs/{first}/adopt", {"provider_job_id": created})
        page = adopted.headers["Location"].partition("?")[0]
        assert (adopted.status, page != f"/jobs/{first}") == (303, True)
        assert created in (await visitor.text(page)).replace("<wbr>", "")

        html = await visitor.text(f"/jobs/{second}")
        assert f"/jobs/{second}/abandon" in html
        assert (await visitor.post(f"/jobs/{second}/abandon")).status == 303
        await visitor.get("/")  # another page, as the one of somebody who comes too late
        late = await visitor.post(f"/jobs/{second}/abandon")
        assert late.status == 409
        assert "State now: failed." in late.body.decode()


async def test_a_key_is_rotated_and_both_texts_are_accepted(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, api_key="a-long-random-text") as server,
        browsing(server) as visitor,
    ):
        await visitor.log_in("a-long-random-text")
        await visitor.get("/keys")
        made = await visitor.post("/keys", {"name": XSS, "scope": "read"})
        assert XSS not in made.body.decode()
        (old,) = set(re.findall(r"<code>(rhk_\w+)</code>", made.body.decode()))
        (path,) = re.findall(r"/keys/[^/\"]+/rotate", await visitor.text("/keys"))
        rotated = (await visitor.post(path)).body.decode()
        (new,) = set(re.findall(r"<code>(rhk_\w+)</code>", rotated))
        for key in (old, new):
            headers = {"Authorization": f"Bearer {key}"}
            assert (await server.get("/api/jobs", headers=headers)).status == 200
        assert new not in await visitor.text("/keys")


async def test_a_job_that_ended_meanwhile_says_so(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server, browsing(server) as visitor:
        job = await server.submit("A fox")
        await server.job_when(job, "completed")
        await visitor.get(f"/jobs/{job}")
        late = await visitor.post(f"/jobs/{job}/cancel")
        assert (late.status, "State now: completed." in late.body.decode()) == (409, True)
        await visitor.get(f"/jobs/{job}")
        assert (await visitor.post(f"/jobs/{job}/delete")).status == 303
        gone = await visitor.post(f"/jobs/{job}/resend/1")
        assert (gone.status, b"<h1>Nothing here" in gone.body) == (404, True)


async def test_errors_of_providers_and_receivers_are_shown_as_text(tmp_path: Path) -> None:
    async with (
        stub_provider() as stub,
        receiver() as client,
        gateway(tmp_path, upstream=stub.url) as server,
        browsing(server) as visitor,
    ):
        stub.may_create.set()
        client.status, client.answer = 500, XSS
        job = await server.submit("A fox", webhookUrl=client.url)
        video = (await server.job_when(job, "processing"))["soraJobId"]
        stub.video(video, status="failed", error={"code": XSS, "message": XSS})
        await server.job_when(job, "failed")
        await client.ending(job)
        (delivery,) = await server.deliveries(jobId=job)
        page = f"/jobs/{job}/deliveries/{delivery['id']}"
        for path in ("/", "/jobs", f"/jobs/{job}", page, f"/webhooks/{delivery['endpointId']}"):
            html = (await visitor.get(path)).body.decode()
            assert "<script>alert" not in html, path
            assert "<img src=x" not in html, path
        assert "&lt;script&gt;alert(1)" in (await visitor.get(f"/jobs/{job}")).body.decode()
        assert "&lt;script&gt;alert(1)" in (await visitor.get(page)).body.decode()


async def test_a_cause_has_a_button_that_ends_it(tmp_path: Path) -> None:
    slow = Faults(queue_seconds=60, render_seconds=60)
    async with gateway(tmp_path, slow) as server, browsing(server) as visitor:
        jobs = [await server.submit("A fox") for _ in range(2)]
        for job in jobs:
            await server.job_when(job, "queued")
        assert "All well" in await visitor.text("/")
        await server.post("/api/watcher/pause")

        async def shown() -> bool:
            return "/system/resume" in buttons_in(await visitor.text("/"))

        await until(shown)
        assert (await visitor.post("/system/resume")).status == 303

        async def well() -> bool:
            return "All well" in await visitor.text("/")

        await until(well)
