"""Bodies with files: forms in the shape of JSON, and their limits."""

import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import FormData
from fastapi import APIRouter
from gateways import AT_ONCE, SMALL, Gateway, gateway
from starlette.requests import Request

from reelhook.domain.caller import Scope
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.media import File
from reelhook.doors import app
from reelhook.doors.form_fields import DEPTH_MAX, NAME_CHARACTERS_MAX, FormFields
from reelhook.doors.multipart import PARTS_MAX, form_of, read_body
from reelhook.doors.policy import KeyRoute, carries_files, needs

KEY = "k" * 40
BEARER = {"Authorization": f"Bearer {KEY}"}
MIB = 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
TYPE = "multipart/form-data; boundary=b"
router = APIRouter(route_class=KeyRoute)


@router.post("/forms")
@needs(Scope.SUBMIT)
@carries_files
async def forms(request: Request) -> Any:
    body = await read_body(request)
    return {name: len(value) if name == "image" else value for name, value in body.items()}


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    monkeypatch.setattr(app, "ROUTERS", (*app.ROUTERS, router))
    async with gateway(tmp_path, api_key=KEY, upload_max_mib=3) as one:
        yield one


def part(name: str | None, data: bytes, filename: str | None = None) -> bytes:
    named = [f'{key}="{value}"' for key, value in (("name", name), ("filename", filename)) if value]
    head = "; ".join(["--b\r\nContent-Disposition: form-data", *named])
    return head.encode() + b"\r\n\r\n" + data + b"\r\n"


def form(*fields: tuple[str, bytes]) -> Any:
    return form_of(b"".join(part(*field) for field in fields) + b"--b--\r\n", TYPE)


def test_a_form_has_the_shape_of_json() -> None:
    assert form(
        ("prompt", "Fox \N{FOX FACE}".encode()),
        ("seconds", b"4"),
        ("audio", b"true"),
        ("metadata[order]", b"17"),
        ("metadata[shop]", b""),
        ("fallbacks[]", b"a/b"),
        ("fallbacks[]", b"c/d"),
        ("provider_options[a][b][]", b"1"),
        ("list[][x]", b"1"),
        ("list[][y]", b"2"),
        ("list[][x]", b"3"),
        ("again", b"1"),
        ("again", b"2"),
    ) == {
        "prompt": "Fox \N{FOX FACE}",
        "seconds": "4",
        "audio": "true",
        "metadata": {"order": "17", "shop": ""},
        "fallbacks": ["a/b", "c/d"],
        "provider_options": {"a": {"b": ["1"]}},
        "list": [{"x": "1", "y": "2"}, {"x": "3"}],
        "again": ["1", "2"],
    }


def test_a_file_is_a_data_uri_of_the_type_that_its_bytes_show() -> None:
    body = part("image", PNG, "fox.exe") + part("reference_images[]", b"\xff\xd8\xff\0", "x")
    read = form_of(body + b"--b--", TYPE)
    assert read["image"].startswith("data:image/png;base64,iVBORw0KGgoAAQID")
    assert read["reference_images"] == ["data:image/jpeg;base64,/9j/AA=="]


@pytest.mark.parametrize(
    ("body", "content_type", "field", "words"),
    [
        (b"", TYPE, "body", "empty"),
        (part("a", b"1"), TYPE, "body", "last boundary"),
        (part("a", b"1") + b"--c--", TYPE, "body", "last boundary"),
        (b"hello", TYPE, "body", "not valid"),
        (b"--b--", "multipart/form-data", "body", "boundary"),
        (b"--b--", f"multipart/form-data; boundary={'b' * 999}", "body", "not valid"),
        (part(None, PNG, "fox.png") + b"--b--", TYPE, "body", "A file of the form has no field"),
        (part(None, b"1") + b"--b--", TYPE, "body", "A part of the form has no field name"),
        (part("image", b"hello", "fox.png") + b"--b--", TYPE, "image", "no image, video or audio"),
        (part("image", b"", "fox.png") + b"--b--", TYPE, "image", "no image, video or audio"),
        (part("prompt", b"\xff") + b"--b--", TYPE, "prompt", "UTF-8"),
        (part("a", b"1") * (PARTS_MAX + 1) + b"--b--", TYPE, "body", "more than 256 fields"),
    ],
)
def test_a_broken_form_is_refused(body: bytes, content_type: str, field: str, words: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        form_of(body, content_type)
    assert caught.value.field == field
    assert words in caught.value.message


@pytest.mark.parametrize(
    "name", ["[]", "[a]", "a[", "a]", "a[b", "a[[b]]", "a[b]c", "a" + "[b]" * DEPTH_MAX, "a" * 501]
)
def test_a_malformed_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="The name of a form field") as caught:
        FormFields().add(name, "1")
    assert len(caught.value.field) <= NAME_CHARACTERS_MAX


@pytest.mark.parametrize(
    ("first", "second"),
    [("a", "a[b]"), ("a[b]", "a"), ("a[]", "a[b]"), ("a[b]", "a[]"), ("a", "a[]"), ("b", "a[][]")],
)
def test_names_that_contradict_each_other_are_refused(first: str, second: str) -> None:
    fields = FormFields()
    fields.add(first, "1")
    with pytest.raises(InvalidRequestError, match="contradicts") as caught:
        fields.add(second, "2")
    assert caught.value.field == second


async def test_a_route_that_carries_files_takes_larger_bodies(server: Gateway) -> None:
    image = PNG + b"\r\n--" * (MIB // 2)
    data = FormData({"prompt": "x"})
    data.add_field("image", BytesIO(image), filename="fox.png")
    reply = await server.post("/forms", data=data, headers=BEARER)
    assert reply.status == 200, reply.body
    assert reply.json()["image"] > len(image)
    body = json.dumps({"prompt": "x", "image": "y" * 2 * MIB}).encode()
    for sent in (BytesIO(body), chunks(body)):
        headers = {**BEARER, "Content-Type": "application/json"}
        reply = await server.post("/forms", data=sent, headers=headers)
        assert reply.json() == {"prompt": "x", "image": 2 * MIB}


async def chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 100_000):
        yield body[start : start + 100_000]


async def test_an_upload_over_the_limit_is_refused_with_the_limit(server: Gateway) -> None:
    for sent in (BytesIO(b"x" * 4 * MIB), chunks(b"x" * 4 * MIB)):
        headers = {**BEARER, "Content-Type": TYPE}
        reply = await server.post("/forms", data=sent, headers=headers)
        assert reply.refusal == (413, "request_too_large", None)
        assert "3 MiB" in reply.json()["error"]
        assert "REELHOOK_UPLOAD_MAX_MIB" in reply.json()["error"]


async def test_other_routes_take_neither_forms_nor_larger_bodies(server: Gateway) -> None:
    for path in ("/api/endpoints", "/api/generate", "/nowhere"):
        typed = {**BEARER, "Content-Type": TYPE}
        reply = await server.post(path, data=part("a", b"b") + b"--b--", headers=typed)
        assert reply.refusal[:2] == (415, "unsupported_media_type"), path
    large, typed = BytesIO(b"x" * 2 * MIB), {**BEARER, "Content-Type": "application/json"}
    reply = await server.post("/api/endpoints", data=large, headers=typed)
    assert reply.refusal == (413, "request_too_large", None)
    reply = await server.post("/forms", data=b"x", headers={**BEARER, "Content-Type": "text/x"})
    assert reply.refusal[:2] == (415, "unsupported_media_type")
    assert "multipart/form-data" in reply.json()["error"]


async def test_without_a_key_no_upload_is_read(server: Gateway) -> None:
    for headers in ({}, {"X-Reelhook-Operator": "1.x"}):
        body = BytesIO(b"x" * 2 * MIB)
        typed = {**headers, "Content-Type": TYPE}
        reply = await server.post("/forms", data=body, headers=typed)
        assert reply.refusal == (401, "unauthorized", None)


async def test_a_broken_form_is_refused_over_http(server: Gateway) -> None:
    for sent, field in ((b"--b", "body"), (part("image", b"x", "y") + b"--b--", "image")):
        headers = {**BEARER, "Content-Type": TYPE}
        reply = await server.post("/forms", data=sent, headers=headers)
        assert reply.refusal == (400, "invalid_request", field)
    for text in ("[1]", "{", "\udcff"):
        headers = {**BEARER, "Content-Type": "application/json"}
        data = text.encode(errors="surrogateescape")
        reply = await server.post("/forms", data=data, headers=headers)
        assert reply.refusal == (400, "invalid_request", "body")


async def test_aiohttp_and_this_module_agree_on_names(server: Gateway) -> None:
    with aiohttp.MultipartWriter("form-data") as writer:
        writer.append("17").set_content_disposition("form-data", name="metadata[order]")
    reply = await server.post("/forms", data=writer, headers=BEARER)
    assert reply.json() == {"metadata": {"order": "17"}}


async def test_an_image_of_megabytes_goes_inline_to_the_provider(tmp_path: Path) -> None:
    image = File("image/png", PNG + b"\0" * 2 * MIB).uri
    body = json.dumps({"script": "A fox", "image": image, **SMALL}).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": "one"}
    async with gateway(tmp_path, AT_ONCE) as server:
        for _ in range(2):
            reply = await server.post("/api/generate", data=BytesIO(body), headers=headers)
            assert reply.status == 200, reply.body
        job_id = reply.json()["jobId"]
        assert (await server.job_when(job_id, "completed"))["status"] == "completed"
        assert server.simulator.creations == 1
        wrong = BytesIO(body.replace(b"AAAA", b"A*AA", 1))
        reply = await server.post("/api/estimate", data=BytesIO(body), headers=headers)
        assert reply.status == 200, reply.body
        headers = {"Content-Type": "application/json"}
        reply = await server.post("/api/generate", data=wrong, headers=headers)
        assert reply.refusal == (400, "invalid_request", "image")
