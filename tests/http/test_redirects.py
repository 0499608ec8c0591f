"""Downloads that are answered with the URL of the store, here of a bucket of moto's S3 server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from archived import OFF, VIDEO, Archive
from gateways import AT_ONCE, Gateway, gateway
from moto.server import ThreadedMotoServer

from reelhook.domain.file_link import FileLinks
from reelhook.doors.context import HttpOptions
from reelhook.objects.store import ObstoreObjects

PATH = "/api/sora/videos/{}/download"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield f"http://{host}:{port}/videos"
    server.stop()


def link_of(server: Gateway, job_id: str, seconds: float) -> str:
    app: Any = server.hook.asgi
    options: HttpOptions = app.state.options
    return FileLinks(options.access.download_key, seconds).query(job_id, options.clock.now())


async def test_a_download_leads_to_the_store_where_it_can_sign(tmp_path: Path, bucket: str) -> None:
    async with gateway(tmp_path / "data", AT_ONCE, archive_redirect=True, **OFF) as server:
        async with server.session.put(bucket) as made:
            assert made.status == 200
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
        head = await server.request("HEAD", PATH.format(job_id))
        assert (head.status, head.headers["Content-Length"]) == (200, str(len(VIDEO)))
        known = await server.get(PATH.format(job_id), headers={"If-None-Match": tag})
        assert known.status == 304
        # The dashboard's policy lets it load nothing from other servers.
        for page, status in (("/archive", 200), (".evil.example/", 302)):
            referrer = {"Referer": server.url + page}
            shown = await server.get(PATH.format(job_id), headers=referrer)
            assert shown.status == status
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
