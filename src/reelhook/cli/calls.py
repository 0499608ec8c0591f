"""Commands as calls of the API: open a client, send a request, show the response."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from reelhook.cli import render
from reelhook.cli.client import Api, ApiResponse, api_client

T = TypeVar("T")


def with_api(
    url: str | None,
    work: Callable[[Api], Coroutine[Any, Any, T]],
    *,
    project: str | None = None,
    as_operator: bool = False,
) -> T:
    """Run `work` with a client of the server at `url`. Raises the errors of `api_client`."""

    async def run() -> T:
        async with api_client(url, project=project, as_operator=as_operator) as api:
            return await work(api)

    return asyncio.run(run())


def show_response(
    url: str | None,
    request: Callable[[Api], Awaitable[ApiResponse]],
    view: Callable[[dict[str, Any]], None],
    *,
    as_json: bool,
    project: str | None = None,
    as_operator: bool = False,
) -> ApiResponse:
    """Send a request and print its response: with `view`, or as the unchanged JSON."""

    async def work(api: Api) -> ApiResponse:
        response = await request(api)
        render.show(response, view, as_json=as_json)
        return response

    return with_api(url, work, project=project, as_operator=as_operator)
