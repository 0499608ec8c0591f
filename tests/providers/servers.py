"""The servers of `/v1/videos` as far as creates differ: what they say of themselves, and read."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any

from aiohttp import web

from providers.upstreams import Upstream
from reelhook.providers.openai.server_kind import ServerKind

OWNERS = {
    ServerKind.SGLANG: "sglang",
    ServerKind.VLLM_OMNI: "vllm",
    ServerKind.FASTVIDEO: "fastvideo",
    ServerKind.AQUILES: "custom",
    ServerKind.TENSORRT_LLM: "tensorrt_llm",
    ServerKind.LITELLM: "openai",
}
_IMAGES_IN_JSON = {
    ServerKind.SGLANG: "reference_url",
    ServerKind.FASTVIDEO: "reference_url",
    ServerKind.TENSORRT_LLM: "image_reference",
}
_URLS_IN_FORMS = {
    ServerKind.SGLANG: "reference_url",
    ServerKind.FASTVIDEO: "reference_url",
    ServerKind.VLLM_OMNI: "image_reference",
}
_PROMPTS_SHOWN = {ServerKind.VLLM_OMNI, ServerKind.AQUILES, ServerKind.TENSORRT_LLM}


@dataclass(frozen=True)
class Made:
    """A job as it was asked for; `image` is the URL, or the file, that the engine gets."""

    fields: dict[str, Any]
    image: str | bytes | None = None


@dataclass
class VideoServer:
    """One kind of server behind `upstream`; everything may be changed while it runs."""

    upstream: Upstream
    kind: ServerKind
    models: tuple[str, ...] = ("Wan-AI/Wan2.1",)
    takes_json: bool = True
    shows_model: Callable[[str], str] = lambda sent: sent
    refuses: Callable[[str], bool] = lambda _: False
    """Whether a create is refused because of the model's name."""
    jobs: list[Made] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.upstream.respond = self._respond

    async def _respond(self, request: web.Request) -> web.Response:
        match request.method, request.path.removeprefix("/v1/").split("/"):
            case "POST", ["videos"]:
                return self._answer(*await self._create(request))
            case "GET", ["videos"]:
                shown = [self._video(number) for number in range(len(self.jobs))]
                return self._answer(200, {"data": shown[::-1], "has_more": False})
            case "GET", ["models"]:
                owner = OWNERS.get(self.kind, "somebody")
                cards = [{"id": one, "owned_by": owner} for one in self.models]
                return web.json_response({"object": "list", "data": cards})
            case "GET", ["health"] if self.kind is ServerKind.AQUILES:
                return self._answer(200, {"status": "ok", "mode": "video", "devices": []})
            case "GET", ["videos", one]:
                return self._unknown(one)
            case _:
                return self._answer(404, {"detail": "Not Found"})

    def _answer(self, status: int, body: object) -> web.Response:
        headers = {"x-litellm-version": "1.106.2"} if self.kind is ServerKind.LITELLM else None
        return web.json_response(body, status=status, headers=headers)

    def _unknown(self, one: str) -> web.Response:
        match self.kind:
            case ServerKind.VLLM_OMNI:
                error = {"message": "Video not found", "type": "Not Found", "code": 404}
                return self._answer(404, {"error": error})
            case ServerKind.TENSORRT_LLM:
                words = f"Video {one} not found"
                return self._answer(404, {"message": words, "type": "NotFoundError", "code": 404})
            case ServerKind.LITELLM:
                return self._answer(500, {"error": {"message": "OpenAIException", "code": "500"}})
            case _:
                return self._answer(404, {"detail": "Video not found"})

    # -- creates ------------------------------------------------------------------------------

    async def _create(self, request: web.Request) -> tuple[int, object]:
        if request.content_type != "application/json":
            made = self._of_form(_form(request.headers["Content-Type"], await request.read()))
        elif self.takes_json and self.kind is not ServerKind.VLLM_OMNI:
            made = self._of_json(await request.json())
        else:
            words = "[{'loc': ('body', 'prompt'), 'msg': 'Field required'}]"
            return 400, {"error": {"message": words, "type": "Bad Request", "code": 400}}
        model = made.fields.get("model", "")
        if self.refuses(model):
            return 400, {"error": f"The model {model} does not exist"}
        if self.kind is ServerKind.VLLM_OMNI and model not in {"", *self.models}:
            return 400, {"error": {"message": "Model mismatch", "code": 400}}
        self.jobs.append(made)
        return 200, self._video(len(self.jobs) - 1)

    def _of_json(self, fields: dict[str, Any]) -> Made:
        return Made(fields, fields.get(_IMAGES_IN_JSON.get(self.kind, "")))

    def _of_form(self, fields: dict[str, Any]) -> Made:
        if isinstance(sent := fields.get("input_reference"), bytes):
            return Made(fields, sent)
        image = fields.get(_URLS_IN_FORMS.get(self.kind, ""))
        if image is not None and self.kind is ServerKind.VLLM_OMNI:
            image = json.loads(image)["image_url"]
        return Made(fields, image)

    def _video(self, number: int) -> dict[str, Any]:
        fields = self.jobs[number].fields
        shown = {
            "id": f"video_{number}",
            "object": "video",
            "status": "queued",
            "model": self.shows_model(fields.get("model", "")),
            "created_at": 1_700_000_000 + number,
        }
        return shown | ({"prompt": fields["prompt"]} if self.kind in _PROMPTS_SHOWN else {})


def _form(content_type: str, body: bytes) -> dict[str, Any]:
    """Read a form: texts as text, files as bytes."""
    fields: dict[str, Any] = {}
    for part in message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body).walk():
        name = part.get_param("name", header="Content-Disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields[name] = content if part.get_filename() else content.decode()
    return fields
