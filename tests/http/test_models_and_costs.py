"""What models there are, which one a request gets, and what jobs cost."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, Gateway, gateway

from reelhook.simulator.faults import Faults

ARK = "ark/dreamina-seedance-2-0-260128"


async def charged(server: Gateway, model: str) -> Any:
    job_id = await server.submit(model=model, size=None, seconds=5)
    return await server.job_when(job_id, "completed")


# -- models ---------------------------------------------------------------------------------------


async def test_the_models_of_all_configured_providers_are_listed(tmp_path: Path) -> None:
    async with gateway(
        tmp_path, providers=["ark", "xai"], model_aliases=f"fast={ARK}", default_model="fast"
    ) as server:
        shown = (await server.get("/api/models")).json()
        assert shown["providers"] == ["openai", "ark", "xai"]
        assert (shown["defaultModel"], shown["aliases"]) == ("fast", {"fast": ARK})
        models = {one["model"]: one for one in shown["models"]}
        assert {one["provider"] for one in models.values()} == {"ark", "xai"}
        assert models[ARK]["accounts"] == ["ark"]
        assert "5" in models[ARK]["seconds"]
        assert models[ARK]["images"]["sideMin"] == 300
        assert "images" not in models["xai/grok-imagine-video"]
        [price] = models[ARK]["prices"]
        assert (price["accounts"], price["unit"], price["rate"]) == (["ark"], "USD", None)
        assert {line["resolution"] for line in price["lines"]} == {"480p", "720p", "1080p"}
        assert price["source"].startswith("https://")
        assert price["date"]
        assert models["ark/doubao-seedance-1-0-pro-250528"]["prices"] == []
        assert models["xai/grok-imagine-video"]["image"] == "optional"


async def test_a_request_goes_to_its_model_s_provider(tmp_path: Path) -> None:
    async with gateway(
        tmp_path, AT_ONCE, providers=["ark", "xai"], model_aliases=f"fast={ARK}"
    ) as server:
        for name, provider, model in (
            ("fast", "ark", "dreamina-seedance-2-0-260128"),
            (ARK, "ark", "dreamina-seedance-2-0-260128"),
            ("grok-imagine-video", "xai", "grok-imagine-video"),
            ("xai/grok-imagine-video", "xai", "grok-imagine-video"),
        ):
            job = await charged(server, name)
            assert (job["provider"], job["account"], job["model"]) == (provider, provider, model)
        job = await server.job_when(await server.submit(model="Wan-AI/Wan2.2"), "completed")
        assert (job["provider"], job["model"]) == ("openai", "Wan-AI/Wan2.2")


async def test_a_job_s_own_parameters_are_shown(tmp_path: Path) -> None:
    async with gateway(tmp_path, providers=["ark"]) as server:
        fields: dict[str, Any] = {"size": None, "aspectRatio": "1:1", "seed": 7, "seconds": 5}
        job_id = await server.submit(model=ARK, fallbacks=["openai/sora-2"], **fields)
        job = await server.job(job_id)
        assert (job["aspectRatio"], job["seed"]) == ("1:1", 7)
        assert job["fallbacks"] == ["openai/sora-2"]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"model": ARK, "seconds": 99}, "seconds", f"seconds of {ARK} must be one of"),
        ({"model": "ark/x", "fallbacks": ["xai/grok-imagine-video"], "seconds": 99}, "seconds", ""),
        ({"fallbacks": [ARK], "seconds": 99}, "seconds", f"seconds of {ARK}"),
        ({"model": "shared/x"}, None, None),
    ],
)
async def test_what_no_model_can_do_is_refused_before_it_is_stored(
    tmp_path: Path, fields: dict[str, Any], field: str | None, words: str | None
) -> None:
    async with gateway(tmp_path, providers=["ark", "xai"]) as server:
        reply = await server.post("/api/generate", json={"script": "A fox", **fields})
        if words is None:  # any server may have any model
            assert reply.status == 200
            return
        assert reply.refusal == (400, "invalid_request", field)
        assert words in reply.json()["error"]
        assert await server.total() == 0


async def test_without_the_default_provider_an_unknown_model_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path, providers=["ark"], openai_base_url=None) as server:
        reply = await server.post("/api/generate", json={"script": "A fox", "model": "sora-2"})
        assert reply.refusal == (400, "invalid_request", "model")
        assert "sora-2 is not a model of ark" in reply.json()["error"]


async def test_fallbacks_are_tried_and_shown(tmp_path: Path) -> None:
    options: dict[str, Any] = {"xai_base_url": "http://127.0.0.1:9/xai/v1"}  # nobody is there
    async with gateway(tmp_path, AT_ONCE, providers=["ark", "xai"], **options) as server:
        job_id = await server.submit(
            model="xai/grok-imagine-video", fallbacks=[ARK], size=None, seconds=5
        )
        job = await server.job_when(job_id, "completed")
        assert (job["provider"], job["model"]) == ("ark", ARK.partition("/")[2])
        first, *_ = (await server.get(f"/api/jobs/{job_id}/events")).json()["events"]
        assert (first["fallback"], first["code"]) == (ARK, "provider_error")


# -- costs ----------------------------------------------------------------------------------------


async def test_a_job_says_what_it_cost_and_days_add_up(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE, providers=["ark", "xai"]) as server:
        jobs = [await charged(server, ARK) for _ in range(2)]
        await charged(server, "openai/sora-2")
        for job in jobs:
            assert job["cost"]["unit"] == "tokens"
            assert (job["cost"]["charged"], job["cost"]["kind"]) == (True, "charged")
        today = datetime.now(UTC).date()
        params = {"since": str(today - timedelta(days=1)), "until": str(today)}
        lines = (await server.get("/api/costs", params=params)).json()["costs"]
        by_model = {line["model"]: line for line in lines}
        assert by_model[ARK]["jobs"] == by_model[ARK]["completed"] == 2
        assert by_model[ARK]["charged"] == sum(job["cost"]["amount"] for job in jobs)
        assert (by_model["openai/sora-2"]["unit"], by_model["openai/sora-2"]["charged"]) == (
            None,
            None,
        )
        assert {line["day"] for line in lines} <= {params["since"], params["until"]}
        assert (await server.get("/api/costs")).json()["costs"] == lines
        earlier = {"since": "2024-02-29", "until": "2024-02-29"}
        assert (await server.get("/api/costs", params=earlier)).json() == {"costs": []}


@pytest.mark.parametrize(
    "params",
    [
        {"since": "yesterday"},
        {"since": "2024-02-30"},
        {"until": "2024-13-01"},
        {"since": "2024-01-02", "until": "2024-01-01"},
        {"since": "2020-01-01", "until": "2024-01-01"},
        {"since": "0001-01-01"},
        {"until": "0001-01-01"},
        {"until": "9999-12-31"},
        {"since": "9999-12-31", "until": "9999-12-31"},
    ],
)
async def test_days_that_are_none_are_refused(tmp_path: Path, params: dict[str, str]) -> None:
    async with gateway(tmp_path) as server:
        reply = await server.get("/api/costs", params=params)
        assert reply.status == 400 or reply.json()["costs"] == []
        assert not [line for line in server.logs if line["event"] == "http.failed"]


@pytest.mark.parametrize("text", ["0", "1705276800", "2024-01-01T00:00", "2024-02-30", ""])
async def test_a_day_is_written_as_a_date(tmp_path: Path, text: str) -> None:
    async with gateway(tmp_path) as server:
        reply = await server.get("/api/costs", params={"until": text})
        assert reply.refusal == (400, "invalid_request", "until")
        assert reply.json()["error"] == "until must be a date, e.g. 2026-01-31"


async def test_a_time_is_no_number_of_seconds(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        for path in ("/api/audit?since=0", "/api/jobs?createdAfter=1705276800"):
            reply = await server.get(path)
            assert reply.status == 400, path
            assert "must be a time with its time zone" in reply.json()["error"]
        assert (await server.post("/api/deliveries/resend", json={"since": 0})).status == 400


# -- waiting --------------------------------------------------------------------------------------


async def test_a_job_that_waits_says_how_many_are_before_it(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    async with gateway(tmp_path, Faults()) as first:
        url = first.settings.credentials[0].base_url
        accounts.write_text(
            f'[accounts.small]\nprovider = "openai"\nbase_url = "{url}"\njobs_max = 1\n'
        )
        folder = tmp_path / "other"
        async with gateway(folder, openai_base_url=None, accounts_file=accounts) as server:
            jobs = [await server.submit(f"fox {number}") for number in range(3)]
            await server.job_when(jobs[0], "queued")
            assert (await server.job(jobs[0]))["queuePosition"] is None
            assert [(await server.job(one))["queuePosition"] for one in jobs[1:]] == [0, 1]
            [account] = (await server.get("/api/stats")).json()["accounts"]
            assert (account["id"], account["inFlight"], account["waiting"]) == ("small", 1, 2)
            assert account["jobsMax"] == 1
