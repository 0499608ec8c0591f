"""The servers of `/v1/videos` that the simulator can imitate, each as its release behaves.

SGLang Diffusion 0.5.23, vLLM-Omni 0.30.0, FastVideo 0.2.1, Aquiles-Image 0.8.3 and LiteLLM 1.106.2
(in front of vLLM-Omni) were run, with only their engines replaced. TensorRT-LLM's `trtllm-serve` is
imitated from its source (`serve/openai_video_routes.py` and `serve/openai_protocol.py`).
"""

import json
import uuid
from base64 import b64encode
from collections.abc import Mapping
from random import Random

from reelhook.simulator import flavour_bodies as bodies
from reelhook.simulator import flavour_reads as reads
from reelhook.simulator.fault_injector import SimulatedRefusal
from reelhook.simulator.flavour import DeleteEffect, Flavour, ListingStyle
from reelhook.simulator.job import Phase, RenderState

_USUAL = {
    Phase.QUEUED: "queued",
    Phase.RUNNING: "in_progress",
    Phase.COMPLETED: "completed",
    Phase.FAILED: "failed",
}


def _at_the_end(state: RenderState) -> int:
    return 100 if state.phase is Phase.COMPLETED else 0


def _by_a_timer(state: RenderState) -> int:
    """Return progress in tens up to 90; a failed job is at 0."""
    if state.phase is Phase.COMPLETED:
        return 100
    return 0 if state.phase is Phase.FAILED else min(state.progress // 10 * 10, 90)


def _deleted(job_id: str, _: Mapping[str, object]) -> Mapping[str, object]:
    return {"id": job_id, "object": "video.deleted", "deleted": True}


def _shown_as_deleted(_: str, video: Mapping[str, object]) -> Mapping[str, object]:
    return {**video, "status": "deleted"}


_GATEWAYS_IDS = "video_" + b64encode(b"litellm:c").decode()
"""The beginning of ids that LiteLLM makes."""


def _gateways_id(random: Random) -> str:
    inner = (
        f"custom_llm_provider:openai;model_id:wan;video_id:video_gen_{bodies.hexadecimal(random)}"
    )
    return "video_" + b64encode(f"litellm:{inner}".encode()).decode()


def _failed_behind_a_gateway(video: Mapping[str, object]) -> Mapping[str, object]:
    """Return LiteLLM's form of vLLM-Omni's 500: the video is text in the message."""
    message = (
        f"litellm.InternalServerError: InternalServerError: OpenAIException - {json.dumps(video)}"
        "\n\nLiteLLM: model group 'wan' failed with the error above. No fallback was attempted."
    )
    error = {"message": message, "type": "internal_server_error", "param": None, "code": "500"}
    return {"error": error}


def _missing_behind_a_gateway(job_id: str) -> SimulatedRefusal:
    """Return the refusal of an unknown id. For ids that LiteLLM did not make, it asks OpenAI."""
    if not job_id.startswith(_GATEWAYS_IDS):
        return SimulatedRefusal(
            500, "litellm.InternalServerError: Cannot connect to host api.openai.com:443"
        )
    error = {"message": "Video not found", "type": "Not Found", "param": None, "code": 404}
    return SimulatedRefusal(
        404,
        "litellm.NotFoundError: NotFoundError: OpenAIException - "
        f"{json.dumps({'error': error})}\n\n"
        "LiteLLM: model group 'wan' failed with the error above. No fallback was attempted.",
    )


SGLANG = Flavour(
    name="sglang",
    models=("Wan-AI/Wan2.2-TI2V-5B-Diffusers",),
    owned_by="sglang",
    make_id=lambda random: str(uuid.UUID(int=random.getrandbits(128), version=4)),
    read=reads.sglang,
    statuses=_USUAL,
    progress=lambda state: state.progress,
    show=bodies.sglang,
    refuse=bodies.detail,
    deleting=DeleteEffect(_shown_as_deleted, stops=False),
    dead=SimulatedRefusal(503, "Offline request broker exited; restart the server.", code="error"),
    health={"status": "ok"},
)

VLLM_OMNI = Flavour(
    name="vllm-omni",
    models=("Wan-AI/Wan2.2-TI2V-5B-Diffusers",),
    owned_by="vllm",
    make_id=lambda random: f"video_gen_{bodies.hexadecimal(random)}",
    read=reads.vllm_omni,
    statuses=_USUAL,
    progress=_at_the_end,
    show=bodies.vllm_omni,
    refuse=bodies.vllm_error,
    forms_alone=True,
    listing=ListingStyle(limits=(0, 100), limit_default=None),
    deleting=DeleteEffect(_deleted, stops=True),
    content_pending=lambda _, status: (
        SimulatedRefusal(422, "Video generation failed. Check job status for error details.")
        if status == "failed"
        else SimulatedRefusal(404, "Generation is still in-progress")
    ),
    failed_status=500,
)

FASTVIDEO = Flavour(
    name="fastvideo",
    models=("FastVideo/FastWan2.2-TI2V-5B-FullAttn-Diffusers",),
    owned_by="fastvideo",
    make_id=bodies.hexadecimal,
    read=reads.fastvideo,
    statuses={**_USUAL, Phase.RUNNING: "queued"},
    progress=_at_the_end,
    show=bodies.fastvideo,
    refuse=bodies.detail,
    listing=ListingStyle(limit_default=None, cursors=()),
    deleting=DeleteEffect(_shown_as_deleted, stops=False),
    content_pending=lambda _, status: (
        SimulatedRefusal(500, "Video generation failed")
        if status == "failed"
        else SimulatedRefusal(404, "Video still being generated")
    ),
    health={"status": "ok"},
)

AQUILES = Flavour(
    name="aquiles",
    models=("ltx-2",),
    owned_by="custom",
    make_id=lambda random: f"video_{bodies.hexadecimal(random)[:12]}",
    read=reads.aquiles,
    statuses={**_USUAL, Phase.RUNNING: "processing"},
    progress=_by_a_timer,
    show=bodies.aquiles,
    refuse=bodies.detail,
    listing=ListingStyle(limits=None, ordered=False, from_the_top=True),
    deleting=DeleteEffect(_deleted, stops=False),
    content_missing=bodies.CRASH,
    content_pending=lambda *_: bodies.CRASH,
    busy=SimulatedRefusal(
        503, "The limit of 1 concurrent tasks has been reached. Please try again later."
    ),
    wants_authorization=True,
    wrong_key=SimulatedRefusal(403, "Invalid API key"),
    health={"status": "ok", "model": "ltx-2", "mode": "video", "devices": []},
    versioned_health=True,
)

TENSORRT_LLM = Flavour(
    name="tensorrt-llm",
    models=("Wan-AI/Wan2.2-TI2V-5B-Diffusers",),
    owned_by="tensorrt_llm",
    make_id=lambda random: f"video_{bodies.hexadecimal(random)}",
    read=reads.tensorrt_llm,
    statuses={**_USUAL, Phase.RUNNING: "generating"},
    progress=lambda _: None,
    show=bodies.tensorrt_llm,
    refuse=bodies.tensorrt_error,
    created_status=202,
    listing=ListingStyle(pages=False, cursors=()),
    deleting=DeleteEffect(lambda *_: {"deleted": True}, stops=True),
    missing=lambda job_id: SimulatedRefusal(404, f"Video {job_id} not found"),
    content_pending=lambda job_id, status: SimulatedRefusal(
        400, f"Video {job_id} is not ready (status: {status})"
    ),
)

LITELLM = Flavour(
    name="litellm",
    models=("wan",),
    owned_by="openai",
    make_id=_gateways_id,
    read=reads.litellm,
    statuses=_USUAL,
    progress=_at_the_end,
    show=bodies.litellm,
    refuse=bodies.litellm_error,
    listing=None,
    no_listing=SimulatedRefusal(400, "litellm.BadRequestError: LLM Provider NOT provided."),
    missing=_missing_behind_a_gateway,
    failed_status=500,
    failed_read=_failed_behind_a_gateway,
    ranges=False,
    wrong_key=SimulatedRefusal(401, "Authentication Error, Invalid proxy server token passed."),
    headers={"x-litellm-version": "1.106.2"},
)

FLAVOURS: Mapping[str, Flavour] = {
    flavour.name: flavour
    for flavour in (SGLANG, VLLM_OMNI, FASTVIDEO, AQUILES, TENSORRT_LLM, LITELLM)
}
