"""Downloads that are answered with the URL of the store, here of a bucket of moto's S3 server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from archived import OFF, VIDEO, Archive
from gateways import AT_ONCE, Gateway, gateway, until
from moto_bucket import BUCKET, moto_bucket, variables

from reelhook.domain.archive import FileState
from reelhook.domain.file_link import FileLinks
from reelhook.doors.context import HttpOptions
from reelhook.objects.store import ObstoreObjects

PATH = "/api/sora/videos/{}/download"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with moto_bucket() as url:
        for name, value in variables(url).items():
            monkeypatch.setenv(name, value)
        yield f"{url}/{BUCKET}"


def link_of(server: Gateway, job_id: str, seconds: float) -> str:
    app: Any = server.hook.asgi
    options: HttpOptions = app.state.options
    return FileLinks(options.access.download_key, seconds).query(job_id, options.clock.now())


async def test_a_download_leads_to_the_store_where_it_can_sign(tmp_path: Path, bucket: str) -> None:
    async with gateway(tmp_path / "data", AT_ONCE, archive_redirect=True, **OFF) as server:
        at = Archive(server, tmp_path / "folder")
        in_folder = await at.stored()
        at.use(ObstoreObjects("s3://videos/kept"))
        job_id = await at.stored()
        server.time.advance(24 * 3600)
        reply = await server.get(PATH.format(job_id))
        assert (reply.status, reply.headers["Cache-Control"]) == (302, "no-store")
        location = reply.headers["Location"]
        assert location.startswith(f"{bucket}/kept/videos/{job_id}.mp4?X-Amz-")
        async with server.session.get(f"{server.url}{PATH.format(job_id)}") as followed:
            assert await followed.read() == VIDEO
            assert followed.content_type == "video/mp4"
            tag = f'"{(await at.file(job_id)).sha256}"'
        # These come from here: a store's URL carries none of it.
        saved = await server.get(
            f"{PATH.format(job_id)}?download=1", headers={"Range": "bytes=4-7"}
        )
        assert (saved.status, saved.body) == (206, VIDEO[4:8])
        assert saved.headers["Content-Disposition"].startswith("attachment")
        here = await server.get(f"{PATH.format(job_id)}?redirect=0")
        assert (here.status, here.body) == (200, VIDEO)
        head = await server.request("HEAD", PATH.format(job_id))
        assert (head.status, head.headers["Content-Length"]) == (200, str(len(VIDEO)))
        known = await server.get(PATH.format(job_id), headers={"If-None-Match": tag})
        assert known.status == 304
        # A link, a browser token: no URL of the store outlives them.
        reply = await server.get(f"{PATH.format(job_id)}{link_of(server, job_id, 100)}")
        [seconds] = parse_qs(urlsplit(reply.headers["Location"]).query)["X-Amz-Expires"]
        assert 90 < int(seconds) <= 100
        token = (await server.post(f"/api/jobs/{job_id}/token", json={})).json()["token"]
        by_token = await server.get(f"{PATH.format(job_id)}?token={token}")
        assert (by_token.status, by_token.body) == (200, VIDEO)
        await at.objects.delete([f"videos/{job_id}.mp4"])
        reply = await server.get(PATH.format(job_id))
        assert reply.refusal == (502, "archived_file_unavailable", None)
        at.use(ObstoreObjects((tmp_path / "folder").as_uri()))
        assert (await server.get(PATH.format(in_folder))).body == VIDEO


async def test_the_store_sends_the_readable_name(tmp_path: Path, bucket: str) -> None:
    options: dict[str, Any] = {"archive_url": f"s3://{BUCKET}/kept", "archive_redirect": True}
    async with gateway(tmp_path, AT_ONCE, **options) as server:
        job_id = await server.submit("Zwei Füchse")
        contents: Any = server.hook.gateway.content

        async def is_stored() -> bool:
            file = await contents._store.archived_file(job_id)
            return file is not None and file.state is FileState.STORED

        await until(is_stored)
        reply = await server.get(PATH.format(job_id))
        assert reply.status == 302
        async with server.session.get(reply.headers["Location"]) as followed:
            assert followed.headers["Content-Disposition"] == (
                "inline; filename=\"Zwei Fuchse.mp4\"; filename*=UTF-8''Zwei%20F%C3%BCchse.mp4"
            )
