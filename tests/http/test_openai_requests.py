"""What the official `openai` client sends reaches the provider, as a form and as JSON."""

import json
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from gateways import AT_ONCE, Gateway, gateway, until
from openai import AsyncOpenAI, BadRequestError
from openai_clients import FOX, QUIET, client, posted, served, told
from PIL import Image

from reelhook.domain.caller import OPERATOR
from reelhook.domain.media import File, reference
from reelhook.doors.openai.ids import job_id_of

pytestmark = QUIET
URL = "http://127.0.0.1:2"


def png() -> bytes:
    written = BytesIO()
    Image.new("RGB", (2, 2)).save(written, "PNG")
    return written.getvalue()


async def created(sdk: AsyncOpenAI, **fields: Any) -> Any:
    """Request a video by the client's own method, which sends a form."""
    given: dict[str, Any] = {**FOX, **fields}
    return await sdk.videos.create(**given)


async def request_of(server: Gateway, video_id: str) -> Any:
    app: Any = server.hook.asgi
    gateway_ = app.state.gateway
    return (await gateway_.jobs.job(OPERATOR, job_id_of(video_id))).request


async def test_a_form_reaches_the_provider(tmp_path: Path) -> None:
    async with served(tmp_path, AT_ONCE) as (server, sdk):
        video = await sdk.videos.create_and_poll(**FOX, model="studio-1")
        assert video.status == "completed"
        [job] = server.simulator.jobs.values()
        sent = job.video
        assert (sent.prompt, sent.model, sent.seconds) == ("A fox", "studio-1", 1)
        assert (sent.width, sent.height) == (64, 64)


@pytest.mark.parametrize("as_form", [True, False])
async def test_every_field_of_ours_arrives_in_both_forms(tmp_path: Path, as_form: bool) -> None:
    extra = {
        "aspect_ratio": "16:9",
        "resolution": "720p",
        "seed": 7,
        "negative_prompt": "rain",
        "audio": False,
        "image": f"{URL}/first.png",
        "last_frame": f"{URL}/last.png",
        "reference_images": [f"{URL}/a.png", f"{URL}/b.png"],
        "reference_videos": [f"{URL}/a.mp4"],
        "reference_audios": [f"{URL}/a.mp3"],
        "provider_options": {"steps": "4", "deep": {"er": "x"}},
        "metadata": {"order": "7", "shop": "north"},
        "external_id": "mine",
        "priority": "high",
        "webhook_url": f"{URL}/hook",
        "fallbacks": ["studio-2"],
    }
    async with served(tmp_path) as (server, sdk):
        hook = await server.endpoint(f"{URL}/other")
        extra["endpoints"] = [hook["id"]]
        if as_form:
            video_id = (await created(sdk, size="1280x720", extra_body=extra)).id
        else:
            video_id = (await posted(sdk, **{**extra, "size": "1280x720"}))["id"]
        app: Any = server.hook.asgi
        stored = await app.state.gateway.jobs.job(OPERATOR, job_id_of(video_id))
        request = stored.request
        for name in (
            *("aspect_ratio", "resolution", "seed", "negative_prompt", "audio", "image"),
            *("last_frame",),
        ):
            assert getattr(request, name) == extra[name], name
        for name in ("reference_images", "reference_videos", "reference_audios", "fallbacks"):
            assert list(getattr(request, name)) == extra[name], name
        assert request.options == extra["provider_options"]
        job = await server.job(stored.job.id)
        assert (job["metadata"], job["externalId"]) == (extra["metadata"], "mine")
        assert (job["priority"], job["webhookUrl"]) == ("high", extra["webhook_url"])

        async def reported() -> bool:
            return bool(await server.deliveries(endpointId=hook["id"]))

        await until(reported)


async def test_a_reference_is_a_file_or_an_object_with_its_address(tmp_path: Path) -> None:
    image = png()
    uri = f"data:image/png;base64,{b64encode(image).decode()}"
    async with served(tmp_path) as (server, sdk):
        as_file = await created(sdk, input_reference=("fox.bin", image, "application/zip"))
        as_object = await posted(sdk, input_reference={"image_url": uri})
        in_form = await created(sdk, extra_body={"input_reference": {"image_url": uri}})
        as_image = await created(sdk, extra_body={"image": uri})
        for video_id in (as_file.id, as_object["id"], in_form.id, as_image.id):
            stored = (await request_of(server, video_id)).image
            assert stored == reference(File("image/png", image).hash)


async def test_a_callback_url_is_a_webhook_url(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, sdk):
        video = await created(sdk, extra_body={"callback_url": f"{URL}/hook"})
        job = await server.job(job_id_of(video.id))
        assert job["webhookUrl"] == f"{URL}/hook"


async def test_options_may_be_json_in_a_form(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, sdk):
        options = {"steps": 4, "deep": [True, None]}
        video = await created(sdk, extra_body={"provider_options": json.dumps(options)})
        assert (await request_of(server, video.id)).options == options


async def test_a_file_that_is_no_image_is_refused_by_its_name(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, sdk):
        for file in (b"%PDF-1.7", b"\0\0\0\x18ftypmp42" + bytes(64)):
            with pytest.raises(BadRequestError) as refused:
                await created(sdk, input_reference=("fox.png", file))
            assert told(refused.value)[2] == "input_reference"
        assert await server.total() == 0


async def test_a_script_for_openai_gets_a_video_of_another_provider(tmp_path: Path) -> None:
    async with (
        gateway(
            tmp_path,
            AT_ONCE,
            providers=["fal", "runway"],
            default_model="fal/fal-ai/veo3/fast",
            model_aliases="sora-2=runway/veo3.1",
        ) as server,
        client(server.url) as sdk,
    ):
        by_default = await sdk.videos.create_and_poll(prompt="A fox", seconds="4")
        by_alias = await sdk.videos.create_and_poll(prompt="A fox", seconds="4", model="sora-2")
        assert (by_default.status, by_default.model) == ("completed", "fal/fal-ai/veo3/fast")
        assert (by_alias.status, by_alias.model) == ("completed", "runway/veo3.1")
