"""The fields of requests beyond the first ones: at `/api/generate` and in Python."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, Gateway, gateway
from receivers import Receiver, receiver

from reelhook.domain.caller import OPERATOR
from reelhook.domain.request import VideoRequest
from reelhook.simulator.faults import Faults

PNG = f"data:image/png;base64,{base64.b64encode(bytes.fromhex('89504e470d0a1a0a')).decode()}"
TEXT = f"data:image/png;base64,{base64.b64encode(b'hello world').decode()}"
WAITS = Faults(rate_limited=1)
ALL: dict[str, Any] = {
    "resolution": "720p",
    "negativePrompt": "rain",
    "audio": False,
    "image": PNG,
    "lastFrame": PNG,
    "referenceImages": [PNG, "https://h.example/a.png"],
    "referenceVideos": ["https://h.example/a.mp4"],
    "referenceAudios": ["https://h.example/a.mp3"],
}


async def stored(server: Gateway, job_id: str) -> VideoRequest:
    return (await server.hook.gateway.jobs.job(OPERATOR, job_id)).request


async def test_every_field_arrives_in_the_request(tmp_path: Path) -> None:
    async with gateway(tmp_path, WAITS) as server:
        reply = await server.post(
            "/api/generate", json={"script": "A fox", "model": "any", "seconds": 4, **ALL}
        )
        assert reply.status == 200, reply.body
        request = await stored(server, reply.json()["jobId"])
        assert (request.resolution, request.negative_prompt) == ("720p", "rain")
        assert request.audio is False
        assert request.last_frame is not None
        assert len(request.reference_images) == 2
        assert request.reference_videos == ("https://h.example/a.mp4",)
        assert request.reference_audios == ("https://h.example/a.mp3",)


async def test_the_python_function_takes_them_too(tmp_path: Path) -> None:
    async with gateway(tmp_path, WAITS) as server:
        job_id = await server.hook.submit(
            "A fox", audio=True, resolution="4k", reference_videos=["https://h.example/a.mp4"]
        )
        request = await stored(server, job_id)
        assert (request.audio, request.resolution) == (True, "4k")
        assert request.reference_videos == ("https://h.example/a.mp4",)


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"resolution": "hd"}, "resolution", "such as 720p or 4k"),
        ({"audio": "yes"}, "audio", "must be true or false"),
        ({"negativePrompt": ""}, "negativePrompt", "must not be empty"),
        ({"lastFrame": "fox.png"}, "lastFrame", "http(s) URL"),
        ({"referenceImages": "https://h.example/a.png"}, "referenceImages", "must be a list"),
        ({"referenceImages": [PNG, "x"]}, "referenceImages.1", "http(s) URL"),
        ({"referenceVideos": [PNG]}, "referenceVideos.0", "data:video"),
        ({"image": TEXT}, "image", "no image by its bytes; send PNG"),
        ({"referenceImages": [PNG, TEXT]}, "referenceImages.1", "no image by its bytes"),
        ({"referenceAudios": ["https://h.example/a"] * 21}, "referenceAudios", "at most 20"),
        ({"callbackSecret": "x" * 20}, "callbackSecret", "give that URL too"),
        (
            {"webhookUrl": "https://h.example/a", "callbackUrl": "https://h.example/b"},
            "callbackUrl",
            "give one",
        ),
    ],
)
async def test_a_wrong_value_is_refused_by_its_name(
    tmp_path: Path, fields: dict[str, Any], field: str, words: str
) -> None:
    async with gateway(tmp_path, WAITS) as server:
        reply = await server.post("/api/generate", json={"script": "A fox", **fields})
        assert reply.refusal == (400, "invalid_request", field)
        assert words in reply.json()["error"]


async def test_no_provider_is_asked_to_fetch_a_private_address(tmp_path: Path) -> None:
    async with gateway(tmp_path, WAITS) as server:
        private = "http://10.0.0.7/secret"
        for field, given, named in (
            ("image", private, "image"),
            ("lastFrame", private, "lastFrame"),
            ("referenceImages", [PNG, private], "referenceImages.1"),
            ("referenceVideos", [private], "referenceVideos.0"),
            ("referenceAudios", [private], "referenceAudios.0"),
        ):
            reply = await server.post("/api/generate", json={"script": "A fox", field: given})
            assert reply.refusal == (400, "image_url_refused", named)


async def test_a_refusal_names_models_that_can(tmp_path: Path) -> None:
    async with gateway(tmp_path, providers=["xai", "runway"]) as server:
        for route in ("/api/generate", "/api/estimate"):
            reply = await server.post(
                route, json={"script": "A fox", "model": "runway/gen4.5", "seconds": 11}
            )
            assert reply.refusal == (400, "invalid_request", "seconds")
            _, _, able = reply.json()["error"].partition("; models that can: ")
            assert "xai/grok-imagine-video" in able.split(", ")


async def test_an_unknown_model_gets_the_names_that_are_like_it(tmp_path: Path) -> None:
    async with gateway(tmp_path, providers=["runway"], openai_base_url=None) as server:
        reply = await server.post("/api/generate", json={"script": "A fox", "model": "gen45"})
        assert reply.refusal == (400, "invalid_request", "model")
        assert "Did you mean runway/gen4.5" in reply.json()["error"]


async def test_another_value_of_a_new_field_is_another_body(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        key, body = {"Idempotency-Key": "k"}, {"script": "A fox", "seconds": "1", "size": "64x64"}
        first = await server.post("/api/generate", json={**body, "audio": False}, headers=key)
        again = await server.post("/api/generate", json={**body, "audio": False}, headers=key)
        assert (first.status, again.body) == (200, first.body)
        other = await server.post("/api/generate", json=body, headers=key)
        assert other.refusal == (422, "idempotency_key_reused", None)


async def test_models_show_what_they_take_and_how_many(tmp_path: Path) -> None:
    async with gateway(tmp_path, providers=["runway"]) as server:
        names = {
            *("resolutions", "negativePrompt", "audio", "lastFrame"),
            *("referenceImagesMax", "referenceVideosMax", "referenceAudiosMax"),
            "referencesOrFrames",
        }
        for model in (await server.get("/api/models")).json()["models"]:
            assert names <= set(model)


async def test_a_request_s_own_url_gets_its_format_and_secret(tmp_path: Path) -> None:
    async with receiver() as client, gateway(tmp_path, AT_ONCE) as server:
        options = {"callbackFormat": "openai", "callbackSecret": "a-secret-of-the-client"}
        await server.submit(callbackUrl=client.url, **options)
        names: dict[str, Any] = {"webhook_url": client.url, "seconds": "1", "size": "64x64"}
        await server.hook.submit("A fox", **names, callback_format="openai")
        completed = [one async for one in endings(client, 2)]
        assert all(body["type"] == "video.completed" for body in completed)


async def endings(client: Receiver, count: int) -> AsyncIterator[Any]:
    """Yield the bodies of the first completions, each of another job."""
    seen: set[str] = set()
    while len(seen) < count:
        one = await client.first(
            lambda one: (
                one.body.get("type") == "video.completed" and one.body["data"]["id"] not in seen
            )
        )
        seen.add(one.body["data"]["id"])
        yield one.body


async def test_a_job_shows_the_fields_that_were_given_and_numbers_of_references(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path, WAITS) as server:
        given = await server.post("/api/generate", json={"script": "A fox", "seconds": 4, **ALL})
        plain = await server.post("/api/generate", json={"script": "A fox"})
        job = (await server.get(f"/api/jobs/{given.json()['jobId']}")).json()
        assert (job["resolution"], job["negativePrompt"], job["audio"]) == ("720p", "rain", False)
        assert job["references"] == {"images": 2, "videos": 1, "audios": 1}
        listed = {one["jobId"]: one for one in (await server.get("/api/jobs")).json()["jobs"]}
        shown = listed[job["jobId"]]
        assert "negativePrompt" not in shown  # it may be long
        assert all(shown[name] == job[name] for name in ("resolution", "audio", "references"))
        new = {"resolution", "negativePrompt", "audio", "references"}
        assert not new & listed[plain.json()["jobId"]].keys()


async def test_a_field_that_the_known_server_lacks_is_refused_at_once(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        body = {"script": "A fox", "seconds": 1, "size": "64x64", "audio": True}
        headers = {"Idempotency-Key": "one"}
        first = await server.post("/api/generate", json=body, headers=headers)
        assert first.status == 200  # nothing is known about the server yet
        await server.job_when(first.json()["jobId"], "failed")
        refused = await server.post("/api/generate", json=body)
        assert refused.refusal == (400, "invalid_request", "audio")
        again = await server.post("/api/generate", json=body, headers=headers)
        assert (again.status, again.json()) == (200, first.json())
