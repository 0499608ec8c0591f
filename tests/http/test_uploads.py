"""Uploads: files that are sent once, judged by their bytes, and used in requests."""

from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from gateways import AT_ONCE, Gateway, gateway

from reelhook.domain import media, upload

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\2\x80\0\0\1\x68\x08\2\0\0\0"
JPEG = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08\0\x40\0\x80\3"
MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2"
KEY = {"Authorization": "Bearer a-long-random-text"}


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path, AT_ONCE, api_key="a-long-random-text") as running:
        yield running


async def sent(server: Gateway, body: Any, **headers: str) -> Any:
    return await server.post("/api/uploads", data=body, headers={**KEY, **headers})


async def test_a_file_is_uploaded_as_a_body_or_in_a_form_and_is_the_same(server: Gateway) -> None:
    reply = await sent(server, PNG, **{"Content-Type": "text/plain"})
    assert reply.status == 201
    stored = reply.json()
    assert stored["id"].startswith("upload_")
    assert (stored["sha256"], stored["size"]) == (sha256(PNG).hexdigest(), len(PNG))
    assert (stored["contentType"], stored["width"], stored["height"]) == ("image/png", 640, 360)
    form = aiohttp.FormData()
    form.add_field("file", PNG, filename="fox.jpg", content_type="image/jpeg")
    again = (await sent(server, form)).json()
    assert again["id"] == stored["id"]
    jpeg = (await sent(server, JPEG)).json()
    assert (jpeg["width"], jpeg["height"]) == (128, 64)


@pytest.mark.parametrize("named", ["text", "object"])
async def test_an_upload_stands_for_the_image(server: Gateway, named: str) -> None:
    upload_id = (await sent(server, PNG)).json()["id"]
    image = upload_id if named == "text" else {"upload": upload_id}
    body = {"script": "A fox", "seconds": 1, "size": "64x64", "image": image}
    reply = await server.post("/api/generate", json=body, headers=KEY)
    assert reply.status == 200, reply.body
    body = {"prompt": "A fox", "seconds": "1", "input_reference": {"file_id": upload_id}}
    reply = await server.post("/v1/videos", json=body, headers=KEY)
    assert reply.status == 200, reply.body


async def test_an_unknown_upload_and_one_of_another_kind_are_refused(server: Gateway) -> None:
    video = (await sent(server, MP4)).json()["id"]
    unknown = f"upload_{'0' * 64}"
    for image, reason in ((unknown, "not kept here"), (video, "no image by its bytes")):
        body = {"script": "A fox", "image": image}
        reply = await server.post("/api/generate", json=body, headers=KEY)
        refused = reply.json()
        assert (reply.status, refused["field"]) == (400, "image")
        assert reason in refused["error"]


async def test_another_projects_upload_does_not_exist(server: Gateway) -> None:
    upload_id = (await sent(server, PNG)).json()["id"]
    await server.post("/api/projects", json={"name": "other"}, headers=KEY)
    body = {"script": "A fox", "image": upload_id, "project": "other"}
    reply = await server.post("/api/generate", json=body, headers=KEY)
    assert reply.status == 400
    assert "not kept here" in reply.json()["error"]


async def test_what_is_no_file_that_requests_take_is_refused(
    server: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for body, what in (
        (b"", "is empty; send PNG"),
        (b"hello", "is a text by its bytes; send PNG"),
        (b"%PDF-1.7 ...", "is a PDF by its bytes"),
        (b"\n<!DOCTYPE html><p>", "is a page of HTML by its bytes"),
        (b"<svg xmlns=''/>", "is an SVG image by its bytes"),
        (b"II*\0\x08", "is a TIFF image by its bytes"),
        (b"\0\1\xff", "is no image, video or audio by its bytes"),
    ):
        reply = await sent(server, body)
        assert (reply.status, reply.json()["code"]) == (415, "unsupported_media_type")
        assert what in reply.json()["error"]
    form = aiohttp.FormData()
    form.add_field("file", PNG, filename="a.png")
    form.add_field("more", PNG, filename="b.png")
    assert (await sent(server, form)).status == 400
    monkeypatch.setitem(media.BYTES_MAX, "image", 10)
    reply = await sent(server, PNG)
    assert (reply.status, reply.json()["code"]) == (413, "request_too_large")


async def test_a_projects_uploads_have_a_limit_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway(tmp_path, AT_ONCE, api_key="a-long-random-text") as server:
        monkeypatch.setattr(server.hook.gateway.uploads, "_bytes_max", len(PNG) + 10)
        assert (await sent(server, PNG)).status == 201
        assert (await sent(server, PNG)).status == 201
        reply = await sent(server, JPEG)
        assert (reply.status, reply.json()["code"]) == (413, "uploads_full")


def test_an_id_of_another_form_names_no_upload() -> None:
    assert upload.hash_of_upload("upload_x") is None
    assert upload.hash_of_upload(f"upload_{'a' * 64}") == "a" * 64
