"""The pages' calls are made on a running server; the answers and receivers they show are right."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cleaning_up import clean_up
from pages import SECRET, blocks, namespace, server

from reelhook.bootstrap.formats import formats_at
from reelhook.domain.budget import Budget, BudgetLimits, LimitKind, SumKey
from reelhook.domain.budget_usage import usage
from reelhook.domain.endpoint import EventName
from reelhook.domain.event import Event, EventKind, WireStatus
from reelhook.domain.job import Job, Status
from reelhook.domain.money import Money
from reelhook.domain.notice import BudgetNotice
from reelhook.domain.signature import sign
from reelhook.doors.compat.payload import event_body, notice_body
from reelhook.doors.native.budget_schemas import budget_response
from reelhook.gateway import BudgetStatus

SERVER = "http://127.0.0.1:3001"
HOOK = "https://app.example.com/hooks/video"


def alike(told: Any, real: Any) -> bool:
    """Whether both have the same keys and types; what is null in one may be anything."""
    match told, real:
        case (None, _) | (_, None):
            return True
        case dict(), dict():
            return set(told) == set(real) and all(alike(told[key], real[key]) for key in told)
        case list(), list():
            return all(alike(one, other) for one, other in zip(told, real, strict=True))
        case _:
            return type(told) is type(real)


async def completed(url: str, job_id: str) -> None:
    async with aiohttp.ClientSession(url) as session, asyncio.timeout(60):
        events = await session.get("/api/jobs/events", params={"jobIds": job_id})
        async with events:
            async for line in events.content:
                if b'"status":"completed"' in line:
                    return


async def delivered(url: str, job_id: str) -> None:
    """Wait for the job's end, and until all was told."""
    await completed(url, job_id)
    async with aiohttp.ClientSession(url) as session, asyncio.timeout(60):
        waiting = 1
        while waiting:
            async with session.get("/api/stats") as response:
                waiting = (await response.json())["deliveries"]["waiting"]


@asynccontextmanager
async def receiver() -> AsyncIterator[str]:
    """Take every webhook; yield the URL."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await clean_up(runner)


def named(answer: Any) -> dict[str, str]:
    """Return what later calls of the page call the ids of an answer."""
    names = {}
    if "jobId" in answer:
        names["JOB_ID"] = answer["jobId"]
    if str(answer.get("id")).startswith("ep_"):
        names["ENDPOINT_ID"] = answer["id"]
    if "deliveries" in answer and isinstance(answer["deliveries"], list):
        names["DELIVERY_ID"] = str(answer["deliveries"][0]["id"])
    return names


# -- calls ----------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
async def test_the_calls_of_the_api_page_bring_the_answers_that_it_shows(tmp_path: Path) -> None:
    names, answer, calls = {"JOB_ID": "JOB_ID"}, None, 0
    async with (
        receiver() as hook,
        server(tmp_path / "data", allow_networks="127.0.0.1/32") as url,
    ):
        names |= {SERVER: url, HOOK: hook}
        for language, text in blocks("api.md"):
            if language == "sh":
                command = text
                for shown, there in names.items():
                    command = command.replace(shown, there)
                assert command.startswith("curl ")
                ran = await asyncio.create_subprocess_shell(
                    f"{command.rstrip()} --silent --show-error",
                    cwd=tmp_path,
                    stdout=asyncio.subprocess.PIPE,
                )
                answer, _ = await ran.communicate()
                assert ran.returncode == 0
                calls += 1
            elif language == "json":
                assert answer is not None
                told, real = json.loads(text), json.loads(answer)
                assert alike(told, real), f"{text} is not like {answer!r}"
                for key in {"status", "code", "field", "title"} & set(told):
                    assert told[key] == real[key]
                names |= named(real)
                if "jobId" in real:
                    await delivered(url, real["jobId"])
    assert calls >= 12
    assert (tmp_path / "fox.mp4").read_bytes()[4:8] == b"ftyp"


# -- webhooks -------------------------------------------------------------------------------------


def body(status: WireStatus, kind: EventKind) -> Any:
    event = Event(
        job_id="job_123",
        sequence=1,
        kind=kind,
        status=status,
        progress=50,
        occurred_at=0,
        provider_job_id="video_abc",
        error="words",
        code="moderation",
        provider_video_url="http://gpu:30000/v1/videos/video_abc/content",
        content_expires_at=1,
    )
    return json.loads(event_body(event, "https://video.example.com/"))


def test_the_bodies_of_the_webhook_page_are_the_real_ones() -> None:
    shown = _bodies_of("Bodies")
    kinds = {"job.recovered": EventKind.RECOVERED, "archive.failed": EventKind.ARCHIVE_FAILED}
    assert [one.get("event") or one["status"] for one in shown] == [
        *("processing", "completed", "failed"),
        *kinds,
    ]
    for one in shown:
        kind = kinds.get(one.get("event"), EventKind.STATUS)
        assert list(one) == list(body(WireStatus(one["status"]), kind))
        assert alike(one, body(WireStatus(one["status"]), kind))


def test_the_bodies_in_other_formats_are_the_real_ones() -> None:
    job = Job("job_123", "acme", Status.COMPLETED, 0, 0)
    event = Event(job.id, 4, EventKind.TERMINAL, WireStatus.COMPLETED, 100, 0, "video_abc")
    formats = formats_at("{}".format).others
    real = [json.loads(formats[name].body(job, event)) for name in ("openai", "vercel")]
    for shown, body in zip(_bodies_of("Formats"), real, strict=True):
        assert list(shown) == list(body)
        assert alike(shown, body)
        assert (shown["type"], shown["data"]) == (body["type"], body["data"])


def _bodies_of(section: str) -> list[Any]:
    found = blocks("webhooks.md", section)
    return [json.loads(text) for language, text in found if language == "json"]


def test_the_bodies_of_the_page_of_projects_are_the_real_ones() -> None:
    budget, notice = [
        told
        for language, text in blocks("projects.md")
        if language == "json" and {"usage", "budget"} & set(told := json.loads(text))
    ]
    limits = BudgetLimits(jobs_in_flight=5, money_per_day={"USD": 1}, unknown_price=Money(1, "USD"))
    sums = {("2026-11-29", "USD"): (1, 0), ("2026-11", "USD"): (1, 0)}
    at = 1_796_000_000_000
    status = BudgetStatus(Budget("project:1", limits), limits, usage(limits, sums, at))
    shown = budget_response(status, at).model_dump(by_alias=True)
    assert set(budget) == set(shown)
    lines = [(line["budget"], line["unit"], set(line)) for line in budget["usage"]]
    assert lines == [(line["budget"], line["unit"], set(line)) for line in shown["usage"]]
    key = SumKey("project:1", "2026-11-29", "USD")
    real = BudgetNotice(EventName.BUDGET_WARNING, key, LimitKind.MONEY_PER_DAY, 10, 8, at)
    assert list(notice) == list(json.loads(notice_body(real)))


def test_the_check_by_hand_of_the_webhook_page_is_right() -> None:
    is_ours = namespace("webhooks.md")["is_ours"]
    signature = sign(b"{}", message_id="evt_1", now=0, secret=SECRET)["X-Signature"]
    assert is_ours(b"{}", signature, SECRET)
    assert not is_ours(b"{ }", signature, SECRET)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is missing")
def test_the_check_in_javascript_is_right(tmp_path: Path) -> None:
    [script] = [text for language, text in blocks("webhooks.md") if language == "js"]
    signature = sign(b"{}", message_id="evt_1", now=0, secret=SECRET)["X-Signature"]
    calls = [("{}", signature, SECRET), ("{ }", signature, SECRET), ("{}", "", SECRET)]
    shown = f"console.log({json.dumps(calls)}.map(call => isOurs(...call)).join())"
    (tmp_path / "check.mjs").write_text(f"{script}\n{shown}\n")
    ran = subprocess.run(
        ["node", tmp_path / "check.mjs"], capture_output=True, text=True, check=True, timeout=30
    )
    assert ran.stdout.strip() == "true,false,false"
