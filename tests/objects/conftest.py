"""Stores of files: a folder, and a bucket of moto's S3 server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession
from moto.server import ThreadedMotoServer
from refusing_s3 import point_at

from reelhook.objects.store import ObstoreObjects


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of the bucket's server; the settings are those that obstore reads."""
    point_at(s3_server, monkeypatch)
    return s3_server


@pytest.fixture(params=["folder", "s3"])
async def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObstoreObjects:
    if request.param == "folder":
        return ObstoreObjects((tmp_path / "archive").as_uri())
    server = request.getfixturevalue("s3")
    await make_bucket(server, "videos")
    return ObstoreObjects(f"s3://videos/{tmp_path.name}")


async def make_bucket(server: str, name: str) -> None:
    async with ClientSession() as http, http.put(f"{server}/{name}") as response:
        assert response.status in {200, 409}, await response.text()
