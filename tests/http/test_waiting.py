"""What a job waits for: there where the provider has said something, and else absent."""

from pathlib import Path

from gateways import Gateway, gateway, until

from reelhook.simulator.faults import Faults

REFUSING = Faults(refused_create=1)
WORDS = "HTTP 503: The limit of 1 concurrent tasks has been reached. Please try again later."


async def waits(server: Gateway, job_id: str) -> dict[str, object]:
    async def shown() -> dict[str, object] | None:
        job: dict[str, dict[str, object]] = (await server.get(f"/api/jobs/{job_id}")).json()
        return job.get("waiting")

    found = await until(shown)
    assert isinstance(found, dict)
    return found


async def test_a_refused_create_is_shown_wherever_the_job_is(tmp_path: Path) -> None:
    async with gateway(tmp_path, REFUSING) as server:
        job_id = await server.submit("a fox")
        waiting = await waits(server, job_id)

        assert (waiting["lastResponse"], waiting["tries"]) == (WORDS, 1)
        assert set(waiting) == {"since", "lastResponse", "tries"}
        status = (await server.get(f"/api/videos/status/{job_id}")).json()
        assert (status["status"], status["waiting"]) == ("generating", waiting)
        (listed,) = (await server.get("/api/jobs")).json()["jobs"]
        assert listed["waiting"] == waiting
        (account,) = (await server.get("/api/stats")).json()["accounts"]
        assert account["refused"] == {"jobId": job_id, **waiting}
        assert "unread" not in account


async def test_a_job_that_waits_for_nothing_has_no_such_field(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        job_id = await server.submit("a fox")
        await server.job_when(job_id, "queued")
        for path in (f"/api/jobs/{job_id}", f"/api/videos/status/{job_id}"):
            assert "waiting" not in (await server.get(path)).json()
        (listed,) = (await server.get("/api/jobs")).json()["jobs"]
        assert "waiting" not in listed
        (account,) = (await server.get("/api/stats")).json()["accounts"]
        assert {"refused", "unread"}.isdisjoint(account)


async def test_a_job_that_can_not_be_read_says_so_without_tries(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        job_id = await server.submit("a fox")
        await server.job_when(job_id, "queued")
        server.simulator.faults = Faults(server_error=1)
        waiting = await waits(server, job_id)

        assert waiting["lastResponse"].startswith("HTTP 500: ")  # type: ignore[attr-defined]  # it is a text
        assert "tries" not in waiting
        server.simulator.faults = Faults()

        async def shown_no_more() -> bool:
            return "waiting" not in (await server.get(f"/api/jobs/{job_id}")).json()

        await until(shown_no_more)


async def test_an_unread_account_is_shown_in_the_statistics(tmp_path: Path) -> None:
    async with gateway(tmp_path, Faults(rate_limited=1)) as server:
        reply = await server.post("/api/jobs/register", json={"soraJobId": "video_1"})
        assert reply.status == 200

        async def unread() -> dict[str, str] | None:
            (account,) = (await server.get("/api/stats")).json()["accounts"]
            shown: dict[str, str] | None = account.get("unread")
            return shown

        shown = await until(unread)
        assert set(shown) == {"since", "lastResponse"}
