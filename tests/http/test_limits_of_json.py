"""The limits of JSON hold for every body that a door parses, and for JSON inside of a form."""

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
from gateways import Gateway
from vercel_clients import headers, served, told

from reelhook.domain.labels import METADATA_MAX
from reelhook.domain.request import OPTIONS_CHARACTERS_MAX
from reelhook.doors.json_shape import DEPTH_MAX, VALUES_MAX

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
ROUTES = {
    "/v1/videos": "prompt",
    "/api/jobs/register": "soraJobId",
    "/api/generate": "script",
    "/v4/ai/video-model/start": "prompt",
}
UTF_8_WITH_BOM, UTF_16, UTF_32 = "utf-8-sig", "utf-16", "utf-32"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with served(tmp_path) as one:
        yield one


def form(**fields: str) -> BytesIO:
    parts = (
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in fields.items()
    )
    return BytesIO("".join((*parts, "--b--\r\n")).encode())


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("encoding", [UTF_8_WITH_BOM, UTF_16, "utf-16-le", UTF_32])
async def test_only_utf_8_without_a_byte_order_mark_is_json(
    server: Gateway, route: str, encoding: str
) -> None:
    """RFC 8259, section 8.1. In another encoding its values would not be counted."""
    for values in ("", "[]," * 2 * VALUES_MAX):
        text = '{"%s": "x", "unknown": [%s0]}' % (ROUTES[route], values)  # noqa: UP031
        body = BytesIO(text.encode(encoding))
        reply = await server.post(route, data=body, headers={**headers(), **JSON})
        assert reply.status == 400, reply.body
    assert await server.total() == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ('{"a": [%s0]}' % ("[]," * VALUES_MAX), "json_too_many_values"),
        ('{"a": %s%s}' % ("[" * DEPTH_MAX, "]" * DEPTH_MAX), "json_too_deep"),  # noqa: UP031
        ('{"a": "%s"}' % ("x" * OPTIONS_CHARACTERS_MAX), "invalid_request"),
        ('{"a": [%s0]}' % ("[]," * OPTIONS_CHARACTERS_MAX), "invalid_request"),
    ],
    ids=["many", "deep", "long", "long and many"],
)
async def test_json_in_a_form_has_the_limits_of_json(
    server: Gateway, options: str, code: str
) -> None:
    for field in ("provider_options", "metadata"):
        data = form(prompt="x", **{field: options})
        reply = await server.post("/v1/videos", data=data, headers=FORM)
        assert (reply.status, told(reply)[3]) == (400, code)
        assert code != "invalid_request" or told(reply)[2] == field


@pytest.mark.parametrize("value", ["0", '"x"'])
async def test_too_much_metadata_is_refused_before_its_values_are_checked(
    server: Gateway, value: str
) -> None:
    members = ",".join(f'"{number}":{value}' for number in range(METADATA_MAX + 1))
    metadata = "{%s}" % members  # noqa: UP031
    replies = [
        await server.post("/v1/videos", data=form(prompt="x", metadata=metadata), headers=FORM)
    ]
    for route, prompt in ROUTES.items():
        labels = '"metadata": ' + metadata
        if route.startswith("/v4"):
            labels = '"providerOptions": {"reelhook": {%s}}' % labels  # noqa: UP031
        body = '{"%s": "x", %s}' % (prompt, labels)  # noqa: UP031
        sent = {**headers(), **JSON}
        replies.append(await server.post(route, data=BytesIO(body.encode()), headers=sent))
    for reply in replies:
        assert reply.status == 400
        assert f"metadata must name at most {METADATA_MAX}" in reply.body.decode()
