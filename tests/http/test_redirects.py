"""Downloads that are answered with the URL of the store, here of a bucket of moto's S3 server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from archived import OFF, VIDEO, Archive
from gateways import AT_ONCE, gateway
from moto.server import ThreadedMotoServer

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
        await at.objects.delete([f"videos/{job_id}.mp4"])
        reply = await server.get(PATH.format(job_id))
        assert reply.refusal == (502, "archived_file_unavailable", None)
        at.use(ObstoreObjects((tmp_path / "folder").as_uri()))
        assert (await server.get(PATH.format(in_folder))).body == VIDEO
