"""A bucket that refuses some requests, as S3 does without a permission."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from cleaning_up import clean_up

_DENIED = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
)
_NOT_DELETED = (
    "<Error><Key>{}</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
)


def point_at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variables that obstore reads to a server of S3."""
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)


@asynccontextmanager
async def refusing_s3(
    monkeypatch: pytest.MonkeyPatch, refuses: Callable[[web.Request], bool]
) -> AsyncIterator[None]:
    """Serve a bucket, and point the variables of S3 at it."""
    kept: dict[str, bytes] = {}

    async def serve(request: web.Request) -> web.StreamResponse:
        if "delete" in request.query:
            # One request for several keys, and a verdict on each.
            verdict = _NOT_DELETED if refuses(request) else ""
            (key,) = re.findall(r"<Key>(.*)</Key>", await request.text())
            return web.Response(
                text=f"<DeleteResult>{verdict.format(key)}</DeleteResult>",
                content_type="application/xml",
            )
        if refuses(request):
            return web.Response(status=403, text=_DENIED, content_type="application/xml")
        if request.method == "PUT":
            kept[request.path] = await request.read()
            return web.Response(headers={"ETag": '"1"'})
        if request.path not in kept:
            return web.Response(status=404)
        headers = {"ETag": '"1"', "Last-Modified": "Mon, 30 Nov 2026 04:00:00 GMT"}
        return web.Response(body=kept[request.path], headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        point_at(f"http://127.0.0.1:{runner.addresses[0][1]}", monkeypatch)
        yield
    finally:
        await clean_up(runner)
