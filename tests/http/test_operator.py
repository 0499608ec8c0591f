"""The operator's command line proves that it reads the database; what it names is trusted."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from gateways import Gateway, Reply, gateway
from wires import connected

from reelhook.doors.access import OPERATOR_HEADER, operator_proof
from reelhook.storage.sqlite.driver import read_key

pytestmark = pytest.mark.asyncio(loop_scope="module")
LOOPBACK = {"url": "http://127.0.0.1:3000/hook"}
REFUSED = (400, "webhook_url_refused", "url")
PATH = "/api/endpoints"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path_factory.mktemp("operator"), allow_networks="") as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keyed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """A server without REELHOOK_API_KEY that has a project's key."""
    async with gateway(tmp_path_factory.mktemp("keyed"), allow_networks="") as one:
        body = {"name": "app", "scopes": ["read"]}
        assert (await one.post("/api/keys", json=body)).status == 201
        yield one


def key_of(server: Gateway) -> str:
    assert isinstance(server.settings.database, Path)
    key = read_key(server.settings.database, "operator")
    assert key is not None
    return key


def now() -> int:
    return int(time.time() * 1000)


async def proven(
    server: Gateway, body: Any, proof: str, method: str = "POST", path: str = PATH
) -> Reply:
    headers = {"Content-Type": "application/json", OPERATOR_HEADER: proof}
    return await server.request(method, path, data=json.dumps(body).encode(), headers=headers)


def proof_of(server: Gateway, body: Any, method: str = "POST", path: str = PATH) -> str:
    return operator_proof(key_of(server), now(), method, path, json.dumps(body).encode())


async def test_what_the_operator_names_is_trusted(server: Gateway) -> None:
    reply = await proven(server, LOOPBACK, proof_of(server, LOOPBACK))
    assert reply.status == 201
    assert reply.json()["trusted"] is True


async def test_the_same_over_the_api_is_refused(server: Gateway) -> None:
    assert (await server.post(PATH, json=LOOPBACK)).refusal == REFUSED


async def test_a_public_url_over_the_api_is_not_trusted(server: Gateway) -> None:
    assert (await server.endpoint("https://example.com/hook"))["trusted"] is False


@pytest.mark.parametrize(
    ("wrong", "offset"),
    [
        pytest.param("a key", 0, id="another key"),
        pytest.param(None, -61_000, id="a minute old"),
        pytest.param(None, 61_000, id="from the future"),
    ],
)
async def test_a_wrong_or_stale_proof_proves_nothing(
    server: Gateway, wrong: str | None, offset: int
) -> None:
    raw = json.dumps(LOOPBACK).encode()
    proof = operator_proof(wrong or key_of(server), now() + offset, "POST", PATH, raw)
    assert (await proven(server, LOOPBACK, proof)).refusal == REFUSED


@pytest.mark.parametrize(
    "proof", ["", ".", "0.", "x.y", "-1.00", "9" * 400 + ".00", "²³.00", f"{10**14}.é"]
)
async def test_what_is_no_proof_at_all_proves_nothing(server: Gateway, proof: str) -> None:
    assert (await proven(server, LOOPBACK, proof)).refusal == REFUSED


async def test_a_proof_holds_for_one_body_method_and_path(server: Gateway) -> None:
    made = await server.endpoint("https://example.com/hook")
    path = f"{PATH}/{made['id']}"
    other = {"url": "http://127.0.0.1:3000/other"}
    for proof, body, method, where in (
        (proof_of(server, other), LOOPBACK, "POST", PATH),
        (proof_of(server, LOOPBACK), LOOPBACK, "PATCH", path),
        (proof_of(server, LOOPBACK, "PATCH", f"{PATH}/ep_other"), LOOPBACK, "PATCH", path),
        (proof_of(server, LOOPBACK, "POST", path), LOOPBACK, "PATCH", path),
    ):
        assert (await proven(server, body, proof, method, where)).refusal == REFUSED
    assert (await server.get(path)).json()["url"] == "https://example.com/hook"


async def test_trust_comes_and_goes_with_whoever_named_the_url(server: Gateway) -> None:
    made = await server.endpoint("https://example.com/hook")
    path = f"{PATH}/{made['id']}"
    proof = proof_of(server, LOOPBACK, "PATCH", path)
    changed = (await proven(server, LOOPBACK, proof, "PATCH", path)).json()
    assert (changed["url"], changed["trusted"]) == (LOOPBACK["url"], True)
    kept = (await server.patch(path, json={"description": "Not about its URL"})).json()
    assert kept["trusted"] is True
    moved = (await server.patch(path, json={"url": "https://example.com/other"})).json()
    assert moved["trusted"] is False


async def test_the_operators_url_still_needs_to_be_one(server: Gateway) -> None:
    for url in ("ftp://127.0.0.1/", "http://", ""):
        body = {"url": url}
        assert (await proven(server, body, proof_of(server, body))).refusal == REFUSED


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/endpoints", 401),
        ("POST", "/nowhere", 401),
        ("POST", "/providers/openai/webhook/x", 404),
        ("GET", "/.well-known/webhooks/jwks.json", 200),
    ],
)
async def test_no_body_is_awaited_for_a_proof_that_is_none(
    keyed: Gateway, method: str, path: str, status: int
) -> None:
    wrong = operator_proof("another key", now(), method, path, b"{}")
    for proof in ("x", f"{now()}.00", f"{now()}.{'0' * 64}.{'0' * 64}", wrong):
        async with connected(keyed.url) as wire:
            await wire.send(
                f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"{OPERATOR_HEADER}: {proof}\r\nExpect: 100-continue\r\n"
                "Content-Length: 900000\r\n\r\n".encode()
            )
            answer = await wire.answer()  # without 100 Continue
            assert answer is not None
            assert answer.status == status
            assert answer.headers["connection"] == "close"


async def test_a_valid_proof_is_about_the_body_that_comes(keyed: Gateway) -> None:
    path = "/api/keys"
    body = json.dumps({"name": "app", "scopes": ["read"]}).encode()
    proof = operator_proof(key_of(keyed), now(), "POST", path, body)
    for sent, status in ((body, 201), (body.replace(b"read", b"admin"), 401)):
        headers = {"Content-Type": "application/json", OPERATOR_HEADER: proof}
        reply = await keyed.request("POST", path, data=sent, headers=headers)
        assert reply.status == status


async def test_a_proof_is_no_key(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("keyed")
    async with gateway(directory, api_key="the key of the api", allow_networks="") as keyed:
        reply = await proven(keyed, LOOPBACK, proof_of(keyed, LOOPBACK))
        assert reply.refusal == (401, "unauthorized", None)
