"""The forms of pages: their fields, and whether they came from a page of ours."""

from collections.abc import Mapping
from functools import partial
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from reelhook.domain.errors import InvalidRequestError
from reelhook.doors.access import own_origins
from reelhook.doors.multipart import FORM, in_thread_if_large, media_type
from reelhook.doors.multipart import form_of as multipart_form_of
from reelhook.doors.web.messages import EXPIRED_FORM, FOREIGN_FORM
from reelhook.doors.web.view import Site

Form = Mapping[str, str]
Files = Mapping[str, bytes]
FORM_TOKEN, ONCE = "form_token", "once"
FIELDS_MAX = 200
_DIGITS_MAX = 18
"""So every number fits into a column of the database."""


async def form_of(request: Request) -> Form:
    """Return the fields of a form. Raises `InvalidRequestError` if there are too many."""
    try:
        text = (await request.body()).decode(errors="replace")
    except ClientDisconnect as error:
        raise HTTPException(400, "The form did not arrive") from error
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX))
    except ValueError:
        raise InvalidRequestError("form", f"A form has at most {FIELDS_MAX} fields") from None


async def form_with_files(request: Request) -> tuple[Form, Files]:
    """Return the fields of a form, and its files by their field. Those left empty are no files.

    Raises `InvalidRequestError` if the form is broken, or has too many fields.
    """
    content_type = request.headers.get("content-type", "")
    if media_type(content_type) != FORM:
        return await form_of(request), {}
    body = await request.body()
    parts = await in_thread_if_large(
        len(body), partial(multipart_form_of, body, content_type, lambda _, data: data)
    )
    form = {name: value for name, value in parts.items() if isinstance(value, str)}
    return form, {name: one for name, one in parts.items() if isinstance(one, bytes) and one}


def refused(site: Site, form: Form) -> str | None:
    """Return the reason why a form is not carried out; None if it came from a page of ours."""
    headers = site.request.headers
    origin = headers.get("origin")
    if origin is not None and origin not in own_origins(headers, site.options.public_url):
        return FOREIGN_FORM
    if form.get(FORM_TOKEN) != site.form_token:
        return EXPIRED_FORM
    return None


def whole_number(text: str | None) -> int | None:
    """Return the whole number that a text is; None if it is none, or too long."""
    if text is None or not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX):
        return None
    return int(text)
