"""What is made when it is first used can be made before."""

from pathlib import Path

from gateways import gateway

from reelhook.doors.warming import warm_up
from reelhook.doors.web import rendering


async def test_a_warm_application_has_its_templates_and_serves_as_before(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        rendering._environment.cache_clear()
        warm_up(server.hook.asgi)
        environment = rendering._environment()
        assert environment.cache is not None
        assert len(environment.cache) == len(environment.list_templates())
        assert (await server.get("/readyz")).status == 200
        assert (await server.get("/", headers={"Accept": "text/html"})).status == 200
