"""Errors as pages: the login, a page that does not exist, a request that was refused."""

from urllib.parse import quote, urlsplit

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from reelhook.domain.caller import ANONYMOUS
from reelhook.doors.access import route_path
from reelhook.doors.error_form import ErrorForm, ErrorReply
from reelhook.doors.guard import CALLER
from reelhook.doors.policy import READING
from reelhook.doors.web.rendering import HEADERS, respond
from reelhook.doors.web.view import Site

_TITLES = {
    400: "That did not work",
    403: "Not with this key",
    404: "Nothing here",
    409: "It has changed meanwhile",
    405: "Not in this way",
    429: "Too many requests",
    500: "This page failed",
    503: "The database is away",
}
_GONE = "It was removed, it never existed, or this key does not see its project."
_WAYS = {
    # What the reader may try: a sentence, and the page to go to.
    "job_not_found": (_GONE, "jobs", "To the jobs"),
    "delivery_not_found": (_GONE, "jobs", "To the jobs"),
    "endpoint_not_found": (_GONE, "webhooks", "To the webhooks"),
    "key_not_found": (_GONE, "keys", "To the keys"),
    "not_found": ("Look at the address, or go on from the overview.", "", "To the overview"),
    "scope_missing": ("Log in with another key to do this.", "", "To the overview"),
}
_NO_WAY = ("", "", "To the overview")
# SameSite=Strict keeps the cookie back when another site's link is followed. Our own page, which
# loads the same address again, gets it.
_AGAIN = (
    '<!doctype html><html lang="en"><title>reelhook</title>'
    '<meta http-equiv="refresh" content="0"><p>One moment …</p></html>'
)


def page_form(app: FastAPI, scope: Scope) -> ErrorForm:
    """Return the form of errors for a request of a page."""

    def reply(error: ErrorReply) -> Response:
        request = Request(scope)
        if error.status == 401:
            return _login(request, error)
        caller = scope.get(CALLER)
        site = Site(request, app.state.options, None if caller == ANONYMOUS else caller)
        return error_page(site, error.status, error.message, error.code, dict(error.headers))

    return ErrorForm(reply)


def error_page(
    site: Site, status: int, message: str, code: str, headers: dict[str, str] | None = None
) -> Response:
    """Return the page of an error. An open page that asks for its parts gets the sentence alone."""
    if "live" in site.request.query_params:
        return PlainTextResponse(message, status, headers=HEADERS)
    site = Site(site.request, site.options, site.caller)  # an error has no live updates
    hint, page, label = _WAYS.get(code, _NO_WAY)
    shown = {
        "title": _TITLES.get(status, "That did not work"),
        "message": "There is no such page" if code == "not_found" else message,
        "code": code,
        "hint": hint,
        "page": page,
        "label": label,
    }
    response = respond(site, "error.html", shown, status)
    response.headers.update(headers or {})
    return response


def _login(request: Request, error: ErrorReply) -> Response:
    if "live" in request.query_params:
        return PlainTextResponse(error.message, 401, headers=HEADERS)
    if request.method in READING and request.headers.get("sec-fetch-site") == "cross-site":
        return HTMLResponse(_AGAIN, headers=HEADERS)
    root = str(request.scope.get("root_path", ""))
    wanted = _wanted(request)
    query = "" if wanted == "/" else f"?next={quote(wanted, safe='/')}"
    return RedirectResponse(f"{root}/login{query}", 303, headers=HEADERS)


def _wanted(request: Request) -> str:
    """Return the page to show after the login: the one that was asked for, or the form's."""
    if request.method in READING:
        query = request.url.query
        return route_path(request.scope) + (f"?{query}" if query else "")
    try:
        referrer = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    if referrer.netloc != request.headers.get("host"):
        return "/"
    root = str(request.scope.get("root_path", ""))
    return (referrer.path.removeprefix(root) or "/") + (
        f"?{referrer.query}" if referrer.query else ""
    )
