"""Server-Sent Events: every change of the jobs that a client follows, as its webhook has it."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from gateways import AT_ONCE, Gateway, gateway, until
from receivers import receiver

from reelhook.simulator.faults import Faults

SLOW = Faults(queue_seconds=0, render_seconds=100)


class Stream:
    """An open stream of events, read as a browser's EventSource does."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def block(self) -> list[str] | None:
        """Return the next block of lines, or None at the end."""
        lines: list[str] = []
        async for raw in self.response.content:
            line = raw.decode().rstrip("\n")
            if not line and lines:
                return lines
            lines.append(line)
        return None

    async def event(self) -> tuple[str, str] | None:
        """Return the next event's id and data, or None at the end; comments are passed over."""
        while (lines := await self.block()) is not None:
            fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            if fields:
                assert set(fields) == {"id", "data"}
                return fields["id"], fields["data"]
        return None

    async def data(self) -> Any:
        event = await self.event()
        assert event is not None
        return json.loads(event[1])


@asynccontextmanager
async def following(
    server: Gateway, *job_ids: str, seen: str | None = None
) -> AsyncIterator[Stream]:
    url = f"{server.url}/api/jobs/events?jobIds={','.join(job_ids)}"
    headers = {} if seen is None else {"Last-Event-ID": seen}
    timeout = aiohttp.ClientTimeout(20)
    async with server.session.get(url, headers=headers, timeout=timeout) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].partition(";")[0] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-cache"
        yield Stream(response)


async def test_changes_arrive_live_in_order(tmp_path: Path) -> None:
    async with gateway(tmp_path, SLOW) as server:
        job_id = await server.submit()
        async with following(server, job_id) as stream:
            seen = [await stream.data()]
            for seconds in (30, 30, 40):
                server.time.advance(seconds)
                seen.append(await stream.data())
        assert [event["progress"] for event in seen] == [0, 30, 60, 100]
        assert [event["sequence"] for event in seen] == [1, 2, 3, 4]
        assert seen[-1]["status"] == "completed"


async def test_each_event_is_the_webhook_byte_for_byte(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, SLOW) as server:
        job_id = await server.submit(webhookUrl=client.url)
        await server.job_when(job_id, "processing")
        async with following(server, job_id) as stream:
            await stream.event()
            server.time.advance(100)
            event = await stream.event()
        webhook = await client.ending(job_id)
        assert event == (webhook.headers["webhook-id"], webhook.raw.decode())


async def test_a_job_that_already_ended_tells_its_end_at_once(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        job_id = await server.submit()
        await server.job_when(job_id, "completed")
        async with following(server, job_id) as stream:
            event = await stream.data()
        assert (event["jobId"], event["status"]) == (job_id, "completed")
        assert event["videoUrl"] == f"{server.url}/api/sora/videos/{job_id}/download"


async def test_several_jobs_share_a_stream_and_others_stay_out_of_it(tmp_path: Path) -> None:
    async with gateway(tmp_path, SLOW) as server:
        one, other, third = [await server.submit(name) for name in ("one", "other", "third")]
        for job_id in (one, other, third):
            await server.job_when(job_id, "processing")
        async with following(server, one, other) as stream:
            first = [await stream.data() for _ in range(2)]
            server.time.advance(100)
            last = [await stream.data() for _ in range(2)]
        assert {event["jobId"] for event in first} == {one, other}
        assert {(event["jobId"], event["status"]) for event in last} == {
            (one, "completed"),
            (other, "completed"),
        }


async def test_one_change_reaches_every_stream(tmp_path: Path) -> None:
    async with gateway(tmp_path, SLOW) as server, AsyncExitStack() as stack:
        job_id = await server.submit()
        await server.job_when(job_id, "processing")
        streams = [await stack.enter_async_context(following(server, job_id)) for _ in range(10)]
        for stream in streams:
            await stream.data()
        server.time.advance(100)
        for stream in streams:
            assert (await stream.data())["status"] == "completed"


async def three_events(server: Gateway) -> tuple[str, list[str]]:
    """Return a job that processes still, and the ids of its events so far."""
    job_id = await server.submit()
    async with following(server, job_id) as stream:
        ids = [await stream.event()]
        for _ in range(2):
            server.time.advance(30)
            ids.append(await stream.event())
    return job_id, [event[0] for event in ids if event is not None]


async def test_a_stream_goes_on_behind_the_event_that_was_seen_last(tmp_path: Path) -> None:
    async with gateway(tmp_path, SLOW) as server:
        job_id, ids = await three_events(server)
        async with following(server, job_id, seen=ids[0]) as stream:
            assert [(await stream.data())["sequence"] for _ in range(2)] == [2, 3]
        async with following(server, job_id, seen=ids[2]) as stream:
            server.time.advance(100)
            assert (await stream.data())["sequence"] == 4


async def test_the_event_seen_last_is_one_jobs_and_the_others_tell_their_last(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path, SLOW) as server:
        job_id, ids = await three_events(server)
        other = await server.submit("other")
        await server.job_when(other, "processing")
        async with following(server, job_id, other, seen=ids[1]) as stream:
            events = [await stream.data() for _ in range(2)]
    assert {(event["jobId"], event["sequence"]) for event in events} == {(job_id, 3), (other, 1)}


async def test_an_event_that_nobody_can_have_seen_is_passed_over(tmp_path: Path) -> None:
    async with gateway(tmp_path, SLOW) as server:
        job_id, _ = await three_events(server)
        for seen in (
            *("", "x", f"evt_{job_id}_", f"evt_{job_id}_4", f"evt_{job_id}_-1"),
            *("evt_job_other_1", f"evt_{job_id}_{'9' * 5000}", f"evt_{job_id}_\u00b2"),
        ):
            async with following(server, job_id, seen=seen) as stream:
                assert (await stream.data())["sequence"] == 3


async def test_an_unknown_job_is_404(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        known = await server.submit()
        reply = await server.get(f"/api/jobs/events?jobIds={known},job_nowhere")
        assert reply.refusal == (404, "job_not_found", None)


async def test_one_to_a_hundred_jobs_must_be_named(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        many = ",".join(f"job_{number}" for number in range(101))
        for query in ("", "?jobIds=", "?jobIds=,,", f"?jobIds={many}"):
            reply = await server.get(f"/api/jobs/events{query}")
            assert reply.refusal == (400, "invalid_request", "jobIds")


async def test_a_stream_ends_when_the_server_stops(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        async with gateway(tmp_path, SLOW) as server:
            job_id = await server.submit()
            server.session = session
            stream = await stack.enter_async_context(following(server, job_id))
            await stream.event()
        assert await stream.event() is None


async def test_streams_are_limited_and_one_that_ends_makes_room(tmp_path: Path) -> None:
    async with gateway(tmp_path, streams_max=2) as server, AsyncExitStack() as stack:
        job_id = await server.submit()
        path = f"/api/jobs/events?jobIds={job_id}"
        await stack.enter_async_context(following(server, job_id))
        async with following(server, job_id):
            for _ in range(3):
                reply = await server.get(path)
                assert reply.refusal == (503, "too_many_streams", None)
                assert "REELHOOK_STREAMS_MAX" in reply.json()["error"]
                assert int(reply.headers["Retry-After"]) > 0
        refused = [line["code"] for line in server.logs if line["event"] == "http.refused"]
        assert refused == ["too_many_streams"]

        async def has_room() -> bool:
            async with server.session.get(server.url + path) as response:
                return response.status == 200

        assert await until(has_room)
