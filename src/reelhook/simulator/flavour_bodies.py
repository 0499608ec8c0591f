"""Renders refusals and jobs as each server does."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from random import Random

from aiohttp import web

from reelhook.simulator.fault_injector import SimulatedRefusal, json_response
from reelhook.simulator.flavour import OUT_OF_MEMORY
from reelhook.simulator.job import Phase, RenderState, SimulatedJob

CRASH = SimulatedRefusal(500, "Internal Server Error", code="crash")
"""An uncaught exception in the server, for which uvicorn responds in plain text."""
_LITELLM_KINDS = {400: "invalid_request_error", 401: "auth_error", 404: "not_found_error"}


def hexadecimal(random: Random) -> str:
    """Return 32 random hexadecimal digits."""
    return f"{random.getrandbits(128):032x}"


# -- refusals -------------------------------------------------------------------------------------


def detail(refusal: SimulatedRefusal) -> web.Response:
    """Return the refusal in FastAPI's form: a text, or for 422 a list."""
    if refusal is CRASH:
        return web.Response(text=refusal.message, status=refusal.status)
    if refusal.code == "error":
        return json_response({"error": refusal.message}, refusal.status)
    if refusal.status == 422:
        at = ["body", refusal.param]
        return json_response({"detail": [{"loc": at, "msg": refusal.message}]}, refusal.status)
    return json_response({"detail": refusal.message}, refusal.status)


def vllm_error(refusal: SimulatedRefusal) -> web.Response:
    """Return vLLM's error object, whose `code` is the status; a wrong key is one word."""
    if refusal.status == 401:
        return json_response({"error": refusal.message}, refusal.status)
    if not refusal.message.startswith("Video") and refusal.status in {404, 405}:
        return detail(refusal)  # its router is FastAPI's
    if refusal.status == 422 and refusal.param is not None:  # FastAPI would respond with 422
        refusal = replace(refusal, status=400, param=f"query.{refusal.param}")
    kind = HTTPStatus(refusal.status).phrase
    return _error(refusal, {"type": kind, "param": refusal.param, "code": refusal.status})


def tensorrt_error(refusal: SimulatedRefusal) -> web.Response:
    """Return TensorRT-LLM's error, whose members are at the top level."""
    kinds = {404: "NotFoundError", 500: "InternalServerError"}
    kind = kinds.get(refusal.status, "BadRequestError")
    body = {"object": "error", "message": refusal.message, "type": kind, "param": None}
    return json_response({**body, "code": refusal.status}, refusal.status)


def litellm_error(refusal: SimulatedRefusal) -> web.Response:
    """Return LiteLLM's error object, whose `code` is the status as a text."""
    if refusal.message in {"Not Found", "Method Not Allowed"}:
        return detail(refusal)
    kind = _LITELLM_KINDS.get(refusal.status, "internal_server_error")
    code = str(refusal.status)
    return _error(refusal, {"type": kind, "param": refusal.param, "code": code})


def _error(refusal: SimulatedRefusal, more: Mapping[str, object]) -> web.Response:
    return json_response({"error": {"message": refusal.message, **more}}, refusal.status)


# -- jobs -----------------------------------------------------------------------------------------


def sglang(
    job: SimulatedJob, state: RenderState, status: str, progress: int | None
) -> dict[str, object]:
    """Show a job of SGLang, which never shows the prompt."""
    video = fastvideo(job, state, status, progress)
    message = _message(state)
    if message is not None:
        failure = f"Model generation failed. Error from scheduler: {message}"
        video["error"] = {"message": failure}
    return video


def fastvideo(
    job: SimulatedJob, state: RenderState, status: str, progress: int | None
) -> dict[str, object]:
    """Show a job of FastVideo, which never shows the prompt."""
    message = _message(state)
    return {
        "id": job.id,
        "object": "video",
        "model": job.video.model,
        "status": status,
        "progress": progress,
        "created_at": int(job.created_at),
        **job.shown,
        "quality": "standard",
        "url": job.foreign_url if state.phase is Phase.COMPLETED else None,
        "completed_at": _whole(state.completed_at),
        "error": None if message is None else {"message": message},
        "file_path": f"/outputs/{job.id}.mp4",
    }


def vllm_omni(
    job: SimulatedJob, state: RenderState, status: str, progress: int | None
) -> dict[str, object]:
    """Show a job of vLLM-Omni."""
    message = _message(state)
    return {
        "model": job.video.model,
        "prompt": job.video.prompt,
        "id": job.id,
        "object": "video",
        "status": status,
        "progress": progress,
        **job.shown,
        "quality": "default",
        "completed_at": _whole(state.completed_at),
        "created_at": int(job.created_at),
        "remixed_from_video_id": None,
        "error": None if message is None else {"code": 500, "message": message},
        "media_type": "video/mp4",
        "expires_at": None,
    }


def aquiles(
    job: SimulatedJob, state: RenderState, status: str, progress: int | None
) -> dict[str, object]:
    """Show a job of Aquiles-Image."""
    message = _message(state)
    return {
        "id": job.id,
        "object": "video",
        "model": job.video.model,
        "status": status,
        "progress": progress,
        "created_at": int(job.created_at),
        **job.shown,
        "quality": "standard",
        "error": None if message is None else {"code": "generation_error", "message": message},
        "prompt": job.video.prompt,
    }


def tensorrt_llm(
    job: SimulatedJob, state: RenderState, status: str, progress: int | None
) -> dict[str, object]:
    """Show a job of TensorRT-LLM: `error` is a text, `duration` replaces `seconds`."""
    return {
        "completed_at": _whole(state.completed_at),
        "created_at": int(job.created_at),
        "error": _message(state),
        "expires_at": None,
        "id": job.id,
        "model": job.video.model,
        "object": "video",
        "progress": progress,
        "prompt": job.video.prompt,
        "status": status,
        **job.shown,
    }


def litellm(
    job: SimulatedJob, state: RenderState, status: str, progress: int | None
) -> dict[str, object]:
    """Show a job of LiteLLM in front of vLLM-Omni."""
    message = _message(state)
    return {
        "id": job.id,
        "object": "video",
        "status": status,
        "created_at": int(job.created_at),
        "completed_at": _whole(state.completed_at),
        "expires_at": None,
        "error": None if message is None else {"code": 500, "message": message},
        "progress": progress,
        "remixed_from_video_id": None,
        **job.shown,
        "model": job.video.model,
    }


def _message(state: RenderState) -> str | None:
    if state.failure is None:
        return None
    return OUT_OF_MEMORY if state.failure.code == "engine_error" else state.failure.message


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
