"""Signed links over HTTP: what they open, when they expire, and what is said then."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from archived import OFF, POSTER, VIDEO, Archive
from gateways import AT_ONCE, Gateway, Reply, gateway
from receivers import receiver

from reelhook.domain.file_link import FileLinks

KEY = "a-long-random-text"
BEARER = {"Authorization": f"Bearer {KEY}"}


async def opened(server: Gateway, url: str, method: str = "GET") -> Reply:
    """Open a link as anyone does who has nothing else."""
    parts = urlsplit(url)
    address = f"{server.url}{parts.path}?{parts.query}"
    async with server.session.request(method, address, headers={"Authorization": ""}) as response:
        return Reply(response.status, response.headers, await response.read())


def links_of(server: Gateway) -> FileLinks:
    options = server.hook.asgi.state.options  # type: ignore[attr-defined] # it is our application
    links = options.access.links
    assert isinstance(links, FileLinks)
    return links


async def test_a_link_expires_and_the_refusal_says_how_to_get_another(tmp_path: Path) -> None:
    async with (
        receiver() as hook,
        gateway(
            tmp_path / "data", AT_ONCE, headers=BEARER, api_key=KEY, link_hours="0.5", **OFF
        ) as server,
    ):
        at = Archive(server, tmp_path / "archive")
        job_id = await at.finished(webhookUrl=hook.url)
        await at.store(job_id)
        await at.make_poster(job_id)
        webhook = await hook.first(lambda one: one.body["status"] == "completed")
        [event] = (await server.get(f"/api/jobs/{job_id}/events")).json()["events"][-1:]
        status = (await server.get(f"/api/videos/status/{job_id}")).json()
        assert webhook.body["videoUrl"] == event["videoUrl"]
        for url, body in (
            (webhook.body["videoUrl"], VIDEO),
            (status["videoUrl"], VIDEO),
            (status["posterUrl"], POSTER),
        ):
            assert (await opened(server, url)).body == body
        past = links_of(server).query(job_id, 0)
        forever = FileLinks(links_of(server).key).query(job_id, 0)
        for query in (past, forever):
            for file in ("download", "poster"):
                path = f"/api/sora/videos/{job_id}/{file}{query}"
                reply = await opened(server, path)
                assert reply.refusal == (410, "link_expired", None)
                assert "GET /api/videos/status/" in reply.json()["error"]
                assert (await server.get(path)).status == 200  # with the key
            head = await opened(server, path, "HEAD")
            assert (head.status, head.body) == (410, b"")
            by_query = f"/api/download{query}&jobId={job_id}"
            assert (await opened(server, by_query)).refusal == (410, "link_expired", None)
            other = path.replace(job_id, "job_other")
            assert (await opened(server, other)).refusal == (401, "unauthorized", None)


async def test_the_end_in_a_webhook_follows_from_its_event_alone(tmp_path: Path) -> None:
    async with gateway(
        tmp_path, AT_ONCE, headers=BEARER, api_key=KEY, link_hours=24, **OFF
    ) as server:
        job_id = await server.submit()
        await server.job_when(job_id, "completed")
        [event] = (await server.get(f"/api/jobs/{job_id}/events")).json()["events"][-1:]
        query = parse_qs(urlsplit(event["videoUrl"]).query)
        assert list(query) == ["expires", "signature"]
        ends = int(query["expires"][0])
        stored = await server.hook.gateway.content._store.job(job_id)
        assert ends == stored.job.updated_at // 1000 + 24 * 3600
        assert json.dumps(event["videoUrl"]) in json.dumps(event)


async def test_links_of_a_setting_that_is_off_again_are_as_before(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE, headers=BEARER, api_key=KEY, **OFF) as server:
        job_id = await server.submit()
        url = (await server.job_when(job_id, "completed"))["videoUrl"]
        assert list(parse_qs(urlsplit(url).query)) == ["signature"]
        assert (await opened(server, url)).status == 200
        ended = FileLinks(links_of(server).key, 3600).query(job_id, 0)
        reply = await opened(server, f"/api/sora/videos/{job_id}/download{ended}")
        assert reply.refusal == (410, "link_expired", None)


async def test_an_expired_link_does_not_matter_where_no_key_is_needed(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE, **OFF) as server:
        job_id = await server.submit()
        await server.job_when(job_id, "completed")
        ended = FileLinks(links_of(server).key, 3600).query(job_id, 0)
        assert (await server.get(f"/api/sora/videos/{job_id}/download{ended}")).status == 200


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_link_only_reads(tmp_path: Path, method: str) -> None:
    async with gateway(tmp_path, AT_ONCE, api_key=KEY, link_hours=1, **OFF) as server:
        query = links_of(server).query("job_1", 0)
        reply = await opened(server, f"/api/sora/videos/job_1/download{query}", method)
        assert reply.refusal == (401, "unauthorized", None)
