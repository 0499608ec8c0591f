"""Bodies that may carry files: JSON, or a form as `multipart/form-data` in the same shape."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from logging import CRITICAL, Logger
from typing import Any, TypeVar

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.media import File, content_type_of
from reelhook.doors.form_fields import FormFields
from reelhook.doors.limits import KIB

FORM = "multipart/form-data"
PARTS_MAX = 256
THREAD_FROM_BYTES = 64 * KIB
"""From this size a body is parsed in a thread."""
_SILENT = Logger("multipart", CRITICAL)
"""The parser warns of each malformed body, which its client already learns."""
T = TypeVar("T")
KINDS = "PNG, JPEG, WebP, GIF, AVIF, HEIC, MP4, WebM, QuickTime, MP3, WAV, Ogg or FLAC"


async def read_body(request: Request) -> dict[str, Any]:
    """Return the body's JSON object, or its form in the same shape.

    A form's numbers and booleans stay text. A file is a `data:` URI whose content type is judged by
    the file's bytes. Raises `InvalidRequestError`, or `LimitError` for a body that is too large.
    """
    # Unlike `body()`, the stream leaves nothing in the request, which may outlive its body by far.
    body = b"".join([piece async for piece in request.stream() if piece])
    content_type = request.headers.get("content-type", "")
    if media_type(content_type) != FORM:
        return await in_thread_if_large(len(body), partial(_json_object, body))
    return await in_thread_if_large(len(body), partial(form_of, body, content_type))


async def read_file(request: Request) -> bytes:
    """Return the one file of a form, or the body itself if it is no form.

    Raises `InvalidRequestError`, or `LimitError` for a body that is too large.
    """
    body = b"".join([piece async for piece in request.stream() if piece])
    content_type = request.headers.get("content-type", "")
    if media_type(content_type) != FORM:
        return body
    return await in_thread_if_large(len(body), partial(_file_in, body, content_type))


def _file_in(body: bytes, content_type: str) -> bytes:
    fields = form_of(body, content_type, lambda _, data: data).values()
    files = [value for value in fields if isinstance(value, bytes)]
    if len(files) != 1:
        message = f"The form must have one file, and has {len(files)}; send each by itself"
        raise InvalidRequestError("file", message)
    return files[0]


class JsonRequest(Request):
    """A request whose JSON is in UTF-8, and is parsed in a thread if it is large."""

    async def json(self) -> Any:
        """Return the body's JSON. Raises `ValueError`."""
        body = await self.body()
        return await in_thread_if_large(len(body), partial(_parsed, body))


async def in_thread_if_large(size: int, work: Callable[[], T]) -> T:
    """Return the result of work on that many bytes, computed in a thread if they are many."""
    return work() if size < THREAD_FROM_BYTES else await asyncio.to_thread(work)


def _parsed(body: bytes) -> Any:
    """Return the JSON of a text in UTF-8, the only encoding of RFC 8259. Raises `ValueError`.

    By itself, Python would also take others, in which no limit was checked (`json_shape`).
    """
    return json.loads(body.decode())


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = _parsed(body)
    except (ValueError, RecursionError):  # ValueError: also a text that is not UTF-8
        message = "The body is not valid JSON; send a JSON object"
        raise InvalidRequestError("body", message) from None
    if not isinstance(parsed, dict):
        raise InvalidRequestError("body", "The body must be a JSON object")
    return parsed


def media_type(content_type: str) -> str:
    """Return the media type that a Content-Type header names, without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def form_of(
    body: bytes, content_type: str, file: Callable[[str, bytes], Any] | None = None
) -> dict[str, Any]:
    """Return the fields of a form. Raises `InvalidRequestError`.

    `file` returns the value of a file, given its field's name; None: its `data:` URI.
    """
    _, options = parse_options_header(content_type)
    form = _Form(file or _uri)
    try:
        parser = MultipartParser(options.get(b"boundary", b""), form.callbacks)
        if not options.get(b"boundary") or not body:
            raise _broken("its Content-Type names no boundary" if body else "it is empty")
        parser.logger = _SILENT
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise _broken(str(error)) from None
    if not form.ended:
        raise _broken("its last boundary is missing")
    return form.fields.fields


class _Form:
    """The form that a parser reads; the parser calls the methods in `callbacks`."""

    def __init__(self, file: Callable[[str, bytes], Any]) -> None:
        self.fields = FormFields()
        self._file = file
        self.ended = False
        self._parts = 0
        self._header = b""
        self._headers: dict[bytes, bytes] = {}
        self._data: list[bytes] = []
        self.callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_field": self._name,
            "on_header_value": self._value,
            "on_part_data": self._piece,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > PARTS_MAX:
            message = f"The form has more than {PARTS_MAX} fields; send fewer"
            raise InvalidRequestError("body", message)
        self._headers, self._data = {}, []

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._header = data[start:end].lower()

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._headers[self._header] = data[start:end]

    def _piece(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def _end_part(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        is_file = b"filename" in options
        try:
            name = options.get(b"name", b"").decode()
        except UnicodeDecodeError:
            name = ""
        if not name:
            kind = "file" if is_file else "part"
            raise InvalidRequestError(
                "body",
                f"A {kind} of the form has no field name; "
                'send Content-Disposition: form-data; name="..." with it',
            )
        data, self._data = b"".join(self._data), []
        self.fields.add(name, self._file(name, data) if is_file else _text(name, data))

    def _end(self) -> None:
        self.ended = True


def _uri(name: str, data: bytes) -> str:
    content_type = content_type_of(data)
    if content_type is None:
        raise InvalidRequestError(
            name, f"The file {name} is no image, video or audio by its bytes; send {KINDS}"
        )
    return File(content_type, data).uri


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidRequestError(
            name, f"{name} must be text in UTF-8; a file needs a filename"
        ) from None


def _broken(reason: str) -> InvalidRequestError:
    return InvalidRequestError(
        "body", f"The body is not valid {FORM}: {reason}; let an HTTP library write it"
    )
