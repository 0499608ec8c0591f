"""Reads a create like each server: the fields that it accepts, and its refusals of others."""

from collections.abc import Callable

from reelhook.simulator.fault_injector import SimulatedRefusal
from reelhook.simulator.flavour import CreateBody, FlavourRequest
from reelhook.simulator.flavour_bodies import CRASH
from reelhook.simulator.flavour_fields import (
    Refuse,
    options,
    prompt,
    size,
    text,
    video,
    whole,
    without_none,
)

_WAN = (832, 480)
_FPS = 24
_NO_SIZE = "size must be formatted as positive WIDTHxHEIGHT"
_OF_ALL = ("fps", "num_frames", "seed", "negative_prompt", "guidance_scale", "num_inference_steps")
_SGLANG_OPTIONS = (*_OF_ALL, "guidance_scale_2", "true_cfg_scale", "flow_shift", "n")
_VLLM_OPTIONS = (*_SGLANG_OPTIONS[:-1], "boundary_ratio", "lora", "generate_sound", "extra_params")
_FASTVIDEO_JSON_OPTIONS = (*_OF_ALL, "guidance_scale_2", "true_cfg_scale")
_TENSORRT_OPTIONS = (*_OF_ALL, "max_sequence_length", "extra_params")
_AQUILES_SIZES = {"1024x1792", "1280x720", "1792x1024", "720x1280", None}
_AQUILES_IMAGES = {"ltx-2", "ltx-2.3", "ltx-2.5", "minimax-h3"}
_TENSORRT_FIELDS = {
    *("prompt", "model", "size", "width", "height", "num_frames", "seconds", "frame_rate", "fps"),
    *("num_inference_steps", "guidance_scale", "max_sequence_length", "negative_prompt", "seed"),
    *("extra_params", "n", "response_format", "format", "image_reference", "video_reference"),
    *("audio_reference", "input_reference"),
}


def sglang(body: CreateBody, served: str) -> FlavourRequest:
    """Read a create of SGLang: JSON's `input_reference` is a text, forms have it as a file."""
    refuse = _fastapi(body)
    prompt_text, image = _prompt_and_image(body, refuse)
    seconds = whole(body, "seconds", refuse)
    seconds = 4 if seconds is None else seconds
    if image and "T2V" in served:
        raise SimulatedRefusal(400, "input_reference is not supported for T2V models.")
    parameters = options(body, _SGLANG_OPTIONS)
    fps, frames = parameters.get("fps", _FPS), parameters.get("num_frames")
    width, height = size(body, lambda *_: SimulatedRefusal(400, _NO_SIZE)) or _WAN
    engine = {**parameters, "num_frames": frames or int(str(fps)) * seconds, "image": image}
    return FlavourRequest(
        video(prompt_text, str(body.first("model") or served), (width, height), seconds),
        without_none(engine),
        {"size": f"{width}x{height}", "seconds": str(seconds)},
    )


def vllm_omni(body: CreateBody, served: str) -> FlavourRequest:
    """Read a create of vLLM-Omni: only forms, only its own model, one frame by default."""
    prompt_text = prompt(body, _vllm)
    image = body.files.get("input_reference")
    reference = body.first("image_reference")
    if image and reference:
        raise SimulatedRefusal(
            400,
            "Provide only one of input_reference, image_reference, or video_reference when using "
            "input_reference; image_reference and video_reference may be combined.",
        )
    seconds, sides = whole(body, "seconds", _vllm), size(body, _vllm)
    if seconds is not None and seconds < 1:
        raise _vllm("seconds", "String should match pattern '^[1-9]\\d*$'")
    model = body.first("model")
    if model is not None and model != served:
        raise SimulatedRefusal(
            400, f"Model mismatch: request specifies '{model}' but server is running '{served}'."
        )
    parameters = options(body, _VLLM_OPTIONS)
    frames = parameters.get("num_frames") or (1 if seconds is None else _FPS * seconds)
    engine = {**parameters, "num_frames": frames, "image": image or reference}
    shown = {
        "size": None if sides is None else f"{sides[0]}x{sides[1]}",
        "seconds": "4" if seconds is None else str(seconds),
    }
    return FlavourRequest(
        video(prompt_text, served, sides or _WAN, seconds or 1), without_none(engine), shown
    )


def fastvideo(body: CreateBody, served: str) -> FlavourRequest:
    """Read a create of FastVideo: as SGLang's, but the model's own length by default."""
    refuse = _fastapi(body)
    prompt_text, image = _prompt_and_image(body, refuse)
    seconds = whole(body, "seconds", refuse)
    if seconds is None and body.form:
        seconds = 4
    try:
        sides = size(body, refuse)
    except SimulatedRefusal:
        sides = None  # this server ignores an invalid size
    parameters = options(body, _OF_ALL if body.form else _FASTVIDEO_JSON_OPTIONS)
    frames = parameters.get("num_frames") or (None if seconds is None else _FPS * seconds)
    engine = {**parameters, "num_frames": frames, "image": image}
    shown = {
        "size": "" if sides is None else f"{sides[0]}x{sides[1]}",
        "seconds": str(seconds or 0),
    }
    model = str(body.first("model") or served)
    return FlavourRequest(
        video(prompt_text, model, sides or _WAN, seconds or 5), without_none(engine), shown
    )


def aquiles(body: CreateBody, served: str) -> FlavourRequest:
    """Read a create of Aquiles-Image, which crashes on unexpected input.

    Its images are uploads, for models that the request names, not the server.
    """
    prompt_text = prompt(body, lambda *_: CRASH)
    model = text(body, "model", lambda *_: CRASH) or "sora-2"
    image = body.files.get("input_reference")
    if body.form and (image or body.fields.get("input_reference")):
        if model not in _AQUILES_IMAGES:
            raise SimulatedRefusal(400, f"'{model}' does not support input_reference.")
        if image is None:
            raise CRASH
        if image not in {"upload:image/jpeg", "upload:image/png", "upload:image/webp"}:
            raise SimulatedRefusal(400, "Unsupported image format.")
    wanted, seconds = (text(body, name, lambda *_: CRASH) for name in ("size", "seconds"))
    if wanted not in _AQUILES_SIZES:
        raise CRASH
    sides = size(body, lambda *_: CRASH) or _WAN
    engine = {"image": image, "seconds": seconds if model in _AQUILES_IMAGES else None}
    length = float(seconds) if seconds and seconds.isdecimal() else 4
    shown = {"size": wanted, "seconds": seconds}
    return FlavourRequest(video(prompt_text, model, sides, length), without_none(engine), shown)


def tensorrt_llm(body: CreateBody, served: str) -> FlavourRequest:
    """Read a create of TensorRT-LLM, which refuses every unknown field."""
    for name in (*body.fields, *body.files):
        if name not in _TENSORRT_FIELDS:
            raise _tensorrt(
                None,
                f"Unknown request field {name!r}. "
                "Pass model-specific parameters via 'extra_params' instead.",
            )
    prompt_text = prompt(body, _tensorrt)
    image: object = body.files.get("image_reference") or body.files.get("input_reference")
    image = image or body.first("image_reference") or text(body, "input_reference", _tensorrt)
    seconds = _number(body, "seconds", _tensorrt)
    sides = None if body.fields.get("size") == "auto" else size(body, _tensorrt)
    width, height = sides or _WAN
    engine = {**options(body, _TENSORRT_OPTIONS), "seconds": seconds, "image": image}
    return FlavourRequest(
        video(prompt_text, str(body.first("model") or served), (width, height), seconds or 5),
        without_none(engine),
        {"duration": seconds, "fps": None, "size": f"{width}x{height}"},
    )


def litellm(body: CreateBody, served: str) -> FlavourRequest:
    """Read a create of LiteLLM in front of vLLM-Omni, which routes by the model.

    It forwards unknown fields, but no default of `seconds`, although its jobs show four.
    """
    if not body.fields.get("prompt"):
        raise SimulatedRefusal(
            400, "/videos: Missing required parameter: 'prompt'.", param="prompt"
        )
    model = body.fields.get("model")
    if model != served:
        raise SimulatedRefusal(
            400,
            f"/videos: Invalid model name passed in model={model}. "
            "Call `/v1/models` to view available models for your key.",
        )
    if body.fields.get("input_reference") is not None:
        raise SimulatedRefusal(400, "Invalid request format: 'dict' object has no attribute 'read'")
    fields = dict(body.fields)
    if not body.form:
        fields.pop("image_reference", None)  # a JSON object is lost in the form that it sends
    return vllm_omni(CreateBody(fields, body.files, form=True), served)


def _prompt_and_image(body: CreateBody, refuse: Refuse) -> tuple[str, object]:
    """Read the prompt and the image of SGLang and FastVideo, whose code has the same origin."""
    if body.form and not body.fields.get("prompt"):
        raise SimulatedRefusal(400, "prompt is required")
    prompt_text = prompt(body, refuse)
    image = body.files.get("input_reference") or body.first("reference_url")
    if not body.form:
        image = image or text(body, "input_reference", refuse)
    return prompt_text, image


def _fastapi(body: CreateBody) -> Refuse:
    """Return the refusals of SGLang and FastVideo: 422 of FastAPI for forms, 400 for JSON."""

    def refuse(name: str, problem: str) -> SimulatedRefusal:
        if body.form:
            return SimulatedRefusal(422, problem, param=name)
        what = f"1 validation error for VideoGenerationsRequest\n{name}\n  {problem}"
        return SimulatedRefusal(400, f"Invalid request body: {what}")

    return refuse


def _vllm(name: str, problem: str) -> SimulatedRefusal:
    what = f"1 validation error:\n  {{'loc': 'body.{name}', 'msg': {problem!r}}}"
    return SimulatedRefusal(400, what, param=f"body.{name}")


def _tensorrt(name: str | None, problem: str) -> SimulatedRefusal:
    return SimulatedRefusal(422, problem if name is None else f"{name}: {problem}")


def _number(
    body: CreateBody, name: str, refuse: Callable[[str, str], SimulatedRefusal]
) -> float | None:
    value = body.fields.get(name)
    if value is None or value == "":
        return None
    try:
        return float(str(value))
    except ValueError:
        raise refuse(name, "Input should be a valid number") from None
