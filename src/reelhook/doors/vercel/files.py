"""Files of a request: URLs, or base64 with a media type, which is judged by the file's bytes."""

from base64 import b64decode
from binascii import Error as NotBase64Error
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Discriminator, Field, Tag

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.media import FORMATS, content_type_of
from reelhook.domain.request_media import text_of_job

_HEAD_CHARACTERS = 64
"""So much base64 shows a file's type. The number is a multiple of 4."""
_KIND_BY_SUFFIX = {
    **dict.fromkeys(("mp4", "webm", "mov", "m4v"), "video"),
    **dict.fromkeys(("mp3", "wav", "ogg", "m4a"), "audio"),
}


class UrlFile(BaseModel):
    """A file that the provider fetches."""

    type: Literal["url"]
    url: str = Field(description="http(s), or the id of an upload", repr=False)
    mediaType: str | None = None  # noqa: N815 - the wire's own name


class InlineFile(BaseModel):
    """A file in the body."""

    type: Literal["file"]
    data: str = Field(description="base64", repr=False)
    mediaType: str | None = None  # noqa: N815 - the wire's own name


class JobFile(BaseModel):
    """The video of a completed job, or its last frame. The wire's own clients can't send it."""

    job: str = Field(description="A completed job of the same project")
    frame: Literal["last"] | None = Field(None, description="For images: the last frame")


def _form(file: Any) -> str:
    """Return the name of a file's form; a wrong name is reported."""
    if isinstance(file, JobFile) or (isinstance(file, dict) and "job" in file):
        return "job"
    return str(file.get("type") if isinstance(file, dict) else getattr(file, "type", ""))


WireFile = Annotated[
    Annotated[UrlFile, Tag("url")]
    | Annotated[InlineFile, Tag("file")]
    | Annotated[JobFile, Tag("job")],
    Discriminator(
        _form,
        custom_error_type="file_form",
        custom_error_message="must have the type url or file, or name a job",
    ),
]


def file_uri(file: WireFile, field: str, kind: str | None = None) -> str:
    """Return a file as a URL or a `data:` URI.

    Raises `InvalidRequestError` for a file whose bytes show another kind than this one.
    """
    if isinstance(file, JobFile):
        return text_of_job(file.job)
    if isinstance(file, UrlFile):
        return file.url
    found = _content_type(file.data)
    if found is None or (kind is not None and found.partition("/")[0] != kind):
        wanted = f"{kind}: send {FORMATS[kind]}" if kind else "image, video or audio"
        raise InvalidRequestError(
            field, f"{field} is, by its bytes, no {wanted}; data must be the file in base64"
        )
    return f"data:{found};base64,{file.data}"


def kind_of(file: WireFile) -> str:
    """Return "image", "video" or "audio". A URL is that of an image if nothing says otherwise."""
    if isinstance(file, JobFile):
        return "video" if file.frame is None else "image"
    if isinstance(file, InlineFile):
        return (_content_type(file.data) or "image").partition("/")[0]
    named = (file.mediaType or "").partition("/")[0]
    if named in FORMATS:
        return named
    try:
        path = urlsplit(file.url).path
    except ValueError:
        return "image"
    return _KIND_BY_SUFFIX.get(path.rpartition(".")[2].lower(), "image")


def _content_type(data: str) -> str | None:
    try:
        return content_type_of(b64decode(data[:_HEAD_CHARACTERS], validate=True))
    except (NotBase64Error, ValueError):
        return None
