"""Bad input is refused with field and remedy, and leaves no row."""

import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from gateways import Gateway, gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")
JSON = {"Content-Type": "application/json"}
MEBIBYTE = 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path_factory.mktemp("bad_input"), allow_networks="") as one:
        yield one


async def refused(
    server: Gateway, raw: bytes, path: str = "/api/generate", **options: Any
) -> tuple[int, str, str | None, str]:
    """Send a body that must be refused; return status, code, field and words."""
    before = await server.total()
    reply = await server.post(path, data=raw, **{"headers": JSON, **options})
    assert await server.total() == before
    assert (await server.get("/healthz")).status == 200
    return (*reply.refusal, reply.json()["error"])


# -- what is no JSON object -----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/generate", "/api/jobs/register"])
@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="no body"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"script"', id="a string"),
        pytest.param(b"7", id="a number"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"script=A+fox", id="a form"),
        pytest.param(b'{"script": "A fox"} {}', id="two"),
        pytest.param(b'{"script": "A fo\xff"}', id="not UTF-8"),
        pytest.param(b"[" * 500_000, id="too deep"),
        pytest.param(b'{"script":' * 100_000, id="too deep an object"),
        pytest.param(b'{"a":' + b"9" * 10_000 + b"}", id="a number without end"),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(
    server: Gateway, raw: bytes, path: str
) -> None:
    status, code, field, words = await refused(server, raw, path)
    assert (status, code, field) == (400, "invalid_request", None)
    assert "JSON object" in words


# -- fields ---------------------------------------------------------------------------------------

LONG = "x" * 32_001


@pytest.mark.parametrize(
    ("fields", "field", "remedy"),
    [
        ({}, "script", "is required"),
        ({"script": None}, "script", "must be a string"),
        ({"script": 7}, "script", "must be a string"),
        ({"script": ["A fox"]}, "script", "must be a string"),
        ({"script": ""}, "script", "must not be empty"),
        ({"script": " \n\t "}, "script", "must not be empty"),
        ({"script": LONG}, "script", "at most 32000 characters"),
        ({"script": "A\0fox"}, "script", "must not contain NUL"),
        ({"script": "A fox\ud800"}, "script", "must be Unicode text"),
        ({"prompt": 7}, "prompt", "must be a string"),
        ({"prompt": "\0"}, "prompt", "must not contain NUL"),
        ({"prompt": LONG}, "prompt", "at most 32000 characters"),
        ({"prompt": "x" * 31_994}, "prompt", "at most 32000 characters"),
        ({"renderVersion": "v1"}, "renderVersion", "must be v3"),
        ({"renderVersion": "v2"}, "renderVersion", "v1 and v2 are not offered"),
        ({"renderVersion": "V3"}, "renderVersion", "must be v3"),
        ({"renderVersion": 3}, "renderVersion", "must be a string"),
        ({"aspectRatio": 16}, "aspectRatio", "must be a string"),
        ({"aspectRatio": "16x9"}, "aspectRatio", "a ratio such as 16:9"),
        ({"aspectRatio": "0:1"}, "aspectRatio", "a ratio such as 16:9"),
        ({"aspectRatio": "16:9\n"}, "aspectRatio", "a ratio such as 16:9"),
        ({"image": 7}, "image", "must be a string"),
        ({"image": {"file": "x"}}, "image", 'must be a text, {"upload": "upload_..."} or,'),
        ({"lastFrame": {"job": 7}}, "lastFrame", "lastFrame must be a text"),
        ({"image": ""}, "image", "must not be empty"),
        ({"image": "fox.png"}, "image", "an http(s) URL, an image as data:image/png;base64"),
        ({"image": "file:///etc/passwd"}, "image", "must be an http(s) URL"),
        ({"image": "ftp://h/fox.png"}, "image", "must be an http(s) URL"),
        ({"image": "https://h/a fox.png"}, "image", "must be an http(s) URL"),
        ({"image": "https://h/fox.png\n"}, "image", "must be an http(s) URL"),
        ({"image": "https://h/\0"}, "image", "must not contain NUL"),
        ({"image": "data:text/html;base64,AAAA"}, "image", "data:image/png;base64"),
        ({"image": "data:image/png,AAAA"}, "image", "data:image/png;base64"),
        ({"image": "data:image/png;base64,A A"}, "image", "data:image/png;base64"),
        ({"image": "https://example.com/" + "a" * 70_000}, "image", "at most 65536"),
        ({"image": "data:image/png;base64," + "A" * 900_001}, "image", "base64"),
        ({"seed": "7"}, "seed", "must be a whole number"),
        ({"seed": 7.5}, "seed", "must be a whole number"),
        ({"seed": True}, "seed", "must be a whole number"),
        ({"seed": -1}, "seed", "from 0 to 4294967295"),
        ({"seed": 2**32}, "seed", "from 0 to 4294967295"),
        ({"providerOptions": []}, "providerOptions", "must be an object"),
        ({"providerOptions": "{}"}, "providerOptions", "must be an object"),
        ({"providerOptions": 7}, "providerOptions", "must be an object"),
        ({"providerOptions": {"a": "x" * 100_001}}, "providerOptions", "at most 100000"),
        ({"providerOptions": {"a": float("nan")}}, "providerOptions", "must be a JSON object"),
        ({"providerOptions": {"a": [float("-inf")]}}, "providerOptions", "must be a JSON object"),
        ({"provider_options": []}, "provider_options", "must be an object"),
        ({"fallbacks": "openai/sora-2"}, "fallbacks", "must be a list"),
        ({"fallbacks": [7]}, "fallbacks.0", "must be a string"),
        ({"fallbacks": [""]}, "fallbacks.0", "must not be empty"),
        ({"fallbacks": ["/"]}, "fallbacks", "is not a model"),
        ({"fallbacks": ["m"] * 6}, "fallbacks", "must name at most 5"),
        ({"walletAddress": 7}, "walletAddress", "must be a string"),
        ({"walletAddress": ""}, "walletAddress", "must not be empty"),
        ({"walletAddress": "x" * 256}, "walletAddress", "at most 255 characters"),
        ({"walletAddress": "\0"}, "walletAddress", "must not contain NUL"),
        ({"model": ""}, "model", "must not be empty"),
        ({"model": {}}, "model", "must be a string"),
        ({"model": "\udfff"}, "model", "must be Unicode text"),
        ({"seconds": "soon"}, "seconds", "from 1 to 9999"),
        ({"seconds": 0}, "seconds", "from 1 to 9999"),
        ({"seconds": -4}, "seconds", "from 1 to 9999"),
        ({"seconds": 4.5}, "seconds", "from 1 to 9999"),
        ({"seconds": True}, "seconds", "must be a string"),
        ({"seconds": 10**300}, "seconds", "from 1 to 9999"),
        ({"seconds": float("inf")}, "seconds", "from 1 to 9999"),
        ({"seconds": float("nan")}, "seconds", "from 1 to 9999"),
        ({"size": "big"}, "size", "such as 1280x720"),
        ({"size": 1280}, "size", "must be a string"),
        ({"size": "1280x"}, "size", "such as 1280x720"),
        ({"size": "1280x720\n"}, "size", "such as 1280x720"),
        ({"webhookUrl": 7}, "webhookUrl", "must be a string"),
        ({"webhookUrl": "https://a.example/\0"}, "webhookUrl", "must not contain NUL"),
        ({"webhookUrl": ["https://a.example/"]}, "webhookUrl", "must be a string"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_a_wrong_field_is_named_with_its_remedy(
    server: Gateway, fields: dict[str, Any], field: str, remedy: str
) -> None:
    body = fields if "script" in fields or not fields else {"script": "A fox", **fields}
    refusal = await refused(server, json.dumps(body).encode())
    assert refusal[:3] == (400, "invalid_request", field)
    assert remedy in refusal[3]


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("", "https://"),
        ("not a URL", "percent-encode"),
        ("ftp://client.example/hook", "https://"),
        ("https://", "https://host/path"),
        ("https://user:pass@client.example/hook", "remove them"),
        ("http://localhost/hook", "REELHOOK_ALLOW_NETWORKS"),
        ("http://127.0.0.1/hook", "REELHOOK_ALLOW_NETWORKS"),
        ("http://[::1]/hook", "REELHOOK_ALLOW_NETWORKS"),
        ("http://10.0.0.1/hook", "REELHOOK_ALLOW_NETWORKS"),
        ("http://169.254.169.254/latest/meta-data", "REELHOOK_ALLOW_NETWORKS"),
        ("http://app:3000/hook", "REELHOOK_ALLOW_NETWORKS"),
        ("http://0x7f000001/hook", "decimal"),
        ("https://client.example:25/hook", "443"),
        ("https://client.example/" + "x" * 2048, "at most 2048"),
    ],
    ids=lambda value: repr(value)[:40],
)
@pytest.mark.parametrize("path", ["/api/generate", "/api/jobs/register"])
async def test_a_webhook_url_that_may_not_be_sent_to_is_refused(
    server: Gateway, url: str, remedy: str, path: str
) -> None:
    body = {"script": "A fox", "soraJobId": "video_1", "webhookUrl": url}
    status, code, field, words = await refused(server, json.dumps(body).encode(), path)
    assert (status, code, field) == (400, "webhook_url_refused", "webhookUrl")
    assert remedy in words


@pytest.mark.parametrize(
    ("fields", "field", "remedy"),
    [
        ({}, "soraJobId", "is required"),
        ({"soraJobId": 7}, "soraJobId", "must be a string"),
        ({"soraJobId": ""}, "soraJobId", "must not be empty"),
        ({"soraJobId": "video 1"}, "soraJobId", "without spaces"),
        ({"soraJobId": "vidéo"}, "soraJobId", "without spaces"),
        ({"soraJobId": "x" * 256}, "soraJobId", "at most 255 characters"),
        ({"soraJobId": "\0"}, "soraJobId", "must not contain NUL"),
        ({"soraJobId": ".."}, "soraJobId", "is not a job id"),
        ({"soraJobId": "../admin/keys"}, "soraJobId", "must be one segment of a path"),
        ({"soraJobId": "a\\b"}, "soraJobId", "must be one segment of a path"),
        ({"soraJobId": "video_1", "jobId": ""}, "jobId", "must not be empty"),
        ({"soraJobId": "video_1", "jobId": "a/b"}, "jobId", "letters, digits, hyphens"),
        ({"soraJobId": "video_1", "jobId": "a" * 129}, "jobId", "at most 128 characters"),
        ({"soraJobId": "video_1", "jobId": 7}, "jobId", "must be a string"),
        ({"soraJobId": "video_1", "jobId": "events"}, "jobId", "must not be events"),
        ({"soraJobId": "video_1", "jobId": "\ud800"}, "jobId", "must be Unicode text"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_a_registration_with_a_wrong_field_is_refused(
    server: Gateway, fields: dict[str, Any], field: str, remedy: str
) -> None:
    refusal = await refused(server, json.dumps(fields).encode(), "/api/jobs/register")
    assert refusal[:3] == (400, "invalid_request", field)
    assert remedy in refusal[3]


async def test_of_a_key_that_comes_twice_the_last_one_counts(server: Gateway) -> None:
    refusal = await refused(server, b'{"script": "A fox", "script": ""}')
    assert refusal[:3] == (400, "invalid_request", "script")


@pytest.mark.parametrize("script", ["x" * 32_000, "é" * 32_000, "🦊" * 32_000, "x"])
async def test_a_script_has_1_to_32000_characters(server: Gateway, script: str) -> None:
    reply = await server.post("/api/generate", json={"script": script})
    assert (reply.status, reply.json()["title"]) == (200, script[:50])


# -- the body as a whole --------------------------------------------------------------------------


def padded(size: int) -> bytes:
    frame = b'{"script": "A fox", "padding": ""}'
    return frame[:-2] + b"x" * (size - len(frame)) + frame[-2:]


async def chunked(raw: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(raw), 65536):
        yield raw[start : start + 65536]


async def test_a_body_may_have_a_mebibyte(server: Gateway) -> None:
    for body in (BytesIO(padded(MEBIBYTE)), chunked(padded(MEBIBYTE))):
        reply = await server.post("/api/generate", data=body, headers=JSON)
        assert reply.status == 200


@pytest.mark.parametrize("excess", [1, 3 * MEBIBYTE])
@pytest.mark.parametrize("send", [BytesIO, chunked], ids=["declared", "chunked"])
async def test_a_larger_body_is_413(server: Gateway, excess: int, send: Any) -> None:
    refusal = await refused(server, send(padded(MEBIBYTE + excess)), "/api/jobs/register")
    assert refusal[:3] == (413, "request_too_large", None)
    assert "1 MiB" in refusal[3]
    assert "REELHOOK_REQUEST_BODY_MIB" in refusal[3]


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
async def test_another_content_type_is_415(server: Gateway, kind: str) -> None:
    refusal = await refused(server, b'{"script": "A fox"}', headers={"Content-Type": kind})
    assert refusal[:3] == (415, "unsupported_media_type", None)
    assert "application/json" in refusal[3]


async def test_the_content_type_may_have_parameters(server: Gateway) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    reply = await server.post("/api/generate", data=b'{"script": "A fox"}', headers=headers)
    assert reply.status == 200


# -- of several providers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "field", "remedy"),
    [
        ({"account": 7}, "account", "must be a string"),
        ({"account": ""}, "account", "must not be empty"),
        ({"account": "nobody"}, "account", "the accounts are openai"),
        ({"account": "OPENAI"}, "account", "the accounts are openai"),
        ({"account": "x" * 256}, "account", "at most 255 characters"),
    ],
)
async def test_an_account_that_there_is_not_is_named(
    server: Gateway, fields: dict[str, Any], field: str, remedy: str
) -> None:
    body = {"soraJobId": "video_1", **fields}
    refusal = await refused(server, json.dumps(body).encode(), "/api/jobs/register")
    assert refusal[:3] == (400, "invalid_request", field)
    assert remedy in refusal[3]


@pytest.mark.parametrize(
    "body", [{}, {"soraJobId": None}, {"soraJobId": ""}, {"soraJobId": 7}, {"soraJobId": "a b"}]
)
async def test_adopting_wants_the_provider_s_id(server: Gateway, body: dict[str, Any]) -> None:
    refusal = await refused(server, json.dumps(body).encode(), "/api/jobs/job_1/adopt")
    assert refusal[:3] == (400, "invalid_request", "soraJobId")


async def test_a_provider_s_call_has_a_mebibyte_at_most(server: Gateway) -> None:
    reply = await server.post("/providers/openai/webhook/x", data=BytesIO(b"x" * (MEBIBYTE + 1)))
    assert reply.refusal == (413, "request_too_large", None)


@pytest.mark.parametrize(
    "fields",
    [
        {"image": "https://i.example/fox.png?w=1&h=2#x"},
        {"image": "data:image/png;base64,iVBORw0KGgo="},
        {"aspectRatio": "21:9"},
        {"seed": 0},
        {"seed": 2**32 - 1},
        {"providerOptions": {"fps": 24, "nested": {"a": [1, None, "ü"]}}},
        {"provider_options": {}},
        {"fallbacks": []},
        {"fallbacks": ["openai/Wan-AI/Wan2.2"] * 5},
    ],
)
async def test_what_is_right_is_taken(server: Gateway, fields: dict[str, Any]) -> None:
    reply = await server.post("/api/generate", json={"script": "A fox", **fields})
    assert reply.status == 200


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.5:9000/fox.png",
        "https://files.internal/fox.png",
        "http://2130706433/fox.png",
        "https://me:hunter2@i.example/fox.png",
        "https://i.example:00443/fox.png",
    ],
)
async def test_an_image_is_fetched_for_nobody_from_where_no_webhook_may_go(
    server: Gateway, url: str
) -> None:
    reply = await server.post("/api/generate", json={"script": "A fox", "image": url})
    assert reply.refusal == (400, "image_url_refused", "image")
    assert "hunter2" not in reply.body.decode()


async def test_an_image_may_lie_in_an_allowed_network_and_its_address_may_be_long(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path, allow_networks="127.0.0.1/32") as server:
        for url in ("http://127.0.0.1:9000/fox.png", f"https://i.example/fox.png?{'x' * 4000}"):
            reply = await server.post("/api/generate", json={"script": "A fox", "image": url})
            assert reply.status == 200, reply.body
