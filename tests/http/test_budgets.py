"""Budgets over HTTP: limits are set, jobs reserve and spend, and refusals say when to come back."""

from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, Client, Gateway, gateway, until
from receivers import receiver

from reelhook.webhooks import verify

OPERATOR = "a-long-random-text"
PRICED = {"model": "xai/grok-imagine-video", "seconds": "10"}
"""A request that costs 0.5 USD."""
BUDGET = "/api/projects/default/budgets"


def keyed(key: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {key}"}}


def priced(tmp_path: Path, *arguments: Any, **settings: Any) -> Any:
    """A gateway with an account at a provider whose prices are known."""
    return gateway(tmp_path, *arguments, providers=["xai"], **settings)


async def put(client: Client, limits: dict[str, Any], path: str = BUDGET, **options: Any) -> Any:
    reply = await client.request("PUT", path, json=limits, **options)
    assert reply.status == 200, reply.body
    return reply.json()


async def create(client: Client, **options: Any) -> Any:
    return await client.post("/api/generate", json={"script": "A fox", **PRICED}, **options)


def used(budget: Any, name: str, unit: str = "USD") -> tuple[float, float]:
    (line,) = [one for one in budget["usage"] if (one["budget"], one["unit"]) == (name, unit)]
    return line["reserved"], line["spent"]


async def test_without_limits_nothing_is_limited(tmp_path: Path) -> None:
    async with priced(tmp_path) as server:
        budget = (await server.get(BUDGET)).json()
        assert budget == {
            "project": "default",
            "key": None,
            "jobsInFlight": None,
            "jobsPerDay": None,
            "moneyPerDay": {},
            "moneyPerMonth": {},
            "unknownPrice": {},
            "raised": None,
            "usage": budget["usage"],
        }
        assert {one["limit"] for one in budget["usage"]} == {None}


async def test_a_job_reserves_its_price_until_it_ends(tmp_path: Path) -> None:
    async with priced(tmp_path) as server:
        await put(server, {"moneyPerDay": {"USD": 10}, "jobsInFlight": 3})
        await create(server)
        budget = (await server.get(BUDGET)).json()
        assert used(budget, "moneyPerDay") == used(budget, "moneyPerMonth") == (0.5, 0)
        assert used(budget, "jobsInFlight", "jobs") == (1, 0)


async def test_a_job_that_completes_has_spent_its_price(tmp_path: Path) -> None:
    async with priced(tmp_path, AT_ONCE) as server:
        await put(server, {"moneyPerDay": {"USD": 10}})
        await server.job_when((await create(server)).json()["jobId"], "completed")
        budget = (await server.get(BUDGET)).json()
        assert used(budget, "jobsInFlight", "jobs") == (0, 0)
        assert used(budget, "jobsPerDay", "jobs") == (0, 1)
        reserved, spent = used(budget, "moneyPerDay")
        assert reserved == 0
        assert spent > 0


async def test_a_job_that_costs_too_much_gets_402_and_nothing_is_paid(tmp_path: Path) -> None:
    async with priced(tmp_path) as server:
        budget = await put(server, {"moneyPerDay": {"USD": 0.4}})
        reply = await create(server)
        assert reply.refusal == (402, "over_budget", None)
        error = reply.json()
        (line,) = [one for one in budget["usage"] if one["budget"] == "moneyPerDay"]
        assert error == {
            "error": error["error"],
            "code": "over_budget",
            "budget": "moneyPerDay",
            "limit": 0.4,
            "used": 0,
            "needed": 0.5,
            "unit": "USD",
            "owner": "project",
            "resetsAt": line["resetsAt"],
        }
        assert "Retry-After" not in reply.headers
        assert await server.total() == 0
        assert not server.simulator.jobs


async def test_too_many_jobs_get_429_with_the_time_to_wait(tmp_path: Path) -> None:
    async with priced(tmp_path) as server:
        await put(server, {"jobsInFlight": 1})
        assert (await create(server)).status == 200
        reply = await create(server)
        assert reply.refusal == (429, "job_limit_reached", None)
        assert (reply.json()["budget"], reply.json()["resetsAt"]) == ("jobsInFlight", None)
        assert reply.headers["Retry-After"] == "10"
        await put(server, {"jobsPerDay": 1})
        reply = await create(server)
        assert reply.json()["budget"] == "jobsPerDay"
        assert 0 < int(reply.headers["Retry-After"]) <= 24 * 3600


async def test_a_job_of_unknown_price_is_refused_under_a_money_budget(tmp_path: Path) -> None:
    async with priced(tmp_path) as server:
        await put(server, {"moneyPerDay": {"USD": 10}})
        reply = await server.post("/api/generate", json={"script": "A fox", "model": "mine"})
        assert reply.refusal == (402, "over_budget", None)
        assert (reply.json()["problem"], reply.json()["units"]) == ("unknown_price", ["USD"])
        await put(server, {"moneyPerDay": {"USD": 10}, "unknownPrice": {"USD": 0.25}})
        await server.submit(model="mine")
        assert used((await server.get(BUDGET)).json(), "moneyPerDay") == (0.25, 0)


async def test_a_repeat_is_answered_before_any_budget_is_looked_at(tmp_path: Path) -> None:
    async with priced(tmp_path) as server:
        await put(server, {"moneyPerDay": {"USD": 0.5}})
        headers = {"Idempotency-Key": "k1"}
        first = await create(server, headers=headers)
        again = await create(server, headers=headers)
        assert (first.status, again.status) == (200, 200)
        assert first.json()["jobId"] == again.json()["jobId"]
        assert (await create(server)).status == 402


async def test_a_limit_below_what_is_in_use_is_kept_and_shown(tmp_path: Path) -> None:
    async with priced(tmp_path) as server:
        await put(server, {"moneyPerDay": {"USD": 10}})
        await create(server)
        budget = await put(server, {"moneyPerDay": {"USD": 0.1}})
        assert [one["budget"] for one in budget["usage"] if one["over"]] == ["moneyPerDay"]


async def test_a_raise_holds_for_a_while(tmp_path: Path) -> None:
    async with priced(tmp_path) as server:
        await put(server, {"moneyPerDay": {"USD": 0.4}, "jobsPerDay": 5})
        until_ = "2100-01-01T00:00:00.000Z"
        raised = {"moneyPerDay": {"USD": 2}, "until": until_}
        reply = await server.post(f"{BUDGET}/raise", json=raised)
        assert reply.json()["raised"] == {
            "jobsInFlight": None,
            "jobsPerDay": None,
            "moneyPerDay": {"USD": 2},
            "moneyPerMonth": {},
            "until": until_,
        }
        assert (await create(server)).status == 200
        assert (await put(server, {"moneyPerDay": {"USD": 0.4}}))["raised"] is None
        assert (await create(server)).status == 402


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"moneyPerDay": {"dollars": 10}}, "moneyPerDay.dollars"),
        ({"moneyPerDay": {"USD": -1}}, "moneyPerDay.USD"),
        ({"moneyPerDay": {"USD": "ten"}}, "moneyPerDay.USD"),
        ({"moneyPerDay": 10}, "moneyPerDay"),
        ({"moneyPerHour": {"USD": 1}}, "moneyPerHour"),
        ({"jobsPerDay": -1}, "jobsPerDay"),
        ({"jobsPerDay": 1.5}, "jobsPerDay"),
        ({"unknownPrice": {"USD": 1, "EUR": 1}}, "unknownPrice"),
        ({"unknownPrice": {"dollars": 1}}, "unknownPrice.dollars"),
        ({"moneyPerDay": {"USD": 9}, "unknownPrice": {"EUR": 1}}, "unknownPrice.EUR"),
    ],
)
async def test_limits_that_make_no_sense_are_refused_by_field(
    tmp_path: Path, body: dict[str, Any], field: str
) -> None:
    async with priced(tmp_path) as server:
        reply = await server.request("PUT", BUDGET, json=body)
        assert reply.refusal == (400, "invalid_request", field)
        assert (await server.get(BUDGET)).json()["moneyPerDay"] == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"jobsPerDay": 9, "until": "2020-01-01T00:00:00Z"}, "until"),
        ({"jobsPerDay": 9, "until": "2100-01-01T00:00:00"}, "until"),
        ({"jobsPerDay": 9}, "until"),
        ({"jobsPerDay": 3, "until": "2100-01-01T00:00:00Z"}, "jobsPerDay"),
        ({"moneyPerDay": {"USD": 3}, "until": "2100-01-01T00:00:00Z"}, "moneyPerDay.USD"),
    ],
)
async def test_a_raise_that_raises_nothing_is_refused(
    tmp_path: Path, body: dict[str, Any], field: str
) -> None:
    async with priced(tmp_path) as server:
        await put(server, {"jobsPerDay": 3})
        reply = await server.post(f"{BUDGET}/raise", json=body)
        assert reply.refusal == (400, "invalid_request", field)


async def test_unknown_projects_and_keys_have_no_budget(tmp_path: Path) -> None:
    async with priced(tmp_path) as server:
        for path, code in (
            ("projects/prj_x", "project_not_found"),
            ("keys/key_x", "key_not_found"),
        ):
            assert (await server.get(f"/api/{path}/budgets")).refusal == (404, code, None)
            reply = await server.request("PUT", f"/api/{path}/budgets", json={})
            assert reply.refusal == (404, code, None)


# -- keys ------------------------------------------------------------------------------------------


async def made(server: Gateway, *scopes: str) -> tuple[str, str]:
    """Make a key; return its id and its text."""
    body = {"name": "a key", "scopes": list(scopes)}
    reply = await server.post("/api/keys", json=body, **keyed(OPERATOR))
    assert reply.status == 201, reply.body
    return reply.json()["id"], reply.json()["key"]


async def test_a_key_has_a_budget_of_its_own(tmp_path: Path) -> None:
    async with priced(tmp_path, api_key=OPERATOR) as server:
        key_id, key = await made(server, "submit")
        _, other = await made(server, "submit")
        path = f"/api/keys/{key_id}/budgets"
        await put(server, {"moneyPerDay": {"USD": 0.5}}, path, **keyed(OPERATOR))
        assert (await create(server, **keyed(key))).status == 200
        reply = await create(server, **keyed(key))
        assert (reply.status, reply.json()["owner"]) == (402, "key")
        assert (await create(server, **keyed(other))).status == 200
        own = (await server.get(path, **keyed(key))).json()
        assert (own["key"], used(own, "moneyPerDay")) == (key_id, (0.5, 0))


async def test_only_the_operator_sets_a_project_s_budget_and_unknown_prices(tmp_path: Path) -> None:
    async with priced(tmp_path, api_key=OPERATOR) as server:
        key_id, _ = await made(server, "submit")
        _, admin = await made(server, "admin")
        path = f"/api/keys/{key_id}/budgets"
        until_ = "2100-01-01T00:00:00Z"
        await put(server, {"jobsPerDay": 5}, path, **keyed(admin))
        raised = {"jobsPerDay": 9, "until": until_}
        assert (await server.post(f"{path}/raise", json=raised, **keyed(admin))).status == 200
        for method, refused, body in (
            ("PUT", BUDGET, {"jobsPerDay": 5}),
            ("POST", f"{BUDGET}/raise", raised),
            ("PUT", path, {"unknownPrice": {"USD": 0.5}}),
        ):
            reply = await server.request(method, refused, json=body, **keyed(admin))
            assert reply.refusal[:2] == (403, "scope_missing")
        assert (await server.get(BUDGET, **keyed(admin))).status == 200


async def test_what_was_accepted_before_the_limits_counts(tmp_path: Path) -> None:
    async with priced(tmp_path, AT_ONCE) as server:
        job_id = (await create(server)).json()["jobId"]
        await server.job_when(job_id, "completed")
        budget = await put(server, {"moneyPerDay": {"USD": 10}})
        reserved, spent = used(budget, "moneyPerDay")
        assert reserved == 0
        assert spent > 0

        async def is_settled() -> bool:
            return used((await server.get(BUDGET)).json(), "jobsInFlight", "jobs") == (0, 0)

        await until(is_settled)


# -- events ----------------------------------------------------------------------------------------


async def test_an_endpoint_that_asks_gets_an_event_when_a_budget_is_nearly_used_up_and_reached(
    tmp_path: Path,
) -> None:
    async with receiver() as client, priced(tmp_path) as server:
        endpoint = await server.endpoint(client.url, events=["budget.warning", "budget.reached"])
        await server.endpoint(client.url + "/jobs", broadcast=True)
        await put(server, {"moneyPerDay": {"USD": 1.2}})
        for _ in range(2):
            assert (await create(server)).status == 200
        warning = await client.first(lambda one: one.body.get("event") == "budget.warning")
        assert verify(warning.raw, warning.headers, endpoint["secret"]).body == warning.body
        budget = (await server.get(BUDGET)).json()
        (line,) = [one for one in budget["usage"] if one["budget"] == "moneyPerDay"]
        assert warning.body == {
            "event": "budget.warning",
            "project": "default",
            "key": None,
            "budget": "moneyPerDay",
            "period": warning.body["period"],
            "unit": "USD",
            "limit": 1.2,
            "used": 1,
            "resetsAt": line["resetsAt"],
            "timestamp": warning.body["timestamp"],
        }
        for _ in range(2):
            assert (await create(server)).status == 402
        reached = await client.first(lambda one: one.body.get("event") == "budget.reached")
        assert reached.body["used"] == 1
        told = [one.body["event"] for one in client.webhooks if "event" in one.body]
        assert sorted(told) == ["budget.reached", "budget.warning"]


async def test_a_notice_that_fails_is_sent_again(tmp_path: Path) -> None:
    async with receiver() as client, priced(tmp_path, retry_schedule="0s,0s,0s") as server:
        await server.endpoint(client.url, events=["budget.reached"])
        await put(server, {"jobsPerDay": 1})
        client.status = 500
        await create(server)
        first = await client.first(lambda one: "event" in one.body)
        client.status = 200
        again = await client.first(lambda one: "event" in one.body and one is not first)
        assert again.raw == first.raw
        assert again.headers["webhook-id"] == first.headers["webhook-id"]
