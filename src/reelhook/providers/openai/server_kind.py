"""The kinds of servers of `/v1/videos`, and the known facts about each kind.

These servers differ in ways that their responses do not show. The facts are those of SGLang 0.5.23
(`sglang/multimodal_gen/runtime/entrypoints/openai/`), vLLM-Omni 0.30.0
(`vllm_omni/entrypoints/openai/`), FastVideo 0.2.1 (`fastvideo/entrypoints/openai/`), Aquiles-Image
0.8.3 (`aquilesimage/`), LiteLLM 1.106.2 (`litellm/`), TensorRT-LLM (`tensorrt_llm/serve/`) and
new-api (`middleware/`, `router/`); the last two from their public sources of November 2026.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from reelhook.providers.http.error_mapping import error_message
from reelhook.providers.http.json_fields import Fields
from reelhook.providers.http.response import ProviderResponse

UNKNOWN_JOB = "video_00000000000000000000000000000000"
"""An id that no server has assigned. The refusal of it shows the kind of server."""


class ServerKind(StrEnum):
    """A kind of server of `/v1/videos`. The value is stored and shown."""

    SGLANG = "sglang"
    VLLM_OMNI = "vllm-omni"
    FASTVIDEO = "fastvideo"
    AQUILES = "aquiles"
    TENSORRT_LLM = "tensorrt-llm"
    LITELLM = "litellm"
    NEW_API = "new-api"
    OPENAI = "openai"
    UNKNOWN = "unknown"


class ModelName(StrEnum):
    """The meaning of the model's name in a create at a server."""

    ECHOED = "echoed"
    """It has no effect, except that responses repeat it."""
    SERVED = "served"
    """Any other name than that of the served model is refused; the name may be omitted."""
    ROUTES = "routes"
    """It selects the model that renders, and so who is paid."""
    UNKNOWN = "unknown"


class Encoding(Enum):
    """The encoding of a create's fields."""

    JSON = "application/json"
    FORM = "multipart/form-data"

    @property
    def other(self) -> "Encoding":
        """The encoding to try when this one was refused."""
        return Encoding.FORM if self is Encoding.JSON else Encoding.JSON


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The facts about one kind of server; None if a fact is not known.

    `title`: its name as its vendor writes it.
    `queues`: it takes any number of jobs and renders them in turn.
    `delete_stops`: a DELETE ends a render that has begun.
    `memory_only`: a restart loses all jobs.
    `lists_prompts`: its listing shows prompts.
    `default_seconds`: the length to send if a request has none, since its own default is useless.
    `encodings`: the encodings that it reads, the usual one first.
    `image_urls`: it fetches an image by its URL.
    `remixes`: it has `POST /videos/{id}/remix`.
    `forwards`: it sends a create on to another server, which may still be working on it when this
    one has refused it.
    """

    title: str
    queues: bool | None = None
    delete_stops: bool | None = None
    memory_only: bool | None = None
    model_name: ModelName = ModelName.UNKNOWN
    lists_prompts: bool | None = None
    default_seconds: str | None = None
    encodings: tuple[Encoding, ...] = (Encoding.JSON, Encoding.FORM)
    image_urls: bool | None = None
    remixes: bool | None = None
    forwards: bool = False

    @property
    def jobs_at_once(self) -> int | None:
        """The number of jobs that may be unfinished at once; None: any number."""
        return 1 if self.queues is False else None


FACTS: Mapping[ServerKind, ServerFacts] = {
    # video_api.py:842 ("support aborting a job" is to do), :330 (`req.model or served_model_name`);
    # stores.py:74 (a dict); protocol.py:95 (a listed video has no prompt).
    ServerKind.SGLANG: ServerFacts(
        "SGLang Diffusion",
        queues=True,
        delete_stops=False,
        memory_only=True,
        model_name=ModelName.ECHOED,
        lists_prompts=False,
        image_urls=True,
        remixes=False,
    ),
    # api_server.py:2871 (abort); stores.py:73; video/generation/helpers.py:994 ("Model mismatch"),
    # :852 (forms alone); serving_video.py:390 leaves the frames to inputs/data.py:254, which is 1.
    ServerKind.VLLM_OMNI: ServerFacts(
        "vLLM-Omni",
        queues=True,
        delete_stops=True,
        memory_only=True,
        model_name=ModelName.SERVED,
        lists_prompts=True,
        default_seconds="4",
        encodings=(Encoding.FORM,),
        image_urls=True,
        remixes=False,
    ),
    # video_api.py:159 (a thread for each job, at once), :350 (DELETE only forgets), :137 (a job's
    # model is `req.model or model_path`); stores.py:46; protocol.py:46.
    ServerKind.FASTVIDEO: ServerFacts(
        "FastVideo",
        queues=False,
        delete_stops=False,
        memory_only=True,
        model_name=ModelName.ECHOED,
        lists_prompts=False,
        image_urls=True,
        remixes=False,
    ),
    # main.py:327 (one task, no queue), :695 (images as files alone); utils/task.py:179, :152.
    ServerKind.AQUILES: ServerFacts(
        "Aquiles-Image",
        queues=False,
        delete_stops=False,
        memory_only=True,
        model_name=ModelName.ECHOED,
        lists_prompts=True,
        image_urls=False,
        remixes=False,
    ),
    # openai_video_routes.py: `request.model or self.model`, VIDEO_STORE, generate_async; what
    # canceling its task does to the engine is not seen there. visual_gen_utils.py warns of a name.
    ServerKind.TENSORRT_LLM: ServerFacts(
        "TensorRT-LLM",
        queues=True,
        memory_only=True,
        model_name=ModelName.ECHOED,
        lists_prompts=True,
        image_urls=True,
        remixes=False,
    ),
    # proxy/video_endpoints/endpoints.py: no DELETE; the listing needs a provider's name. Its jobs
    # show 4 seconds if none were requested, but its backend gets no length.
    ServerKind.LITELLM: ServerFacts(
        "LiteLLM", model_name=ModelName.ROUTES, default_seconds="4", remixes=True, forwards=True
    ),
    # router/video-router.go: no DELETE and no listing; middleware/distributor.go routes.
    ServerKind.NEW_API: ServerFacts(
        "new-api", model_name=ModelName.ROUTES, remixes=True, forwards=True
    ),
    ServerKind.OPENAI: ServerFacts(
        "OpenAI",
        queues=True,
        memory_only=False,
        model_name=ModelName.ROUTES,
        lists_prompts=True,
        remixes=True,
    ),
    ServerKind.UNKNOWN: ServerFacts("a server of /v1/videos"),
}

_BY_HEADER = (
    # A gateway's own header has priority: it also passes on headers and bodies of its backend.
    ("x-litellm-version", ServerKind.LITELLM),  # proxy/common_request_processing.py:1845
    ("x-new-api-version", ServerKind.NEW_API),  # middleware of every response
    ("x-oneapi-request-id", ServerKind.NEW_API),
    ("openai-version", ServerKind.OPENAI),
)
_BY_OWNER = {
    "sglang": ServerKind.SGLANG,  # common_api.py:33
    "vllm": ServerKind.VLLM_OMNI,  # vllm's ModelCard
    "fastvideo": ServerKind.FASTVIDEO,  # common_api.py:23
    "custom": ServerKind.AQUILES,  # main.py:614; others say so too, so its health decides
    "tensorrt_llm": ServerKind.TENSORRT_LLM,  # openai_protocol.py, ModelCard
}
_NO_SUCH_VIDEO = re.compile(r"\bvideo\b.{0,80}\bnot found\b", re.IGNORECASE)
_DETAILS = frozenset({ServerKind.SGLANG, ServerKind.FASTVIDEO, ServerKind.AQUILES})
"""The kinds that refuse like FastAPI, with `detail`."""


def kind_of(
    models: ProviderResponse | None,
    unknown_job: ProviderResponse | None = None,
    health: ProviderResponse | None = None,
) -> ServerKind:
    """Return the kind of server that sent these responses; UNKNOWN unless it is certain.

    They are those to `GET /v1/models`, to `GET /v1/videos/` with `UNKNOWN_JOB`, and to
    `GET /v1/health`, which only Aquiles-Image has. None: not requested, or no response. A server
    that renders is recognised by the owner of its models and by its refusal of an unknown video.
    """
    responses = [response for response in (models, unknown_job, health) if response is not None]
    if gateway := next(filter(None, map(_gateway, responses)), None):
        return gateway
    kind = _BY_OWNER.get(_owner(models), ServerKind.UNKNOWN)
    if unknown_job is None or not _denies_as(kind, unknown_job):
        return ServerKind.UNKNOWN
    if kind is ServerKind.AQUILES and not _is_aquiles_health(health):
        return ServerKind.UNKNOWN
    return kind


def served(models: ProviderResponse | None) -> tuple[str, ...]:
    """Return the ids in the response to `GET /v1/models`; none if it is not a list."""
    ids = [card.get("id") for card in _cards(models)]
    return tuple(model_id for model_id in ids if isinstance(model_id, str) and model_id)


def _cards(models: ProviderResponse | None) -> list[Fields]:
    lines = models.fields().get("data") if models is not None and models.ok else None
    return [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []


def _gateway(response: ProviderResponse) -> ServerKind | None:
    names = {name.lower() for name in response.headers}
    for header, kind in _BY_HEADER:
        if header in names:
            return kind
    error = response.fields().get("error")
    is_new_api = isinstance(error, dict) and error.get("type") == "new_api_error"
    return ServerKind.NEW_API if is_new_api else None


def _owner(models: ProviderResponse | None) -> str:
    """Return the owner of all models; empty if there is not exactly one."""
    values = [card.get("owned_by") for card in _cards(models)]
    owners = {value if isinstance(value, str) else "" for value in values}
    return owners.pop() if len(owners) == 1 else ""


def _denies_as(kind: ServerKind, unknown_job: ProviderResponse) -> bool:
    """Return True if this kind of server refuses an unknown video in this way."""
    fields = unknown_job.fields()
    error = fields.get("error")
    if kind is ServerKind.VLLM_OMNI and unknown_job.status == 409:
        # With several API workers it refuses requests that need its store (api_server.py:1534).
        return isinstance(error, dict) and error.get("code") == 409
    if unknown_job.status != 404 or not _NO_SUCH_VIDEO.search(error_message(unknown_job)):
        return False
    if kind in _DETAILS:
        return isinstance(fields.get("detail"), str)
    if kind is ServerKind.VLLM_OMNI:
        return isinstance(error, dict) and error.get("code") == 404
    return kind is ServerKind.TENSORRT_LLM and fields.get("type") == "NotFoundError"


def _is_aquiles_health(health: ProviderResponse | None) -> bool:
    fields = {} if health is None else health.fields()
    return "mode" in fields and isinstance(fields.get("devices"), list | str)
