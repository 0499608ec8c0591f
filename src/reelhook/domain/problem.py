"""Problems of a request: each has a name, facts, and a sentence that is neutral to doors."""

from collections.abc import Mapping
from enum import StrEnum


class Problem(StrEnum):
    """A way in which a field of a request is wrong."""

    NOT_TEXT = "not_text"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"
    NAME_LENGTH = "name_length"
    NUL = "nul"
    NOT_UNICODE = "not_unicode"
    FORM = "form"
    RANGE = "range"
    RESERVED = "reserved"
    NOT_AN_IMAGE = "not_an_image"
    FILES_TOO_LARGE = "files_too_large"
    NOT_A_FILE = "not_a_file"
    OTHER_BYTES = "other_bytes"
    UNKNOWN_UPLOAD = "unknown_upload"
    UNKNOWN_JOB = "unknown_job"
    NO_MEDIUM = "no_medium"
    JOB_NOT_FINISHED = "job_not_finished"
    JOB_WITHOUT_VIDEO = "job_without_video"
    VIDEO_OF_JOB_GONE = "video_of_job_gone"
    IMAGE_BYTES = "image_bytes"
    IMAGE_SIDES = "image_sides"
    IMAGE_RATIO = "image_ratio"
    NOT_CARRIED = "not_carried"
    NEEDS_ADDRESS = "needs_address"
    NOT_AN_OBJECT = "not_an_object"
    NOT_ONE_OF = "not_one_of"
    NOT_IN_FORMAT = "not_in_format"
    NOT_A_SIGNING_KEY = "not_a_signing_key"
    NEEDS_WEBHOOK_URL = "needs_webhook_url"
    CONTRADICTION = "contradiction"
    UNKNOWN_ACCOUNT = "unknown_account"
    MODEL_UNNAMED = "model_unnamed"
    MODEL_UNKNOWN = "model_unknown"
    MODEL_AMBIGUOUS = "model_ambiguous"
    PROVIDER_UNSET = "provider_unset"
    PROVIDER_UNSET_OR_MODEL = "provider_unset_or_model"
    PROMPT_TOO_LONG_FOR_MODEL = "prompt_too_long_for_model"
    NOT_TAKEN_BY_MODEL = "not_taken_by_model"
    NEEDED_BY_MODEL = "needed_by_model"
    TOO_MANY_FOR_MODEL = "too_many_for_model"
    NOT_OFFERED_BY_MODEL = "not_offered_by_model"
    RATIO_NOT_OFFERED_BY_MODEL = "ratio_not_offered_by_model"
    RATIO_SET_BY_IMAGE = "ratio_set_by_image"
    REFERENCES_OR_FRAMES = "references_or_frames"
    NOT_COMPLETED = "not_completed"
    NO_REMIX = "no_remix"


_SENTENCES: Mapping[Problem, str] = {
    Problem.NOT_TEXT: "{field} must be a string",
    Problem.EMPTY: "{field} must not be empty",
    Problem.TOO_LONG: "{field} must have at most {limit} characters",
    Problem.TOO_MANY: "{field} must name at most {limit}",
    Problem.NAME_LENGTH: "{field} must have names of 1 to {limit} characters",
    Problem.NUL: "{field} must not contain NUL characters",
    Problem.NOT_UNICODE: "{field} must be Unicode text; it has half of a surrogate pair",
    Problem.FORM: "{field} must be {form}",
    Problem.RANGE: "{field} must be a whole number from {least} to {most}",
    Problem.RESERVED: "{field} must not be {value}, which is reserved",
    Problem.NOT_AN_IMAGE: (
        "{field} must be an http(s) URL, or an image as data:image/png;base64,..."
    ),
    Problem.FILES_TOO_LARGE: (
        "The files of one request may have {limit} MiB together; give some of them by their URLs"
    ),
    Problem.NOT_A_FILE: (
        "{field} must be an http(s) URL, or the file itself as data:{kind}/...;base64,..."
    ),
    Problem.OTHER_BYTES: (
        "{field} has a file that is no {kind} by its bytes; send {formats} in base64"
    ),
    Problem.UNKNOWN_UPLOAD: (
        "{field} names an upload that is not kept here; upload the file again: an upload is kept "
        "for a day after its last use"
    ),
    Problem.UNKNOWN_JOB: "{field} must name a job of your project; there is no such job",
    Problem.NO_MEDIUM: (
        '{field} must be a text, {{"upload": "upload_..."}} or, for an image or a video, '
        '{{"job": "job_..."}}'
    ),
    Problem.JOB_NOT_FINISHED: (
        "{field} must name a completed job, and that one is {status}; wait until it is completed, "
        "or name another job"
    ),
    Problem.JOB_WITHOUT_VIDEO: (
        "{field} must name a completed job, and that one is {status}; name another job"
    ),
    Problem.VIDEO_OF_JOB_GONE: (
        "{field} names a job whose video is gone: {reason}; name another job, or upload the file"
    ),
    Problem.IMAGE_BYTES: (
        "{field} has {size} MB; {model} takes images of at most {limit} MB; make it smaller"
    ),
    Problem.IMAGE_SIDES: (
        "{field} has {width} x {height} pixels; {model} takes images whose sides have {allowed} "
        "pixels; scale it"
    ),
    Problem.IMAGE_RATIO: (
        "{field} has the ratio {ratio}, its width divided by its height; {model} takes ratios of "
        "{allowed}; crop it"
    ),
    Problem.NOT_CARRIED: (
        "{field} is too large: a request to {provider} carries a file of the kind {kind} of at "
        "most {limit} MB; make it smaller, or have a public URL of this server set, at which "
        "{provider} can fetch it"
    ),
    Problem.NEEDS_ADDRESS: (
        "{field} can't be sent: {provider} takes a file of the kind {kind} by its address only; "
        "give its URL, or have a public URL of this server set, at which {provider} can fetch it"
    ),
    Problem.NOT_AN_OBJECT: "{field} must be a JSON object",
    Problem.NOT_ONE_OF: "{field} must be one of {allowed}, not {value}",
    Problem.NOT_IN_FORMAT: ("{field} must not have {value}: the format {name} only has {allowed}"),
    Problem.NOT_A_SIGNING_KEY: (
        "{field} must be 16 to 256 visible ASCII characters, without spaces: a random text, "
        "or base64 after whsec_"
    ),
    Problem.NEEDS_WEBHOOK_URL: (
        "{field} signs the webhooks to the URL of the same request; give that URL too"
    ),
    Problem.CONTRADICTION: "{field} {value} does not match size {size}; give only one of them",
    Problem.UNKNOWN_ACCOUNT: "{value} is not an account here; the accounts are {allowed}",
    Problem.MODEL_UNNAMED: "Name a model as provider/model, or set a default model",
    Problem.MODEL_UNKNOWN: "{value} is not a model of {providers}; write provider/model",
    Problem.MODEL_AMBIGUOUS: "{value} is a model of several providers; write {names}",
    Problem.PROVIDER_UNSET: "{provider} has no account here: set its key",
    Problem.PROVIDER_UNSET_OR_MODEL: (
        "{provider} has no account here: set its key, or write {instead} "
        "if that server has a model of this name"
    ),
    Problem.PROMPT_TOO_LONG_FOR_MODEL: (
        "{model} takes a prompt of at most {limit} characters, not {length}"
    ),
    Problem.NOT_TAKEN_BY_MODEL: "{model} takes no {field}; leave {field} out",
    Problem.TOO_MANY_FOR_MODEL: "{model} takes at most {limit} {field}, not {count}",
    Problem.NEEDED_BY_MODEL: "{model} begins with an image; give {field}",
    Problem.NOT_OFFERED_BY_MODEL: "{field} of {model} must be one of {allowed}, not {value}",
    Problem.RATIO_NOT_OFFERED_BY_MODEL: (
        "{field} of {model} must have one of the ratios {allowed}, not {value}"
    ),
    Problem.RATIO_SET_BY_IMAGE: (
        "{model} gives the video the ratio of its image; leave {field} out"
    ),
    Problem.REFERENCES_OR_FRAMES: (
        "{model} takes references or a first and a last image, not both; leave {field} out"
    ),
    Problem.NOT_COMPLETED: (
        "Only a completed video can be remixed, and this job is {status}; wait for its completion"
    ),
    Problem.NO_REMIX: "{provider} can't remix a video; submit a new job with the whole prompt",
}
_SEPARATORS = {"names": " or ", "did_you_mean": " or "}
_ADVICE = {"models_that_can": "; models that can: {}", "did_you_mean": ". Did you mean {}?"}
"""Texts after the sentence, for those of these facts that there are."""


def sentence(
    problem: Problem, field: str, facts: Mapping[str, object], template: str | None = None
) -> str:
    """Return a sentence with the remedy. `field` is the name that the reader knows.

    A door that has a better sentence for its readers gives its own `template`.
    """
    texts = {name: _text(name, value) for name, value in facts.items()}
    advice = "".join(text.format(texts[name]) for name, text in _ADVICE.items() if name in texts)
    return (template or _SENTENCES[problem]).format_map(texts | {"field": field}) + advice


def _text(name: str, value: object) -> str:
    if isinstance(value, tuple):
        return _SEPARATORS.get(name, ", ").join(map(str, value))
    return str(value)
