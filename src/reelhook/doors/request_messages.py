"""The field names and messages that HTTP clients get for a wrong request."""

from collections.abc import Mapping

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.problem import Problem, sentence

WIRE_NAMES: Mapping[str, str] = {
    "prompt": "script",
    "direction": "prompt",
    "aspect_ratio": "aspectRatio",
    "negative_prompt": "negativePrompt",
    "last_frame": "lastFrame",
    "reference_images": "referenceImages",
    "reference_videos": "referenceVideos",
    "reference_audios": "referenceAudios",
    "options": "providerOptions",
    "wallet_address": "walletAddress",
    "render_version": "renderVersion",
    "provider_job_id": "soraJobId",
    "job_id": "jobId",
    "priority_max": "priorityMax",
    "archive_keep_days": "archiveKeepDays",
    "archive_bytes_max": "archiveBytesMax",
    "jobs_in_flight": "jobsInFlight",
    "jobs_per_day": "jobsPerDay",
    "money_per_day": "moneyPerDay",
    "money_per_month": "moneyPerMonth",
    "unknown_price": "unknownPrice",
    "external_id": "externalId",
    "callback_url": "callbackUrl",
    "callback_secret": "callbackSecret",
    "callback_format": "callbackFormat",
}
_MODELS = "see GET /api/models or `reelhook models`"
SENTENCES: Mapping[Problem, str] = {
    # Of reelhook's own API; a problem without one has the domain's sentence.
    Problem.RESERVED: "{field} must not be {value}: /api/jobs/{value} is another route's address",
    Problem.NOT_AN_IMAGE: (
        "{field} must be an http(s) URL, an image as data:image/png;base64,..., the id of an "
        "upload, or job: and the id of a completed job"
    ),
    Problem.MODEL_UNNAMED: (
        f"name a model as provider/model, or set REELHOOK_DEFAULT_MODEL; {_MODELS}"
    ),
    Problem.MODEL_UNKNOWN: (
        f"{{value}} is not a model of {{providers}}; write provider/model, and {_MODELS}"
    ),
    Problem.NOT_CARRIED: (
        "{field} is too large: a request to {provider} carries a file of the kind {kind} of at "
        "most {limit} MB; make it smaller, or have REELHOOK_PUBLIC_URL set, at which {provider} "
        "can fetch it"
    ),
    Problem.NEEDS_ADDRESS: (
        "{field} can't be sent: {provider} takes a file of the kind {kind} by its address only; "
        "give its URL, or have REELHOOK_PUBLIC_URL set, at which {provider} can fetch it"
    ),
    Problem.PROMPT_TOO_LONG_FOR_MODEL: (
        "{model} takes at most {limit} characters of prompt and script together, not {length}"
    ),
}


def wire_name(field: str, names: Mapping[str, str] = WIRE_NAMES) -> str:
    """Return a domain field's name in bodies; a part of it follows a dot, as in `fallbacks.0`.

    `names` are those of another door.
    """
    name, dot, part = field.partition(".")
    return f"{names.get(name, name)}{dot}{part}"


def request_message(
    error: InvalidRequestError,
    names: Mapping[str, str] = WIRE_NAMES,
    sentences: Mapping[Problem, str] = SENTENCES,
) -> str | None:
    """Return the message about a wrong field; None if the error's own message is used.

    `names` and `sentences` are those of another door; a problem without one has the domain's.
    """
    if not isinstance(error.problem, Problem):
        return None
    field, template = wire_name(error.field, names), sentences.get(error.problem)
    return sentence(error.problem, field, error.facts, template)
