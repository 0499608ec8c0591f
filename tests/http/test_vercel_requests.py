"""What `ai` sends to Vercel's AI Gateway reaches the provider; refusals have the door's form."""

from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, Gateway
from PIL import Image
from receivers import receiver
from test_formats import verified
from vercel_clients import event, generated, served, started, status_of, told

from reelhook.domain.caller import OPERATOR
from reelhook.domain.catalog import Account, ModelRoute
from reelhook.domain.errors import CommitUnknownError
from reelhook.domain.media import hash_in
from reelhook.domain.model import Model
from reelhook.domain.request import VideoRequest
from reelhook.doors.error_form import ErrorReply
from reelhook.doors.vercel.body import OwnFields, VideoModelBody
from reelhook.doors.vercel.errors import FORM
from reelhook.doors.vercel.request import translated

URL = "http://127.0.0.1:2"


def png() -> str:
    written = BytesIO()
    Image.new("RGB", (2, 2)).save(written, "PNG")
    return b64encode(written.getvalue()).decode()


async def request_of(server: Gateway, job_id: str) -> VideoRequest:
    app: Any = server.hook.asgi
    stored = await app.state.gateway.jobs.job(OPERATOR, job_id)
    return stored.request  # type: ignore[no-any-return] # the application's state is untyped


async def test_an_upload_stands_for_a_file_by_its_id(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        sent = await server.post("/api/uploads", data=b64decode(png()))
        upload = {"type": "url", "url": sent.json()["id"]}
        reply = await started(server, image=upload)
        assert reply.status == 200, reply.body
        request = await request_of(server, reply.json()["operation"]["jobId"])
        assert hash_in(request.image or "") == sent.json()["id"].removeprefix("upload_")
        upload["url"] = f"upload_{'0' * 64}"
        refused = await started(server, image=upload)
        assert refused.status == 400
        assert "upload the file again" in refused.json()["error"]["message"]


async def test_every_field_arrives_and_what_is_ignored_is_said(tmp_path: Path) -> None:
    references = [
        {"type": "url", "url": f"{URL}/a.png"},
        {"type": "url", "url": f"{URL}/a.mp4"},
        {"type": "url", "url": f"{URL}/b", "mediaType": "audio/mpeg"},
    ]
    frames = [
        {"image": {"type": "url", "url": f"{URL}/1.png"}, "frameType": "first_frame"},
        {"image": {"type": "url", "url": f"{URL}/2.png"}, "frameType": "last_frame"},
    ]
    own = {
        "negativePrompt": "rain",
        "fallbacks": ["studio-2"],
        "priority": "high",
        "externalId": "mine",
        "metadata": {"order": "7"},
    }
    async with served(tmp_path) as server:
        reply = await started(
            server,
            aspectRatio="16:9",
            fps=24,
            seed=7,
            generateAudio=False,
            image={"type": "url", "url": f"{URL}/0.png"},
            frameImages=frames,
            inputReferences=references,
            later=1,
            providerOptions={"openai": {"steps": 4}, "google": {"x": 1}, "reelhook": own},
        )
        body = reply.json()
        assert [(one["type"], one["feature"]) for one in body["warnings"]] == [
            ("unsupported", "fps"),
            ("unsupported", "providerOptions.google"),
            ("unsupported", "later"),
        ]
        request = await request_of(server, body["operation"]["jobId"])
        assert (request.seconds, request.size, request.aspect_ratio) == ("4", "1280x720", "16:9")
        assert (request.seed, request.audio, request.negative_prompt) == (7, False, "rain")
        assert (request.image, request.last_frame) == (f"{URL}/1.png", f"{URL}/2.png")
        assert request.reference_images == (f"{URL}/a.png",)
        assert request.reference_videos == (f"{URL}/a.mp4",)
        assert request.reference_audios == (f"{URL}/b",)
        assert (request.options, request.fallbacks) == ({"steps": 4}, ("studio-2",))
        job = await server.job(body["operation"]["jobId"])
        assert (job["externalId"], job["metadata"]) == ("mine", {"order": "7"})


async def test_an_image_in_the_body_has_the_type_that_its_bytes_show(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        image = {"type": "file", "mediaType": "image/jpeg", "data": png()}
        operation = (await started(server, image=image)).json()["operation"]
        sent = (await request_of(server, operation["jobId"])).image
        assert sent is not None
        assert sent.startswith(("data:image/png;base64,", "file:"))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"n": True}, "n"),
        ({"prompt": None}, "prompt"),
        ({"duration": 4.5}, "duration"),
        ({"duration": "long"}, "duration"),
        ({"resolution": "big"}, "resolution"),
        ({"aspectRatio": "wide"}, "aspectRatio"),
        ({"aspectRatio": "1:1"}, "aspectRatio"),
        ({"image": {"type": "file", "mediaType": "image/png", "data": "aGVsbG8="}}, "image"),
        ({"image": {"type": "file", "mediaType": "image/png", "data": "§"}}, "image"),
        ({"inputReferences": [{"type": "file", "data": "aGVsbG8="}]}, "inputReferences.0"),
        ({"callbackUrl": "ftp://x"}, "callbackUrl"),
        ({"providerOptions": {"reelhook": {"colour": 1}}}, "providerOptions.reelhook.colour"),
        (
            {"providerOptions": {"reelhook": {"callbackSecret": "short"}}, "callbackUrl": URL},
            "providerOptions.reelhook.callbackSecret",
        ),
        (
            {"providerOptions": {"reelhook": {"webhookUrl": URL}}, "callbackUrl": f"{URL}/other"},
            "callbackUrl",
        ),
    ],
)
async def test_a_refusal_names_the_field(wire: Gateway, fields: dict[str, Any], param: str) -> None:
    refused = told(await started(wire, **fields))
    assert refused[:3] == (400, "invalid_request_error", param)
    assert await wire.total() == 0


@pytest.fixture
async def wire(tmp_path: Path) -> Any:
    async with served(tmp_path) as server:
        yield server


async def test_unknown_models_operations_keys_and_paths(wire: Gateway) -> None:
    unknown = {"modelId": "fal/fal-ai/veo3"}
    for call in (started, generated):
        refused = told(await call(wire, model="fal/fal-ai/veo3"))
        assert refused == (404, "model_not_found", unknown, "model_not_found")
    assert (await started(wire, model=None)).status == 200  # the provider's own choice
    for operation in ({"jobId": "job_none"}, "job_none"):
        refused = told(await status_of(wire, operation))
        assert refused == (404, "not_found", None, "job_not_found")
    assert told(await status_of(wire, {}))[:3] == (400, "invalid_request_error", "operation")
    wrong = {"headers": {"Authorization": "Bearer wrong"}}
    assert told(await wire.get("/v4/ai/config", **wrong))[:2] == (401, "authentication_error")
    assert told(await wire.get("/v4/ai/nowhere"))[:2] == (404, "not_found")
    assert told(await wire.get("/v4/ai/video-model"))[0] == 405
    key = {"name": "app", "scopes": ["read"]}
    text = (await wire.post("/api/keys", json=key)).json()["key"]
    reader = {"Authorization": f"Bearer {text}"}
    reply = await wire.post("/v4/ai/video-model/start", json={"prompt": "A fox"}, headers=reader)
    assert told(reply)[:2] == (403, "forbidden")


@pytest.mark.parametrize("status", [400, 404, 409, 410, 422, 500])
def test_no_error_is_repeated_by_the_client_if_the_job_may_exist(status: int) -> None:
    unknown = FORM.respond(ErrorReply(status, "Unclear", CommitUnknownError.code))
    assert unknown.status_code == 424
    other = FORM.respond(ErrorReply(status, "Wrong", "conflict"))
    assert other.status_code not in {409, 410}


async def test_a_start_returns_the_secret_of_its_webhook_and_a_repeated_one_the_same(
    tmp_path: Path,
) -> None:
    async with receiver() as client, served(tmp_path, AT_ONCE) as server:
        starts = [
            (await started(server, key="order-1", callbackUrl=client.url)).json() for _ in range(2)
        ]
        assert starts[0] == starts[1]
        job = starts[0]["providerMetadata"]["gateway"]["asyncJob"]
        webhook = await client.first(lambda _: True)
        assert verified(webhook, job["webhookSigningSecret"]) == (job["jobId"], "completed")
        other = (await started(server, key="order-2", callbackUrl=client.url)).json()
        secret = other["providerMetadata"]["gateway"]["asyncJob"]["webhookSigningSecret"]
        assert secret != job["webhookSigningSecret"]
        own = {"reelhook": {"callbackSecret": "a-secret-of-the-client"}}
        named = await started(server, callbackUrl=client.url, providerOptions=own)
        job = named.json()["providerMetadata"]["gateway"]["asyncJob"]
        assert job["webhookSigningSecret"] == "a-secret-of-the-client"
        without = (await started(server)).json()["providerMetadata"]["gateway"]["asyncJob"]
        assert set(without) == {"jobId", "status"}


@pytest.mark.parametrize(
    ("given", "limits", "shape"),
    [
        ("1280x720", Model("m", sizes=(), resolutions=("720p",)), (None, "720p", "16:9")),
        ("720x1280", Model("m", sizes=(), resolutions=("720p",)), (None, "720p", "9:16")),
        ("1280x720", Model("m", sizes=(), resolutions=("1080p",)), ("1280x720", None, None)),
        ("3840x2160", Model("m", sizes=(), resolutions=("4k",)), (None, "4k", "16:9")),
        ("1280x720", Model("m", sizes=("1280x720",)), ("1280x720", None, None)),
        ("1280x720", None, ("1280x720", None, None)),
        ("720p", None, (None, "720p", None)),
    ],
)
def test_a_size_becomes_the_resolution_of_a_model_that_has_only_those(
    given: str, limits: Model | None, shape: tuple[str | None, ...]
) -> None:
    body = VideoModelBody(prompt="A fox", resolution=given)
    route = ModelRoute("fal/m", "fal", "m", (Account("fal", "fal"),), limits)
    request = translated(body, OwnFields(), "fal/m", route).request
    assert (request.size, request.resolution, request.aspect_ratio) == shape


def test_reelhook_s_own_fields_are_never_options_of_an_account_with_that_name() -> None:
    options = {"reelhook": {"callbackSecret": "x"}, "fal": {"steps": 4}}
    body = VideoModelBody(prompt="A fox", provider_options=options)
    route = ModelRoute("fal/m", "fal", "m", (Account("reelhook", "fal"),), None)
    assert translated(body, OwnFields(), "fal/m", route).request.options == {"steps": 4}


@pytest.mark.parametrize(
    ("given", "limits", "shape"),
    [
        ("1920x1080", None, (None, "1080p", "16:9")),
        ("3840x2160", None, (None, "4k", "16:9")),
        ("1280x720", Model("m", sizes=(), resolutions=None), (None, "720p", "16:9")),
        ("1280x704", None, ("1280x704", None, None)),
        ("1280x720", Model("m", sizes=(), resolutions=()), ("1280x720", None, None)),
        ("1280x720", Model("m", sizes=(), resolutions=("1080p",)), ("1280x720", None, None)),
    ],
)
def test_a_size_is_kept_as_a_resolution_or_its_client_is_warned(
    given: str, limits: Model | None, shape: tuple[str | None, ...]
) -> None:
    body = VideoModelBody(prompt="A fox", resolution=given)
    route = ModelRoute("fal/m", "fal", "m", (Account("fal", "fal"),), limits, takes_sizes=False)
    made = translated(body, OwnFields(), "fal/m", route)
    request = made.request
    assert (request.size, request.resolution, request.aspect_ratio) == shape
    warned = [(one["type"], one["feature"]) for one in made.warnings]
    assert warned == ([("unsupported", "resolution")] if request.size else [])


async def test_a_model_of_another_provider_makes_the_video(tmp_path: Path) -> None:
    async with served(tmp_path, AT_ONCE, providers=("fal",)) as server:
        found = event(await generated(server, model="fal/fal-ai/veo3/fast"))
        assert found["type"] == "result", found
