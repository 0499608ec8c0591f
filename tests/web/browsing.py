"""A browser without JavaScript: pages over HTTP, with cookies, and their forms."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any

import aiohttp
from gateways import Gateway, Reply

HTML = {"Accept": "text/html,application/xhtml+xml"}
_HIDDEN = re.compile(r'name="(form_token|once)" value="([^"]*)"')


@dataclass
class Browsing:
    """A visitor of one server."""

    session: aiohttp.ClientSession
    url: str
    form_fields: dict[str, str]

    async def get(self, path: str, **headers: str) -> Reply:
        async with self.session.get(
            self.url + path, headers={**HTML, **headers}, allow_redirects=False
        ) as response:
            reply = Reply(response.status, response.headers, await response.read())
        self.form_fields = dict(_HIDDEN.findall(reply.body.decode())) or self.form_fields
        return reply

    async def text(self, path: str) -> str:
        reply = await self.get(path)
        assert reply.status == 200, (path, reply.status, reply.body)
        return unescape(reply.body.decode())

    async def post(
        self,
        path: str,
        fields: dict[str, str] | None = None,
        *,
        origin: str | None = None,
        files: dict[str, bytes] | None = None,
    ) -> Reply:
        """Send a form with the hidden fields of the page that was read last."""
        data: Any = {**self.form_fields, **(fields or {})}
        if files:
            form = aiohttp.FormData(data)
            for name, body in files.items():
                form.add_field(name, body, filename=f"{name}.png")
            data = form
        headers = {**HTML, "Origin": self.url if origin is None else origin}
        async with self.session.post(
            self.url + path, data=data, headers=headers, allow_redirects=False
        ) as response:
            return Reply(response.status, response.headers, await response.read())

    async def log_in(self, key: str, wanted: str = "/") -> Reply:
        await self.get(f"/login?next={wanted}")
        return await self.post("/login", {"key": key, "next": wanted})


@asynccontextmanager
async def browsing(server: Gateway) -> AsyncIterator[Browsing]:
    jar = aiohttp.CookieJar(unsafe=True)  # those of an IP address too
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield Browsing(session, server.url, {})


def buttons_in(html: str) -> set[str]:
    """Return the paths that forms and buttons of a page send to."""
    found = re.findall(r'formaction="([^"]+)"', html)
    found += re.findall(r'<form[^>]*method="post"[^>]*action="([^"]+)"', html)
    return set(found)


async def new_key(server: Gateway, headers: dict[str, str], **fields: Any) -> Any:
    reply = await server.post("/api/keys", json={"name": "one", **fields}, headers=headers)
    assert reply.status == 201, reply.body
    return reply.json()
