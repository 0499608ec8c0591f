"""Estimates: what a request would cost, and what a job is said to cost."""

from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, Gateway, gateway

from reelhook.simulator.faults import Faults

GROK = "xai/grok-imagine-video"
ACCOUNTS = """
rates = { credits = 0.02 }

[prices."openai/*"]
per_second = 0.125
"""


def prices_file(directory: Path, content: str = ACCOUNTS) -> Path:
    path = directory / "accounts.toml"
    path.write_text(content)
    return path


async def estimate(server: Gateway, **fields: Any) -> Any:
    reply = await server.post("/api/estimate", json={"script": "A fox", **fields})
    assert reply.status == 200, reply.body
    return reply.json()


async def test_the_price_of_a_model_and_of_its_fallbacks(tmp_path: Path) -> None:
    async with gateway(tmp_path, providers=["xai", "runway"]) as server:
        found = await estimate(
            server, model=GROK, seconds=5, aspectRatio="16:9", fallbacks=["runway/gen4.5"]
        )
        assert found == {
            "models": [
                {"model": GROK, "price": {"amount": 0.25, "unit": "USD"}},
                {
                    "model": "runway/gen4.5",
                    "price": {"amount": 0.6, "unit": "USD"},
                    "unconverted": {"amount": 60, "unit": "credits"},
                },
            ],
            "highest": {"amount": 0.6, "unit": "USD"},
        }


async def test_an_unknown_price_is_shown_as_unknown(tmp_path: Path) -> None:
    async with gateway(tmp_path, providers=["xai"]) as server:
        found = await estimate(server, model=GROK, fallbacks=["openai/sora-2"])
        assert [one["price"] for one in found["models"]] == [{"amount": 0.4, "unit": "USD"}, None]
        assert found["highest"] is None


async def test_an_estimate_stores_and_sends_nothing(tmp_path: Path) -> None:
    async with gateway(tmp_path, providers=["xai"]) as server:
        body = {
            "model": GROK,
            "webhookUrl": "http://127.0.0.1:9/hook",
            "providerOptions": {"resolution": "720p"},
            "walletAddress": "an owner",
            "seed": None,
            "image": "https://example.com/fox.png",
        }
        found = await estimate(server, **body)
        assert found["highest"] == {"amount": 0.562, "unit": "USD"}
        assert (await server.get("/api/jobs")).json()["jobs"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"script": "A fox", "model": GROK, "seconds": 99}, "seconds"),
        ({"script": "A fox", "model": "fal/x"}, "model"),
        ({"script": "A fox", "model": GROK, "fallbacks": ["fal/x"]}, "fallbacks"),
        ({"script": "", "model": GROK}, "script"),
        ({"model": GROK}, "script"),
    ],
)
async def test_a_request_that_no_job_could_be_made_of_is_refused_as_by_a_create(
    tmp_path: Path, body: dict[str, Any], field: str
) -> None:
    async with gateway(tmp_path, providers=["xai"]) as server:
        reply = await server.post("/api/estimate", json=body)
        created = await server.post("/api/generate", json=body)
        assert (reply.status, reply.json()) == (created.status, created.json())
        assert reply.status == 400
        assert reply.json()["field"] == field


# -- the cost of a job ------------------------------------------------------------------------


async def test_a_job_s_cost_is_estimated_until_its_provider_reports_one(tmp_path: Path) -> None:
    slow = Faults(queue_seconds=3600)
    async with gateway(tmp_path, slow, providers=["xai", "runway"]) as server:
        estimated = await server.submit(model=GROK, size=None, seconds=5)
        job = await server.job_when(estimated, "queued")
        assert job["cost"] == {
            "amount": 0.25,
            "unit": "USD",
            "charged": False,
            "kind": "estimated",
        }
        quoted = await server.submit(model="runway/gen4.5", size=None, seconds=5)
        job = await server.job_when(quoted, "queued")
        assert (job["cost"]["kind"], job["cost"]["unit"]) == ("quoted", "credits")
        await server.post(f"/api/jobs/{estimated}/cancel", json={"force": True})
        assert (await server.job(estimated))["cost"] is None


async def test_estimates_add_up_where_nothing_is_charged(tmp_path: Path) -> None:
    file = prices_file(tmp_path)
    async with gateway(tmp_path, AT_ONCE, providers=["runway"], accounts_file=file) as server:
        for _ in range(2):
            job_id = await server.submit(model="openai/sora-2", seconds=4)
            job = await server.job_when(job_id, "completed")
            assert (job["cost"]["amount"], job["cost"]["kind"]) == (0.5, "estimated")
        charged = await server.submit(model="runway/gen4.5", size=None, seconds=5)
        job = await server.job_when(charged, "completed")
        credits_ = job["cost"]["amount"]
        lines = (await server.get("/api/costs")).json()["costs"]
        by_model = {line["model"]: line for line in lines}
        one = by_model["openai/sora-2"]
        assert (one["unit"], one["charged"], one["estimated"]) == ("USD", None, 1)
        assert "converted" not in one
        other = by_model["runway/gen4.5"]
        assert (other["unit"], other["charged"], other["estimated"]) == ("credits", credits_, None)
        assert other["converted"] == {
            "unit": "USD",
            "charged": pytest.approx(credits_ * 0.02),
            "quoted": pytest.approx(credits_ * 0.02),
            "estimated": None,
        }


async def test_the_operator_s_price_is_listed(tmp_path: Path) -> None:
    file = prices_file(tmp_path, '[prices."runway/kling_4"]\nper_video = 2\n')
    async with gateway(tmp_path, providers=["runway"], accounts_file=file) as server:
        models = (await server.get("/api/models")).json()["models"]
        [shown] = [one for one in models if one["model"] == "runway/kling_4"]
        line = {"amount": 2, "per": "video", "resolution": None, "audio": None, "seconds": None}
        assert shown["prices"] == [
            {
                "accounts": ["runway"],
                "unit": "USD",
                "lines": [line],
                "minimum": 0,
                "image": 0,
                "rate": None,
                "source": "REELHOOK_ACCOUNTS_FILE",
                "date": None,
            }
        ]
