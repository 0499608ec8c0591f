"""The measuring stubs behave: a figure is worth no more than what measured it."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

ROOT = Path(__file__).parents[2]
SECRET = "a secret of the test"


@contextmanager
def stub(module: str, *arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["ports"][0]
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with stub("bench.upstream") as url:
        yield url


@pytest.fixture(scope="module")
def receivers() -> Iterator[str]:
    with stub("bench.receivers", "--secret", SECRET) as url:
        yield url


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def configure(session: aiohttp.ClientSession, url: str, **settings: Any) -> None:
    plain = {"latency_ms": 0, "faults": {}, "lost_creates": 0, "listing": "ok"}
    changes = {**plain, **settings}
    async with session.post(f"{url}/control/settings", json=changes) as answer:
        assert answer.status == 200


async def create(session: aiohttp.ClientSession, url: str, prompt: str) -> dict[str, Any]:
    async with session.post(f"{url}/v1/videos", json={"prompt": prompt}) as answer:
        assert answer.status == 200
        created: dict[str, Any] = await answer.json()
        return created


async def get(session: aiohttp.ClientSession, url: str, **query: str) -> Any:
    async with session.get(url, params=query) as answer:
        answer.raise_for_status()
        return await answer.json()


async def creations(session: aiohttp.ClientSession, url: str) -> dict[str, list[str]]:
    state = await get(session, f"{url}/control/state", creations="1")
    found: dict[str, list[str]] = state["creations"]
    return found


async def test_the_listing_pages_through_every_video_newest_first(
    upstream: str, session: aiohttp.ClientSession
) -> None:
    await configure(session, upstream)
    made = [(await create(session, upstream, f"page {n}"))["id"] for n in range(5)]
    listed: list[str] = []
    page = await get(session, f"{upstream}/v1/videos", limit="2")
    while True:
        listed += [video["id"] for video in page["data"]]
        if not page["has_more"]:
            break
        page = await get(session, f"{upstream}/v1/videos", limit="2", after=page["last_id"])
    assert listed[:5] == made[::-1]


async def test_a_multipart_create_counts_like_a_json_one(
    upstream: str, session: aiohttp.ClientSession
) -> None:
    await configure(session, upstream)
    form = aiohttp.FormData({"prompt": "in parts", "seconds": "8"}, default_to_multipart=True)
    async with session.post(f"{upstream}/v1/videos", data=form) as answer:
        assert (await answer.json())["seconds"] == "8"
    assert len((await creations(session, upstream))["in parts"]) == 1


async def test_every_video_ends_at_the_commanded_moment(
    upstream: str, session: aiohttp.ClientSession
) -> None:
    await configure(session, upstream)
    good = await create(session, upstream, "good")
    bad = await create(session, upstream, "bad [fail]")
    assert good["status"] == "queued"
    async with session.post(f"{upstream}/control/finish", json={}) as answer:
        assert (await answer.json())["finished_at"] <= time.monotonic()
    shown = [await get(session, f"{upstream}/v1/videos/{one['id']}") for one in (good, bad)]
    assert [one["status"] for one in shown] == ["completed", "failed"]


async def test_a_lost_create_has_happened_all_the_same(
    upstream: str, session: aiohttp.ClientSession
) -> None:
    await configure(session, upstream, lost_creates=1.0)
    with pytest.raises(aiohttp.ClientError):
        await create(session, upstream, "lost")
    assert len((await creations(session, upstream))["lost"]) == 1


async def test_each_fault_is_met_and_logged(upstream: str, session: aiohttp.ClientSession) -> None:
    await configure(session, upstream)
    video = await create(session, upstream, "faulty")
    statuses: dict[str, object] = {}
    for fault in ("429", "500", "malformed", "reset"):
        await configure(session, upstream, faults={"get": {fault: 1.0}})
        try:
            async with session.get(f"{upstream}/v1/videos/{video['id']}") as answer:
                statuses[fault] = answer.status
        except aiohttp.ClientError as error:
            statuses[fault] = type(error).__name__
    assert statuses.pop("reset") in {"ServerDisconnectedError", "ClientOSError"}
    assert statuses == {"429": 429, "500": 500, "malformed": 200}
    log = (await get(session, f"{upstream}/control/state"))["log"]
    met = [one["fault"] for one in log if one["kind"] == "get" and one["fault"]]
    # The client may repeat a read whose kept connection was reset.
    assert list(dict.fromkeys(met)) == ["429", "500", "malformed", "reset"]


async def test_a_refused_listing_answers_405(upstream: str, session: aiohttp.ClientSession) -> None:
    await configure(session, upstream, listing="refused")
    async with session.get(f"{upstream}/v1/videos") as answer:
        assert answer.status == 405


def signed(body: bytes, *, secret: str = SECRET) -> dict[str, str]:
    now, key = time.time(), secret.encode()
    content = f"evt_1.{int(now)}.".encode() + body
    standard = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(now)),
        "webhook-signature": f"v1,{standard}",
        "X-Timestamp": str(int(now * 1000)),
        "X-Signature": hmac.new(key, body, hashlib.sha256).hexdigest(),
    }


@pytest.mark.parametrize("secret", [SECRET, "another secret"])
async def test_an_arrival_is_recorded_with_the_verdict_on_its_signatures(
    receivers: str, session: aiohttp.ClientSession, secret: str
) -> None:
    body = json.dumps({"jobId": "job_1", "status": "completed"}).encode()
    headers = signed(body, secret=secret)
    async with session.post(f"{receivers}/hook/1", data=body, headers=headers) as answer:
        assert answer.status == 200
    arrival = (await get(session, f"{receivers}/control/arrivals"))["arrivals"][-1]
    assert arrival["body"].encode() == body
    assert (arrival["plain_ok"], arrival["standard_ok"]) == (secret == SECRET,) * 2


async def test_a_receiver_refuses_or_keeps_silent_by_its_own_rule(
    receivers: str, session: aiohttp.ClientSession
) -> None:
    rules = {"/refusing": {"refuse": 1.0}, "/silent": {"silent": True}}
    async with session.post(f"{receivers}/control/rules", json=rules):
        pass
    async with session.post(f"{receivers}/refusing", data=b"{}") as answer:
        assert answer.status == 500
    timeout = aiohttp.ClientTimeout(total=0.2)
    with pytest.raises(TimeoutError):
        await session.post(f"{receivers}/silent", data=b"{}", timeout=timeout)
    arrivals = (await get(session, f"{receivers}/control/arrivals"))["arrivals"]
    assert [one["answer"] for one in arrivals[-2:]] == [500, None]
