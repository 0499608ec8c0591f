"""The simulator's own routes, for users and for tests in another process."""

import json
from dataclasses import asdict, replace

from aiohttp import web

from reelhook.simulator.core import Simulator
from reelhook.simulator.fault_injector import FaultInjector, SimulatedRefusal, json_response
from reelhook.simulator.faults import Faults
from reelhook.simulator.job import Phase


class Control:
    """`/simulator/stats`, `/simulator/faults` and `/simulator/restart`; faults don't apply here."""

    def __init__(self, simulator: Simulator, injector: FaultInjector) -> None:
        self._simulator = simulator
        self._injector = injector

    def routes(self) -> list[web.RouteDef]:
        """Return the routes for an application's root."""
        exempt = self._injector.exempt
        return [
            web.get("/simulator/stats", exempt(self._stats)),
            web.get("/simulator/faults", exempt(self._faults)),
            web.patch("/simulator/faults", exempt(self._change_faults)),
            web.post("/simulator/restart", exempt(self._restart)),
        ]

    async def _stats(self, _request: web.Request) -> web.Response:
        phases = self._simulator.phases()
        return json_response(
            {
                "creations": self._simulator.creations,
                "jobs": {phase.value: phases[phase] for phase in Phase},
                "requests": dict(self._simulator.requests),
                "faults": dict(self._simulator.injected),
            }
        )

    async def _faults(self, _request: web.Request) -> web.Response:
        return json_response(asdict(self._simulator.faults))

    async def _restart(self, _request: web.Request) -> web.Response:
        self._simulator.restart()
        return json_response({"jobs": len(self._simulator.jobs)})

    async def _change_faults(self, request: web.Request) -> web.Response:
        self._simulator.faults = _changed(self._simulator.faults, await request.read())
        return json_response(asdict(self._simulator.faults))


def _changed(faults: Faults, body: bytes) -> Faults:
    try:
        changes = json.loads(body)
    except ValueError as error:
        raise SimulatedRefusal(400, f"The body is not JSON: {error}") from error
    if not isinstance(changes, dict):
        raise SimulatedRefusal(400, "The body must be a JSON object of fault settings.")
    if unknown := changes.keys() - asdict(faults).keys():
        raise SimulatedRefusal(400, f"Unknown fault settings: {', '.join(sorted(unknown))}.")
    try:
        return replace(faults, **changes)
    except ValueError as error:
        raise SimulatedRefusal(400, f"{error}.") from error
