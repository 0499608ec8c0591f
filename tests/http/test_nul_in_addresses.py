"""NUL characters in addresses, which PostgreSQL refuses: no record has one, on either database."""

from pathlib import Path

import pytest
from bench.databases import PostgresServer
from gateways import Gateway, gateway

PATHS = (
    *("/api/jobs/%00", "/api/videos/status/a%00", "/api/sora/videos/%00/poster"),
    *("/api/endpoints/%00", "/api/keys/%00", "/v1/videos/video_%00", "/jobs/%00", "/webhooks/%00"),
)
QUERIES = (
    *("/api/jobs?cursor=%00", "/api/deliveries?jobId=%00", "/api/deliveries?endpointId=%00"),
    *("/api/audit?target=%00", "/api/jobs/events?jobIds=%00"),
)


async def checked(server: Gateway) -> None:
    for path in PATHS:
        assert (await server.get(path)).status == 404, path
    for path in QUERIES:
        status, code, field = (await server.get(path)).refusal
        assert (status, code) == (400, "invalid_request"), path
        assert field == path.partition("?")[2].partition("=")[0]
    assert (await server.get("/jobs?cursor=%00")).status == 200


async def test_on_sqlite(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        await checked(server)


@pytest.mark.long
async def test_on_postgresql(tmp_path: Path) -> None:
    with PostgresServer() as database:
        async with gateway(tmp_path, database_url=database.url) as server:
            await checked(server)
