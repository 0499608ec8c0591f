"""Endpoints over HTTP: registered, read, changed, rotated, tested, removed."""

from pathlib import Path
from typing import Any

from gateways import AT_ONCE, Gateway, gateway
from receivers import receiver

EVENTS = ["queued", "processing", "progress", "completed", "failed"]
PUBLIC = "https://example.com/hook"
SECRET = "whsec_" + "b2xkIGFuZCBuZXcgc2VjcmV0cyE="
UNKNOWN = (404, "endpoint_not_found", None)


async def test_what_is_left_out_is_the_usual(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        reply = await server.post("/api/endpoints", json={"url": PUBLIC})
        assert reply.status == 201
        endpoint = reply.json()
        assert endpoint.pop("id").startswith("ep_")
        assert endpoint.pop("secret").startswith("whsec_")
        assert endpoint.pop("createdAt").endswith("Z")
        assert endpoint == {
            "kind": "registered",
            "url": PUBLIC,
            "trusted": False,
            "description": None,
            "events": EVENTS,
            "headers": {},
            "concurrency": None,
            "broadcast": False,
            "format": "reelhook",
            "enabled": True,
            "disabled": None,
            "disabledAt": None,
            "health": {"state": "ok", "failures": 0, "failingSince": None, "nextProbeAt": None},
            "previousSecretUntil": None,
        }


async def test_what_is_chosen_is_kept_and_read_without_the_secret(tmp_path: Path) -> None:
    chosen: dict[str, Any] = {
        "description": "Our app",
        "events": ["completed", "failed"],
        "headers": {"Authorization": "Bearer abc", "X-Tenant": "7"},
        "concurrency": 25,
        "broadcast": True,
    }
    async with gateway(tmp_path) as server:
        made = await server.endpoint(PUBLIC, secret=SECRET, **chosen)
        assert made["secret"] == SECRET
        read = (await server.get(f"/api/endpoints/{made['id']}")).json()
        assert read == {key: value for key, value in made.items() if key != "secret"}
        masked = {"headers": dict.fromkeys(chosen["headers"], "********")}
        assert read | chosen | masked == read
        assert (await server.get("/api/endpoints")).json() == {"endpoints": [read]}


async def test_twice_is_two_endpoints_with_secrets_of_their_own(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        first, second = [await server.endpoint(PUBLIC) for _ in range(2)]
        assert first["id"] != second["id"]
        assert first["secret"] != second["secret"]
        listed = (await server.get("/api/endpoints")).json()["endpoints"]
        assert [one["id"] for one in listed] == [first["id"], second["id"]]


async def test_endpoints_outlive_a_restart(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        made = await server.endpoint(PUBLIC, headers={"X-Tenant": "7"}, concurrency=2)
    async with gateway(tmp_path) as server:
        read = (await server.get(f"/api/endpoints/{made['id']}")).json()
        assert read == {key: value for key, value in made.items() if key != "secret"}


# -- changes --------------------------------------------------------------------------------------


async def test_a_change_leaves_alone_what_it_does_not_name(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        made = await server.endpoint(PUBLIC, description="Our app", events=["completed"])
        path = f"/api/endpoints/{made.pop('id')}"
        made.pop("secret")
        changed = (await server.patch(path, json={"concurrency": 2})).json()
        assert changed == changed | made | {"concurrency": 2}
        assert (await server.patch(path, json={})).json() == changed
        assert (await server.get(path)).json() == changed


async def test_null_is_the_usual_again(tmp_path: Path) -> None:
    chosen = {
        "description": "Our app",
        "events": ["completed"],
        "headers": {"X-Tenant": "7"},
        "concurrency": 2,
    }
    async with gateway(tmp_path) as server:
        made = await server.endpoint(PUBLIC, broadcast=True, **chosen)
        path = f"/api/endpoints/{made['id']}"
        changed = (
            await server.patch(path, json=dict.fromkeys([*chosen, "broadcast", "url"]))
        ).json()
        assert changed["url"] == PUBLIC
        assert changed["broadcast"] is True  # a switch has no usual: null leaves it alone
        usual: dict[str, Any] = {
            "description": None,
            "events": EVENTS,
            "headers": {},
            "concurrency": None,
        }
        assert changed | usual == changed


async def test_an_endpoint_is_disabled_and_enabled(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        path = f"/api/endpoints/{(await server.endpoint(PUBLIC))['id']}"
        off = (await server.patch(path, json={"enabled": False})).json()
        assert (off["enabled"], off["disabled"], off["health"]["state"]) == (
            *(False, "operator"),
            "disabled",
        )
        assert off["disabledAt"].endswith("Z")
        assert (await server.get("/api/stats")).json()["endpoints"] == {"failing": 0, "disabled": 1}
        held_back = (await server.get("/api/endpoints?failing=true")).json()["endpoints"]
        assert held_back == [off]
        on = (await server.patch(path, json={"enabled": True})).json()
        assert (on["enabled"], on["disabled"], on["disabledAt"]) == (True, None, None)
        assert (await server.get("/api/endpoints?failing=true")).json() == {"endpoints": []}


async def test_what_waits_goes_to_the_new_url(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        made = await server.endpoint("http://127.0.0.1:2/nobody", events=["completed"])
        path = f"/api/endpoints/{made['id']}"
        await server.patch(path, json={"enabled": False})
        job_id = await server.submit(endpoints=[made["id"]])
        await server.job_when(job_id, "completed")
        await server.patch(path, json={"url": client.url, "enabled": True})
        await client.ending(job_id)


# -- removal --------------------------------------------------------------------------------------


async def test_a_removed_endpoint_is_gone_and_what_was_sent_stays(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        made = await server.endpoint(client.url, events=["completed"])
        job_id = await server.submit(endpoints=[made["id"]])
        await client.ending(job_id)
        await server.delivery_when("delivered", jobId=job_id)
        path = f"/api/endpoints/{made['id']}"
        reply = await server.delete(path)
        assert (reply.status, reply.body) == (204, b"")
        assert (await server.get("/api/endpoints")).json() == {"endpoints": []}
        refused = await server.post(
            "/api/generate", json={"script": "A fox", "endpoints": [made["id"]]}
        )
        assert refused.refusal == (400, "invalid_request", "endpoints")
        [delivery] = await server.deliveries(jobId=job_id)
        assert delivery["url"] == client.url
        assert delivery["deliveredSequence"] is not None
        attempts = await server.get(f"/api/deliveries/{delivery['id']}/attempts")
        assert len(attempts.json()["attempts"]) == 1
        for reply in (
            await server.get(path),
            await server.patch(path, json={"enabled": True}),
            await server.delete(path),
            await server.post(f"{path}/rotate"),
            await server.post(f"{path}/test"),
        ):
            assert reply.refusal == UNKNOWN


async def test_what_waits_for_a_removed_endpoint_is_never_sent(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        made = await server.endpoint(client.url)
        path = f"/api/endpoints/{made['id']}"
        await server.patch(path, json={"enabled": False})
        job_id = await server.submit(endpoints=[made["id"]])
        await server.job_when(job_id, "completed")
        await server.delete(path)
        [delivery] = await server.deliveries()
        assert (delivery["state"], delivery["nextSequence"]) == ("ended", None)
        assert (await server.get("/api/stats")).json()["deliveries"] == {"waiting": 0}
        assert client.webhooks == []


# -- the default endpoint, and jobs' own URLs -----------------------------------------------------


async def test_the_default_endpoint_is_the_settings(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, webhook_url=client.url) as server:
        [default] = (await server.get("/api/endpoints")).json()["endpoints"]
        assert (default["id"], default["kind"], default["url"], default["trusted"]) == (
            *("default", "default", client.url),
            True,
        )
        path = "/api/endpoints/default"
        for reply in (
            await server.delete(path),
            await server.post(f"{path}/rotate"),
            await server.patch(path, json={"url": PUBLIC}),
        ):
            assert reply.refusal == (409, "conflict", None)
            assert "WEBHOOK_" in reply.json()["error"]
        changed = (await server.patch(path, json={"events": ["completed"]})).json()
        assert (changed["url"], changed["events"]) == (client.url, ["completed"])
        assert (await server.post(f"{path}/test")).json()["delivered"] is True


async def test_a_jobs_own_url_is_read_and_disabled_but_not_changed(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        job_id = await server.submit(webhookUrl=f"{client.url}?job=1")
        await client.ending(job_id)
        [delivery] = await server.deliveries(jobId=job_id)
        path = f"/api/endpoints/{delivery['endpointId']}"
        endpoint = (await server.get(path)).json()
        assert (endpoint["kind"], endpoint["url"]) == ("url", client.url)
        assert (await server.get("/api/endpoints")).json() == {"endpoints": []}
        for reply in (
            await server.delete(path),
            await server.post(f"{path}/rotate"),
            await server.patch(path, json={"broadcast": True}),
            await server.patch(path, json={"url": PUBLIC}),
        ):
            assert reply.refusal == (409, "conflict", None)
        off = (await server.patch(path, json={"enabled": False})).json()
        assert off["disabled"] == "operator"
        assert await held_back(server) == [endpoint["id"]]
        refused = await server.post(
            "/api/generate", json={"script": "A fox", "endpoints": [endpoint["id"]]}
        )
        assert refused.refusal == (400, "invalid_request", "endpoints")


async def held_back(server: Gateway) -> list[str]:
    found = (await server.get("/api/endpoints?failing=true")).json()["endpoints"]
    return [one["id"] for one in found]
