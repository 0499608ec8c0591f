"""`--project` chooses the project of all requests of a command."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import typer
from aiohttp import web
from aiohttp.test_utils import TestServer

from reelhook.cli.app import build
from reelhook.cli.client import api_at

LIST_OR_CREATE = (
    *("submit", "jobs", "register", "stats", "costs", "events"),
    *("endpoints list", "endpoints add", "deliveries list", "deliveries resend"),
)


@pytest.fixture
async def received() -> AsyncIterator[tuple[str, list[tuple[str, str]]]]:
    """The URL of a server, and the requests that it has received: method, and path with query."""
    requests: list[tuple[str, str]] = []

    async def respond(request: web.Request) -> web.Response:
        requests.append((request.method, request.path_qs))
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", respond)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/"), requests


async def test_every_request_names_the_project(
    received: tuple[str, list[tuple[str, str]]],
) -> None:
    url, requests = received
    async with api_at(url, project="shop & co") as api:
        await api.get("/api/jobs", limit=5)
        await api.post("/api/generate", {"script": "A fox"})
        await api.patch("/api/endpoints/ep_1", {})
        await api.delete("/api/endpoints/ep_1")
    assert requests == [
        ("GET", "/api/jobs?limit=5&project=shop+%26+co"),
        ("POST", "/api/generate?project=shop+%26+co"),
        ("PATCH", "/api/endpoints/ep_1?project=shop+%26+co"),
        ("DELETE", "/api/endpoints/ep_1?project=shop+%26+co"),
    ]


async def test_without_the_option_no_request_names_one(
    received: tuple[str, list[tuple[str, str]]],
) -> None:
    url, requests = received
    async with api_at(url) as api:
        await api.get("/api/jobs")
    assert requests == [("GET", "/api/jobs")]


@pytest.mark.parametrize("name", LIST_OR_CREATE)
def test_commands_that_list_or_create_take_a_project(name: str) -> None:
    command: Any = typer.main.get_command(build())
    for part in name.split():
        command = command.commands[part]
    assert "--project" in {option for parameter in command.params for option in parameter.opts}
