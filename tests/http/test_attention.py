"""The causes that hold things up, as clients read them: each is triggered in the real engine."""

from pathlib import Path
from typing import Any

from gateways import Gateway, gateway, until

from reelhook.simulator.faults import Faults

Body = dict[str, Any]


async def cause_of(server: Gateway, job_id: str, name: str) -> Body:
    """Wait until this cause holds up the job, and return it."""

    async def shown() -> Body | None:
        cause: Body | None = (await server.get(f"/api/jobs/{job_id}")).json().get("waitingFor")
        return cause if cause is not None and cause["cause"] == name else None

    found: Body = await until(shown)
    return found


async def row_of(server: Gateway, name: str) -> Body:
    """Wait until a row of this cause is shown, and return it."""

    async def shown() -> Body | None:
        causes: list[Body] = (await server.get("/api/attention")).json()["causes"]
        return next((cause for cause in causes if cause["cause"] == name), None)

    found: Body = await until(shown)
    return found


async def test_nothing_is_held_up_while_all_is_well(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        job_id = await server.submit("a fox")
        await server.job_when(job_id, "queued")
        assert "waitingFor" not in (await server.get(f"/api/jobs/{job_id}")).json()
        assert (await server.get("/api/attention")).json() == {"causes": []}


async def test_a_pause_is_shown_until_it_ends(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        job_id = await server.submit("a fox")
        await server.job_when(job_id, "queued")
        await server.post("/api/watcher/pause")
        cause = await cause_of(server, job_id, "paused")
        assert cause["message"] == "Watching is paused, so no provider is asked about its jobs"
        assert cause["remedy"] == {
            "message": "Resume watching",
            "command": "reelhook watcher resume",
            "action": "resume",
        }
        row = await row_of(server, "paused")
        assert (row["harm"], row["count"], row["jobs"]) == ("stopped", 1, [job_id])
        await server.post("/api/watcher/resume")

        async def gone() -> bool:
            causes: object = (await server.get("/api/attention")).json()
            return causes == {"causes": []}

        await until(gone)


async def test_a_provider_that_can_not_be_read_is_down(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        job_id = await server.submit("a fox")
        await server.job_when(job_id, "queued")
        server.simulator.faults = Faults(server_error=1)
        cause = await cause_of(server, job_id, "provider_down")
        assert cause["message"].startswith(
            "openai does not report the state of the job. The last response: HTTP 500: "
        )
        row = await row_of(server, "provider_down")
        assert (row["count"], row["more"], row["account"]) == (1, False, "openai")
