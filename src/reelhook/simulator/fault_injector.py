"""Applies counting, latency, key checks and faults to requests of every protocol.

The server is aiohttp.web, because it can drop a connection without a response (a Starlette
application can't reach its transport), and parses multipart bodies.
"""

import asyncio
import hmac
import json
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from reelhook.simulator.core import Simulator
from reelhook.simulator.faults import (
    FOREIGN_REDIRECT,
    LOST_CREATE,
    REFUSED_CREATE,
    RequestFault,
)
from reelhook.simulator.refusals import CreateRefusal

CREATE = "create"
"""The kind of request whose response `lost_create` drops."""
CONTENT = "content"
"""The kind of request that `foreign_redirect` redirects."""
UPLOAD = "upload"
"""The kind of request that announces or brings a file for creates."""

# Closing with a linger time of zero sends RST instead of FIN.
_LINGER_ZERO = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class SimulatedRefusal(Exception):  # noqa: N818 - a response of the server, not an error in it
    """A refusal, which each wire renders in its provider's form."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None


_HUGE_BYTES = 60 * 1024 * 1024
_PADDING = b",[]" * 20_000
_PAGE = b"<html><body>Please wait while we check your browser.</body></html>"

RefusalBody = Callable[[SimulatedRefusal], Mapping[str, object]]


def json_response(body: Mapping[str, object], status: int = 200) -> web.Response:
    """Return a response with this JSON."""
    return web.Response(
        body=json.dumps(body).encode(), status=status, content_type="application/json"
    )


class FaultInjector:
    """Wraps a wire's handlers: counts a request, delays it, checks its key, injects faults."""

    def __init__(
        self,
        simulator: Simulator,
        *,
        refusal_body: RefusalBody,
        api_key: str | None,
        scheme: str = "Bearer",
    ) -> None:
        self.simulator = simulator
        self._refusal_body = refusal_body
        self._api_key = api_key
        self._scheme = scheme

    def handler(self, kind: str, carry_out: Handler) -> Handler:
        """Return the wrapped handler of requests of this kind."""

        async def serve(request: web.Request) -> web.StreamResponse:
            self.simulator.requests[kind] += 1
            if self.simulator.faults.latency_seconds:
                await asyncio.sleep(self.simulator.faults.latency_seconds)
            try:
                self._check_key(request)
                return await self._serve_with_faults(kind, carry_out, request)
            except SimulatedRefusal as refusal:
                return self.refuse(refusal)

        return serve

    def exempt(self, carry_out: Handler) -> Handler:
        """Return a handler that only checks the key: not counted, without faults."""

        async def serve(request: web.Request) -> web.StreamResponse:
            try:
                self._check_key(request)
                return await carry_out(request)
            except SimulatedRefusal as refusal:
                return self.refuse(refusal)

        return serve

    def refuse(self, refusal: SimulatedRefusal) -> web.Response:
        """Return the refusal in this wire's form."""
        return json_response(self._refusal_body(refusal), refusal.status)

    def unrouted(self, error: web.HTTPException, request: web.Request) -> SimulatedRefusal:
        """Return the refusal of an unknown path, a wrong method or an oversized body."""
        return SimulatedRefusal(error.status, f"{error.reason}: {request.path}")

    def _check_key(self, request: web.Request) -> None:
        if self._api_key is None:
            return
        expected = f"{self._scheme} {self._api_key}".encode()
        sent = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(sent, expected):
            raise SimulatedRefusal(401, "Missing or incorrect API key.", code="invalid_api_key")

    async def _serve_with_faults(
        self, kind: str, carry_out: Handler, request: web.Request
    ) -> web.StreamResponse:
        fault = self.simulator.faults.of_request(self.simulator.random)
        if fault is not None:
            self.simulator.injected[fault] += 1
        match fault:
            case RequestFault.RATE_LIMITED:
                return self._rate_limited()
            case RequestFault.SERVER_ERROR:
                raise SimulatedRefusal(500, "The simulator failed, as its settings say.")
            case RequestFault.RESET:
                return _without_response(request, linger=_LINGER_ZERO)
            case RequestFault.MALFORMED:
                return _cut_in_half(await carry_out(request))
            case RequestFault.GARBLED:
                return _garbled(await carry_out(request))
            case RequestFault.HUGE:
                return await _huge(await carry_out(request), request)
            case None:
                return await self._carry_out(kind, carry_out, request)
            case _:
                assert_never(fault)

    async def _carry_out(
        self, kind: str, carry_out: Handler, request: web.Request
    ) -> web.StreamResponse:
        faults = self.simulator.faults
        if kind == CONTENT and faults.redirects(self.simulator.random):
            self.simulator.injected[FOREIGN_REDIRECT] += 1
            return web.Response(status=302, headers={"Location": faults.foreign_url})
        refused = faults.refuses_create(self.simulator.random) if kind == CREATE else None
        if refused is not None:
            self.simulator.injected[refused] += 1
        if refused == REFUSED_CREATE:
            return CreateRefusal(faults.refusal).response()
        response = await carry_out(request)
        if refused is not None:
            return CreateRefusal(faults.refusal).response()
        if kind == CREATE and self.simulator.faults.loses_create(self.simulator.random):
            self.simulator.injected[LOST_CREATE] += 1
            return _without_response(request)
        return response

    def _rate_limited(self) -> web.Response:
        response = self.refuse(
            SimulatedRefusal(
                429, "Rate limit reached; try again later.", code="rate_limit_exceeded"
            )
        )
        response.headers["Retry-After"] = f"{self.simulator.faults.retry_after_seconds:g}"
        return response


def _cut_in_half(response: web.StreamResponse) -> web.StreamResponse:
    if (
        isinstance(response, web.Response)
        and response.content_type == "application/json"
        and isinstance(response.body, bytes)
    ):
        response.body = response.body[: len(response.body) // 2]
    return response


def _garbled(response: web.StreamResponse) -> web.StreamResponse:
    return web.Response(body=_PAGE, content_type="text/html") if _is_json(response) else response


async def _huge(response: web.StreamResponse, request: web.Request) -> web.StreamResponse:
    """Append a member of 60 MiB, without ever holding all of it in memory."""
    if not (_is_json(response) and isinstance(response, web.Response) and response.status < 400):
        return response
    assert isinstance(response.body, bytes)  # noqa: S101 - `json_response` made it
    large = web.StreamResponse(status=response.status, headers={"Content-Type": "application/json"})
    await large.prepare(request)
    try:
        await large.write(response.body[:-1] + b', "padding": [0')
        for _ in range(_HUGE_BYTES // len(_PADDING)):
            await large.write(_PADDING)
        await large.write(b"]}")
    except ConnectionError:
        pass  # clients stop reading earlier
    return large


def _is_json(response: web.StreamResponse) -> bool:
    return isinstance(response, web.Response) and response.content_type == "application/json"


def _without_response(request: web.Request, linger: bytes | None = None) -> web.Response:
    transport = request.transport
    if transport is not None:
        if linger is not None:
            connection: socket.socket = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    # aiohttp requires a response. It drops this one, since the connection is closed.
    return web.Response()


def router_refusals(injector: FaultInjector) -> Middleware:
    """Return the middleware that refuses unknown paths, wrong methods and oversized bodies."""

    @web.middleware
    async def reword(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            response = injector.refuse(injector.unrouted(error, request))
            if allowed := error.headers.get("Allow"):
                response.headers["Allow"] = allowed
            return response

    return reword
