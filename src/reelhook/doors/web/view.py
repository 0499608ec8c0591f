"""A view: one request for a page, and what its template needs."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import quote, urlencode

from fastapi import Request
from starlette.types import Scope as HttpScope

from reelhook.domain.caller import DEFAULT_PROJECT, Caller, Scope
from reelhook.domain.event import Instant
from reelhook.doors.access import route_path
from reelhook.doors.context import Context, HttpOptions
from reelhook.doors.sessions import Sessions
from reelhook.doors.web.assets import assets
from reelhook.doors.web.navigation import NavItem, shown_to
from reelhook.gateway import Gateway

THEME_COOKIE = "reelhook_theme"
THEMES = ("light", "dark")


@dataclass(frozen=True, slots=True)
class Banner:
    """A message at the top of a page: `good` or `bad`. A `secret` is shown once, to be copied."""

    text: str
    tone: str = "good"
    secret: str | None = field(default=None, repr=False)


def new_mark() -> str:
    """Return a mark for the forms of one page."""
    return secrets.token_urlsafe(12)


@dataclass
class Site:
    """The part of a request that every page has, with a caller or without one."""

    request: Request
    options: HttpOptions
    caller: Caller | None
    banner: Banner | None = None
    once: str = field(default_factory=new_mark)
    """Marks the forms of this page, so that a form that is sent twice is carried out once."""

    @property
    def scope(self) -> HttpScope:
        """The request's scope."""
        return self.request.scope

    @property
    def root(self) -> str:
        """The path below which the installation is served."""
        return str(self.scope.get("root_path", ""))

    @property
    def path(self) -> str:
        """The page's path within the installation."""
        return route_path(self.scope)

    @cached_property
    def now(self) -> Instant:
        """The time of the view."""
        return self.options.clock.now()

    @cached_property
    def sessions(self) -> Sessions:
        """The sessions of the installation."""
        return Sessions(self.options.access)

    @property
    def form_token(self) -> str:
        """The token of this session's forms."""
        return self.sessions.form_token(self.request.cookies)

    @property
    def has_session(self) -> bool:
        """True if there is a session that can be ended."""
        return self.sessions.cookie in self.request.cookies

    @property
    def theme(self) -> str | None:
        """The chosen theme; None: the system's."""
        chosen = self.request.cookies.get(THEME_COOKIE)
        return chosen if chosen in THEMES else None

    @property
    def navigation(self) -> list[NavItem]:
        """The pages that the caller may open."""
        return [] if self.caller is None else shown_to(self.caller)

    @property
    def address(self) -> str:
        """The address of this server, as examples of commands show it."""
        return self.options.public_url

    def asset(self, name: str) -> str | None:
        """Return the address of a file of ours; None if it was not built in."""
        asset = assets().get(name)
        return None if asset is None else f"{self.root}/static/{asset.served_as}"

    def to(self, *parts: object, **query: object) -> str:
        """Return the address of a page by the parts of its path, and by its query's values."""
        path = "/".join(quote(str(part), safe="") for part in parts)
        wanted = {name: str(value) for name, value in query.items() if value not in {None, ""}}
        return f"{self.root}/{path}" + (f"?{urlencode(wanted)}" if wanted else "")

    def may(self, scope: str) -> bool:
        """Return True if the caller has a scope, by its name."""
        return self.caller is not None and self.caller.allows(Scope(scope))


@dataclass
class View(Site):
    """A request of a caller for a page. `live`: its parts are read again, for an open page."""

    context: Context = field(kw_only=True)
    live: bool = False
    form: Mapping[str, str] | None = None
    """The form that was sent, so that a page that is shown again keeps what was typed."""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """The files of the form."""
    anchors: dict[str, str] = field(default_factory=dict)
    """The values that its live updates need in addition: the place from which a list is counted."""
    page_path: str | None = None
    """The path of the page that is shown in response to a form."""

    @property
    def path(self) -> str:
        """The page's path within the installation."""
        return self.page_path or route_path(self.scope)

    @property
    def gateway(self) -> Gateway:
        """The use cases."""
        return self.context.gateway

    @property
    def who(self) -> Caller:
        """The caller, who is known here."""
        return self.context.caller

    def query(self, name: str) -> str | None:
        """Return a value of the query; None if it is missing, or nothing that could be meant."""
        value = self.request.query_params.get(name)
        return value if value and "\0" not in value else None

    def named(self, name: str) -> str:
        """Return a parameter of the path."""
        return str(self.request.path_params[name])

    def kept_query(self) -> Iterator[tuple[str, str]]:
        """Iterate over the values of the query that a live view repeats."""
        for name, value in self.request.query_params.multi_items():
            if name not in {"done", "live"}:
                yield name, value

    @property
    def live_address(self) -> str:
        """The address of the page's live updates."""
        query = [*self.kept_query(), *self.anchors.items(), ("live", "stream")]
        return f"{self.root}{self.path}?{urlencode(query)}"

    @property
    def one_project(self) -> bool:
        """True if the caller sees only one project, so that lists need not name it."""
        return self.who.sees is not None

    def shows_project(self, project: str) -> bool:
        """Return True if a list names this project."""
        return not self.one_project and project != DEFAULT_PROJECT


def view_of(context: Context, *, live: bool = False) -> View:
    """Return the view of a request."""
    return View(context.request, context.options, context.caller, context=context, live=live)
