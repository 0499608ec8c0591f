"""The login by a key, the logout, and the choice of a theme."""

import asyncio
from ipaddress import IPv6Address, IPv6Network, ip_address
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from reelhook.domain.api_key import KeyRefusedError
from reelhook.domain.caller import Rate
from reelhook.doors.clients import client_address
from reelhook.doors.context import HttpOptions
from reelhook.doors.policy import READING, OpenPageRoute
from reelhook.doors.rates import RateLimits
from reelhook.doors.sessions import SESSION_SECONDS
from reelhook.doors.web.error_page import error_page
from reelhook.doors.web.forms import form_of, refused
from reelhook.doors.web.rendering import HEADERS, respond
from reelhook.doors.web.view import THEME_COOKIE, THEMES, Site
from reelhook.gateway import Gateway

router = APIRouter(route_class=OpenPageRoute, include_in_schema=False)
WRONG = "This key is not accepted here. Check it, or ask for another one."
TRIES = (Rate(10, 60), Rate(100, 3600))
"""The tries of one client that fail. A right key after that has to wait too."""
REFUSAL_SECONDS = 0.3
"""The least time that a refusal takes, so that its reason can't be read from the clock."""
KEY_CHARACTERS_MAX = 512


class Tries:
    """Limits the tries of each client, in this process."""

    def __init__(self) -> None:
        self._rates = RateLimits()

    def wait_seconds(self, client: str) -> int:
        """Count a try; return the seconds to wait if it is one too many."""
        state = self._rates.count(network_of(client), TRIES)
        return 0 if state.exceeded is None else state.retry_after_seconds


def network_of(client: str) -> str:
    """Return the addresses that one client can choose among: with IPv6, a network of /64."""
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if not isinstance(address, IPv6Address):
        return client
    return str(address.ipv4_mapped or IPv6Network((int(address) >> 64 << 64, 64)))


_TRIES: WeakKeyDictionary[object, Tries] = WeakKeyDictionary()


def _site(request: Request) -> Site:
    options: HttpOptions = request.app.state.options
    return Site(request, options, None)


@router.api_route("/login", methods=READING)
async def show(request: Request) -> Response:
    """Return the login; the first page if no key is needed here."""
    site = _site(request)
    gateway: Gateway = request.app.state.gateway
    if site.options.access.api_key is None and not await gateway.authentication.key_required():
        return RedirectResponse(f"{site.root}/", 303, headers=HEADERS)
    return _login_page(site, None)


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Begin a session with a key, and go to the page that was asked for."""
    site, form = _site(request), await form_of(request)
    if (why := refused(site, form)) is not None:
        return error_page(site, 403, why, "forbidden")
    client = client_address(request.scope)
    if wait := _TRIES.setdefault(request.app, Tries()).wait_seconds(client):
        message = f"Too many tries. Wait {wait} s."
        response = _login_page(site, message, 429)
        response.headers["Retry-After"] = str(wait)
        return response
    began = asyncio.get_running_loop().time()
    found, key_hash = await _accepted(request, form.get("key", "").strip())
    if not found:
        site.options.clients.report(client, 401, "unauthorized", "POST")
        rest = REFUSAL_SECONDS - (asyncio.get_running_loop().time() - began)
        await asyncio.sleep(max(0.0, rest))
        return _login_page(site, WRONG, 401)
    session = site.sessions.begin(key_hash, site.now)
    response = RedirectResponse(_inside(site, form.get("next", "/")), 303, headers=HEADERS)
    response.set_cookie(
        site.sessions.cookie,
        session.text,
        max_age=SESSION_SECONDS,
        path=f"{site.root}/",
        secure=_is_secure(site),
        httponly=True,
        samesite="strict",
    )
    return response


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """End the session in this browser."""
    site = _site(request)
    if (why := refused(site, await form_of(request))) is not None:
        return error_page(site, 403, why, "forbidden")
    response = RedirectResponse(f"{site.root}/login", 303, headers=HEADERS)
    response.delete_cookie(site.sessions.cookie, path=f"{site.root}/")
    return response


@router.post("/theme")
async def choose_theme(request: Request) -> Response:
    """Keep the chosen theme in this browser, and go back to the page."""
    site, form = _site(request), await form_of(request)
    if (why := refused(site, form)) is not None:
        return error_page(site, 403, why, "forbidden")
    response = RedirectResponse(_inside(site, form.get("next", "/")), 303, headers=HEADERS)
    if form.get("theme") in THEMES:
        year = 365 * 24 * 3600
        response.set_cookie(
            THEME_COOKIE, form["theme"], max_age=year, path=f"{site.root}/", samesite="lax"
        )
    else:
        response.delete_cookie(THEME_COOKIE, path=f"{site.root}/")
    return response


async def _accepted(request: Request, key: str) -> tuple[bool, str | None]:
    """Return whether a key is accepted, and the hash of its text; None: it is the operator's.

    A text that can't be a key is looked up like one, so that it takes as long.
    """
    options: HttpOptions = request.app.state.options
    gateway: Gateway = request.app.state.gateway
    if options.access.is_key(key):
        return True, None
    try:
        found = await gateway.authentication.key(key[:KEY_CHARACTERS_MAX])
    except KeyRefusedError:
        return False, None
    return (False, None) if found is None else (True, found[1].hash_or_id)


def _login_page(site: Site, problem: str | None, status: int = 200) -> Response:
    wanted = site.request.query_params.get("next", "/")
    values = {"problem": problem, "wanted": wanted if _is_path(wanted) else "/"}
    return respond(site, "login.html", values, status)


def _inside(site: Site, wanted: str) -> str:
    """Return the address of a page of ours; that of the first one for any other."""
    return site.root + (wanted if _is_path(wanted) else "/")


def _is_path(text: str) -> bool:
    plain = text.isprintable() and text.isascii() and "\\" not in text
    return plain and text.startswith("/") and not text.startswith("//")


def _is_secure(site: Site) -> bool:
    """Return True if the browser came by TLS, which may end at a proxy: its `Origin` shows that."""
    headers = site.request.headers
    by_proxy = headers.get("x-forwarded-proto")
    by_browser = headers.get("origin", "").partition(":")[0]
    return "https" in {site.request.url.scheme, by_proxy, by_browser}
