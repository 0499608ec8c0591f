"""Posters: where they are served, and what is said while there is none."""

from pathlib import Path
from typing import Any

import pytest
from archived import OFF, POSTER, VIDEO, Archive
from gateways import AT_ONCE, gateway
from openai import NotFoundError
from openai_clients import QUIET, posted, served, told
from receivers import receiver

from reelhook.doors.openai.ids import job_id_of

PATH = "/api/sora/videos/{}/poster"


async def test_a_poster_is_served_once_it_is_made(tmp_path: Path) -> None:
    async with gateway(tmp_path / "data", AT_ONCE, **OFF) as server:
        at = Archive(server, tmp_path / "archive")
        job_id = await at.finished()
        for _ in range(2):  # before the file is stored, and after
            early = await server.get(PATH.format(job_id))
            assert early.refusal == (404, "poster_not_ready", None)
            assert early.headers["Retry-After"] == "5"
            if (await at.file(job_id)).key is None:
                await at.store(job_id)
        await at.make_poster(job_id)
        reply = await server.get(PATH.format(job_id))
        assert (reply.status, reply.body) == (200, POSTER)
        assert reply.headers["Content-Type"] == "image/jpeg"
        assert reply.headers["Content-Disposition"] == 'inline; filename="A fox.jpg"'
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        tag = reply.headers["ETag"]
        video = await server.get(f"/api/sora/videos/{job_id}/download")
        assert tag != video.headers["ETag"]
        known = await server.get(PATH.format(job_id), headers={"If-None-Match": tag})
        assert (known.status, known.body) == (304, b"")
        part = await server.get(PATH.format(job_id), headers={"Range": "bytes=0-2"})
        assert (part.status, part.body) == (206, POSTER[:3])


async def test_where_there_is_no_poster_that_is_said(tmp_path: Path) -> None:
    async with gateway(tmp_path / "data", AT_ONCE, **OFF) as server:
        job_id = await server.submit()
        assert (await server.get(PATH.format("job_0"))).refusal == (404, "job_not_found", None)
        await server.job_when(job_id, "completed")
        reply = await server.get(PATH.format(job_id))
        assert reply.refusal == (404, "poster_not_found", None)
        assert reply.json()["error"].endswith("videos are not archived here")
        at = Archive(server, tmp_path / "archive")
        await at.store(job_id)
        await at.make_poster(job_id, None)
        reply = await server.get(PATH.format(job_id))
        assert reply.refusal == (404, "poster_not_found", None)
        assert reply.json()["error"].endswith("none could be made of its file")
        lost = await at.finished()
        await at.record((await at.file(lost)).lost("HTTP 404"))
        reply = await server.get(PATH.format(lost))
        assert reply.refusal == (404, "poster_not_found", None)
        await at.remove(job_id)
        assert (await server.get(PATH.format(job_id))).refusal[:2] == (410, "content_removed")


async def test_a_poster_whose_object_is_gone_is_an_error(tmp_path: Path) -> None:
    async with gateway(tmp_path / "data", AT_ONCE, **OFF) as server:
        at = Archive(server, tmp_path / "archive")
        job_id = await at.stored()
        await at.make_poster(job_id)
        (at.folder / f"posters/{job_id}.jpg").unlink()
        reply = await server.get(PATH.format(job_id))
        assert reply.refusal == (502, "archived_file_unavailable", None)


async def test_the_status_names_the_poster_while_there_is_one(tmp_path: Path) -> None:
    key = "a-long-random-text"
    bearer = {"Authorization": f"Bearer {key}"}
    async with gateway(tmp_path / "data", AT_ONCE, headers=bearer, api_key=key, **OFF) as server:
        at = Archive(server, tmp_path / "archive")
        job_id = await at.stored()
        paths = (f"/api/videos/status/{job_id}", f"/api/jobs/{job_id}")
        for path in paths:
            assert (await server.get(path)).json()["posterUrl"] is None
        await at.make_poster(job_id)
        other = await at.finished()
        for path in paths:
            status = (await server.get(path)).json()
            video, poster = status["videoUrl"], status["posterUrl"]
            assert poster == video.replace("/download?", "/poster?")
            anyone = {"Authorization": ""}
            for url, body in ((video, VIDEO), (poster, POSTER)):
                reply = await server.get("/api/" + url.partition("/api/")[2], headers=anyone)
                assert (reply.status, reply.body) == (200, body)
        listed = (await server.get("/api/jobs")).json()["jobs"]
        assert {one["jobId"]: one["posterUrl"] for one in listed} == {job_id: poster, other: None}
        token = (await server.post(f"/api/jobs/{job_id}/token")).json()["token"]
        unsigned = await server.get(paths[0], headers={"Authorization": f"Bearer {token}"})
        assert unsigned.json()["posterUrl"] == poster.partition("?")[0]
        reply = await server.get(f"{PATH.format(job_id)}?token={token}", headers=anyone)
        assert reply.body == POSTER


@pytest.mark.parametrize("archived", [True, False])
async def test_webhooks_of_endpoints_that_ask_for_it_name_the_poster(
    tmp_path: Path, archived: bool
) -> None:
    more: dict[str, Any] = {"archive_url": None} if archived else OFF
    async with (
        receiver() as asking,
        receiver() as other,
        gateway(tmp_path, AT_ONCE, **more) as server,
    ):
        made = await server.endpoint(asking.url, format="reelhook+poster", events=["completed"])
        await server.submit(endpoints=[made["id"]], webhookUrl=other.url)
        webhook = await asking.first(lambda one: one.body["status"] == "completed")
        plain = await other.first(lambda one: one.body["status"] == "completed")
        url = plain.body["videoUrl"].replace("/download", "/poster")
        assert webhook.body == plain.body | {"posterUrl": url if archived else None}
        assert "posterUrl" not in plain.body


@QUIET
async def test_the_official_client_downloads_video_and_thumbnail(tmp_path: Path) -> None:
    async with served(tmp_path / "data", AT_ONCE, **OFF) as (server, sdk):
        at = Archive(server, tmp_path / "archive")
        video = await sdk.videos.poll((await posted(sdk))["id"])
        job_id = job_id_of(video.id)
        with pytest.raises(NotFoundError, match="still being made") as refused:
            await sdk.videos.download_content(video.id, variant="thumbnail")
        assert told(refused.value)[3] == "poster_not_ready"
        assert refused.value.response.headers["Retry-After"] == "5"
        await at.store(job_id)
        await at.make_poster(job_id)
        at.server.time.advance(24 * 3600)
        assert await (await sdk.videos.download_content(video.id)).aread() == VIDEO
        thumbnail = await sdk.videos.download_content(video.id, variant="thumbnail")
        assert await thumbnail.aread() == POSTER
        assert thumbnail.response.headers["Content-Type"] == "image/jpeg"
        with pytest.raises(NotFoundError, match="This video has no spritesheet") as refused:
            await sdk.videos.download_content(video.id, variant="spritesheet")
        assert told(refused.value)[3] == "variant_not_found"
