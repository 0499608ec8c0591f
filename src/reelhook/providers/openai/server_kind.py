"""What kind of server is behind `/v1/videos`, and what is known of each kind.

The servers that speak OpenAI's videos API differ in what their responses don't say. Facts are of
SGLang 0.5.23 (`sglang/multimodal_gen/runtime/entrypoints/openai/`), vLLM-Omni 0.30.0
(`vllm_omni/entrypoints/openai/`), FastVideo 0.2.1 (`fastvideo/entrypoints/openai/`), Aquiles-Image
0.8.3 (`aquilesimage/`), LiteLLM 1.106.2 (`litellm/`), TensorRT-LLM (`tensorrt_llm/serve/`) and
new-api (`middleware/`, `router/`), the last two as their public sources were in November 2026.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from reelhook.providers.http.error_mapping import words
from reelhook.providers.http.response import ProviderResponse

Fields = Mapping[str, object]

UNKNOWN_JOB = "video_00000000000000000000000000000000"
"""An id that no server has given: what is said about it shows who says it."""


class ServerKind(StrEnum):
    """Who speaks `/v1/videos`. The value is stored and shown."""

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
    """What a server does with the name of a model in a create."""

    ECHOED = "echoed"
    """Nothing, but that its responses show it again."""
    SERVED = "served"
    """It refuses every other than the served one; the name may be left out."""
    ROUTES = "routes"
    """It chooses by it what renders, and who is paid."""
    UNKNOWN = "unknown"


class Encoding(Enum):
    """How the fields of a create are sent."""

    JSON = "application/json"
    FORM = "multipart/form-data"

    @property
    def other(self) -> "Encoding":
        """The one to try when this one was refused."""
        return Encoding.FORM if self is Encoding.JSON else Encoding.JSON


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What is known of one kind of server; None where it is not known.

    `title`: as its vendor writes it. `queues`: it takes any number of jobs and renders them in
    turn. `delete_stops`: a DELETE ends a render that has begun. `memory_only`: a restart forgets
    all jobs. `lists_prompts`: its listing shows prompts. `seconds_needed`: the length to ask for
    where a request names none, since the server's own default is no video. `encodings`: those it
    reads, the usual one first. `image_urls`: it fetches an image by its URL. `hands_on`: another
    server, which may still be at a create when this one has refused it, gets what it is sent.
    """

    title: str
    queues: bool | None = None
    delete_stops: bool | None = None
    memory_only: bool | None = None
    model_name: ModelName = ModelName.UNKNOWN
    lists_prompts: bool | None = None
    seconds_needed: str | None = None
    encodings: tuple[Encoding, ...] = (Encoding.JSON, Encoding.FORM)
    image_urls: bool | None = None
    hands_on: bool = False

    @property
    def jobs_at_once(self) -> int | None:
        """How many jobs may be created before one has ended; None: any number."""
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
        seconds_needed="4",
        encodings=(Encoding.FORM,),
        image_urls=True,
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
    ),
    # proxy/video_endpoints/endpoints.py: no DELETE; the listing needs a provider's name. Its jobs
    # show 4 seconds where none were asked for, and the server behind it is asked for none.
    ServerKind.LITELLM: ServerFacts(
        "LiteLLM", model_name=ModelName.ROUTES, seconds_needed="4", hands_on=True
    ),
    # router/video-router.go: no DELETE and no listing; middleware/distributor.go routes.
    ServerKind.NEW_API: ServerFacts("new-api", model_name=ModelName.ROUTES, hands_on=True),
    ServerKind.OPENAI: ServerFacts(
        "OpenAI",
        queues=True,
        memory_only=False,
        model_name=ModelName.ROUTES,
        lists_prompts=True,
    ),
    ServerKind.UNKNOWN: ServerFacts("a server of /v1/videos"),
}

_BY_HEADER = (
    # A gateway's own header counts first: it passes on much of what the server behind it says.
    ("x-litellm-version", ServerKind.LITELLM),  # proxy/common_request_processing.py:1845
    ("x-new-api-version", ServerKind.NEW_API),  # middleware of every response
    ("x-oneapi-request-id", ServerKind.NEW_API),
    ("openai-version", ServerKind.OPENAI),
)
_BY_OWNER = {
    "sglang": ServerKind.SGLANG,  # common_api.py:33
    "vllm": ServerKind.VLLM_OMNI,  # vllm's ModelCard
    "fastvideo": ServerKind.FASTVIDEO,  # common_api.py:23
    "custom": ServerKind.AQUILES,  # main.py:614; many say so, its health tells
    "tensorrt_llm": ServerKind.TENSORRT_LLM,  # openai_protocol.py, ModelCard
}
_NO_SUCH_VIDEO = re.compile(r"\bvideo\b.{0,80}\bnot found\b", re.IGNORECASE)
_DETAILS = frozenset({ServerKind.SGLANG, ServerKind.FASTVIDEO, ServerKind.AQUILES})
"""Those that refuse as FastAPI does, with `detail`."""


def kind_of(
    models: ProviderResponse | None,
    unknown_job: ProviderResponse | None = None,
    health: ProviderResponse | None = None,
) -> ServerKind:
    """Return whose responses these are; unsure is unknown.

    They answer `GET /v1/models`, `GET /v1/videos/` with `UNKNOWN_JOB`, and `GET /v1/health`, which
    only Aquiles-Image has; None where one was not asked for, or did not come. A server that renders
    itself is known by the owner of its models together with how it says that it has no such video.
    """
    answers = [one for one in (models, unknown_job, health) if one is not None]
    if gateway := next(filter(None, map(_gateway, answers)), None):
        return gateway
    kind = _BY_OWNER.get(_owner(models), ServerKind.UNKNOWN)
    if unknown_job is None or not _denies_as(kind, unknown_job):
        return ServerKind.UNKNOWN
    if kind is ServerKind.AQUILES and not _is_aquiles_health(health):
        return ServerKind.UNKNOWN
    return kind


def served(models: ProviderResponse | None) -> tuple[str, ...]:
    """Return the ids of `GET /v1/models`; none where that did not answer with a list."""
    given = [card.get("id") for card in _cards(models)]
    return tuple(one for one in given if isinstance(one, str) and one)


def _cards(models: ProviderResponse | None) -> list[Fields]:
    lines = models.fields().get("data") if models is not None and models.ok else None
    return [one for one in lines if isinstance(one, dict)] if isinstance(lines, list) else []


def _gateway(answer: ProviderResponse) -> ServerKind | None:
    names = {name.lower() for name in answer.headers}
    for header, kind in _BY_HEADER:
        if header in names:
            return kind
    error = answer.fields().get("error")
    is_new_api = isinstance(error, dict) and error.get("type") == "new_api_error"
    return ServerKind.NEW_API if is_new_api else None


def _owner(models: ProviderResponse | None) -> str:
    """Return who owns all models; empty where that is not one."""
    given = [card.get("owned_by") for card in _cards(models)]
    owners = {one if isinstance(one, str) else "" for one in given}
    return owners.pop() if len(owners) == 1 else ""


def _denies_as(kind: ServerKind, unknown_job: ProviderResponse) -> bool:
    """Whether this kind of server says so that it has no such video."""
    fields = unknown_job.fields()
    error = fields.get("error")
    if kind is ServerKind.VLLM_OMNI and unknown_job.status == 409:
        # With several API workers it refuses whatever needs its store (api_server.py:1534).
        return isinstance(error, dict) and error.get("code") == 409
    if unknown_job.status != 404 or not _NO_SUCH_VIDEO.search(words(unknown_job)):
        return False
    if kind in _DETAILS:
        return isinstance(fields.get("detail"), str)
    if kind is ServerKind.VLLM_OMNI:
        return isinstance(error, dict) and error.get("code") == 404
    return kind is ServerKind.TENSORRT_LLM and fields.get("type") == "NotFoundError"


def _is_aquiles_health(health: ProviderResponse | None) -> bool:
    fields = {} if health is None else health.fields()
    return "mode" in fields and isinstance(fields.get("devices"), list | str)
